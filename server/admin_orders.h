// What POST requests to the admin port have a node do: that nodes come and go, and that replicas are spread evenly.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "core/base/deadline.h"
#include "core/node/node.h"
#include "server/http_server.h"

namespace chronik::server {

// In a fiber of the node's shard. Answers in JSON: 200 with "message", else "error" with 400 (the body is not what it
// must be), 409 (refused), 503 (ask another node, or later) or 504 (whether it is done is not known).
using AdminOrder = std::function<HttpPage(node::Node& node, const std::string& body, const Deadline& deadline)>;

// By path.
const std::map<std::string, AdminOrder>& admin_orders();

}  // namespace chronik::server
