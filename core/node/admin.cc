#include "core/node/admin.h"

#include <fmt/core.h>

#include <algorithm>
#include <limits>

#include "core/base/log_line.h"
#include "core/cluster/replica_moves.h"
#include "core/node/node.h"

namespace chronik::node {

namespace {

Status alone_is_alone() {
  return absl::FailedPreconditionError(
      "this node is by itself, without a cluster's configuration: it has no address for other nodes");
}

}  // namespace

// The image says what is wanted; what the group's members are is for the controller to compare (apply() cannot).
Status Node::check_addition(const NodeAddition& wanted) const {
  const cluster::Image& image = *metadata_->image();
  const raft::Membership& members = raft().membership();
  const cluster::DepartingNode* departing = image.departing.find(wanted.node);
  if (members.find(wanted.node) != nullptr && departing == nullptr && image.find_broker(wanted.node) != nullptr) {
    return absl::FailedPreconditionError(
        fmt::format("node {} is a member of the cluster. If it lost its disk, remove it first: remove-node {} --force",
                    wanted.node, wanted.node));
  }
  for (const raft::PeerAddress& peer : config_.peers) {
    if (peer.node == wanted.node && (peer.host != wanted.raft_host || peer.port != wanted.raft_port)) {
      return absl::FailedPreconditionError(
          fmt::format("the configuration of node {} says that node {} is at {}:{}, not at {}:{}: they must agree",
                      config_.node, wanted.node, peer.host, peer.port, wanted.raft_host, wanted.raft_port));
    }
  }
  for (const raft::MemberAddress& member : members.addresses) {
    if (member.node != wanted.node && member.host == wanted.raft_host && member.port == wanted.raft_port) {
      return absl::FailedPreconditionError(
          fmt::format("node {} listens for the others at {}:{}", member.node, member.host, member.port));
    }
  }
  Status status = ok();
  image.brokers.for_each([&](const cluster::Broker& broker) {
    for (const cluster::Endpoint& endpoint : broker.endpoints) {
      if (broker.node != wanted.node && endpoint.host == wanted.kafka_host && endpoint.port == wanted.kafka_port) {
        status = absl::FailedPreconditionError(
            fmt::format("node {} serves clients at {}:{}", broker.node, endpoint.host, endpoint.port));
      }
    }
  });
  return status;
}

// Of the voters that would be left, a majority must be there, or nothing could be decided any more.
Status Node::check_quorum_without(NodeId node) const {
  const cluster::Image& image = *metadata_->image();
  raft::Membership left = raft().membership();
  if (std::erase_if(left.voters, [node](const raft::Member& voter) { return voter.node == node; }) == 0) {
    return ok();
  }
  const auto live = static_cast<std::size_t>(std::count_if(
      left.voters.begin(), left.voters.end(), [&](const raft::Member& voter) { return image.is_live(voter.node); }));
  if (!left.voters.empty() && live >= left.quorum()) {
    return ok();
  }
  return absl::FailedPreconditionError(
      fmt::format("the quorum would be lost: without node {}, {} of the {} nodes that vote are live, and {} are needed",
                  node, live, left.voters.size(), left.voters.empty() ? 1 : left.quorum()));
}

Status Node::order(const cluster::CommandBody& body, const Deadline& deadline) {
  ASSIGN_OR_RETURN(const cluster::CommandResult result, metadata_->propose(body, deadline));
  return result.whole.ok() ? ok() : absl::FailedPreconditionError(result.whole.message);
}

StatusOr<std::string> Node::add_node(const NodeAddition& wanted, const Deadline& deadline) {
  if (!serving_) {
    return absl::UnavailableError(fmt::format("this node does not serve: {}", state()));
  }
  if (config_.peers.empty()) {
    return alone_is_alone();
  }
  RETURN_IF_ERROR(check_addition(wanted));
  RETURN_IF_ERROR(order(cluster::AddNode{.node = wanted.node,
                                         .host = wanted.raft_host,
                                         .port = wanted.raft_port,
                                         .as_of = metadata_->image()->applied},
                        deadline));
  return fmt::format(
      "node {} is added as soon as it is found at {}:{}: it learns the metadata first, and votes when it has caught up",
      wanted.node, wanted.raft_host, wanted.raft_port);
}

StatusOr<std::string> Node::remove_node(NodeId node, bool force, const Deadline& deadline) {
  if (!serving_) {
    return absl::UnavailableError(fmt::format("this node does not serve: {}", state()));
  }
  if (config_.peers.empty()) {
    return alone_is_alone();
  }
  const cluster::ImageRef image = metadata_->image();
  const cluster::Broker* broker = image->find_broker(node);
  if (broker == nullptr && image->joining.find(node) == nullptr && raft().membership().find(node) == nullptr) {
    return absl::FailedPreconditionError(fmt::format("there is no node {} in this cluster", node));
  }
  RETURN_IF_ERROR(check_quorum_without(node));
  RETURN_IF_ERROR(order(
      cluster::RemoveNode{
          .node = node, .epoch = broker == nullptr ? BrokerEpoch::none() : broker->epoch, .force = force},
      deadline));
  const cluster::Image& now = *metadata_->image();
  const cluster::DepartingNode* departing = now.departing.find(node);
  if (departing == nullptr || !cluster::has_replicas(now, node)) {
    return fmt::format("node {} leaves the cluster", node);
  }
  if (!departing->lost) {
    return fmt::format("the replicas of node {} go to the other nodes; then it leaves the cluster", node);
  }
  return fmt::format(
      "node {} leaves the cluster. Its replicas go to the other nodes; where these have one of each already, its place "
      "is kept for a new node {}",
      node, node);
}

StatusOr<std::vector<PlannedMove>> Node::rebalance(const Deadline& deadline) {
  if (!serving_) {
    return absl::UnavailableError(fmt::format("this node does not serve: {}", state()));
  }
  const cluster::ImageRef image = metadata_->image();
  std::vector<PlannedMove> moves;
  for (const cluster::AlterReassignments::Partition& move :
       cluster::moves_to_balance(*image, std::numeric_limits<std::size_t>::max())) {
    moves.push_back({.topic = image->find_topic(move.topic)->name,
                     .partition = move.partition,
                     .from = cluster::wanted_replicas(*image->find_partition(move.topic, move.partition)),
                     .to = *move.target});
  }
  if (!moves.empty()) {
    RETURN_IF_ERROR(order(cluster::Rebalance{.begin = true}, deadline));
  }
  return moves;
}

}  // namespace chronik::node
