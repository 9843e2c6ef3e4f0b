// LeaveGroup: members leave at once instead of being missed. One member before version 3, any number since; here a list
// in every version.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/protocol/errors.h"
#include "core/protocol/message.h"

namespace chronik::protocol {

struct LeaveGroupMember {
  std::string member_id;  // empty: whoever has the instance id
  std::optional<std::string> group_instance_id;
  std::optional<std::string> reason;
  bool operator==(const LeaveGroupMember&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("MemberId", since(0), m.member_id);
    op.field("GroupInstanceId", since(3), m.group_instance_id, nullable_since(3));
    op.field("Reason", since(5), m.reason, nullable_since(5));
  }
};

struct LeaveGroupRequest {
  std::string group_id;
  std::vector<LeaveGroupMember> members;  // exactly one before version 3
  bool operator==(const LeaveGroupRequest&) const = default;
  static constexpr MessageTraits kTraits{"LeaveGroupRequest", ApiKey::kLeaveGroup, MessageKind::kRequest,
                                         versions(0, 5), 4};
  static void fields(auto& op, auto& m) {
    op.field("GroupId", since(0), m.group_id);
    op.sole(versions(0, 2), m.members);
    op.field("Members", since(3), m.members);
  }
};

struct LeaveGroupMemberResult {
  std::string member_id;
  std::optional<std::string> group_instance_id;
  ErrorCode error_code = ErrorCode::kNone;
  bool operator==(const LeaveGroupMemberResult&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("MemberId", since(3), m.member_id);
    op.field("GroupInstanceId", since(3), m.group_instance_id, nullable_since(3));
    op.field("ErrorCode", since(3), m.error_code);
  }
};

struct LeaveGroupResponse {
  std::int32_t throttle_time_ms = 0;
  ErrorCode error_code = ErrorCode::kNone;  // before version 3 there is no other: see first_error()
  std::vector<LeaveGroupMemberResult> members;
  bool operator==(const LeaveGroupResponse&) const = default;
  static constexpr MessageTraits kTraits{"LeaveGroupResponse", ApiKey::kLeaveGroup, MessageKind::kResponse,
                                         versions(0, 5), 4};
  static void fields(auto& op, auto& m) {
    op.field("ThrottleTimeMs", since(1), m.throttle_time_ms);
    op.field("ErrorCode", since(0), m.error_code);
    op.field("Members", since(3), m.members);
  }
};

// Of the whole, else of a member: what a response before version 3 must have as its error.
inline ErrorCode first_error(const LeaveGroupResponse& response) {
  ErrorCode first = response.error_code;
  for (const LeaveGroupMemberResult& member : response.members) {
    first = first == ErrorCode::kNone ? member.error_code : first;
  }
  return first;
}

}  // namespace chronik::protocol
