// CreatePartitions: raises the number of partitions of a topic.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/protocol/errors.h"
#include "core/protocol/message.h"

namespace chronik::protocol {

struct CreatePartitionsAssignment {
  std::vector<NodeId> broker_ids;
  bool operator==(const CreatePartitionsAssignment&) const = default;
  static void fields(auto& op, auto& m) { op.field("BrokerIds", since(0), m.broker_ids); }
};

struct CreatePartitionsTopic {
  std::string name;
  std::int32_t count = 0;                                              // in all, not in addition
  std::optional<std::vector<CreatePartitionsAssignment>> assignments;  // of the new ones; null: the broker chooses
  bool operator==(const CreatePartitionsTopic&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("Name", since(0), m.name);
    op.field("Count", since(0), m.count);
    op.field("Assignments", since(0), m.assignments, nullable_since(0));
  }
};

struct CreatePartitionsRequest {
  std::vector<CreatePartitionsTopic> topics;
  std::int32_t timeout_ms = 0;
  bool validate_only = false;
  bool operator==(const CreatePartitionsRequest&) const = default;
  static constexpr MessageTraits kTraits{"CreatePartitionsRequest", ApiKey::kCreatePartitions, MessageKind::kRequest,
                                         versions(0, 3), 2};
  static void fields(auto& op, auto& m) {
    op.field("Topics", since(0), m.topics);
    op.field("TimeoutMs", since(0), m.timeout_ms);
    op.field("ValidateOnly", since(0), m.validate_only);
  }
};

struct CreatePartitionsTopicResult {
  std::string name;
  ErrorCode error_code = ErrorCode::kNone;
  std::optional<std::string> error_message;
  bool operator==(const CreatePartitionsTopicResult&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("Name", since(0), m.name);
    op.field("ErrorCode", since(0), m.error_code);
    op.field("ErrorMessage", since(0), m.error_message, nullable_since(0));
  }
};

struct CreatePartitionsResponse {
  std::int32_t throttle_time_ms = 0;
  std::vector<CreatePartitionsTopicResult> results;
  bool operator==(const CreatePartitionsResponse&) const = default;
  static constexpr MessageTraits kTraits{"CreatePartitionsResponse", ApiKey::kCreatePartitions, MessageKind::kResponse,
                                         versions(0, 3), 2};
  static void fields(auto& op, auto& m) {
    op.field("ThrottleTimeMs", since(0), m.throttle_time_ms);
    op.field("Results", since(0), m.results);
  }
};

}  // namespace chronik::protocol
