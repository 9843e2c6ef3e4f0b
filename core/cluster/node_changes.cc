#include "core/cluster/node_changes.h"

#include <fmt/core.h>

#include <algorithm>
#include <optional>

#include "core/cluster/replica_moves.h"

namespace chronik::cluster {

namespace {

// Calls look(topic, partition) for each partition with a replica on `node`, until it says something.
template <typename Look>
std::optional<ItemResult> first_problem(const Image& image, NodeId node, Look look) {
  std::optional<ItemResult> problem;
  image.topics.for_each([&](const TopicRef& topic) {
    topic->partitions.for_each([&](const Partition& partition) {
      if (!problem.has_value() && contains(partition.replicas, node)) {
        problem = look(*topic, partition);
      }
    });
  });
  return problem;
}

std::optional<ItemResult> nowhere_to_go(const Image& image, NodeId node) {
  std::size_t others = 0;
  image.brokers.for_each(
      [&](const Broker& broker) { others += broker.node != node && image.may_be_given_more(broker.node) ? 1U : 0U; });
  return first_problem(image, node, [&](const Topic& topic, const Partition& partition) -> std::optional<ItemResult> {
    const std::size_t wanted = wanted_replicas(partition).size();
    if (wanted <= others) {
      return std::nullopt;
    }
    return refused(ErrorCode::kInvalidReplicationFactor,
                   fmt::format("too few nodes would be left: partition {} of topic '{}' has {} replicas, and without "
                               "node {} there are {} live nodes for them",
                               partition.index, topic.name, wanted, node, others));
  });
}

std::optional<ItemResult> last_copy(const Image& image, NodeId node) {
  return first_problem(image, node, [&](const Topic& topic, const Partition& partition) -> std::optional<ItemResult> {
    const auto is_other = [node](NodeId other) { return other != node; };
    if (std::any_of(partition.isr.begin(), partition.isr.end(), is_other) ||
        std::any_of(partition.elr.begin(), partition.elr.end(), is_other)) {
      return std::nullopt;
    }
    return refused(ErrorCode::kIneligibleReplica,
                   fmt::format("records would be lost: the last complete copy of partition {} of topic '{}' is on node "
                               "{}. Start it again, or give the topic up: delete it",
                               partition.index, topic.name, node));
  });
}

}  // namespace

ItemResult add_node(Image& image, const AddNode& command) {
  if (command.node < NodeId(0) || command.host.empty() || command.port == 0) {
    return refused(ErrorCode::kInvalidRequest, "a node has an id from 0 on, a host and a port");
  }
  if (command.as_of >= LogIndex(0) && command.as_of < image.last_removal) {
    return refused(ErrorCode::kInvalidRequest,
                   "a node was removed after this had been asked for: if it is still wanted, ask again");
  }
  const DepartingNode* departing = image.departing.find(command.node);
  const bool known = image.find_broker(command.node) != nullptr;
  const bool makes_room = departing != nullptr && departing->gone;
  if ((known || departing != nullptr) && !makes_room) {
    return refused(ErrorCode::kDuplicateBrokerRegistration,
                   fmt::format("node {} is a broker of this cluster{}", command.node,
                               departing == nullptr ? "; if it lost its disk, remove it first: remove-node --force"
                                                    : ", and is being removed"));
  }
  const JoiningNode wanted{.node = command.node, .host = command.host, .port = command.port};
  bool taken = false;
  image.joining.for_each([&](const JoiningNode& other) {
    taken = taken || (other.node != wanted.node && other.host == wanted.host && other.port == wanted.port);
  });
  if (taken) {
    return refused(ErrorCode::kDuplicateBrokerRegistration,
                   fmt::format("another node joins from {}:{}", wanted.host, wanted.port));
  }
  image.joining = image.joining.with(wanted);
  return {};
}

ItemResult remove_node(Image& image, const RemoveNode& command) {
  const NodeId node = command.node;
  const bool live = image.is_live(node);
  const Broker* broker = image.find_broker(node);
  if (command.epoch != (broker == nullptr ? BrokerEpoch::none() : broker->epoch)) {
    return refused(ErrorCode::kStaleBrokerEpoch, fmt::format("node {} has registered anew meanwhile", node));
  }
  if (broker != nullptr && !live && !command.force) {
    return refused(ErrorCode::kInvalidRequest,
                   fmt::format("node {} is not live: start it, so that it can hand over what it has; or force it, if "
                               "it will not come back",
                               node));
  }
  if (const std::optional<ItemResult> problem = live ? nowhere_to_go(image, node) : last_copy(image, node)) {
    return *problem;
  }
  if (image.joining.find(node) != nullptr) {
    image.joining = image.joining.without(node);
  }
  image.departing = image.departing.with(
      {.node = node, .directory = broker == nullptr ? DirectoryId() : broker->directory, .lost = !live});
  image.last_removal = image.applied;
  return {};
}

ItemResult forget_node(Image& image, NodeId node) {
  if (image.departing.find(node) == nullptr) {
    return refused(ErrorCode::kInvalidRequest, fmt::format("node {} was not to go", node));
  }
  if (has_replicas(image, node)) {
    DepartingNode departing = *image.departing.find(node);
    if (!departing.lost) {
      return refused(ErrorCode::kInvalidRequest, fmt::format("node {} has replicas", node));
    }
    departing.gone = true;
    image.departing = image.departing.with(departing);
    return {};
  }
  image.departing = image.departing.without(node);
  const auto erase = [node](auto& set) {
    if (set.find(node) != nullptr) {
      set = set.without(node);
    }
  };
  erase(image.brokers);
  erase(image.broker_configs);
  erase(image.proposers);
  return {};
}

ItemResult welcome(Image& image, NodeId node, bool same_disk) {
  const bool joins = image.joining.find(node) != nullptr;
  const DepartingNode* departing = image.departing.find(node);
  if (departing != nullptr && !joins && (departing->lost || !same_disk)) {
    return refused(ErrorCode::kInvalidRegistration,
                   fmt::format("node {} was removed from the cluster: it must be added again", node));
  }
  if (joins) {
    image.joining = image.joining.without(node);
  }
  if (joins && departing != nullptr) {
    image.departing = image.departing.without(node);
  }
  return {};
}

}  // namespace chronik::cluster
