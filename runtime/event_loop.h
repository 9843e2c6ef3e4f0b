// The loop of one shard: waits for sockets, timers and other threads, makes one turn of all that came (rule S1).
//
// Readiness is reported by edges: a socket says once that something changed, and whoever owns it remembers. So a
// request costs no call to epoll, and one wait serves all sockets that became ready meanwhile. Lifetime: outlives every
// port that watches through it. One thread: the shard's.
#pragma once

#include <absl/functional/any_invocable.h>
#include <sys/epoll.h>

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "core/fiber/scheduler.h"
#include "runtime/completion_inbox.h"
#include "runtime/descriptor.h"
#include "runtime/system_clock.h"

namespace chronik::runtime {

// Owns a descriptor that the loop watches.
class ReadinessTarget {
 public:
  virtual ~ReadinessTarget() = default;
  // The descriptor changed: `events` as epoll gives them. Appends the completions of operations that waited for it.
  virtual void on_ready(std::uint32_t events, std::vector<fiber::Completion>& batch) = 0;
};

// Told when a turn begins and ends, on every turn.
class TurnWitness {
 public:
  virtual ~TurnWitness() = default;
  virtual void turn_began(MonotonicTime now) = 0;
  virtual void turn_ended() = 0;
};

class EventLoop {
 public:
  explicit EventLoop(SystemClock& clock);
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Reports edges of `descriptor` to `target` until the descriptor is closed. Both directions are reported.
  // False: no room for another watch.
  [[nodiscard]] bool watch(int descriptor, ReadinessTarget& target);
  // Completes an operation with the next turn; from the shard's own thread.
  void post(fiber::Completion completion) { posted_.push_back(completion); }
  CompletionInbox& inbox() { return inbox_; }

  // Does it once, outside every fiber, when the turn that runs now has ended. From within a turn.
  void after_turn(absl::AnyInvocable<void()> task) { after_turn_.push_back(std::move(task)); }

  // Turns until stop() is called from within one.
  void run(fiber::Scheduler& scheduler, TurnWitness* witness);
  void stop() { stopping_ = true; }

  std::uint64_t waits() const { return waits_; }  // times the loop asked the kernel, asleep or not
  std::uint64_t turns() const { return turns_; }

 private:
  int timeout_ms(const fiber::Scheduler& scheduler, bool more);
  void gather(int timeout);

  SystemClock& clock_;
  CompletionInbox inbox_;
  Descriptor epoll_;
  std::array<epoll_event, 512> events_;
  std::vector<fiber::Completion> posted_;
  std::vector<fiber::Completion> batch_;
  std::vector<absl::AnyInvocable<void()>> after_turn_;
  std::uint64_t waits_ = 0;
  std::uint64_t turns_ = 0;
  bool stopping_ = false;
};

}  // namespace chronik::runtime
