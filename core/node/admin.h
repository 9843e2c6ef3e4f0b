// What an administrator may ask of a node: that nodes come and go, and that replicas are spread evenly.
#pragma once

#include <cstdint>
#include <string>

#include "core/base/ids.h"
#include "core/cluster/command.h"

namespace chronik::node {

struct NodeAddition {
  NodeId node;
  std::string kafka_host;  // where it is going to serve clients
  std::uint16_t kafka_port = 0;
  std::string raft_host;  // where it listens for the other nodes
  std::uint16_t raft_port = 0;
};

struct PlannedMove {
  std::string topic;
  PartitionId partition;
  cluster::ReplicaList from;
  cluster::ReplicaList to;
};

}  // namespace chronik::node
