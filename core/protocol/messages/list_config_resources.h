// ListConfigResources: what there is that has a configuration (KIP-1142; in version 0 client metrics alone, KIP-714).
#pragma once

#include <string>
#include <vector>

#include "core/protocol/errors.h"
#include "core/protocol/message.h"

namespace chronik::protocol {

struct ListConfigResourcesRequest {
  std::vector<std::int8_t> resource_types;  // empty: all
  bool operator==(const ListConfigResourcesRequest&) const = default;
  static constexpr MessageTraits kTraits{"ListConfigResourcesRequest", ApiKey::kListConfigResources,
                                         MessageKind::kRequest, versions(0, 1), 0};
  static void fields(auto& op, auto& m) { op.field("ResourceTypes", since(1), m.resource_types); }
};

struct ListConfigResourcesEntry {
  std::string resource_name;
  std::int8_t resource_type = 16;
  bool operator==(const ListConfigResourcesEntry&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("ResourceName", since(0), m.resource_name);
    op.field("ResourceType", since(1), m.resource_type);
  }
};

struct ListConfigResourcesResponse {
  std::int32_t throttle_time_ms = 0;
  ErrorCode error_code = ErrorCode::kNone;
  std::vector<ListConfigResourcesEntry> config_resources;
  bool operator==(const ListConfigResourcesResponse&) const = default;
  static constexpr MessageTraits kTraits{"ListConfigResourcesResponse", ApiKey::kListConfigResources,
                                         MessageKind::kResponse, versions(0, 1), 0};
  static void fields(auto& op, auto& m) {
    op.field("ThrottleTimeMs", since(0), m.throttle_time_ms);
    op.field("ErrorCode", since(0), m.error_code);
    op.field("ConfigResources", since(0), m.config_resources);
  }
};

}  // namespace chronik::protocol
