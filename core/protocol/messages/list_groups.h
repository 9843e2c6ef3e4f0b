// ListGroups: the groups that this broker coordinates.
#pragma once

#include <string>
#include <vector>

#include "core/protocol/errors.h"
#include "core/protocol/message.h"

namespace chronik::protocol {

struct ListGroupsRequest {
  std::vector<std::string> states_filter;  // none: all
  std::vector<std::string> types_filter;   // none: all
  bool operator==(const ListGroupsRequest&) const = default;
  static constexpr MessageTraits kTraits{"ListGroupsRequest", ApiKey::kListGroups, MessageKind::kRequest,
                                         versions(0, 5), 3};
  static void fields(auto& op, auto& m) {
    op.field("StatesFilter", since(4), m.states_filter);
    op.field("TypesFilter", since(5), m.types_filter);
  }
};

struct ListedGroup {
  std::string group_id;
  std::string protocol_type;
  std::string group_state;
  std::string group_type;
  bool operator==(const ListedGroup&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("GroupId", since(0), m.group_id);
    op.field("ProtocolType", since(0), m.protocol_type);
    op.field("GroupState", since(4), m.group_state);
    op.field("GroupType", since(5), m.group_type);
  }
};

struct ListGroupsResponse {
  std::int32_t throttle_time_ms = 0;
  ErrorCode error_code = ErrorCode::kNone;
  std::vector<ListedGroup> groups;
  bool operator==(const ListGroupsResponse&) const = default;
  static constexpr MessageTraits kTraits{"ListGroupsResponse", ApiKey::kListGroups, MessageKind::kResponse,
                                         versions(0, 5), 3};
  static void fields(auto& op, auto& m) {
    op.field("ThrottleTimeMs", since(1), m.throttle_time_ms);
    op.field("ErrorCode", since(0), m.error_code);
    op.field("Groups", since(0), m.groups);
  }
};

}  // namespace chronik::protocol
