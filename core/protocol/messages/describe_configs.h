// DescribeConfigs: settings of topics and brokers, and where each value comes from.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/protocol/errors.h"
#include "core/protocol/messages/shared_configs.h"

namespace chronik::protocol {

struct DescribeConfigsResource {
  std::int8_t resource_type = 0;
  std::string resource_name;
  std::optional<std::vector<std::string>> configuration_keys;  // null: all
  bool operator==(const DescribeConfigsResource&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("ResourceType", since(0), m.resource_type);
    op.field("ResourceName", since(0), m.resource_name);
    op.field("ConfigurationKeys", since(0), m.configuration_keys, nullable_since(0));
  }
};

struct DescribeConfigsRequest {
  std::vector<DescribeConfigsResource> resources;
  bool include_synonyms = false;
  bool include_documentation = false;
  bool operator==(const DescribeConfigsRequest&) const = default;
  static constexpr MessageTraits kTraits{"DescribeConfigsRequest", ApiKey::kDescribeConfigs, MessageKind::kRequest,
                                         versions(1, 4), 4};
  static void fields(auto& op, auto& m) {
    op.field("Resources", since(0), m.resources);
    op.field("IncludeSynonyms", since(1), m.include_synonyms);
    op.field("IncludeDocumentation", since(3), m.include_documentation);
  }
};

struct DescribeConfigsSynonym {
  std::string name;
  std::optional<std::string> value;
  std::int8_t source = 0;
  bool operator==(const DescribeConfigsSynonym&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("Name", since(1), m.name);
    op.field("Value", since(1), m.value, nullable_since(0));
    op.field("Source", since(1), m.source);
  }
};

struct DescribeConfigsEntry {
  std::string name;
  std::optional<std::string> value;
  bool read_only = false;
  std::int8_t config_source = -1;
  bool is_sensitive = false;
  std::vector<DescribeConfigsSynonym> synonyms;
  std::int8_t config_type = 0;
  std::optional<std::string> documentation;
  bool operator==(const DescribeConfigsEntry&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("Name", since(0), m.name);
    op.field("Value", since(0), m.value, nullable_since(0));
    op.field("ReadOnly", since(0), m.read_only);
    op.field("ConfigSource", since(1), m.config_source);
    op.field("IsSensitive", since(0), m.is_sensitive);
    op.field("Synonyms", since(1), m.synonyms);
    op.field("ConfigType", since(3), m.config_type);
    op.field("Documentation", since(3), m.documentation, nullable_since(0));
  }
};

struct DescribeConfigsResult {
  ErrorCode error_code = ErrorCode::kNone;
  std::optional<std::string> error_message;
  std::int8_t resource_type = 0;
  std::string resource_name;
  std::vector<DescribeConfigsEntry> configs;
  bool operator==(const DescribeConfigsResult&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("ErrorCode", since(0), m.error_code);
    op.field("ErrorMessage", since(0), m.error_message, nullable_since(0));
    op.field("ResourceType", since(0), m.resource_type);
    op.field("ResourceName", since(0), m.resource_name);
    op.field("Configs", since(0), m.configs);
  }
};

struct DescribeConfigsResponse {
  std::int32_t throttle_time_ms = 0;
  std::vector<DescribeConfigsResult> results;
  bool operator==(const DescribeConfigsResponse&) const = default;
  static constexpr MessageTraits kTraits{"DescribeConfigsResponse", ApiKey::kDescribeConfigs, MessageKind::kResponse,
                                         versions(1, 4), 4};
  static void fields(auto& op, auto& m) {
    op.field("ThrottleTimeMs", since(0), m.throttle_time_ms);
    op.field("Results", since(0), m.results);
  }
};

}  // namespace chronik::protocol
