// A scope: fibers are spawned only in one, and it ends only when they have (rule S7). So no fiber outlives what it
// uses.
#pragma once

#include <utility>

#include "core/base/cancel.h"
#include "core/fiber/scheduler.h"
#include "core/fiber/wait.h"

namespace chronik::fiber {

class FiberScope {
 public:
  // `parent`: cancelling it cancels this scope. A root scope is given its scheduler's root_cancel().
  FiberScope(Scheduler& scheduler, CancelSource& parent);
  // Within a fiber: a scope of the current scheduler under the current fiber's scope.
  FiberScope();
  // Every fiber must have ended: cancel() and join() before, but on a dying node.
  ~FiberScope();
  FiberScope(const FiberScope&) = delete;
  FiberScope& operator=(const FiberScope&) = delete;

  // Starts closure() as a fiber. It runs when its turn comes, not now.
  template <typename Closure>
  void spawn(FiberName name, Closure&& closure) {
    scheduler_.unwind_if_killed();
    scheduler_.create(name, *this, std::forward<Closure>(closure));
  }

  // Calls off every wait of the scope's fibers that goes by its source, at once and for good.
  void cancel() { source_.cancel(); }
  // Waits until no fiber is left. Does not cancel. On a dying node returns kAborted at once.
  Status join(const Deadline& deadline);
  // cancel(), then join() with a wait that only a bug lets expire.
  void cancel_and_join();
  // The same for a destructor, which no exception may leave: a fiber that is killed in here is unwound from its next
  // wait or spawn.
  void cancel_and_join_in_destructor();

  std::size_t running() const { return running_; }
  std::uint64_t number() const { return number_; }  // unique on its shard; join() waits for (kScope, number)
  CancelSource& source() { return source_; }
  Scheduler& scheduler() { return scheduler_; }

 private:
  friend class Scheduler;
  Scheduler& scheduler_;
  CancelSource source_;
  std::size_t running_ = 0;
  Event ended_;
  std::uint64_t number_;
};

}  // namespace chronik::fiber
