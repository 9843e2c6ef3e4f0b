// ListPartitionReassignments: which partitions are on their way to other replicas (KIP-455).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/protocol/errors.h"
#include "core/protocol/message.h"

namespace chronik::protocol {

struct ListPartitionReassignmentsTopic {
  std::string name;
  std::vector<PartitionId> partition_indexes;
  bool operator==(const ListPartitionReassignmentsTopic&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("Name", since(0), m.name);
    op.field("PartitionIndexes", since(0), m.partition_indexes);
  }
};

struct ListPartitionReassignmentsRequest {
  std::int32_t timeout_ms = 60'000;
  std::optional<std::vector<ListPartitionReassignmentsTopic>> topics;  // null: all that there are
  bool operator==(const ListPartitionReassignmentsRequest&) const = default;
  static constexpr MessageTraits kTraits{"ListPartitionReassignmentsRequest", ApiKey::kListPartitionReassignments,
                                         MessageKind::kRequest, versions(0, 0), 0};
  static void fields(auto& op, auto& m) {
    op.field("TimeoutMs", since(0), m.timeout_ms);
    op.field("Topics", since(0), m.topics, nullable_since(0));
  }
};

struct OngoingPartitionReassignment {
  PartitionId partition_index;
  std::vector<NodeId> replicas;
  std::vector<NodeId> adding_replicas;
  std::vector<NodeId> removing_replicas;
  bool operator==(const OngoingPartitionReassignment&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("PartitionIndex", since(0), m.partition_index);
    op.field("Replicas", since(0), m.replicas);
    op.field("AddingReplicas", since(0), m.adding_replicas);
    op.field("RemovingReplicas", since(0), m.removing_replicas);
  }
};

struct OngoingTopicReassignment {
  std::string name;
  std::vector<OngoingPartitionReassignment> partitions;
  bool operator==(const OngoingTopicReassignment&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("Name", since(0), m.name);
    op.field("Partitions", since(0), m.partitions);
  }
};

struct ListPartitionReassignmentsResponse {
  std::int32_t throttle_time_ms = 0;
  ErrorCode error_code = ErrorCode::kNone;
  std::optional<std::string> error_message;
  std::vector<OngoingTopicReassignment> topics;
  bool operator==(const ListPartitionReassignmentsResponse&) const = default;
  static constexpr MessageTraits kTraits{"ListPartitionReassignmentsResponse", ApiKey::kListPartitionReassignments,
                                         MessageKind::kResponse, versions(0, 0), 0};
  static void fields(auto& op, auto& m) {
    op.field("ThrottleTimeMs", since(0), m.throttle_time_ms);
    op.field("ErrorCode", since(0), m.error_code);
    op.field("ErrorMessage", since(0), m.error_message, nullable_since(0));
    op.field("Topics", since(0), m.topics);
  }
};

}  // namespace chronik::protocol
