// `chronik-server cluster status`: what the nodes of a cluster say of it, for people.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "core/node/status.h"
#include "server/settings.h"

namespace chronik::server {

// What came of asking one node.
struct NodeReport {
  AdminPeer peer;
  StatusOr<node::NodeStatus> status = absl::UnknownError("not asked");
};

struct ClusterReport {
  std::string text;
  bool whole = false;
};
// Of the nodes' views the newest counts. Whole: it has a leader, every peer is a live broker, and every partition has
// all its replicas in sync.
ClusterReport report_on(const std::vector<NodeReport>& nodes);

// Asks all nodes at once, those of the configuration and then those that these know of besides.
std::vector<NodeReport> ask_nodes(const AdminAccess& access);
// The leader's own view; else, of those that know of a leader, the newest; else any. Null: nobody has answered.
const node::NodeStatus* newest_view(const std::vector<NodeReport>& nodes);

// Asks, prints the report, and returns the exit status.
int print_cluster_status(const AdminAccess& access);

}  // namespace chronik::server
