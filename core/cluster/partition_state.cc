#include "core/cluster/partition_state.h"

#include <fmt/core.h>

#include <algorithm>

namespace chronik::cluster {

namespace {

bool drop(ReplicaList& list, NodeId node) {
  const auto found = std::find(list.begin(), list.end(), node);
  if (found == list.end()) {
    return false;
  }
  list.erase(found);
  return true;
}

// In the order of the replicas, each once.
ReplicaList ordered(const Partition& partition, const ReplicaList& nodes) {
  ReplicaList list;
  for (const NodeId replica : partition.replicas) {
    if (contains(nodes, replica)) {
      list.push_back(replica);
    }
  }
  return list;
}

std::size_t enough(const Partition& partition, std::size_t min) { return std::min(min, partition.replicas.size()); }

// Who leads where nobody is left that has everything: a live replica, one that is only just being added late, and last
// of all the one that has led, since it is out for having lost what it had.
NodeId unclean_choice(const Image& image, const Partition& partition) {
  const NodeId former = partition.leader;
  for (const bool added : {false, true}) {
    for (const NodeId node : partition.replicas) {
      if (node != former && image.is_live(node) && contains(partition.adding, node) == added) {
        return node;
      }
    }
  }
  return former != NodeId::none() && image.is_live(former) ? former : NodeId::none();
}

// The first of the eligible that is live, one whose disk is stuck as the last.
NodeId eligible_choice(const Image& image, const Partition& partition) {
  NodeId stuck = NodeId::none();
  for (const NodeId node : partition.elr) {
    if (image.is_well(node)) {
      return node;
    }
    stuck = stuck == NodeId::none() && image.is_live(node) ? node : stuck;
  }
  return stuck;
}

bool another_could_lead(const Image& image, const Partition& partition, NodeId node) {
  const auto could = [&](NodeId other) { return other != node && image.is_live(other); };
  return std::any_of(partition.isr.begin(), partition.isr.end(), could) ||
         std::any_of(partition.elr.begin(), partition.elr.end(), could);
}

}  // namespace

// Once enough are in sync, more may be committed, which those who are not in sync will lack.
bool settle_elr(Partition& partition, std::size_t min) {
  const bool changes = partition.isr.size() >= enough(partition, min) && !partition.elr.empty();
  if (changes) {
    partition.elr.clear();
  }
  return changes;
}

void fence_replica(Partition& partition, NodeId node, std::size_t min) {
  if (!drop(partition.isr, node)) {
    return;
  }
  if (partition.isr.size() + partition.elr.size() < enough(partition, min) || partition.isr.empty()) {
    partition.elr.push_back(node);
    partition.elr = ordered(partition, partition.elr);
  }
}

bool relieve_stuck(const Image& image, Partition& partition, std::size_t min) {
  const auto well = [&image](NodeId node) { return image.is_well(node); };
  if (std::none_of(partition.isr.begin(), partition.isr.end(), well)) {
    return false;
  }
  const ReplicaList before = partition.isr;
  for (const NodeId node : before) {
    if (!image.is_well(node)) {
      fence_replica(partition, node, min);
    }
  }
  return partition.isr != before;
}

void lose_replica(Partition& partition, NodeId node) {
  drop(partition.isr, node);
  drop(partition.elr, node);
}

void set_isr(Partition& partition, const ReplicaList& isr, std::size_t min) {
  const ReplicaList before = partition.isr;
  partition.isr = ordered(partition, isr);
  for (const NodeId node : partition.isr) {
    drop(partition.elr, node);
  }
  for (const NodeId node : before) {
    if (!contains(partition.isr, node) && partition.isr.size() + partition.elr.size() < enough(partition, min)) {
      partition.elr.push_back(node);
    }
  }
  partition.elr = ordered(partition, partition.elr);
  settle_elr(partition, min);
}

ItemResult give_up_replica(const Image& image, Partition& partition, NodeId node, bool lost,
                           const ElectionRules& rules) {
  if (!contains(partition.replicas, node)) {
    return refused(ErrorCode::kNotLeaderOrFollower, fmt::format("broker {} has no replica of it", node));
  }
  const bool counts = contains(partition.isr, node) || contains(partition.elr, node);
  if (counts && !lost && !another_could_lead(image, partition, node)) {
    return refused(ErrorCode::kEligibleLeadersNotAvailable,
                   fmt::format("broker {} has the last replica that has everything", node));
  }
  lose_replica(partition, node);
  if (!elect(image, partition, partition.leader == node, rules) && partition.leader != NodeId::none()) {
    partition.leader_epoch = partition.leader_epoch.next();
  }
  return {};
}

bool elect(const Image& image, Partition& partition, bool ends, const ElectionRules& rules) {
  const NodeId former = partition.leader;
  const auto can_lead = [&](NodeId node) { return contains(partition.isr, node) && image.is_live(node); };
  if (former != NodeId::none() && !ends && can_lead(former)) {
    return false;
  }
  NodeId next = NodeId::none();
  for (const NodeId node : partition.isr) {
    if (node != former && can_lead(node)) {
      next = node;
      break;
    }
  }
  if (next == NodeId::none() && former != NodeId::none() && can_lead(former)) {
    next = former;
  }
  // With nobody in sync that is live, one that is eligible has everything that was ever committed.
  if (next == NodeId::none() && partition.isr.empty()) {
    next = eligible_choice(image, partition);
  }
  if (next != NodeId::none() && partition.isr.empty()) {
    partition.isr.push_back(next);
    drop(partition.elr, next);
    settle_elr(partition, rules.min_insync_replicas);
  }
  bool unclean = false;
  if (next == NodeId::none() && partition.isr.empty() && rules.unclean) {
    next = unclean_choice(image, partition);
    unclean = next != NodeId::none();
  }
  if (next == NodeId::none() && former == NodeId::none()) {
    return false;
  }
  partition.leader = next;
  partition.leader_epoch = partition.leader_epoch.next();
  if (unclean) {
    // What others had beyond it is lost, and nobody may bring that back by being elected later.
    partition.isr = {next};
    partition.elr.clear();
    partition.unclean_epoch = partition.leader_epoch;
  }
  return true;
}

ItemResult elect_preferred(const Image& image, Partition& partition) {
  const NodeId preferred = partition.replicas.front();
  if (partition.leader == preferred) {
    return refused(ErrorCode::kElectionNotNeeded, fmt::format("the preferred leader, broker {}, leads", preferred));
  }
  if (!image.is_live(preferred) || !contains(partition.isr, preferred)) {
    return refused(ErrorCode::kPreferredLeaderNotAvailable,
                   fmt::format("the preferred leader, broker {}, is not {}", preferred,
                               image.is_live(preferred) ? "in sync" : "live"));
  }
  partition.leader = preferred;
  partition.leader_epoch = partition.leader_epoch.next();
  return {};
}

ItemResult elect_unclean(const Image& image, Partition& partition, const ElectionRules& rules) {
  if (partition.leader != NodeId::none()) {
    return refused(ErrorCode::kElectionNotNeeded, fmt::format("broker {} leads", partition.leader));
  }
  if (!rules.unclean) {
    return refused(ErrorCode::kEligibleLeadersNotAvailable,
                   "unclean.leader.election.enable is false for this topic: it must be true for a replica to be "
                   "elected that may lack acknowledged records");
  }
  if (!elect(image, partition, false, rules)) {
    return refused(ErrorCode::kEligibleLeadersNotAvailable, "no replica is live");
  }
  return {};
}

}  // namespace chronik::cluster
