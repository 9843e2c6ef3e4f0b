// DescribeProducers: which producers with an id a partition remembers (KIP-664).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/protocol/errors.h"
#include "core/protocol/message.h"

namespace chronik::protocol {

struct DescribeProducersTopicRequest {
  std::string name;
  std::vector<PartitionId> partition_indexes;
  bool operator==(const DescribeProducersTopicRequest&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("Name", since(0), m.name);
    op.field("PartitionIndexes", since(0), m.partition_indexes);
  }
};

struct DescribeProducersRequest {
  std::vector<DescribeProducersTopicRequest> topics;
  bool operator==(const DescribeProducersRequest&) const = default;
  static constexpr MessageTraits kTraits{"DescribeProducersRequest", ApiKey::kDescribeProducers, MessageKind::kRequest,
                                         versions(0, 0), 0};
  static void fields(auto& op, auto& m) { op.field("Topics", since(0), m.topics); }
};

struct DescribeProducersState {
  ProducerId producer_id = ProducerId(0);
  std::int32_t producer_epoch = 0;
  std::int32_t last_sequence = -1;
  std::int64_t last_timestamp = -1;
  std::int32_t coordinator_epoch = 0;
  Offset current_txn_start_offset;
  bool operator==(const DescribeProducersState&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("ProducerId", since(0), m.producer_id);
    op.field("ProducerEpoch", since(0), m.producer_epoch);
    op.field("LastSequence", since(0), m.last_sequence);
    op.field("LastTimestamp", since(0), m.last_timestamp);
    op.field("CoordinatorEpoch", since(0), m.coordinator_epoch);
    op.field("CurrentTxnStartOffset", since(0), m.current_txn_start_offset);
  }
};

struct DescribeProducersPartitionResponse {
  PartitionId partition_index;
  ErrorCode error_code = ErrorCode::kNone;
  std::optional<std::string> error_message;
  std::vector<DescribeProducersState> active_producers;
  bool operator==(const DescribeProducersPartitionResponse&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("PartitionIndex", since(0), m.partition_index);
    op.field("ErrorCode", since(0), m.error_code);
    op.field("ErrorMessage", since(0), m.error_message, nullable_since(0));
    op.field("ActiveProducers", since(0), m.active_producers);
  }
};

struct DescribeProducersTopicResponse {
  std::string name;
  std::vector<DescribeProducersPartitionResponse> partitions;
  bool operator==(const DescribeProducersTopicResponse&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("Name", since(0), m.name);
    op.field("Partitions", since(0), m.partitions);
  }
};

struct DescribeProducersResponse {
  std::int32_t throttle_time_ms = 0;
  std::vector<DescribeProducersTopicResponse> topics;
  bool operator==(const DescribeProducersResponse&) const = default;
  static constexpr MessageTraits kTraits{"DescribeProducersResponse", ApiKey::kDescribeProducers,
                                         MessageKind::kResponse, versions(0, 0), 0};
  static void fields(auto& op, auto& m) {
    op.field("ThrottleTimeMs", since(0), m.throttle_time_ms);
    op.field("Topics", since(0), m.topics);
  }
};

}  // namespace chronik::protocol
