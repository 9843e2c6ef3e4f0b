// Heartbeat: a member says that it lives, and hears whether its group rebalances.
#pragma once

#include <optional>
#include <string>

#include "core/protocol/errors.h"
#include "core/protocol/message.h"

namespace chronik::protocol {

struct HeartbeatRequest {
  std::string group_id;
  GenerationId generation_id;
  std::string member_id;
  std::optional<std::string> group_instance_id;
  bool operator==(const HeartbeatRequest&) const = default;
  static constexpr MessageTraits kTraits{"HeartbeatRequest", ApiKey::kHeartbeat, MessageKind::kRequest, versions(0, 4),
                                         4};
  static void fields(auto& op, auto& m) {
    op.field("GroupId", since(0), m.group_id);
    op.field("GenerationId", since(0), m.generation_id);
    op.field("MemberId", since(0), m.member_id);
    op.field("GroupInstanceId", since(3), m.group_instance_id, nullable_since(3));
  }
};

struct HeartbeatResponse {
  std::int32_t throttle_time_ms = 0;
  ErrorCode error_code = ErrorCode::kNone;
  bool operator==(const HeartbeatResponse&) const = default;
  static constexpr MessageTraits kTraits{"HeartbeatResponse", ApiKey::kHeartbeat, MessageKind::kResponse,
                                         versions(0, 4), 4};
  static void fields(auto& op, auto& m) {
    op.field("ThrottleTimeMs", since(1), m.throttle_time_ms);
    op.field("ErrorCode", since(0), m.error_code);
  }
};

}  // namespace chronik::protocol
