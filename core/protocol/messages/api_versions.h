// ApiVersions: the first thing a client asks. Answered at any version: one that we do not have gets version 0 with
// UNSUPPORTED_VERSION and the ranges (KIP-511).
#pragma once

#include <string>
#include <vector>

#include "core/protocol/errors.h"
#include "core/protocol/message.h"

namespace chronik::protocol {

struct ApiVersionsRequest {
  std::string client_software_name;
  std::string client_software_version;
  bool operator==(const ApiVersionsRequest&) const = default;
  static constexpr MessageTraits kTraits{"ApiVersionsRequest", ApiKey::kApiVersions, MessageKind::kRequest,
                                         versions(0, 4), 3};
  static void fields(auto& op, auto& m) {
    op.field("ClientSoftwareName", since(3), m.client_software_name);
    op.field("ClientSoftwareVersion", since(3), m.client_software_version);
  }
};

struct ApiVersionRange {
  ApiKey api_key{};
  std::int16_t min_version = 0;
  std::int16_t max_version = 0;
  bool operator==(const ApiVersionRange&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("ApiKey", since(0), m.api_key);
    op.field("MinVersion", since(0), m.min_version);
    op.field("MaxVersion", since(0), m.max_version);
  }
};

struct SupportedFeature {
  std::string name;
  std::int16_t min_version = 0;  // 0 only from version 4 on
  std::int16_t max_version = 0;
  bool operator==(const SupportedFeature&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("Name", since(3), m.name);
    op.field("MinVersion", since(3), m.min_version);
    op.field("MaxVersion", since(3), m.max_version);
  }
};

struct FinalizedFeature {
  std::string name;
  std::int16_t max_version_level = 0;
  std::int16_t min_version_level = 0;
  bool operator==(const FinalizedFeature&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("Name", since(3), m.name);
    op.field("MaxVersionLevel", since(3), m.max_version_level);
    op.field("MinVersionLevel", since(3), m.min_version_level);
  }
};

struct ApiVersionsResponse {
  ErrorCode error_code = ErrorCode::kNone;
  std::vector<ApiVersionRange> api_keys;
  std::int32_t throttle_time_ms = 0;
  std::vector<SupportedFeature> supported_features;
  std::int64_t finalized_features_epoch = -1;
  std::vector<FinalizedFeature> finalized_features;
  bool zk_migration_ready = false;
  bool operator==(const ApiVersionsResponse&) const = default;
  static constexpr MessageTraits kTraits{"ApiVersionsResponse", ApiKey::kApiVersions, MessageKind::kResponse,
                                         versions(0, 4), 3};
  static void fields(auto& op, auto& m) {
    op.field("ErrorCode", since(0), m.error_code);
    op.field("ApiKeys", since(0), m.api_keys);
    op.field("ThrottleTimeMs", since(1), m.throttle_time_ms);
    op.tagged(0, "SupportedFeatures", since(3), m.supported_features);
    op.tagged(1, "FinalizedFeaturesEpoch", since(3), m.finalized_features_epoch, -1);
    op.tagged(2, "FinalizedFeatures", since(3), m.finalized_features);
    op.tagged(3, "ZkMigrationReady", since(3), m.zk_migration_ready);
  }
};

}  // namespace chronik::protocol
