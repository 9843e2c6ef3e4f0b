// Produce: record batches for partitions.
//
// The lists hold one element in place: a producer that has few partitions in flight sends one of each.
#pragma once

#include <absl/container/inlined_vector.h>

#include <optional>
#include <string>
#include <vector>

#include "core/protocol/errors.h"
#include "core/protocol/messages/shared.h"

namespace chronik::protocol {

struct ProducePartition {
  PartitionId index;
  std::optional<Slice> records;
  bool operator==(const ProducePartition&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("Index", since(0), m.index);
    op.records("Records", since(0), m.records, nullable_since(0));
  }
};

struct ProduceTopic {
  std::string name;
  absl::InlinedVector<ProducePartition, 1> partition_data;
  bool operator==(const ProduceTopic&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("Name", versions(0, 12), m.name);
    op.field("PartitionData", since(0), m.partition_data);
  }
};

struct ProduceRequest {
  std::optional<std::string> transactional_id;
  std::int16_t acks = 0;  // 0: no answer, 1: the leader, -1: all in-sync replicas
  std::int32_t timeout_ms = 0;
  absl::InlinedVector<ProduceTopic, 1> topic_data;
  bool operator==(const ProduceRequest&) const = default;
  static constexpr MessageTraits kTraits{"ProduceRequest", ApiKey::kProduce, MessageKind::kRequest, versions(3, 12), 9};
  static void fields(auto& op, auto& m) {
    op.field("TransactionalId", since(3), m.transactional_id, nullable_since(3));
    op.field("Acks", since(0), m.acks);
    op.field("TimeoutMs", since(0), m.timeout_ms);
    op.field("TopicData", since(0), m.topic_data);
  }
};

struct ProduceRecordError {
  std::int32_t batch_index = 0;  // of the record within its batch
  std::optional<std::string> batch_index_error_message;
  bool operator==(const ProduceRecordError&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("BatchIndex", since(8), m.batch_index);
    op.field("BatchIndexErrorMessage", since(8), m.batch_index_error_message, nullable_since(8));
  }
};

struct ProducePartitionResponse {
  PartitionId index;
  ErrorCode error_code = ErrorCode::kNone;
  Offset base_offset;
  std::int64_t log_append_time_ms = -1;  // -1: the records keep the times that the producer gave them
  Offset log_start_offset;
  std::vector<ProduceRecordError> record_errors;
  std::optional<std::string> error_message;
  CurrentLeader current_leader;
  bool operator==(const ProducePartitionResponse&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("Index", since(0), m.index);
    op.field("ErrorCode", since(0), m.error_code);
    op.field("BaseOffset", since(0), m.base_offset);
    op.field("LogAppendTimeMs", since(2), m.log_append_time_ms);
    op.field("LogStartOffset", since(5), m.log_start_offset);
    op.field("RecordErrors", since(8), m.record_errors);
    op.field("ErrorMessage", since(8), m.error_message, nullable_since(8));
    op.tagged(0, "CurrentLeader", since(10), m.current_leader);
  }
};

struct ProduceTopicResponse {
  std::string name;
  absl::InlinedVector<ProducePartitionResponse, 1> partition_responses;
  bool operator==(const ProduceTopicResponse&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("Name", versions(0, 12), m.name);
    op.field("PartitionResponses", since(0), m.partition_responses);
  }
};

struct ProduceResponse {
  absl::InlinedVector<ProduceTopicResponse, 1> responses;
  std::int32_t throttle_time_ms = 0;
  std::vector<NodeEndpoint> node_endpoints;
  bool operator==(const ProduceResponse&) const = default;
  static constexpr MessageTraits kTraits{"ProduceResponse", ApiKey::kProduce, MessageKind::kResponse, versions(3, 12),
                                         9};
  static void fields(auto& op, auto& m) {
    op.field("Responses", since(0), m.responses);
    op.field("ThrottleTimeMs", since(1), m.throttle_time_ms);
    op.tagged(0, "NodeEndpoints", since(10), m.node_endpoints);
  }
};

}  // namespace chronik::protocol
