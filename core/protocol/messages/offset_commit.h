// OffsetCommit: how far a group has come in its partitions.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/protocol/errors.h"
#include "core/protocol/message.h"

namespace chronik::protocol {

struct OffsetCommitPartition {
  PartitionId partition_index;
  Offset committed_offset;
  LeaderEpoch committed_leader_epoch;
  std::optional<std::string> committed_metadata;
  bool operator==(const OffsetCommitPartition&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("PartitionIndex", since(0), m.partition_index);
    op.field("CommittedOffset", since(0), m.committed_offset);
    op.field("CommittedLeaderEpoch", since(6), m.committed_leader_epoch);
    op.field("CommittedMetadata", since(0), m.committed_metadata, nullable_since(0));
  }
};

struct OffsetCommitTopic {
  std::string name;
  std::vector<OffsetCommitPartition> partitions;
  bool operator==(const OffsetCommitTopic&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("Name", since(0), m.name);
    op.field("Partitions", since(0), m.partitions);
  }
};

struct OffsetCommitRequest {
  std::string group_id;
  // None: from a client that is no member, with an empty member id. Of a group of the newer protocol (KIP-848, since
  // version 9) the epoch of the member.
  GenerationId generation_id_or_member_epoch;
  std::string member_id;
  std::optional<std::string> group_instance_id;
  std::int64_t retention_time_ms = -1;  // -1: as the broker is configured
  std::vector<OffsetCommitTopic> topics;
  bool operator==(const OffsetCommitRequest&) const = default;
  static constexpr MessageTraits kTraits{"OffsetCommitRequest", ApiKey::kOffsetCommit, MessageKind::kRequest,
                                         versions(2, 9), 8};
  static void fields(auto& op, auto& m) {
    op.field("GroupId", since(0), m.group_id);
    op.field("GenerationIdOrMemberEpoch", since(1), m.generation_id_or_member_epoch);
    op.field("MemberId", since(1), m.member_id);
    op.field("GroupInstanceId", since(7), m.group_instance_id, nullable_since(7));
    op.field("RetentionTimeMs", versions(2, 4), m.retention_time_ms);
    op.field("Topics", since(0), m.topics);
  }
};

struct OffsetCommitPartitionResult {
  PartitionId partition_index;
  ErrorCode error_code = ErrorCode::kNone;
  bool operator==(const OffsetCommitPartitionResult&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("PartitionIndex", since(0), m.partition_index);
    op.field("ErrorCode", since(0), m.error_code);
  }
};

struct OffsetCommitTopicResult {
  std::string name;
  std::vector<OffsetCommitPartitionResult> partitions;
  bool operator==(const OffsetCommitTopicResult&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("Name", since(0), m.name);
    op.field("Partitions", since(0), m.partitions);
  }
};

struct OffsetCommitResponse {
  std::int32_t throttle_time_ms = 0;
  std::vector<OffsetCommitTopicResult> topics;
  bool operator==(const OffsetCommitResponse&) const = default;
  static constexpr MessageTraits kTraits{"OffsetCommitResponse", ApiKey::kOffsetCommit, MessageKind::kResponse,
                                         versions(2, 9), 8};
  static void fields(auto& op, auto& m) {
    op.field("ThrottleTimeMs", since(3), m.throttle_time_ms);
    op.field("Topics", since(0), m.topics);
  }
};

}  // namespace chronik::protocol
