// Metadata: brokers, topics, and who leads which partition.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/base/uuid.h"
#include "core/protocol/errors.h"
#include "core/protocol/messages/shared.h"

namespace chronik::protocol {

struct MetadataRequestTopic {
  TopicId topic_id;
  std::optional<std::string> name;  // null: look it up by id, from version 12 on
  bool operator==(const MetadataRequestTopic&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("TopicId", since(10), m.topic_id);
    op.field("Name", since(0), m.name, nullable_since(10));
  }
};

struct MetadataRequest {
  // Null means all topics; so does an empty list in version 0.
  std::optional<std::vector<MetadataRequestTopic>> topics;
  bool allow_auto_topic_creation = true;
  bool include_cluster_authorized_operations = false;
  bool include_topic_authorized_operations = false;
  bool operator==(const MetadataRequest&) const = default;
  static constexpr MessageTraits kTraits{"MetadataRequest", ApiKey::kMetadata, MessageKind::kRequest, versions(0, 13),
                                         9};
  static void fields(auto& op, auto& m) {
    op.field("Topics", since(0), m.topics, nullable_since(1));
    op.field("AllowAutoTopicCreation", since(4), m.allow_auto_topic_creation);
    op.field("IncludeClusterAuthorizedOperations", versions(8, 10), m.include_cluster_authorized_operations);
    op.field("IncludeTopicAuthorizedOperations", since(8), m.include_topic_authorized_operations);
  }
};

struct MetadataBroker {
  NodeId node_id;
  std::string host;
  std::int32_t port = 0;
  std::optional<std::string> rack;
  bool operator==(const MetadataBroker&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("NodeId", since(0), m.node_id);
    op.field("Host", since(0), m.host);
    op.field("Port", since(0), m.port);
    op.field("Rack", since(1), m.rack, nullable_since(1));
  }
};

struct MetadataPartition {
  ErrorCode error_code = ErrorCode::kNone;
  PartitionId partition_index;
  NodeId leader_id;
  LeaderEpoch leader_epoch;
  std::vector<NodeId> replica_nodes;
  std::vector<NodeId> isr_nodes;
  std::vector<NodeId> offline_replicas;
  bool operator==(const MetadataPartition&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("ErrorCode", since(0), m.error_code);
    op.field("PartitionIndex", since(0), m.partition_index);
    op.field("LeaderId", since(0), m.leader_id);
    op.field("LeaderEpoch", since(7), m.leader_epoch);
    op.field("ReplicaNodes", since(0), m.replica_nodes);
    op.field("IsrNodes", since(0), m.isr_nodes);
    op.field("OfflineReplicas", since(5), m.offline_replicas);
  }
};

struct MetadataTopic {
  ErrorCode error_code = ErrorCode::kNone;
  std::optional<std::string> name;  // null: asked for by an id that nobody has, from version 12 on
  TopicId topic_id;
  bool is_internal = false;
  std::vector<MetadataPartition> partitions;
  std::int32_t topic_authorized_operations = kOperationsNotAsked;
  bool operator==(const MetadataTopic&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("ErrorCode", since(0), m.error_code);
    op.field("Name", since(0), m.name, nullable_since(12));
    op.field("TopicId", since(10), m.topic_id);
    op.field("IsInternal", since(1), m.is_internal);
    op.field("Partitions", since(0), m.partitions);
    op.field("TopicAuthorizedOperations", since(8), m.topic_authorized_operations);
  }
};

struct MetadataResponse {
  std::int32_t throttle_time_ms = 0;
  std::vector<MetadataBroker> brokers;
  std::optional<std::string> cluster_id;
  NodeId controller_id;
  std::vector<MetadataTopic> topics;
  std::int32_t cluster_authorized_operations = kOperationsNotAsked;
  ErrorCode error_code = ErrorCode::kNone;
  bool operator==(const MetadataResponse&) const = default;
  static constexpr MessageTraits kTraits{"MetadataResponse", ApiKey::kMetadata, MessageKind::kResponse, versions(0, 13),
                                         9};
  static void fields(auto& op, auto& m) {
    op.field("ThrottleTimeMs", since(3), m.throttle_time_ms);
    op.field("Brokers", since(0), m.brokers);
    op.field("ClusterId", since(2), m.cluster_id, nullable_since(2));
    op.field("ControllerId", since(1), m.controller_id);
    op.field("Topics", since(0), m.topics);
    op.field("ClusterAuthorizedOperations", versions(8, 10), m.cluster_authorized_operations);
    op.field("ErrorCode", since(13), m.error_code);
  }
};

}  // namespace chronik::protocol
