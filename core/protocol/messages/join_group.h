// JoinGroup: a member asks to be in the next generation of its group. Answered when that generation is formed.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/protocol/errors.h"
#include "core/protocol/message.h"

namespace chronik::protocol {

// A way to assign partitions that the member can do, and what it tells the leader for that one.
struct JoinGroupProtocol {
  std::string name;
  Slice metadata;
  bool operator==(const JoinGroupProtocol&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("Name", since(0), m.name);
    op.field("Metadata", since(0), m.metadata);
  }
};

struct JoinGroupRequest {
  std::string group_id;
  std::int32_t session_timeout_ms = 0;
  std::int32_t rebalance_timeout_ms = -1;  // -1, as in version 0: the session timeout counts
  std::string member_id;                   // empty: the first time
  std::optional<std::string> group_instance_id;
  std::string protocol_type;
  std::vector<JoinGroupProtocol> protocols;  // the favourite first
  std::optional<std::string> reason;
  bool operator==(const JoinGroupRequest&) const = default;
  static constexpr MessageTraits kTraits{"JoinGroupRequest", ApiKey::kJoinGroup, MessageKind::kRequest, versions(0, 9),
                                         6};
  static void fields(auto& op, auto& m) {
    op.field("GroupId", since(0), m.group_id);
    op.field("SessionTimeoutMs", since(0), m.session_timeout_ms);
    op.field("RebalanceTimeoutMs", since(1), m.rebalance_timeout_ms);
    op.field("MemberId", since(0), m.member_id);
    op.field("GroupInstanceId", since(5), m.group_instance_id, nullable_since(5));
    op.field("ProtocolType", since(0), m.protocol_type);
    op.field("Protocols", since(0), m.protocols);
    op.field("Reason", since(8), m.reason, nullable_since(8));
  }
};

struct JoinGroupMember {
  std::string member_id;
  std::optional<std::string> group_instance_id;
  Slice metadata;
  bool operator==(const JoinGroupMember&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("MemberId", since(0), m.member_id);
    op.field("GroupInstanceId", since(5), m.group_instance_id, nullable_since(5));
    op.field("Metadata", since(0), m.metadata);
  }
};

struct JoinGroupResponse {
  std::int32_t throttle_time_ms = 0;
  ErrorCode error_code = ErrorCode::kNone;
  GenerationId generation_id;
  std::optional<std::string> protocol_type;
  std::optional<std::string> protocol_name;  // null is sent as an empty one before version 7
  std::string leader;
  bool skip_assignment = false;  // to the leader: the assignment of the generation before stays
  std::string member_id;
  std::vector<JoinGroupMember> members;  // to the leader alone
  bool operator==(const JoinGroupResponse&) const = default;
  static constexpr MessageTraits kTraits{"JoinGroupResponse", ApiKey::kJoinGroup, MessageKind::kResponse,
                                         versions(0, 9), 6};
  static void fields(auto& op, auto& m) {
    op.field("ThrottleTimeMs", since(2), m.throttle_time_ms);
    op.field("ErrorCode", since(0), m.error_code);
    op.field("GenerationId", since(0), m.generation_id);
    op.field("ProtocolType", since(7), m.protocol_type, nullable_since(7));
    op.field("ProtocolName", since(0), m.protocol_name, nullable_since(7));
    op.field("Leader", since(0), m.leader);
    op.field("SkipAssignment", since(9), m.skip_assignment);
    op.field("MemberId", since(0), m.member_id);
    op.field("Members", since(0), m.members);
  }
};

}  // namespace chronik::protocol
