// OffsetDelete: forgets what a group has committed for some partitions.
#pragma once

#include <string>
#include <vector>

#include "core/protocol/errors.h"
#include "core/protocol/message.h"

namespace chronik::protocol {

struct OffsetDeletePartition {
  PartitionId partition_index;
  bool operator==(const OffsetDeletePartition&) const = default;
  static void fields(auto& op, auto& m) { op.field("PartitionIndex", since(0), m.partition_index); }
};

struct OffsetDeleteTopic {
  std::string name;
  std::vector<OffsetDeletePartition> partitions;
  bool operator==(const OffsetDeleteTopic&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("Name", since(0), m.name);
    op.field("Partitions", since(0), m.partitions);
  }
};

struct OffsetDeleteRequest {
  std::string group_id;
  std::vector<OffsetDeleteTopic> topics;
  bool operator==(const OffsetDeleteRequest&) const = default;
  static constexpr MessageTraits kTraits{"OffsetDeleteRequest", ApiKey::kOffsetDelete, MessageKind::kRequest,
                                         versions(0, 0), kNeverFlexible};
  static void fields(auto& op, auto& m) {
    op.field("GroupId", since(0), m.group_id);
    op.field("Topics", since(0), m.topics);
  }
};

struct OffsetDeletePartitionResult {
  PartitionId partition_index;
  ErrorCode error_code = ErrorCode::kNone;
  bool operator==(const OffsetDeletePartitionResult&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("PartitionIndex", since(0), m.partition_index);
    op.field("ErrorCode", since(0), m.error_code);
  }
};

struct OffsetDeleteTopicResult {
  std::string name;
  std::vector<OffsetDeletePartitionResult> partitions;
  bool operator==(const OffsetDeleteTopicResult&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("Name", since(0), m.name);
    op.field("Partitions", since(0), m.partitions);
  }
};

// The one answer of these whose error comes before its throttle time.
struct OffsetDeleteResponse {
  ErrorCode error_code = ErrorCode::kNone;
  std::int32_t throttle_time_ms = 0;
  std::vector<OffsetDeleteTopicResult> topics;
  bool operator==(const OffsetDeleteResponse&) const = default;
  static constexpr MessageTraits kTraits{"OffsetDeleteResponse", ApiKey::kOffsetDelete, MessageKind::kResponse,
                                         versions(0, 0), kNeverFlexible};
  static void fields(auto& op, auto& m) {
    op.field("ErrorCode", since(0), m.error_code);
    op.field("ThrottleTimeMs", since(0), m.throttle_time_ms);
    op.field("Topics", since(0), m.topics);
  }
};

}  // namespace chronik::protocol
