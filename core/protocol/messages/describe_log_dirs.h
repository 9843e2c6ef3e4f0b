// DescribeLogDirs: the data directories of a broker, what they hold and how full they are.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/protocol/errors.h"
#include "core/protocol/message.h"

namespace chronik::protocol {

struct DescribeLogDirsTopicRequest {
  std::string topic;
  std::vector<PartitionId> partitions;
  bool operator==(const DescribeLogDirsTopicRequest&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("Topic", since(0), m.topic);
    op.field("Partitions", since(0), m.partitions);
  }
};

struct DescribeLogDirsRequest {
  std::optional<std::vector<DescribeLogDirsTopicRequest>> topics;  // null: all
  bool operator==(const DescribeLogDirsRequest&) const = default;
  static constexpr MessageTraits kTraits{"DescribeLogDirsRequest", ApiKey::kDescribeLogDirs, MessageKind::kRequest,
                                         versions(1, 4), 2};
  static void fields(auto& op, auto& m) { op.field("Topics", since(0), m.topics, nullable_since(0)); }
};

struct DescribeLogDirsPartition {
  PartitionId partition_index;
  std::int64_t partition_size = 0;
  std::int64_t offset_lag = 0;
  bool is_future_key = false;
  bool operator==(const DescribeLogDirsPartition&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("PartitionIndex", since(0), m.partition_index);
    op.field("PartitionSize", since(0), m.partition_size);
    op.field("OffsetLag", since(0), m.offset_lag);
    op.field("IsFutureKey", since(0), m.is_future_key);
  }
};

struct DescribeLogDirsTopic {
  std::string name;
  std::vector<DescribeLogDirsPartition> partitions;
  bool operator==(const DescribeLogDirsTopic&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("Name", since(0), m.name);
    op.field("Partitions", since(0), m.partitions);
  }
};

struct DescribeLogDirsResult {
  ErrorCode error_code = ErrorCode::kNone;
  std::string log_dir;
  std::vector<DescribeLogDirsTopic> topics;
  std::int64_t total_bytes = -1;
  std::int64_t usable_bytes = -1;
  bool operator==(const DescribeLogDirsResult&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("ErrorCode", since(0), m.error_code);
    op.field("LogDir", since(0), m.log_dir);
    op.field("Topics", since(0), m.topics);
    op.field("TotalBytes", since(4), m.total_bytes);
    op.field("UsableBytes", since(4), m.usable_bytes);
  }
};

struct DescribeLogDirsResponse {
  std::int32_t throttle_time_ms = 0;
  ErrorCode error_code = ErrorCode::kNone;
  std::vector<DescribeLogDirsResult> results;
  bool operator==(const DescribeLogDirsResponse&) const = default;
  static constexpr MessageTraits kTraits{"DescribeLogDirsResponse", ApiKey::kDescribeLogDirs, MessageKind::kResponse,
                                         versions(1, 4), 2};
  static void fields(auto& op, auto& m) {
    op.field("ThrottleTimeMs", since(0), m.throttle_time_ms);
    op.field("ErrorCode", since(3), m.error_code);
    op.field("Results", since(0), m.results);
  }
};

}  // namespace chronik::protocol
