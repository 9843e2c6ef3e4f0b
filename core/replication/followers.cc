#include "core/replication/followers.h"

#include <algorithm>
#include <utility>

namespace chronik::replication {

void Followers::begin(const std::vector<NodeId>& others, MonotonicTime now) {
  followers_.clear();
  keep(others, now);
}

void Followers::keep(const std::vector<NodeId>& others, MonotonicTime now) {
  std::vector<Follower> kept;
  for (const NodeId node : others) {
    const Follower* known = find(node);
    // Who has yet to be heard is given as long as who has just been.
    kept.push_back(known != nullptr ? *known : Follower{.node = node, .broker_epoch = {}, .caught_up = now});
  }
  followers_ = std::move(kept);
}

const Follower* Followers::find(NodeId node) const {
  const auto found = std::find_if(followers_.begin(), followers_.end(),
                                  [node](const Follower& follower) { return follower.node == node; });
  return found == followers_.end() ? nullptr : &*found;
}

const Follower* Followers::hear(NodeId node, BrokerEpoch broker_epoch, Offset durable_end, Offset log_end,
                                MonotonicTime now) {
  const auto follower =
      std::find_if(followers_.begin(), followers_.end(), [node](const Follower& known) { return known.node == node; });
  if (follower == followers_.end()) {
    return nullptr;
  }
  // Rule R10: it keeps up while it becomes durable, some time later, with what the leader had at an earlier fetch.
  const bool reached = follower->mark != Offset::none() && durable_end >= follower->mark;
  if (durable_end >= log_end) {
    follower->caught_up = now;
  } else if (reached) {
    follower->caught_up = std::max(follower->caught_up, follower->marked);
  }
  if (durable_end >= log_end || reached || follower->mark == Offset::none()) {
    follower->mark = log_end;
    follower->marked = now;
  }
  follower->broker_epoch = broker_epoch;
  follower->durable_end = durable_end;
  return &*follower;
}

bool Followers::hear_log_start(NodeId node, Offset log_start) {
  const auto follower =
      std::find_if(followers_.begin(), followers_.end(), [node](const Follower& known) { return known.node == node; });
  return follower != followers_.end() && std::exchange(follower->log_start, log_start) != log_start;
}

void Followers::grows(Offset end, MonotonicTime now) {
  for (Follower& follower : followers_) {
    if (follower.durable_end == end) {
      follower.caught_up = now;
    }
  }
}

}  // namespace chronik::replication
