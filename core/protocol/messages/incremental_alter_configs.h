// IncrementalAlterConfigs: sets, deletes, appends to or subtracts from single settings. Atomic for each resource.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/protocol/errors.h"
#include "core/protocol/messages/shared_configs.h"

namespace chronik::protocol {

struct IncrementalAlterConfigsEntry {
  std::string name;
  std::int8_t config_operation = 0;
  std::optional<std::string> value;
  bool operator==(const IncrementalAlterConfigsEntry&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("Name", since(0), m.name);
    op.field("ConfigOperation", since(0), m.config_operation);
    op.field("Value", since(0), m.value, nullable_since(0));
  }
};

struct IncrementalAlterConfigsResource {
  std::int8_t resource_type = 0;
  std::string resource_name;
  std::vector<IncrementalAlterConfigsEntry> configs;
  bool operator==(const IncrementalAlterConfigsResource&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("ResourceType", since(0), m.resource_type);
    op.field("ResourceName", since(0), m.resource_name);
    op.field("Configs", since(0), m.configs);
  }
};

struct IncrementalAlterConfigsRequest {
  std::vector<IncrementalAlterConfigsResource> resources;
  bool validate_only = false;
  bool operator==(const IncrementalAlterConfigsRequest&) const = default;
  static constexpr MessageTraits kTraits{"IncrementalAlterConfigsRequest", ApiKey::kIncrementalAlterConfigs,
                                         MessageKind::kRequest, versions(0, 1), 1};
  static void fields(auto& op, auto& m) {
    op.field("Resources", since(0), m.resources);
    op.field("ValidateOnly", since(0), m.validate_only);
  }
};

struct IncrementalAlterConfigsResult {
  ErrorCode error_code = ErrorCode::kNone;
  std::optional<std::string> error_message;
  std::int8_t resource_type = 0;
  std::string resource_name;
  bool operator==(const IncrementalAlterConfigsResult&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("ErrorCode", since(0), m.error_code);
    op.field("ErrorMessage", since(0), m.error_message, nullable_since(0));
    op.field("ResourceType", since(0), m.resource_type);
    op.field("ResourceName", since(0), m.resource_name);
  }
};

struct IncrementalAlterConfigsResponse {
  std::int32_t throttle_time_ms = 0;
  std::vector<IncrementalAlterConfigsResult> responses;
  bool operator==(const IncrementalAlterConfigsResponse&) const = default;
  static constexpr MessageTraits kTraits{"IncrementalAlterConfigsResponse", ApiKey::kIncrementalAlterConfigs,
                                         MessageKind::kResponse, versions(0, 1), 1};
  static void fields(auto& op, auto& m) {
    op.field("ThrottleTimeMs", since(0), m.throttle_time_ms);
    op.field("Responses", since(0), m.responses);
  }
};

}  // namespace chronik::protocol
