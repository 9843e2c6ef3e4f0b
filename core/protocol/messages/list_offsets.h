// ListOffsets: the offset that belongs to a time, or to one of the names below.
#pragma once

#include <string>
#include <vector>

#include "core/protocol/errors.h"
#include "core/protocol/message.h"

namespace chronik::protocol {

// Times that are no times.
inline constexpr std::int64_t kLatestTimestamp = -1;         // the high watermark, or the last stable offset
inline constexpr std::int64_t kEarliestTimestamp = -2;       // the log start
inline constexpr std::int64_t kMaxTimestamp = -3;            // the record with the largest timestamp; version 7
inline constexpr std::int64_t kEarliestLocalTimestamp = -4;  // version 8
inline constexpr std::int64_t kLatestTieredTimestamp = -5;   // version 9

struct ListOffsetsPartition {
  PartitionId partition_index;
  LeaderEpoch current_leader_epoch;
  std::int64_t timestamp = 0;
  bool operator==(const ListOffsetsPartition&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("PartitionIndex", since(0), m.partition_index);
    op.field("CurrentLeaderEpoch", since(4), m.current_leader_epoch);
    op.field("Timestamp", since(0), m.timestamp);
  }
};

struct ListOffsetsTopic {
  std::string name;
  std::vector<ListOffsetsPartition> partitions;
  bool operator==(const ListOffsetsTopic&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("Name", since(0), m.name);
    op.field("Partitions", since(0), m.partitions);
  }
};

struct ListOffsetsRequest {
  NodeId replica_id;
  std::int8_t isolation_level = 0;
  std::vector<ListOffsetsTopic> topics;
  std::int32_t timeout_ms = 0;
  bool operator==(const ListOffsetsRequest&) const = default;
  static constexpr MessageTraits kTraits{"ListOffsetsRequest", ApiKey::kListOffsets, MessageKind::kRequest,
                                         versions(1, 10), 6};
  static void fields(auto& op, auto& m) {
    op.field("ReplicaId", since(0), m.replica_id);
    op.field("IsolationLevel", since(2), m.isolation_level);
    op.field("Topics", since(0), m.topics);
    op.field("TimeoutMs", since(10), m.timeout_ms);
  }
};

struct ListOffsetsPartitionResponse {
  PartitionId partition_index;
  ErrorCode error_code = ErrorCode::kNone;
  std::int64_t timestamp = -1;
  Offset offset;
  LeaderEpoch leader_epoch;
  bool operator==(const ListOffsetsPartitionResponse&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("PartitionIndex", since(0), m.partition_index);
    op.field("ErrorCode", since(0), m.error_code);
    op.field("Timestamp", since(1), m.timestamp);
    op.field("Offset", since(1), m.offset);
    op.field("LeaderEpoch", since(4), m.leader_epoch);
  }
};

struct ListOffsetsTopicResponse {
  std::string name;
  std::vector<ListOffsetsPartitionResponse> partitions;
  bool operator==(const ListOffsetsTopicResponse&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("Name", since(0), m.name);
    op.field("Partitions", since(0), m.partitions);
  }
};

struct ListOffsetsResponse {
  std::int32_t throttle_time_ms = 0;
  std::vector<ListOffsetsTopicResponse> topics;
  bool operator==(const ListOffsetsResponse&) const = default;
  static constexpr MessageTraits kTraits{"ListOffsetsResponse", ApiKey::kListOffsets, MessageKind::kResponse,
                                         versions(1, 10), 6};
  static void fields(auto& op, auto& m) {
    op.field("ThrottleTimeMs", since(2), m.throttle_time_ms);
    op.field("Topics", since(0), m.topics);
  }
};

}  // namespace chronik::protocol
