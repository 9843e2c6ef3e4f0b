// AlterConfigs: replaces all settings of a topic or broker. Old: IncrementalAlterConfigs changes single ones.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/protocol/errors.h"
#include "core/protocol/messages/shared_configs.h"

namespace chronik::protocol {

struct AlterConfigsEntry {
  std::string name;
  std::optional<std::string> value;
  bool operator==(const AlterConfigsEntry&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("Name", since(0), m.name);
    op.field("Value", since(0), m.value, nullable_since(0));
  }
};

struct AlterConfigsResource {
  std::int8_t resource_type = 0;
  std::string resource_name;
  std::vector<AlterConfigsEntry> configs;
  bool operator==(const AlterConfigsResource&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("ResourceType", since(0), m.resource_type);
    op.field("ResourceName", since(0), m.resource_name);
    op.field("Configs", since(0), m.configs);
  }
};

struct AlterConfigsRequest {
  std::vector<AlterConfigsResource> resources;
  bool validate_only = false;
  bool operator==(const AlterConfigsRequest&) const = default;
  static constexpr MessageTraits kTraits{"AlterConfigsRequest", ApiKey::kAlterConfigs, MessageKind::kRequest,
                                         versions(0, 2), 2};
  static void fields(auto& op, auto& m) {
    op.field("Resources", since(0), m.resources);
    op.field("ValidateOnly", since(0), m.validate_only);
  }
};

struct AlterConfigsResult {
  ErrorCode error_code = ErrorCode::kNone;
  std::optional<std::string> error_message;
  std::int8_t resource_type = 0;
  std::string resource_name;
  bool operator==(const AlterConfigsResult&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("ErrorCode", since(0), m.error_code);
    op.field("ErrorMessage", since(0), m.error_message, nullable_since(0));
    op.field("ResourceType", since(0), m.resource_type);
    op.field("ResourceName", since(0), m.resource_name);
  }
};

struct AlterConfigsResponse {
  std::int32_t throttle_time_ms = 0;
  std::vector<AlterConfigsResult> responses;
  bool operator==(const AlterConfigsResponse&) const = default;
  static constexpr MessageTraits kTraits{"AlterConfigsResponse", ApiKey::kAlterConfigs, MessageKind::kResponse,
                                         versions(0, 2), 2};
  static void fields(auto& op, auto& m) {
    op.field("ThrottleTimeMs", since(0), m.throttle_time_ms);
    op.field("Responses", since(0), m.responses);
  }
};

}  // namespace chronik::protocol
