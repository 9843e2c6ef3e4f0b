#include "core/fiber/scope.h"

namespace chronik::fiber {

FiberScope::FiberScope(Scheduler& scheduler, CancelSource& parent)
    : scheduler_(scheduler), source_(parent), number_(scheduler.next_scope_number()) {}

FiberScope::FiberScope() : FiberScope(Scheduler::current(), Fiber::current().scope().source()) {}

FiberScope::~FiberScope() { CHECK_EQ(running_, std::size_t{0}); }

Status FiberScope::join(const Deadline& deadline) {
  while (running_ > 0) {
    RETURN_IF_ERROR(ended_.wait(WaitKey{WaitKind::kScope, number_, 0, 0}, deadline));
  }
  return ok();
}

void FiberScope::cancel_and_join() {
  cancel();
  // By the scheduler's own source: a scope is joined while its parents are cancelled, too.
  const Deadline deadline(MonotonicTime::never(), Expiry::kNever, scheduler_.root_cancel());
  const Status joined = join(deadline);
  CHECK(joined.ok() || scheduler_.dying());
}

void FiberScope::cancel_and_join_in_destructor() {
  try {
    cancel_and_join();
  } catch (const FiberKilled&) {
    CHECK_EQ(running_, std::size_t{0});  // the scope's fibers are younger than the one that waits here
  }
}

}  // namespace chronik::fiber
