// Whether this node must suppose that others lead its partitions: it has been out of touch with the leader of the
// metadata for so long that a majority elsewhere, if there is one, has fenced it and elected others.
//
// In touch is who knows a leader and has had its answer since: a node that hears, and is not heard, may know a new
// leader and never be told what that decides.
// It is a supposition and makes nothing unsafe either way: what a deposed leader appends is never committed. It is for
// the clients of a node that is cut off, who are to look elsewhere and not to wait for what cannot come.
#pragma once

#include "core/base/metrics.h"
#include "core/base/time.h"
#include "core/fiber/timer_queue.h"

namespace chronik::replication {

class IsolationListener {
 public:
  virtual ~IsolationListener() = default;
  // From now on it must be supposed. Must not suspend.
  virtual void on_isolated() = 0;
};

// One deadline, set when touch is lost: a node that is in touch is never woken by this. Ends with its shard.
class Isolation final : private fiber::Timer {
 public:
  // patience: out of touch, positive. The listener outlives it.
  Isolation(Duration patience, IsolationListener& listener) : patience_(patience), listener_(listener) {}

  // Touch is lost, or still is: the leader of the metadata is another, or nobody. In a fiber.
  void lose();
  // The leader has answered, and the image is up to date.
  void regain();
  bool in_touch() const { return !armed() && !holds(); }
  bool holds() const { return gauge_.value() != 0; }
  const Gauge& gauge() const { return gauge_; }

 private:
  void on_timer() override;

  Duration patience_;
  IsolationListener& listener_;
  Gauge gauge_;  // 1 while it holds
};

}  // namespace chronik::replication
