// `chronik-server cluster add-node`, `remove-node` and `rebalance`: asks a node that is reached, which takes it to the
// leader, and says how far it is until it is done.
#pragma once

#include <string>

#include "core/base/status.h"
#include "server/command_line.h"
#include "server/settings.h"

namespace chronik::server {

struct ClusterChange {
  ClusterChangeCommand::Kind kind = ClusterChangeCommand::Kind::kRebalance;
  NodeId node = NodeId::none();
  HostPort kafka = {};  // of one that is added
  bool force = false;
  std::string path = {};  // what is sent, and where to
  std::string body = {};
};

// kInvalidArgument, with a sentence for people: a number or an address is none.
StatusOr<ClusterChange> check_change(const ClusterChangeCommand& command);

// Prints, and returns the exit status: 0 when it is done, 1 where it was refused, no node was reached, or it is not
// done after a time in which nothing moved.
int carry_out_change(const AdminAccess& access, const ClusterChange& change);

}  // namespace chronik::server
