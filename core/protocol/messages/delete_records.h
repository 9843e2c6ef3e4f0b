// DeleteRecords: moves the start of a partition's log up to an offset.
#pragma once

#include <string>
#include <vector>

#include "core/protocol/errors.h"
#include "core/protocol/message.h"

namespace chronik::protocol {

struct DeleteRecordsPartition {
  PartitionId partition_index;
  Offset offset;  // none: up to the high watermark
  bool operator==(const DeleteRecordsPartition&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("PartitionIndex", since(0), m.partition_index);
    op.field("Offset", since(0), m.offset);
  }
};

struct DeleteRecordsTopic {
  std::string name;
  std::vector<DeleteRecordsPartition> partitions;
  bool operator==(const DeleteRecordsTopic&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("Name", since(0), m.name);
    op.field("Partitions", since(0), m.partitions);
  }
};

struct DeleteRecordsRequest {
  std::vector<DeleteRecordsTopic> topics;
  std::int32_t timeout_ms = 0;
  bool operator==(const DeleteRecordsRequest&) const = default;
  static constexpr MessageTraits kTraits{"DeleteRecordsRequest", ApiKey::kDeleteRecords, MessageKind::kRequest,
                                         versions(0, 2), 2};
  static void fields(auto& op, auto& m) {
    op.field("Topics", since(0), m.topics);
    op.field("TimeoutMs", since(0), m.timeout_ms);
  }
};

struct DeleteRecordsPartitionResult {
  PartitionId partition_index;
  Offset low_watermark;
  ErrorCode error_code = ErrorCode::kNone;
  bool operator==(const DeleteRecordsPartitionResult&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("PartitionIndex", since(0), m.partition_index);
    op.field("LowWatermark", since(0), m.low_watermark);
    op.field("ErrorCode", since(0), m.error_code);
  }
};

struct DeleteRecordsTopicResult {
  std::string name;
  std::vector<DeleteRecordsPartitionResult> partitions;
  bool operator==(const DeleteRecordsTopicResult&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("Name", since(0), m.name);
    op.field("Partitions", since(0), m.partitions);
  }
};

struct DeleteRecordsResponse {
  std::int32_t throttle_time_ms = 0;
  std::vector<DeleteRecordsTopicResult> topics;
  bool operator==(const DeleteRecordsResponse&) const = default;
  static constexpr MessageTraits kTraits{"DeleteRecordsResponse", ApiKey::kDeleteRecords, MessageKind::kResponse,
                                         versions(0, 2), 2};
  static void fields(auto& op, auto& m) {
    op.field("ThrottleTimeMs", since(0), m.throttle_time_ms);
    op.field("Topics", since(0), m.topics);
  }
};

}  // namespace chronik::protocol
