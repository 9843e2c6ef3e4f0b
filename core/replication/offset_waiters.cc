#include "core/replication/offset_waiters.h"

namespace chronik::replication {

Status OffsetWaiters::wait(Offset offset, const WaitKey& key, const Deadline& deadline) {
  fiber::Waiter waiter;
  Entry entry(waiter, offset);
  // Waiters come in the order of their appends, so the scan ends at once but for the retry of a duplicate.
  entries_.insert_sorted(entry, [](const Entry& a, const Entry& b) { return a.offset < b.offset; });
  const fiber::Wake wake = waiter.wait(key, deadline);
  return entry.failed ? Status(absl::StatusCode::kAborted, {}) : fiber::wake_status(wake);
}

void OffsetWaiters::advance(Offset to) {
  while (!entries_.empty() && entries_.front().offset < to) {
    entries_.pop_front().waiter.fire(fiber::Wake::kSignalled);
  }
}

void OffsetWaiters::fail_all() {
  while (!entries_.empty()) {
    Entry& entry = entries_.pop_front();
    entry.failed = true;
    entry.waiter.fire(fiber::Wake::kSignalled);
  }
}

}  // namespace chronik::replication
