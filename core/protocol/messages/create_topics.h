// CreateTopics: new topics, by count or with replicas named.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/base/uuid.h"
#include "core/protocol/errors.h"
#include "core/protocol/message.h"

namespace chronik::protocol {

struct CreateTopicsAssignment {
  PartitionId partition_index;
  std::vector<NodeId> broker_ids;
  bool operator==(const CreateTopicsAssignment&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("PartitionIndex", since(0), m.partition_index);
    op.field("BrokerIds", since(0), m.broker_ids);
  }
};

struct CreateTopicsConfig {
  std::string name;
  std::optional<std::string> value;
  bool operator==(const CreateTopicsConfig&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("Name", since(0), m.name);
    op.field("Value", since(0), m.value, nullable_since(0));
  }
};

struct CreateTopicsTopic {
  std::string name;
  std::int32_t num_partitions = 0;  // -1: the broker's default, from version 4 on; also where assignments are given
  std::int16_t replication_factor = 0;
  std::vector<CreateTopicsAssignment> assignments;
  std::vector<CreateTopicsConfig> configs;
  bool operator==(const CreateTopicsTopic&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("Name", since(0), m.name);
    op.field("NumPartitions", since(0), m.num_partitions);
    op.field("ReplicationFactor", since(0), m.replication_factor);
    op.field("Assignments", since(0), m.assignments);
    op.field("Configs", since(0), m.configs);
  }
};

struct CreateTopicsRequest {
  std::vector<CreateTopicsTopic> topics;
  std::int32_t timeout_ms = 60000;
  bool validate_only = false;
  bool operator==(const CreateTopicsRequest&) const = default;
  static constexpr MessageTraits kTraits{"CreateTopicsRequest", ApiKey::kCreateTopics, MessageKind::kRequest,
                                         versions(2, 7), 5};
  static void fields(auto& op, auto& m) {
    op.field("Topics", since(0), m.topics);
    op.field("timeoutMs", since(0), m.timeout_ms);
    op.field("validateOnly", since(1), m.validate_only);
  }
};

struct CreateTopicsConfigResult {
  std::string name;
  std::optional<std::string> value;
  bool read_only = false;
  std::int8_t config_source = -1;
  bool is_sensitive = false;
  bool operator==(const CreateTopicsConfigResult&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("Name", since(5), m.name);
    op.field("Value", since(5), m.value, nullable_since(5));
    op.field("ReadOnly", since(5), m.read_only);
    op.field("ConfigSource", since(5), m.config_source);
    op.field("IsSensitive", since(5), m.is_sensitive);
  }
};

struct CreateTopicsTopicResult {
  std::string name;
  TopicId topic_id;
  ErrorCode error_code = ErrorCode::kNone;
  std::optional<std::string> error_message;
  std::int32_t num_partitions = -1;
  std::int16_t replication_factor = -1;
  std::optional<std::vector<CreateTopicsConfigResult>> configs;
  ErrorCode topic_config_error_code = ErrorCode::kNone;
  bool operator==(const CreateTopicsTopicResult&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("Name", since(0), m.name);
    op.field("TopicId", since(7), m.topic_id);
    op.field("ErrorCode", since(0), m.error_code);
    op.field("ErrorMessage", since(1), m.error_message, nullable_since(0));
    op.field("NumPartitions", since(5), m.num_partitions);
    op.field("ReplicationFactor", since(5), m.replication_factor);
    op.field("Configs", since(5), m.configs, nullable_since(5));
    op.tagged(0, "TopicConfigErrorCode", since(5), m.topic_config_error_code);
  }
};

struct CreateTopicsResponse {
  std::int32_t throttle_time_ms = 0;
  std::vector<CreateTopicsTopicResult> topics;
  bool operator==(const CreateTopicsResponse&) const = default;
  static constexpr MessageTraits kTraits{"CreateTopicsResponse", ApiKey::kCreateTopics, MessageKind::kResponse,
                                         versions(2, 7), 5};
  static void fields(auto& op, auto& m) {
    op.field("ThrottleTimeMs", since(2), m.throttle_time_ms);
    op.field("Topics", since(0), m.topics);
  }
};

}  // namespace chronik::protocol
