// OffsetForLeaderEpoch: where an epoch of a partition ended. Answers for the largest epoch not above the one asked for.
#pragma once

#include <string>
#include <vector>

#include "core/protocol/errors.h"
#include "core/protocol/message.h"

namespace chronik::protocol {

struct OffsetForLeaderPartition {
  PartitionId partition;
  LeaderEpoch current_leader_epoch;
  LeaderEpoch leader_epoch;
  bool operator==(const OffsetForLeaderPartition&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("Partition", since(0), m.partition);
    op.field("CurrentLeaderEpoch", since(2), m.current_leader_epoch);
    op.field("LeaderEpoch", since(0), m.leader_epoch);
  }
};

struct OffsetForLeaderTopic {
  std::string topic;
  std::vector<OffsetForLeaderPartition> partitions;
  bool operator==(const OffsetForLeaderTopic&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("Topic", since(0), m.topic);
    op.field("Partitions", since(0), m.partitions);
  }
};

struct OffsetForLeaderEpochRequest {
  NodeId replica_id = NodeId(-2);  // -2: a debugging tool, -1: a consumer
  std::vector<OffsetForLeaderTopic> topics;
  bool operator==(const OffsetForLeaderEpochRequest&) const = default;
  static constexpr MessageTraits kTraits{"OffsetForLeaderEpochRequest", ApiKey::kOffsetForLeaderEpoch,
                                         MessageKind::kRequest, versions(2, 4), 4};
  static void fields(auto& op, auto& m) {
    op.field("ReplicaId", since(3), m.replica_id);
    op.field("Topics", since(0), m.topics);
  }
};

struct OffsetForLeaderPartitionResult {
  ErrorCode error_code = ErrorCode::kNone;
  PartitionId partition;
  LeaderEpoch leader_epoch;
  Offset end_offset;
  bool operator==(const OffsetForLeaderPartitionResult&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("ErrorCode", since(0), m.error_code);
    op.field("Partition", since(0), m.partition);
    op.field("LeaderEpoch", since(1), m.leader_epoch);
    op.field("EndOffset", since(0), m.end_offset);
  }
};

struct OffsetForLeaderTopicResult {
  std::string topic;
  std::vector<OffsetForLeaderPartitionResult> partitions;
  bool operator==(const OffsetForLeaderTopicResult&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("Topic", since(0), m.topic);
    op.field("Partitions", since(0), m.partitions);
  }
};

struct OffsetForLeaderEpochResponse {
  std::int32_t throttle_time_ms = 0;
  std::vector<OffsetForLeaderTopicResult> topics;
  bool operator==(const OffsetForLeaderEpochResponse&) const = default;
  static constexpr MessageTraits kTraits{"OffsetForLeaderEpochResponse", ApiKey::kOffsetForLeaderEpoch,
                                         MessageKind::kResponse, versions(2, 4), 4};
  static void fields(auto& op, auto& m) {
    op.field("ThrottleTimeMs", since(2), m.throttle_time_ms);
    op.field("Topics", since(0), m.topics);
  }
};

}  // namespace chronik::protocol
