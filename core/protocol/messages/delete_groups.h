// DeleteGroups: forgets groups without members, and all that they have committed.
#pragma once

#include <string>
#include <vector>

#include "core/protocol/errors.h"
#include "core/protocol/message.h"

namespace chronik::protocol {

struct DeleteGroupsRequest {
  std::vector<std::string> groups_names;
  bool operator==(const DeleteGroupsRequest&) const = default;
  static constexpr MessageTraits kTraits{"DeleteGroupsRequest", ApiKey::kDeleteGroups, MessageKind::kRequest,
                                         versions(0, 2), 2};
  static void fields(auto& op, auto& m) { op.field("GroupsNames", since(0), m.groups_names); }
};

struct DeleteGroupsResult {
  std::string group_id;
  ErrorCode error_code = ErrorCode::kNone;
  bool operator==(const DeleteGroupsResult&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("GroupId", since(0), m.group_id);
    op.field("ErrorCode", since(0), m.error_code);
  }
};

struct DeleteGroupsResponse {
  std::int32_t throttle_time_ms = 0;
  std::vector<DeleteGroupsResult> results;
  bool operator==(const DeleteGroupsResponse&) const = default;
  static constexpr MessageTraits kTraits{"DeleteGroupsResponse", ApiKey::kDeleteGroups, MessageKind::kResponse,
                                         versions(0, 2), 2};
  static void fields(auto& op, auto& m) {
    op.field("ThrottleTimeMs", since(0), m.throttle_time_ms);
    op.field("Results", since(0), m.results);
  }
};

}  // namespace chronik::protocol
