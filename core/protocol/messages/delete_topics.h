// DeleteTopics: by name, from version 6 on also by id.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/base/uuid.h"
#include "core/protocol/errors.h"
#include "core/protocol/message.h"

namespace chronik::protocol {

struct DeleteTopicsTopic {
  std::optional<std::string> name;  // null: by id
  TopicId topic_id;
  bool operator==(const DeleteTopicsTopic&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("Name", since(6), m.name, nullable_since(6));
    op.field("TopicId", since(6), m.topic_id);
  }
};

struct DeleteTopicsRequest {
  std::vector<DeleteTopicsTopic> topics;
  std::vector<std::string> topic_names;
  std::int32_t timeout_ms = 0;
  bool operator==(const DeleteTopicsRequest&) const = default;
  static constexpr MessageTraits kTraits{"DeleteTopicsRequest", ApiKey::kDeleteTopics, MessageKind::kRequest,
                                         versions(1, 6), 4};
  static void fields(auto& op, auto& m) {
    op.field("Topics", since(6), m.topics);
    op.field("TopicNames", versions(0, 5), m.topic_names);
    op.field("TimeoutMs", since(0), m.timeout_ms);
  }
};

struct DeleteTopicsTopicResult {
  std::optional<std::string> name;
  TopicId topic_id;
  ErrorCode error_code = ErrorCode::kNone;
  std::optional<std::string> error_message;
  bool operator==(const DeleteTopicsTopicResult&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("Name", since(0), m.name, nullable_since(6));
    op.field("TopicId", since(6), m.topic_id);
    op.field("ErrorCode", since(0), m.error_code);
    op.field("ErrorMessage", since(5), m.error_message, nullable_since(5));
  }
};

struct DeleteTopicsResponse {
  std::int32_t throttle_time_ms = 0;
  std::vector<DeleteTopicsTopicResult> responses;
  bool operator==(const DeleteTopicsResponse&) const = default;
  static constexpr MessageTraits kTraits{"DeleteTopicsResponse", ApiKey::kDeleteTopics, MessageKind::kResponse,
                                         versions(1, 6), 4};
  static void fields(auto& op, auto& m) {
    op.field("ThrottleTimeMs", since(1), m.throttle_time_ms);
    op.field("Responses", since(0), m.responses);
  }
};

}  // namespace chronik::protocol
