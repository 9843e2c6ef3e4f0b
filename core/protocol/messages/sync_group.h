// SyncGroup: the leader of a generation hands in who gets what, and each member gets its part of it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/protocol/errors.h"
#include "core/protocol/message.h"

namespace chronik::protocol {

struct SyncGroupAssignment {
  std::string member_id;
  Slice assignment;
  bool operator==(const SyncGroupAssignment&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("MemberId", since(0), m.member_id);
    op.field("Assignment", since(0), m.assignment);
  }
};

struct SyncGroupRequest {
  std::string group_id;
  GenerationId generation_id;
  std::string member_id;
  std::optional<std::string> group_instance_id;
  std::optional<std::string> protocol_type;      // null, as before version 5: not to be compared
  std::optional<std::string> protocol_name;      // the same
  std::vector<SyncGroupAssignment> assignments;  // from the leader alone
  bool operator==(const SyncGroupRequest&) const = default;
  static constexpr MessageTraits kTraits{"SyncGroupRequest", ApiKey::kSyncGroup, MessageKind::kRequest, versions(0, 5),
                                         4};
  static void fields(auto& op, auto& m) {
    op.field("GroupId", since(0), m.group_id);
    op.field("GenerationId", since(0), m.generation_id);
    op.field("MemberId", since(0), m.member_id);
    op.field("GroupInstanceId", since(3), m.group_instance_id, nullable_since(3));
    op.field("ProtocolType", since(5), m.protocol_type, nullable_since(5));
    op.field("ProtocolName", since(5), m.protocol_name, nullable_since(5));
    op.field("Assignments", since(0), m.assignments);
  }
};

struct SyncGroupResponse {
  std::int32_t throttle_time_ms = 0;
  ErrorCode error_code = ErrorCode::kNone;
  std::optional<std::string> protocol_type;
  std::optional<std::string> protocol_name;
  Slice assignment;
  bool operator==(const SyncGroupResponse&) const = default;
  static constexpr MessageTraits kTraits{"SyncGroupResponse", ApiKey::kSyncGroup, MessageKind::kResponse,
                                         versions(0, 5), 4};
  static void fields(auto& op, auto& m) {
    op.field("ThrottleTimeMs", since(1), m.throttle_time_ms);
    op.field("ErrorCode", since(0), m.error_code);
    op.field("ProtocolType", since(5), m.protocol_type, nullable_since(5));
    op.field("ProtocolName", since(5), m.protocol_name, nullable_since(5));
    op.field("Assignment", since(0), m.assignment);
  }
};

}  // namespace chronik::protocol
