#include "core/fiber/wait.h"

#include <absl/container/inlined_vector.h>

#include <deque>

#include "core/fiber/scope.h"

namespace chronik::fiber {

Status wake_status(Wake wake) {
  switch (wake) {
    case Wake::kSignalled: return ok();
    case Wake::kExpired: return Status(absl::StatusCode::kDeadlineExceeded, {});
    case Wake::kCancelled: return Status(absl::StatusCode::kCancelled, {});
    case Wake::kDying: return Status(absl::StatusCode::kAborted, {});
    case Wake::kPending: break;
  }
  UNREACHABLE("a wait that ended without a reason");
}

Wake Waiter::wait(const WaitKey& key, const Deadline& deadline, const WaitDetail* detail) {
  Scheduler& scheduler = *fiber_.scheduler_;
  if (scheduler.dying()) {
    scheduler.unwind_if_killed();
    return Wake::kDying;
  }
  if (fired()) {
    return wake_;
  }
  if (deadline.cancelled()) {
    return wake_ = Wake::kCancelled;
  }
  if (deadline.at() <= scheduler.now()) {
    return wake_ = Wake::kExpired;
  }
  CHECK(&fiber_ == &Fiber::current());
  key_ = key;
  meaning_ = deadline.meaning();
  deadline_ = deadline.at();
  since_ = scheduler.now();
  detail_ = detail;
  if (deadline.at() != MonotonicTime::never()) {
    scheduler.arm(*this, deadline.at());
  }
  deadline.source().listen(*this);
  fiber_.waiter_ = this;
  // Unwinding leaves the fiber as a normal return does: it waits for nothing.
  struct Leave {
    Waiter& waiter;
    ~Leave() {
      waiter.fiber_.waiter_ = nullptr;
      waiter.disarm();
      waiter.CancelListener::unlink();
    }
  } const leave{*this};
  scheduler.suspend_current(fiber_);
  CHECK(fired());
  return wake_;
}

bool Waiter::fire(Wake wake) {
  if (fired() || fiber_.scheduler_->dying()) {
    return false;
  }
  wake_ = wake;
  if (fiber_.state() == Fiber::State::kBlocked) {
    fiber_.scheduler_->make_ready(fiber_);
  }
  return true;
}

void Waiter::on_timer() {
  if (fired()) {
    return;
  }
  Scheduler& scheduler = *fiber_.scheduler_;
  if (scheduler.watch_ != nullptr) {
    scheduler.watch_->on_expiry(fiber_, key_, meaning_);
  }
  fire(Wake::kExpired);
}

void Waiter::on_cancel() { fire(Wake::kCancelled); }

// ---- Event ----

Event::~Event() {
  nodes_.for_each([](WaitNode& node) {
    CHECK(node.waiter().fiber().scheduler().dying());
    node.unlink();
  });
}

Status Event::wait(const WaitKey& key, const Deadline& deadline, const WaitDetail* detail) {
  Waiter waiter;
  WaitNode node(waiter);
  nodes_.push_back(node);
  if (missed_) {
    waiter.note_missed_signal();
  }
  return wake_status(waiter.wait(key, deadline, detail));
}

void Event::notify_all() {
  missed_ = nodes_.empty();
  nodes_.for_each([](WaitNode& node) { node.waiter().fire(Wake::kSignalled); });
}

bool Event::notify_one() {
  absl::InlinedVector<Waiter*, 8> waiting;
  nodes_.for_each([&waiting](WaitNode& node) {
    if (!node.waiter().fired()) {
      waiting.push_back(&node.waiter());
    }
  });
  missed_ = waiting.empty();
  if (waiting.empty()) {
    return false;
  }
  const Fiber& first = waiting.front()->fiber();
  const std::size_t chosen =
      waiting.size() == 1 ? 0 : first.scheduler().choose(ChoicePoint::kWakeWaiter, first.lineage(), waiting.size());
  return waiting[chosen]->fire(Wake::kSignalled);
}

// ---- WaitSet ----

void WaitSet::add(Event& event, const WaitKey& key) {
  events_.push_back(&event);
  keys_.push_back(key);
}

Status WaitSet::wait_any(const Deadline& deadline) {
  Waiter waiter;
  std::deque<WaitNode> nodes;
  for (Event* event : events_) {
    event->nodes_.push_back(nodes.emplace_back(waiter));
  }
  waiter.set_alternatives(&keys_);
  return wake_status(waiter.wait(keys_.empty() ? WaitKey{WaitKind::kSleep, 0, 0, 0} : keys_.front(), deadline));
}

// ---- PendingOperation ----

void PendingOperation::on_complete(std::int64_t result) {
  CHECK(!done_);
  result_ = result;
  done_ = true;
  event_.notify_all();
}

Status PendingOperation::wait(const WaitKey& key, const Deadline& deadline, const WaitDetail* detail) {
  return done_ ? ok() : event_.wait(key, deadline, detail);
}

// ---- deadlines ----

Deadline within(Duration from_now, Expiry meaning) {
  Scheduler& scheduler = Scheduler::current();
  return Deadline(scheduler.now() + from_now, meaning, Fiber::current().scope().source());
}

Deadline for_ever() { return Deadline(MonotonicTime::never(), Expiry::kNormal, Fiber::current().scope().source()); }

Status sleep(Duration duration) {
  Waiter waiter;
  const Wake wake = waiter.wait(WaitKey{WaitKind::kSleep, 0, 0, 0}, within(duration, Expiry::kNormal));
  return wake == Wake::kExpired ? ok() : wake_status(wake);
}

void maybe_suspend() {
  if (Scheduler::current().choose(ChoicePoint::kSuspendAnyway, Fiber::current().lineage(), 2) == 1) {
    yield_to_ready();
  }
}

}  // namespace chronik::fiber
