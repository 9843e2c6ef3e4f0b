// DescribeTopicPartitions: partitions of topics a page at a time, with their eligible leader replicas (KIP-966).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/base/uuid.h"
#include "core/protocol/errors.h"
#include "core/protocol/messages/shared.h"

namespace chronik::protocol {

struct DescribeTopicPartitionsTopicRequest {
  std::string name;
  bool operator==(const DescribeTopicPartitionsTopicRequest&) const = default;
  static void fields(auto& op, auto& m) { op.field("Name", since(0), m.name); }
};

// Where a page ended: the first partition of the next one.
struct DescribeTopicPartitionsCursor {
  std::string topic_name;
  PartitionId partition_index;
  bool operator==(const DescribeTopicPartitionsCursor&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("TopicName", since(0), m.topic_name);
    op.field("PartitionIndex", since(0), m.partition_index);
  }
};

struct DescribeTopicPartitionsRequest {
  std::vector<DescribeTopicPartitionsTopicRequest> topics;  // none: all
  std::int32_t response_partition_limit = 2000;
  std::optional<DescribeTopicPartitionsCursor> cursor;
  bool operator==(const DescribeTopicPartitionsRequest&) const = default;
  static constexpr MessageTraits kTraits{"DescribeTopicPartitionsRequest", ApiKey::kDescribeTopicPartitions,
                                         MessageKind::kRequest, versions(0, 0), 0};
  static void fields(auto& op, auto& m) {
    op.field("Topics", since(0), m.topics);
    op.field("ResponsePartitionLimit", since(0), m.response_partition_limit);
    op.field("Cursor", since(0), m.cursor, nullable_since(0));
  }
};

struct DescribeTopicPartitionsPartition {
  ErrorCode error_code = ErrorCode::kNone;
  PartitionId partition_index;
  NodeId leader_id;
  LeaderEpoch leader_epoch;
  std::vector<NodeId> replica_nodes;
  std::vector<NodeId> isr_nodes;
  std::optional<std::vector<NodeId>> eligible_leader_replicas;
  std::optional<std::vector<NodeId>> last_known_elr;
  std::vector<NodeId> offline_replicas;
  bool operator==(const DescribeTopicPartitionsPartition&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("ErrorCode", since(0), m.error_code);
    op.field("PartitionIndex", since(0), m.partition_index);
    op.field("LeaderId", since(0), m.leader_id);
    op.field("LeaderEpoch", since(0), m.leader_epoch);
    op.field("ReplicaNodes", since(0), m.replica_nodes);
    op.field("IsrNodes", since(0), m.isr_nodes);
    op.field("EligibleLeaderReplicas", since(0), m.eligible_leader_replicas, nullable_since(0));
    op.field("LastKnownElr", since(0), m.last_known_elr, nullable_since(0));
    op.field("OfflineReplicas", since(0), m.offline_replicas);
  }
};

struct DescribeTopicPartitionsTopic {
  ErrorCode error_code = ErrorCode::kNone;
  std::optional<std::string> name;
  TopicId topic_id;
  bool is_internal = false;
  std::vector<DescribeTopicPartitionsPartition> partitions;
  std::int32_t topic_authorized_operations = kOperationsNotAsked;
  bool operator==(const DescribeTopicPartitionsTopic&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("ErrorCode", since(0), m.error_code);
    op.field("Name", since(0), m.name, nullable_since(0));
    op.field("TopicId", since(0), m.topic_id);
    op.field("IsInternal", since(0), m.is_internal);
    op.field("Partitions", since(0), m.partitions);
    op.field("TopicAuthorizedOperations", since(0), m.topic_authorized_operations);
  }
};

struct DescribeTopicPartitionsResponse {
  std::int32_t throttle_time_ms = 0;
  std::vector<DescribeTopicPartitionsTopic> topics;
  std::optional<DescribeTopicPartitionsCursor> next_cursor;  // null: this was the last page
  bool operator==(const DescribeTopicPartitionsResponse&) const = default;
  static constexpr MessageTraits kTraits{"DescribeTopicPartitionsResponse", ApiKey::kDescribeTopicPartitions,
                                         MessageKind::kResponse, versions(0, 0), 0};
  static void fields(auto& op, auto& m) {
    op.field("ThrottleTimeMs", since(0), m.throttle_time_ms);
    op.field("Topics", since(0), m.topics);
    op.field("NextCursor", since(0), m.next_cursor, nullable_since(0));
  }
};

}  // namespace chronik::protocol
