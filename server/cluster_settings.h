// What a node is told of its cluster: who the others are, and how many replicas there shall be.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/ids.h"
#include "core/base/status.h"
#include "server/config_file.h"
#include "server/values.h"

namespace chronik::server {

struct ClusterPeer {
  NodeId id;
  std::string where;  // it is told, for messages
  HostPort kafka;     // each with its port
  HostPort wal;       // of the predecessor, which had a connection of its own for this; not used
  HostPort raft;
  // Its admin port: where nothing else is said, 10000 and its id on the host of `kafka`; port 0: there is no such port.
  HostPort admin;
  bool admin_is_told = false;
};

struct ClusterSettings {
  std::vector<ClusterPeer> peers;  // all nodes, this one among them
  std::int32_t replication_factor = 3;
  std::int32_t min_insync_replicas = 2;

  const ClusterPeer& self(NodeId node) const;  // which must be among them
};

// "host:kafka:wal:raft,…", ids by order from 1.
StatusOr<std::vector<ClusterPeer>> parse_peers(std::string_view text, std::string_view name);
// The keys "peers.N.id" and so on of a file. Empty: there are none.
StatusOr<std::vector<ClusterPeer>> peers_of_file(std::span<const FileValue> file);
// Whether such a key can be of a peer: "peers.0.raft".
bool is_peer_key(std::string_view key);

// Ids and addresses are there once.
Status check_peers(const std::vector<ClusterPeer>& peers);
// And `self` is among them.
Status check_peers(const std::vector<ClusterPeer>& peers, NodeId self);

// 10000 and the node's number; 0: there is no such port.
std::uint16_t default_admin_port(NodeId node);

}  // namespace chronik::server
