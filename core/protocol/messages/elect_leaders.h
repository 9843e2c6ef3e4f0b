// ElectLeaders: partitions are to be led by their preferred leaders, or by whoever is left (KIP-460).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/protocol/errors.h"
#include "core/protocol/message.h"

namespace chronik::protocol {

struct ElectLeadersTopic {
  std::string topic;
  std::vector<PartitionId> partitions;
  bool operator==(const ElectLeadersTopic&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("Topic", since(0), m.topic);
    op.field("Partitions", since(0), m.partitions);
  }
};

struct ElectLeadersRequest {
  std::int8_t election_type = 0;  // 0: the preferred leader; 1: unclean, where no replica is left that has everything
  std::optional<std::vector<ElectLeadersTopic>> topic_partitions;  // null: all that there are
  std::int32_t timeout_ms = 60'000;
  bool operator==(const ElectLeadersRequest&) const = default;
  static constexpr MessageTraits kTraits{"ElectLeadersRequest", ApiKey::kElectLeaders, MessageKind::kRequest,
                                         versions(0, 2), 2};
  static void fields(auto& op, auto& m) {
    op.field("ElectionType", since(1), m.election_type);
    op.field("TopicPartitions", since(0), m.topic_partitions, nullable_since(0));
    op.field("TimeoutMs", since(0), m.timeout_ms);
  }
};

struct ElectLeadersPartitionResult {
  PartitionId partition_id;
  ErrorCode error_code = ErrorCode::kNone;
  std::optional<std::string> error_message;
  bool operator==(const ElectLeadersPartitionResult&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("PartitionId", since(0), m.partition_id);
    op.field("ErrorCode", since(0), m.error_code);
    op.field("ErrorMessage", since(0), m.error_message, nullable_since(0));
  }
};

struct ElectLeadersTopicResult {
  std::string topic;
  std::vector<ElectLeadersPartitionResult> partition_result;
  bool operator==(const ElectLeadersTopicResult&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("Topic", since(0), m.topic);
    op.field("PartitionResult", since(0), m.partition_result);
  }
};

struct ElectLeadersResponse {
  std::int32_t throttle_time_ms = 0;
  ErrorCode error_code = ErrorCode::kNone;
  std::vector<ElectLeadersTopicResult> replica_election_results;
  bool operator==(const ElectLeadersResponse&) const = default;
  static constexpr MessageTraits kTraits{"ElectLeadersResponse", ApiKey::kElectLeaders, MessageKind::kResponse,
                                         versions(0, 2), 2};
  static void fields(auto& op, auto& m) {
    op.field("ThrottleTimeMs", since(0), m.throttle_time_ms);
    op.field("ErrorCode", since(1), m.error_code);
    op.field("ReplicaElectionResults", since(0), m.replica_election_results);
  }
};

}  // namespace chronik::protocol
