#include "core/cluster/reassignment.h"

#include <fmt/core.h>

#include <algorithm>

#include "core/cluster/partition_state.h"

namespace chronik::cluster {

namespace {

// Those of `list` that are in `other`, or those that are not.
ReplicaList pick(const ReplicaList& list, const ReplicaList& other, bool in_other) {
  ReplicaList picked;
  std::copy_if(list.begin(), list.end(), std::back_inserter(picked),
               [&](NodeId node) { return contains(other, node) == in_other; });
  return picked;
}

ReplicaList joint(ReplicaList first, const ReplicaList& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

ItemResult target_problem(const Image& image, const ReplicaList& target) {
  if (target.empty()) {
    return refused(ErrorCode::kInvalidReplicaAssignment, "no replicas are named; a partition has at least one");
  }
  for (auto node = target.begin(); node != target.end(); ++node) {
    if (image.find_broker(*node) == nullptr) {
      return refused(ErrorCode::kInvalidReplicaAssignment, fmt::format("there is no broker {}", *node));
    }
    if (std::find(node + 1, target.end(), *node) != target.end()) {
      return refused(ErrorCode::kInvalidReplicaAssignment, fmt::format("broker {} is named twice", *node));
    }
  }
  return {};
}

// From now on these are the replicas; those that are not among them are in sync with nothing and lead nothing.
void set_replicas(const Image& image, Partition& partition, const ReplicaList& replicas, const ElectionRules& rules) {
  const bool somebody_goes = !pick(partition.replicas, replicas, false).empty();
  partition.replicas = replicas;
  partition.isr = pick(replicas, partition.isr, true);
  partition.elr = pick(replicas, partition.elr, true);
  // Who went may come back with another log: what is known of it must not outlive the epoch (rule R9).
  if (!elect(image, partition, false, rules) && somebody_goes) {
    partition.leader_epoch = partition.leader_epoch.next();
  }
}

}  // namespace

bool is_reassigned(const Partition& partition) { return !partition.adding.empty() || !partition.removing.empty(); }

ItemResult reassign(const Image& image, Partition& partition, const std::optional<ReplicaList>& target,
                    bool may_change_factor, const ElectionRules& rules) {
  if (!target.has_value() && !is_reassigned(partition)) {
    return refused(ErrorCode::kNoReassignmentInProgress, "no reassignment of this partition is under way");
  }
  const ReplicaList original = pick(partition.replicas, partition.adding, false);
  const ReplicaList wanted = target.value_or(original);
  if (ItemResult problem = target_problem(image, wanted); !problem.ok()) {
    return problem;
  }
  if (!may_change_factor && wanted.size() != original.size()) {
    return refused(ErrorCode::kInvalidReplicationFactor,
                   fmt::format("{} replicas are named; the partition has {}, and their number was not to be changed",
                               wanted.size(), original.size()));
  }
  const ReplicaList removing = pick(original, wanted, false);
  const ReplicaList replicas = joint(wanted, removing);
  const bool had_all = !partition.isr.empty() || !partition.elr.empty();
  if (had_all && pick(partition.isr, replicas, true).empty() &&
      (!partition.isr.empty() || pick(partition.elr, replicas, true).empty())) {
    return refused(ErrorCode::kInvalidReplicaAssignment,
                   "only replicas that would go at once have all that was committed");
  }
  partition.adding = pick(wanted, original, false);
  partition.removing = removing;
  set_replicas(image, partition, replicas, rules);
  complete_reassignment(image, partition, rules);
  return {};
}

void complete_reassignment(const Image& image, Partition& partition, const ElectionRules& rules) {
  const ReplicaList stay = pick(partition.replicas, partition.removing, false);
  if (!is_reassigned(partition) || !pick(stay, partition.isr, false).empty()) {
    return;
  }
  partition.adding.clear();
  partition.removing.clear();
  set_replicas(image, partition, stay, rules);
}

}  // namespace chronik::cluster
