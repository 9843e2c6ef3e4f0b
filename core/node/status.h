// What a node has to say of itself and of its cluster, for people and for metrics: plain values, taken at one instant.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/ids.h"
#include "core/cluster/image.h"
#include "core/raft/raft.h"

namespace chronik::node {

struct RaftStatus {
  raft::Role role = raft::Role::kFollower;
  Term term{0};
  NodeId leader = NodeId::none();  // as far as this node knows
  LogIndex commit{0};
  LogIndex applied{0};
  LogIndex log_end{0};  // the index of the last entry here
  std::uint64_t elections = 0;
  std::vector<NodeId> voters;
  std::vector<NodeId> learners;  // who vote once they have caught up
};

struct BrokerStatus {
  NodeId node;
  bool live = false;
  bool leaving = false;  // it is being removed
  BrokerEpoch epoch;
  std::string host;  // what clients are told
  std::uint16_t port = 0;
  std::size_t replicas = 0;
};

struct PartitionCounts {
  std::size_t all = 0;
  std::size_t offline = 0;           // without a leader
  std::size_t under_replicated = 0;  // fewer in sync than there are replicas
  std::size_t under_min_isr = 0;     // fewer in sync than min.insync.replicas: acks=all is refused
  std::size_t led_uncleanly = 0;     // by one that was elected though it may lack what was acknowledged
  std::size_t moving = 0;            // on their way to other brokers
  std::size_t led = 0;               // by this node
  std::size_t led_under_replicated = 0;
  std::size_t led_under_min_isr = 0;
  std::size_t followed = 0;  // by this node: replicas here of partitions that another node leads
};
PartitionCounts count_partitions(const cluster::Image& image, NodeId self);

struct NodeStatus {
  NodeId node;
  std::string state;
  std::optional<std::string> cluster;  // none: it has not begun
  std::optional<RaftStatus> raft;      // none: the group has not formed
  std::vector<BrokerStatus> brokers;   // as the image here has them
  PartitionCounts partitions;
  std::vector<NodeId> joining;  // to be added, and not registered yet
  bool rebalancing = false;
};

}  // namespace chronik::node
