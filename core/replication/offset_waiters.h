// Who waits for an offset to be passed, in the order of the offsets, so that an advance touches those that it tells and
// one more.
#pragma once

#include "core/base/ids.h"
#include "core/base/intrusive_list.h"

namespace chronik::replication {

// One wait. Destroying it ends it. It must not outlive what it waits at, but on a dying node.
class OffsetWaiter : public ListHook<struct OffsetWaiterTag> {
 public:
  virtual ~OffsetWaiter() = default;
  // Called once, by whoever moved on: the offset was passed, or never will be. Must not suspend.
  virtual void on_passed(bool passed) = 0;
  Offset awaited() const { return offset_; }  // that has to be passed

 private:
  friend class OffsetWaiters;
  Offset offset_;
};

class OffsetWaiters {
 public:
  // Tells `waiter` of the next advance(to) with to > offset, or of fail_all().
  void add(OffsetWaiter& waiter, Offset offset);
  // Everything below `to` has been passed.
  void advance(Offset to);
  // What they wait for will not come (the epoch ended, the log is gone): rule R11.
  void fail_all();
  bool empty() const { return waiters_.empty(); }

 private:
  IntrusiveList<OffsetWaiter, OffsetWaiterTag> waiters_;
};

}  // namespace chronik::replication
