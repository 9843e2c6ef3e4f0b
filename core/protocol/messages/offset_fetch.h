// OffsetFetch: the offsets that groups have committed. One group before version 8, any number since; here a list in
// every version.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/protocol/errors.h"
#include "core/protocol/message.h"

namespace chronik::protocol {

struct OffsetFetchTopic {
  std::string name;
  std::vector<PartitionId> partition_indexes;
  bool operator==(const OffsetFetchTopic&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("Name", since(0), m.name);
    op.field("PartitionIndexes", since(0), m.partition_indexes);
  }
};

struct OffsetFetchGroup {
  std::string group_id;
  std::optional<std::string> member_id;  // this and the epoch: of the newer protocol (KIP-848)
  std::int32_t member_epoch = -1;
  // Null, from version 2 on: all that the group has committed. Empty means none.
  std::optional<std::vector<OffsetFetchTopic>> topics = std::vector<OffsetFetchTopic>();
  bool operator==(const OffsetFetchGroup&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("GroupId", since(0), m.group_id);
    op.field("MemberId", since(9), m.member_id, nullable_since(9));
    op.field("MemberEpoch", since(9), m.member_epoch);
    op.field("Topics", since(0), m.topics, nullable_since(2));
  }
};

struct OffsetFetchRequest {
  std::vector<OffsetFetchGroup> groups;  // exactly one before version 8
  bool require_stable = false;           // an error for a partition that a transaction under way commits
  bool operator==(const OffsetFetchRequest&) const = default;
  static constexpr MessageTraits kTraits{"OffsetFetchRequest", ApiKey::kOffsetFetch, MessageKind::kRequest,
                                         versions(1, 9), 6};
  static void fields(auto& op, auto& m) {
    op.sole(versions(0, 7), m.groups);
    op.field("Groups", since(8), m.groups);
    op.field("RequireStable", since(7), m.require_stable);
  }
};

struct OffsetFetchPartitionResult {
  PartitionId partition_index;
  Offset committed_offset;  // none: the group has committed none, which is no error
  LeaderEpoch committed_leader_epoch;
  std::optional<std::string> metadata;
  ErrorCode error_code = ErrorCode::kNone;
  bool operator==(const OffsetFetchPartitionResult&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("PartitionIndex", since(0), m.partition_index);
    op.field("CommittedOffset", since(0), m.committed_offset);
    op.field("CommittedLeaderEpoch", since(5), m.committed_leader_epoch);
    op.field("Metadata", since(0), m.metadata, nullable_since(0));
    op.field("ErrorCode", since(0), m.error_code);
  }
};

struct OffsetFetchTopicResult {
  std::string name;
  std::vector<OffsetFetchPartitionResult> partitions;
  bool operator==(const OffsetFetchTopicResult&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("Name", since(0), m.name);
    op.field("Partitions", since(0), m.partitions);
  }
};

struct OffsetFetchGroupResult {
  std::string group_id;  // not sent before version 8: there was but one to ask for
  std::vector<OffsetFetchTopicResult> topics;
  ErrorCode error_code = ErrorCode::kNone;  // not sent in version 1, where each partition must say it
  bool operator==(const OffsetFetchGroupResult&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("GroupId", since(8), m.group_id);
    op.field("Topics", since(0), m.topics);
    op.field("ErrorCode", since(2), m.error_code);
  }
};

struct OffsetFetchResponse {
  std::int32_t throttle_time_ms = 0;
  std::vector<OffsetFetchGroupResult> groups;  // exactly one before version 8
  bool operator==(const OffsetFetchResponse&) const = default;
  static constexpr MessageTraits kTraits{"OffsetFetchResponse", ApiKey::kOffsetFetch, MessageKind::kResponse,
                                         versions(1, 9), 6};
  static void fields(auto& op, auto& m) {
    op.field("ThrottleTimeMs", since(3), m.throttle_time_ms);
    op.sole(versions(0, 7), m.groups);
    op.field("Groups", since(8), m.groups);
  }
};

}  // namespace chronik::protocol
