// Whether this node must suppose that others lead its partitions: it has known of no leader of the metadata for so long
// that a majority elsewhere, if there is one, has fenced it and elected others.
//
// It is a supposition and makes nothing unsafe either way: what a deposed leader appends is never committed. It is for
// the clients of a node that is cut off, who are to look elsewhere and not to wait for what cannot come.
#pragma once

#include "core/base/ids.h"
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

// One deadline, set when the leader is lost: a node that knows one is never woken by this. Ends with its shard.
class Isolation final : private fiber::Timer {
 public:
  // patience: without a leader, positive. The listener outlives it.
  Isolation(Duration patience, IsolationListener& listener) : patience_(patience), listener_(listener) {}

  // Who leads the metadata, as far as this node knows; none: nobody. To be called at each change.
  void on_leader(NodeId leader);
  bool holds() const { return gauge_.value() != 0; }
  const Gauge& gauge() const { return gauge_; }

 private:
  void on_timer() override;

  Duration patience_;
  IsolationListener& listener_;
  Gauge gauge_;  // 1 while it holds
};

}  // namespace chronik::replication
