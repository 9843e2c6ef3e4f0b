#include "core/cluster/assignments.h"

#include <fmt/core.h>

#include <algorithm>

#include "core/cluster/config_values.h"
#include "core/cluster/placement.h"

namespace chronik::cluster {

namespace {

ItemResult wrong(std::string message) {
  return {.error = ErrorCode::kInvalidReplicaAssignment, .message = std::move(message)};
}

ItemResult check_replicas(const Image& image, const TopicRequest::Assignment& assignment) {
  bool live = false;
  for (auto node = assignment.replicas.begin(); node != assignment.replicas.end(); ++node) {
    if (image.find_broker(*node) == nullptr) {
      return wrong(fmt::format("partition {}: there is no broker {}", assignment.partition, *node));
    }
    if (std::find(node + 1, assignment.replicas.end(), *node) != assignment.replicas.end()) {
      return wrong(fmt::format("partition {}: broker {} is named twice", assignment.partition, *node));
    }
    live = live || image.is_live(*node);
  }
  return live ? ItemResult{} : wrong(fmt::format("partition {}: no replica is on a live broker", assignment.partition));
}

}  // namespace

ItemResult too_many_partitions() {
  return {.error = ErrorCode::kPolicyViolation,
          .message = fmt::format("one request may create up to {} partitions", kPartitionsMax)};
}

ItemResult check_replication_factor(const Image& image, std::int16_t factor) {
  const std::size_t live = live_brokers(image);
  if (factor <= 0) {
    return {.error = ErrorCode::kInvalidReplicationFactor,
            .message = fmt::format("replication factor {}: it must be at least 1, or -1 for the default", factor)};
  }
  if (static_cast<std::size_t>(factor) > live) {
    return {.error = ErrorCode::kInvalidReplicationFactor,
            .message = fmt::format("replication factor {}: only {} brokers are live", factor, live)};
  }
  return {};
}

ItemResult adopt_assignments(const Image& image, const std::vector<TopicRequest::Assignment>& assignments,
                             std::vector<ReplicaList>& partitions) {
  partitions.assign(assignments.size(), {});
  const std::size_t factor = assignments.front().replicas.size();
  for (const TopicRequest::Assignment& assignment : assignments) {
    const auto place = static_cast<std::size_t>(assignment.partition);
    if (assignment.partition < 0 || place >= partitions.size() || !partitions[place].empty()) {
      return wrong(fmt::format("assigned partitions must be 0 to {}, each once", assignments.size() - 1));
    }
    if (assignment.replicas.empty() || assignment.replicas.size() != factor) {
      return wrong("every partition must have as many replicas, at least one");
    }
    if (ItemResult result = check_replicas(image, assignment); !result.ok()) {
      return result;
    }
    partitions[place].assign(assignment.replicas.begin(), assignment.replicas.end());
  }
  return {};
}

}  // namespace chronik::cluster
