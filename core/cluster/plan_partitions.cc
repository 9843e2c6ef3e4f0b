// Elections and reassignments that a client asks for, tried on copies of the partitions.
#include <fmt/core.h>

#include "core/cluster/controller.h"
#include "core/cluster/partition_state.h"
#include "core/cluster/reassignment.h"

namespace chronik::cluster {

namespace {

// The partition that a request names; null, with `result` saying why: there is none.
const Partition* find_named(const Image& image, const std::string& topic, PartitionId index, const Topic*& found,
                            ItemResult& result) {
  found = image.find_topic(topic);
  const Partition* partition = found == nullptr ? nullptr : found->partitions.find(index);
  if (found == nullptr) {
    result = refused(ErrorCode::kUnknownTopicOrPartition, fmt::format("there is no topic '{}'", topic));
  } else if (partition == nullptr) {
    result = refused(ErrorCode::kUnknownTopicOrPartition, fmt::format("topic '{}' has no partition {}, but 0 to {}",
                                                                      topic, index, found->partitions.size() - 1));
  }
  return partition;
}

}  // namespace

Plan<ElectLeaders> plan_elect_leaders(const Image& image, bool unclean, const std::vector<NamedPartition>& partitions) {
  Plan<ElectLeaders> plan;
  plan.command.unclean = unclean;
  for (std::size_t i = 0; i < partitions.size(); ++i) {
    const Topic* topic = nullptr;
    ItemResult result;
    const Partition* known = find_named(image, partitions[i].topic, partitions[i].index, topic, result);
    if (known != nullptr) {
      Partition tried = *known;
      result = unclean ? elect_unclean(image, tried, image.election_rules_of(*topic)) : elect_preferred(image, tried);
    }
    if (result.ok()) {
      plan.command.partitions.push_back({.topic = topic->id, .partition = partitions[i].index});
      plan.origin.push_back(i);
    }
    plan.items.push_back(std::move(result));
  }
  return plan;
}

Plan<AlterReassignments> plan_alter_reassignments(const Image& image, bool may_change_factor,
                                                  const std::vector<ReassignmentRequest>& partitions) {
  Plan<AlterReassignments> plan;
  plan.command.may_change_factor = may_change_factor;
  for (std::size_t i = 0; i < partitions.size(); ++i) {
    const ReassignmentRequest& asked = partitions[i];
    const Topic* topic = nullptr;
    ItemResult result;
    const Partition* known = find_named(image, asked.partition.topic, asked.partition.index, topic, result);
    std::optional<ReplicaList> target;
    if (asked.replicas.has_value()) {
      target.emplace(asked.replicas->begin(), asked.replicas->end());
    }
    if (known != nullptr) {
      Partition tried = *known;
      result = reassign(image, tried, target, may_change_factor, image.election_rules_of(*topic));
    }
    if (result.ok()) {
      plan.command.partitions.push_back(
          {.topic = topic->id, .partition = asked.partition.index, .target = std::move(target)});
      plan.origin.push_back(i);
    }
    plan.items.push_back(std::move(result));
  }
  return plan;
}

}  // namespace chronik::cluster
