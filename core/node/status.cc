#include "core/node/status.h"

#include <map>

#include "core/cluster/reassignment.h"
#include "core/node/node.h"

namespace chronik::node {

PartitionCounts count_partitions(const cluster::Image& image, NodeId self) {
  PartitionCounts counts;
  image.topics.for_each([&](const cluster::TopicRef& topic) {
    const std::size_t min = image.min_insync_replicas_of(*topic);
    topic->partitions.for_each([&](const cluster::Partition& partition) {
      const bool under_replicated = partition.isr.size() < partition.replicas.size();
      const bool under_min_isr = partition.isr.size() < min;
      ++counts.all;
      counts.offline += partition.leader == NodeId::none() ? 1u : 0u;
      counts.under_replicated += under_replicated ? 1u : 0u;
      counts.under_min_isr += under_min_isr ? 1u : 0u;
      counts.led_uncleanly +=
          partition.leader != NodeId::none() && partition.leader_epoch == partition.unclean_epoch ? 1u : 0u;
      counts.moving += cluster::is_reassigned(partition) ? 1u : 0u;
      if (partition.leader == self) {
        ++counts.led;
        counts.led_under_replicated += under_replicated ? 1u : 0u;
        counts.led_under_min_isr += under_min_isr ? 1u : 0u;
      } else if (partition.leader != NodeId::none()) {
        counts.followed += cluster::contains(partition.replicas, self) ? 1u : 0u;
      }
    });
  });
  return counts;
}

RaftStatus Node::raft_status() const {
  const raft::Raft& raft = group_->driver().raft();
  RaftStatus status{.role = raft.role(),
                    .term = raft.term(),
                    .leader = raft.leadership().leader,
                    .commit = raft.commit(),
                    .applied = group_->driver().applied(),
                    .log_end = raft.log().last(),
                    .elections = raft.elections(),
                    .voters = {},
                    .learners = {}};
  for (const raft::Member& voter : raft.membership().voters) {
    status.voters.push_back(voter.node);
  }
  for (const raft::Member& learner : raft.membership().learners) {
    status.learners.push_back(learner.node);
  }
  return status;
}

NodeStatus Node::status() const {
  NodeStatus status{.node = config_.node, .state = state()};
  if (!raft_opened_) {
    return status;
  }
  status.raft = raft_status();
  const cluster::ImageRef image = metadata_->image();
  status.cluster = image->cluster.to_string();
  std::map<NodeId, std::size_t> replicas;
  image->topics.for_each([&](const cluster::TopicRef& topic) {
    topic->partitions.for_each([&](const cluster::Partition& partition) {
      for (const NodeId node : partition.replicas) {
        ++replicas[node];
      }
    });
  });
  image->brokers.for_each([&](const cluster::Broker& broker) {
    BrokerStatus& added = status.brokers.emplace_back();
    added.leaving = image->departing.find(broker.node) != nullptr;
    added.replicas = replicas[broker.node];
    added.node = broker.node;
    added.live = !broker.fenced;
    added.epoch = broker.epoch;
    if (!broker.endpoints.empty()) {
      added.host = broker.endpoints.front().host;
      added.port = broker.endpoints.front().port;
    }
  });
  status.partitions = count_partitions(*image, config_.node);
  image->joining.for_each([&](const cluster::JoiningNode& joining) { status.joining.push_back(joining.node); });
  status.rebalancing = image->rebalancing;
  return status;
}

}  // namespace chronik::node
