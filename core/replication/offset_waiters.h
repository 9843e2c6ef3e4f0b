// Fibers that wait for an offset to be passed, in the order of their offsets, so that an advance touches those it wakes
// and one more.
#pragma once

#include "core/base/ids.h"
#include "core/fiber/wait.h"

namespace chronik::replication {

class OffsetWaiters {
 public:
  // Waits until advance(to) with to > offset, or fail_all(). ok, kAborted (fail_all or dying), kDeadlineExceeded,
  // kCancelled.
  Status wait(Offset offset, const WaitKey& key, const Deadline& deadline);
  // Everything below `to` has been passed.
  void advance(Offset to);
  // What they wait for will not come (the epoch ended, the log is gone): rule R11.
  void fail_all();
  bool empty() const { return entries_.empty(); }

 private:
  struct Entry : ListHook<struct OffsetWaiterTag> {
    Entry(fiber::Waiter& who, Offset what) : waiter(who), offset(what) {}
    fiber::Waiter& waiter;
    Offset offset;
    bool failed = false;
  };
  IntrusiveList<Entry, OffsetWaiterTag> entries_;
};

}  // namespace chronik::replication
