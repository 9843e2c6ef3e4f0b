// AlterPartitionReassignments: partitions are to have other replicas, or to keep those that they had (KIP-455).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/protocol/errors.h"
#include "core/protocol/message.h"

namespace chronik::protocol {

struct ReassignablePartition {
  PartitionId partition_index;
  std::optional<std::vector<NodeId>> replicas;  // null: the reassignment that is under way is called off
  bool operator==(const ReassignablePartition&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("PartitionIndex", since(0), m.partition_index);
    op.field("Replicas", since(0), m.replicas, nullable_since(0));
  }
};

struct ReassignableTopic {
  std::string name;
  std::vector<ReassignablePartition> partitions;
  bool operator==(const ReassignableTopic&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("Name", since(0), m.name);
    op.field("Partitions", since(0), m.partitions);
  }
};

struct AlterPartitionReassignmentsRequest {
  std::int32_t timeout_ms = 60'000;
  bool allow_replication_factor_change = true;
  std::vector<ReassignableTopic> topics;
  bool operator==(const AlterPartitionReassignmentsRequest&) const = default;
  static constexpr MessageTraits kTraits{"AlterPartitionReassignmentsRequest", ApiKey::kAlterPartitionReassignments,
                                         MessageKind::kRequest, versions(0, 1), 0};
  static void fields(auto& op, auto& m) {
    op.field("TimeoutMs", since(0), m.timeout_ms);
    op.field("AllowReplicationFactorChange", since(1), m.allow_replication_factor_change);
    op.field("Topics", since(0), m.topics);
  }
};

struct ReassignablePartitionResponse {
  PartitionId partition_index;
  ErrorCode error_code = ErrorCode::kNone;
  std::optional<std::string> error_message;
  bool operator==(const ReassignablePartitionResponse&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("PartitionIndex", since(0), m.partition_index);
    op.field("ErrorCode", since(0), m.error_code);
    op.field("ErrorMessage", since(0), m.error_message, nullable_since(0));
  }
};

struct ReassignableTopicResponse {
  std::string name;
  std::vector<ReassignablePartitionResponse> partitions;
  bool operator==(const ReassignableTopicResponse&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("Name", since(0), m.name);
    op.field("Partitions", since(0), m.partitions);
  }
};

struct AlterPartitionReassignmentsResponse {
  std::int32_t throttle_time_ms = 0;
  bool allow_replication_factor_change = true;
  ErrorCode error_code = ErrorCode::kNone;
  std::optional<std::string> error_message;
  std::vector<ReassignableTopicResponse> responses;
  bool operator==(const AlterPartitionReassignmentsResponse&) const = default;
  static constexpr MessageTraits kTraits{"AlterPartitionReassignmentsResponse", ApiKey::kAlterPartitionReassignments,
                                         MessageKind::kResponse, versions(0, 1), 0};
  static void fields(auto& op, auto& m) {
    op.field("ThrottleTimeMs", since(0), m.throttle_time_ms);
    op.field("AllowReplicationFactorChange", since(1), m.allow_replication_factor_change);
    op.field("ErrorCode", since(0), m.error_code);
    op.field("ErrorMessage", since(0), m.error_message, nullable_since(0));
    op.field("Responses", since(0), m.responses);
  }
};

}  // namespace chronik::protocol
