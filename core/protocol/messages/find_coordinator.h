// FindCoordinator: which broker coordinates a group or a transactional id. One key before version 4, any number since
// (KIP-699); here a list in every version.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/protocol/errors.h"
#include "core/protocol/message.h"

namespace chronik::protocol {

enum class CoordinatorType : std::int8_t { kGroup = 0, kTransaction = 1, kShare = 2 };

struct FindCoordinatorRequest {
  std::vector<std::string> coordinator_keys;  // exactly one before version 4
  CoordinatorType key_type = CoordinatorType::kGroup;
  bool operator==(const FindCoordinatorRequest&) const = default;
  static constexpr MessageTraits kTraits{"FindCoordinatorRequest", ApiKey::kFindCoordinator, MessageKind::kRequest,
                                         versions(0, 6), 3};
  static void fields(auto& op, auto& m) {
    op.sole("Key", versions(0, 3), m.coordinator_keys);
    op.field("KeyType", since(1), m.key_type);
    op.field("CoordinatorKeys", since(4), m.coordinator_keys);
  }
};

struct FindCoordinatorResult {
  std::string key;  // not sent before version 4: there was but one to ask for
  NodeId node_id;
  std::string host;
  std::int32_t port = 0;
  ErrorCode error_code = ErrorCode::kNone;
  std::optional<std::string> error_message;
  bool operator==(const FindCoordinatorResult&) const = default;
  // The error comes first where the result stands alone, and last in a list.
  static void fields(auto& op, auto& m) {
    op.field("ErrorCode", versions(0, 3), m.error_code);
    op.field("ErrorMessage", versions(1, 3), m.error_message, nullable_since(1));
    op.field("Key", since(4), m.key);
    op.field("NodeId", since(0), m.node_id);
    op.field("Host", since(0), m.host);
    op.field("Port", since(0), m.port);
    op.field("ErrorCode", since(4), m.error_code);
    op.field("ErrorMessage", since(4), m.error_message, nullable_since(4));
  }
};

struct FindCoordinatorResponse {
  std::int32_t throttle_time_ms = 0;
  std::vector<FindCoordinatorResult> coordinators;  // exactly one before version 4
  bool operator==(const FindCoordinatorResponse&) const = default;
  static constexpr MessageTraits kTraits{"FindCoordinatorResponse", ApiKey::kFindCoordinator, MessageKind::kResponse,
                                         versions(0, 6), 3};
  static void fields(auto& op, auto& m) {
    op.field("ThrottleTimeMs", since(1), m.throttle_time_ms);
    op.sole(versions(0, 3), m.coordinators);
    op.field("Coordinators", since(4), m.coordinators);
  }
};

}  // namespace chronik::protocol
