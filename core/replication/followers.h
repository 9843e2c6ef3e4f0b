// What the leader of a partition knows of the other replicas, within one leader epoch. Plain data and arithmetic.
//
// A position counts only once its follower has shown, in this epoch, that its log agrees with the leader's up to there
// (rule R9); nothing is known of anybody when an epoch begins.
#pragma once

#include <vector>

#include "core/base/ids.h"
#include "core/base/time.h"

namespace chronik::replication {

struct Follower {
  NodeId node;
  BrokerEpoch broker_epoch;             // of the incarnation that fetches; none: it has not been heard in this epoch
  Offset durable_end = Offset::none();  // it has everything below on stable storage; none: not known
  Offset log_start = Offset::none();
  MonotonicTime caught_up;       // when it was last durable with everything, as far as is known
  Offset mark = Offset::none();  // the leader's log end at an earlier fetch, which it has yet to reach
  MonotonicTime marked;          // when that was
};

class Followers {
 public:
  // A new epoch: these are the others.
  void begin(const std::vector<NodeId>& others, MonotonicTime now);
  // The replicas have changed within the epoch.
  void keep(const std::vector<NodeId>& others, MonotonicTime now);

  // `node` says up to where it is durable; the leader's log ends at log_end. Null: it is no replica.
  const Follower* hear(NodeId node, BrokerEpoch broker_epoch, Offset durable_end, Offset log_end, MonotonicTime now);
  // Whether that is news.
  bool hear_log_start(NodeId node, Offset log_start);
  // The leader's log, which ended at `end`, is about to grow: who had all of it was caught up until now.
  void grows(Offset end, MonotonicTime now);

  const Follower* find(NodeId node) const;
  const std::vector<Follower>& all() const { return followers_; }

 private:
  std::vector<Follower> followers_;
};

}  // namespace chronik::replication
