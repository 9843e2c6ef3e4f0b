// What a node must be told. server/ reads it from flags, variables and files; a simulation draws it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/ids.h"
#include "core/broker/forwarding.h"
#include "core/broker/limits.h"
#include "core/cluster/command.h"
#include "core/cluster/metadata.h"
#include "core/log/stored_logs.h"
#include "core/ports/network.h"
#include "core/raft/driver.h"
#include "core/raft/peer_links.h"
#include "core/replication/replication.h"

namespace chronik::node {

struct NodeConfig {
  NodeId node = NodeId(1);
  Address bind;                        // where clients connect
  std::string advertised_host;         // what they are told to connect to
  std::uint16_t advertised_port = 0;   // 0: the port that was bound
  std::string log_directory = "logs";  // where the logs are, as DescribeLogDirs says it
  broker::Limits limits;               // but for those that `broker` sets
  log::StoredLogsOptions logs;         // but for the interval of retention, which `broker` sets
  Address raft_bind;                   // where the other nodes connect; unused where there are none
  std::string raft_host;               // where these find it; empty: where their own configuration says
  std::uint16_t raft_port = 0;
  std::vector<raft::PeerAddress> peers;         // others of the cluster; where it begins, all first voters but this one
  raft::DriverOptions raft;                     // but for the member, and the times that `broker` sets
  replication::ReplicationOptions replication;  // but for those that `broker` sets
  bool forward = false;  // clients see this node as the leader of everything; it takes to the others what they lead
  broker::ForwardingOptions forwarding;          // but for the time to connect
  Duration node_connect = Duration::seconds(5);  // for a connection to another node; some links take less at most
  cluster::MetadataPatience metadata;
  cluster::ConfigMap broker;                        // Kafka's broker settings, checked
  Duration start_timeout = Duration::seconds(600);  // recovery included
  Duration stop_timeout = Duration::seconds(30);
};

}  // namespace chronik::node
