// The page /admin/status: what a node says of itself and its cluster, in JSON.
#pragma once

#include <string>

#include "core/base/status.h"
#include "core/node/status.h"

namespace chronik::server {

// One object on several lines, for programs and people.
std::string status_json(const node::NodeStatus& status);
// Back again. kInvalidArgument: any other text, whoever sent it.
StatusOr<node::NodeStatus> parse_status_json(const std::string& text);

const char* role_name(raft::Role role);

}  // namespace chronik::server
