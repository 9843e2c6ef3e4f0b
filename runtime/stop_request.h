// "Please end": from a signal, or from another thread, to the fibers of a shard. It comes in with a turn like
// everything else (rule S1), cancels what waits for it, and lets the main fiber shut down in order.
#pragma once

#include <absl/functional/any_invocable.h>

#include <atomic>
#include <thread>
#include <vector>

#include "core/base/cancel.h"
#include "core/fiber/operation.h"
#include "core/fiber/wait.h"
#include "runtime/descriptor.h"
#include "runtime/event_loop.h"
#include "runtime/masked_signals.h"

namespace chronik::runtime {

// What fibers see of it.
class StopFlag final : private fiber::Operation {
 public:
  bool asked() const { return asked_.is_set(); }
  Status wait(const Deadline& deadline);
  // Cancelled when the request comes in.
  CancelSource& source() { return source_; }

  // Before the first turn: by whoever runs the shard.
  void listen(fiber::Scheduler& scheduler) { scheduler.begin_operation(*this); }
  using fiber::Operation::number;

 private:
  void on_complete(std::int64_t result) override;

  CancelSource source_;
  fiber::Latch asked_;
};

class StopRequest final : private ReadinessTarget {
 public:
  explicit StopRequest(EventLoop& loop);

  // From any thread. Asking twice asks once.
  void ask();
  StopFlag& flag() { return flag_; }

 private:
  void on_ready(std::uint32_t events, std::vector<fiber::Completion>& batch) override;

  Descriptor event_;
  StopFlag flag_;
};

// While one lives, SIGTERM and SIGINT ask `request`; a second one ends the process at once, with 128 + its number,
// whatever the shard does just then. SIGUSR1 calls `report`. They are waited for by a thread of its own, which calls,
// and interrupt no other: the calling thread masks them meanwhile, and every other has to (masked_signals.h). One at a
// time in a process.
class StopSignals {
 public:
  explicit StopSignals(
      StopRequest& request, absl::AnyInvocable<void()> report = [] {});
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

 private:
  void serve();

  StopRequest& request_;
  absl::AnyInvocable<void()> report_;
  std::atomic<bool> ending_{false};
  MaskedSignals masked_;
  std::thread thread_;
};

}  // namespace chronik::runtime
