// DescribeGroups: state and members of groups.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/protocol/errors.h"
#include "core/protocol/messages/shared.h"

namespace chronik::protocol {

struct DescribeGroupsRequest {
  std::vector<std::string> groups;
  bool include_authorized_operations = false;
  bool operator==(const DescribeGroupsRequest&) const = default;
  static constexpr MessageTraits kTraits{"DescribeGroupsRequest", ApiKey::kDescribeGroups, MessageKind::kRequest,
                                         versions(0, 6), 5};
  static void fields(auto& op, auto& m) {
    op.field("Groups", since(0), m.groups);
    op.field("IncludeAuthorizedOperations", since(3), m.include_authorized_operations);
  }
};

struct DescribedGroupMember {
  std::string member_id;
  std::optional<std::string> group_instance_id;
  std::string client_id;
  std::string client_host;
  Slice member_metadata;  // this and the assignment: of a stable group alone
  Slice member_assignment;
  bool operator==(const DescribedGroupMember&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("MemberId", since(0), m.member_id);
    op.field("GroupInstanceId", since(4), m.group_instance_id, nullable_since(4));
    op.field("ClientId", since(0), m.client_id);
    op.field("ClientHost", since(0), m.client_host);
    op.field("MemberMetadata", since(0), m.member_metadata);
    op.field("MemberAssignment", since(0), m.member_assignment);
  }
};

struct DescribedGroup {
  ErrorCode error_code = ErrorCode::kNone;
  std::optional<std::string> error_message;
  std::string group_id;
  std::string group_state;
  std::string protocol_type;
  std::string protocol_data;  // the protocol's name, of a stable group alone
  std::vector<DescribedGroupMember> members;
  std::int32_t authorized_operations = kOperationsNotAsked;
  bool operator==(const DescribedGroup&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("ErrorCode", since(0), m.error_code);
    op.field("ErrorMessage", since(6), m.error_message, nullable_since(6));
    op.field("GroupId", since(0), m.group_id);
    op.field("GroupState", since(0), m.group_state);
    op.field("ProtocolType", since(0), m.protocol_type);
    op.field("ProtocolData", since(0), m.protocol_data);
    op.field("Members", since(0), m.members);
    op.field("AuthorizedOperations", since(3), m.authorized_operations);
  }
};

struct DescribeGroupsResponse {
  std::int32_t throttle_time_ms = 0;
  std::vector<DescribedGroup> groups;
  bool operator==(const DescribeGroupsResponse&) const = default;
  static constexpr MessageTraits kTraits{"DescribeGroupsResponse", ApiKey::kDescribeGroups, MessageKind::kResponse,
                                         versions(0, 6), 5};
  static void fields(auto& op, auto& m) {
    op.field("ThrottleTimeMs", since(1), m.throttle_time_ms);
    op.field("Groups", since(0), m.groups);
  }
};

}  // namespace chronik::protocol
