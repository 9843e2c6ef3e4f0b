// Records a shard's turns and port calls, or plays them back: the decorators of logged_ports.h ask it at every call,
// the scheduler tells it every step.
//
// Recording costs a copy of every byte that goes in: for diagnosis and tests. One shard's thread.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <string>
#include <utility>

#include "core/base/deadline.h"
#include "core/fiber/scheduler.h"
#include "core/fiber/wait.h"
#include "runtime/turn_log.h"

namespace chronik::runtime {

class LogSession final : public fiber::SchedulerWatch {
 public:
  enum class Mode : std::uint8_t { kRecord, kReplay };
  LogSession(TurnLog& log, Mode mode) : log_(log), mode_(mode) {}

  bool replaying() const { return mode_ == Mode::kReplay; }
  // After the last turn: writes the fingerprint into the log.
  void finish() { log_.fingerprint = fingerprint_; }
  // What has happened so far, in one number.
  std::uint64_t fingerprint() const { return fingerprint_; }
  // Where a replay did something else than its log says; empty where it did not.
  const std::string& divergence() const { return divergence_; }

  // One call of a port. Recording: real() makes it. Replaying: waits as the log says, then gives what it gave.
  // deadline: null for a call that does not suspend.
  template <typename Real>
  PortReturn call(PortCall kind, std::uint64_t arguments, const Deadline* deadline, Real real);

  // Numbers for the objects that calls make, in order.
  std::uint64_t next_object() { return ++objects_; }

  void on_turn(MonotonicTime now, std::span<const fiber::Completion> batch) override;
  void on_resume(const fiber::Fiber& fiber) override;
  void on_operation(OpNumber number) override;
  void on_expiry(const fiber::Fiber& fiber, const WaitKey& key, Expiry meaning) override;

 private:
  void note(std::uint64_t what) { fingerprint_ = mix_in(what); }
  std::uint64_t mix_in(std::uint64_t what) const;
  std::size_t begin(PortCall kind, std::uint64_t arguments);
  void end(std::size_t call, const PortReturn& returned);
  PortReturn replay(std::size_t call, const Deadline* deadline);
  // Says where the paths parted. The fiber that left goes no further.
  [[noreturn]] void diverge(std::string how);
  // Waits until the shard is killed.
  [[noreturn]] static void park();

  TurnLog& log_;
  const Mode mode_;
  std::uint64_t fingerprint_ = 0;
  std::size_t next_call_ = 0;
  std::uint64_t objects_ = 0;
  std::string divergence_;
  absl::flat_hash_map<const fiber::Fiber*, std::size_t> under_way_;  // the call that a fiber is in; looked up only
};

template <typename Real>
PortReturn LogSession::call(PortCall kind, std::uint64_t arguments, const Deadline* deadline, Real real) {
  if (fiber::Scheduler::current().dying()) {
    // What destructors call while a node is unwound is after the end of every log.
    return replaying() ? PortReturn{wake_status(fiber::Wake::kDying)} : real();
  }
  const std::size_t number = begin(kind, arguments);
  if (mode_ == Mode::kReplay) {
    return replay(number, deadline);
  }
  struct Under {
    LogSession& session;
    const fiber::Fiber* fiber;
    ~Under() { session.under_way_.erase(fiber); }
  } const under{*this, &fiber::Fiber::current()};
  under_way_[under.fiber] = number;
  PortReturn returned = real();
  end(number, returned);
  return returned;
}

}  // namespace chronik::runtime
