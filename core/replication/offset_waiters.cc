#include "core/replication/offset_waiters.h"

namespace chronik::replication {

void OffsetWaiters::add(OffsetWaiter& waiter, Offset offset) {
  waiter.offset_ = offset;
  // They come in the order of their appends, so the scan ends at once but for the retry of a duplicate.
  waiters_.insert_sorted(waiter, [](const OffsetWaiter& a, const OffsetWaiter& b) { return a.offset_ < b.offset_; });
}

void OffsetWaiters::advance(Offset to) {
  while (!waiters_.empty() && waiters_.front().offset_ < to) {
    waiters_.pop_front().on_passed(true);
  }
}

void OffsetWaiters::fail_all() {
  while (!waiters_.empty()) {
    waiters_.pop_front().on_passed(false);
  }
}

}  // namespace chronik::replication
