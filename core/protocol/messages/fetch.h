// Fetch: records from partitions, for consumers and for followers.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/base/uuid.h"
#include "core/protocol/errors.h"
#include "core/protocol/messages/shared.h"

namespace chronik::protocol {

struct FetchPartition {
  PartitionId partition;
  LeaderEpoch current_leader_epoch;
  Offset fetch_offset;
  LeaderEpoch last_fetched_epoch;
  Offset log_start_offset;  // of the follower that asks
  std::int32_t partition_max_bytes = 0;
  DirectoryId replica_directory_id;
  Offset durable_end;  // of a follower: below it, it has everything on stable storage (rule R9); Chronik's own
  bool operator==(const FetchPartition&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("Partition", since(0), m.partition);
    op.field("CurrentLeaderEpoch", since(9), m.current_leader_epoch);
    op.field("FetchOffset", since(0), m.fetch_offset);
    op.field("LastFetchedEpoch", since(12), m.last_fetched_epoch);
    op.field("LogStartOffset", since(5), m.log_start_offset);
    op.field("PartitionMaxBytes", since(0), m.partition_max_bytes);
    op.tagged(0, "ReplicaDirectoryId", since(17), m.replica_directory_id);
    op.tagged_ours(10'000, "DurableEnd", since(15), m.durable_end);
  }
};

struct FetchTopic {
  std::string topic;  // up to version 12; by id from then on
  TopicId topic_id;
  std::vector<FetchPartition> partitions;
  bool operator==(const FetchTopic&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("Topic", versions(0, 12), m.topic);
    op.field("TopicId", since(13), m.topic_id);
    op.field("Partitions", since(0), m.partitions);
  }
};

// Leaves an incremental fetch session.
struct FetchForgottenTopic {
  std::string topic;
  TopicId topic_id;
  std::vector<PartitionId> partitions;
  bool operator==(const FetchForgottenTopic&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("Topic", versions(7, 12), m.topic);
    op.field("TopicId", since(13), m.topic_id);
    op.field("Partitions", since(7), m.partitions);
  }
};

// Who the follower is, from version 15 on.
struct FetchReplicaState {
  NodeId replica_id;
  BrokerEpoch replica_epoch;
  bool operator==(const FetchReplicaState&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("ReplicaId", since(15), m.replica_id);
    op.field("ReplicaEpoch", since(15), m.replica_epoch);
  }
};

struct FetchRequest {
  NodeId replica_id;  // none: a consumer
  std::int32_t max_wait_ms = 0;
  std::int32_t min_bytes = 0;
  std::int32_t max_bytes = std::numeric_limits<std::int32_t>::max();
  std::int8_t isolation_level = 0;  // 1: committed records only
  std::int32_t session_id = 0;
  std::int32_t session_epoch = -1;  // -1: no session
  std::vector<FetchTopic> topics;
  std::vector<FetchForgottenTopic> forgotten_topics_data;
  std::string rack_id;
  std::optional<std::string> cluster_id;
  FetchReplicaState replica_state;
  bool operator==(const FetchRequest&) const = default;
  static constexpr MessageTraits kTraits{"FetchRequest", ApiKey::kFetch, MessageKind::kRequest, versions(4, 17), 12};
  static void fields(auto& op, auto& m) {
    op.field("ReplicaId", versions(0, 14), m.replica_id);
    op.field("MaxWaitMs", since(0), m.max_wait_ms);
    op.field("MinBytes", since(0), m.min_bytes);
    op.field("MaxBytes", since(3), m.max_bytes);
    op.field("IsolationLevel", since(4), m.isolation_level);
    op.field("SessionId", since(7), m.session_id);
    op.field("SessionEpoch", since(7), m.session_epoch);
    op.field("Topics", since(0), m.topics);
    op.field("ForgottenTopicsData", since(7), m.forgotten_topics_data);
    op.field("RackId", since(11), m.rack_id);
    op.tagged(0, "ClusterId", since(12), m.cluster_id, nullable_since(12));
    op.tagged(1, "ReplicaState", since(15), m.replica_state);
  }
};

struct FetchEpochEndOffset {
  LeaderEpoch epoch;
  Offset end_offset;
  bool operator==(const FetchEpochEndOffset&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("Epoch", since(12), m.epoch);
    op.field("EndOffset", since(12), m.end_offset);
  }
};

struct FetchSnapshotId {
  Offset end_offset;
  LeaderEpoch epoch;
  bool operator==(const FetchSnapshotId&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("EndOffset", since(0), m.end_offset);
    op.field("Epoch", since(0), m.epoch);
  }
};

struct FetchAbortedTransaction {
  ProducerId producer_id;
  Offset first_offset;
  bool operator==(const FetchAbortedTransaction&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("ProducerId", since(4), m.producer_id);
    op.field("FirstOffset", since(4), m.first_offset);
  }
};

struct FetchPartitionResponse {
  PartitionId partition_index;
  ErrorCode error_code = ErrorCode::kNone;
  Offset high_watermark;
  Offset last_stable_offset;
  Offset log_start_offset;
  std::optional<std::vector<FetchAbortedTransaction>> aborted_transactions;
  NodeId preferred_read_replica;
  std::optional<Slice> records;
  FetchEpochEndOffset diverging_epoch;
  CurrentLeader current_leader;
  FetchSnapshotId snapshot_id;
  bool operator==(const FetchPartitionResponse&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("PartitionIndex", since(0), m.partition_index);
    op.field("ErrorCode", since(0), m.error_code);
    op.field("HighWatermark", since(0), m.high_watermark);
    op.field("LastStableOffset", since(4), m.last_stable_offset);
    op.field("LogStartOffset", since(5), m.log_start_offset);
    op.field("AbortedTransactions", since(4), m.aborted_transactions, nullable_since(4));
    op.field("PreferredReadReplica", since(11), m.preferred_read_replica);
    op.records("Records", since(0), m.records, nullable_since(0));
    op.tagged(0, "DivergingEpoch", since(12), m.diverging_epoch);
    op.tagged(1, "CurrentLeader", since(12), m.current_leader);
    op.tagged(2, "SnapshotId", since(12), m.snapshot_id);
  }
};

struct FetchTopicResponse {
  std::string topic;
  TopicId topic_id;
  std::vector<FetchPartitionResponse> partitions;
  bool operator==(const FetchTopicResponse&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("Topic", versions(0, 12), m.topic);
    op.field("TopicId", since(13), m.topic_id);
    op.field("Partitions", since(0), m.partitions);
  }
};

struct FetchResponse {
  std::int32_t throttle_time_ms = 0;
  ErrorCode error_code = ErrorCode::kNone;
  std::int32_t session_id = 0;
  std::vector<FetchTopicResponse> responses;
  std::vector<NodeEndpoint> node_endpoints;
  bool operator==(const FetchResponse&) const = default;
  static constexpr MessageTraits kTraits{"FetchResponse", ApiKey::kFetch, MessageKind::kResponse, versions(4, 17), 12};
  static void fields(auto& op, auto& m) {
    op.field("ThrottleTimeMs", since(1), m.throttle_time_ms);
    op.field("ErrorCode", since(7), m.error_code);
    op.field("SessionId", since(7), m.session_id);
    op.field("Responses", since(0), m.responses);
    op.tagged(0, "NodeEndpoints", since(16), m.node_endpoints);
  }
};

}  // namespace chronik::protocol
