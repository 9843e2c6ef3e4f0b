#include "core/broker/leader_hints.h"

#include <algorithm>

#include "core/broker/broker.h"
#include "core/broker/connection.h"

namespace chronik::broker {

using protocol::ErrorCode;

namespace {

void add_endpoint(const cluster::Image& image, NodeId leader, std::vector<protocol::NodeEndpoint>& endpoints) {
  const bool known = std::any_of(endpoints.begin(), endpoints.end(),
                                 [leader](const protocol::NodeEndpoint& other) { return other.node_id == leader; });
  const cluster::Broker* broker = image.find_broker(leader);
  if (known || broker == nullptr || broker->endpoints.empty()) {
    return;
  }
  endpoints.push_back({.node_id = leader,
                       .host = broker->endpoints.front().host,
                       .port = broker->endpoints.front().port,
                       .rack = broker->rack.empty() ? std::nullopt : std::optional<std::string>(broker->rack)});
}

// Whose image may be out of date in that: this node itself, while it is isolated.
NodeId doubted_leader(Broker& broker) { return broker.replication().isolated() ? broker.self() : NodeId::none(); }

template <typename Answer>
void name_leader(const cluster::Image& image, NodeId doubted, const cluster::Topic* topic, PartitionId index,
                 Answer& answer, std::vector<protocol::NodeEndpoint>& endpoints) {
  if (answer.error_code != ErrorCode::kNotLeaderOrFollower && answer.error_code != ErrorCode::kFencedLeaderEpoch) {
    return;
  }
  const cluster::Partition* partition = topic == nullptr ? nullptr : topic->partitions.find(index);
  if (partition == nullptr || partition->leader == NodeId::none() || partition->leader == doubted) {
    return;
  }
  answer.current_leader = {.leader_id = partition->leader, .leader_epoch = partition->leader_epoch};
  add_endpoint(image, partition->leader, endpoints);
}

}  // namespace

void name_leaders(Broker& broker, ClientConnection& client, protocol::ProduceResponse& response) {
  if (broker.forwarding() != nullptr) {
    return;
  }
  const cluster::ImageRef image = broker.metadata().image();
  const NodeId doubted = doubted_leader(broker);
  for (protocol::ProduceTopicResponse& topic : response.responses) {
    const cluster::Topic* known = image->find_topic(topic.name);
    for (protocol::ProducePartitionResponse& answer : topic.partition_responses) {
      name_leader(*image, doubted, known, answer.index, answer, response.node_endpoints);
      if (doubted != NodeId::none() && answer.error_code == ErrorCode::kNotLeaderOrFollower) {
        client.send_elsewhere();
      }
    }
  }
}

void name_leaders(Broker& broker, protocol::FetchResponse& response, std::int16_t version) {
  constexpr std::int16_t kFirstVersion = 16;  // the field is older, and was meant for others
  if (broker.forwarding() != nullptr || version < kFirstVersion) {
    return;
  }
  const cluster::ImageRef image = broker.metadata().image();
  const NodeId doubted = doubted_leader(broker);
  for (protocol::FetchTopicResponse& topic : response.responses) {
    const cluster::Topic* known =
        topic.topic.empty() ? image->find_topic(topic.topic_id) : image->find_topic(topic.topic);
    for (protocol::FetchPartitionResponse& answer : topic.partitions) {
      name_leader(*image, doubted, known, answer.partition_index, answer, response.node_endpoints);
    }
  }
}

}  // namespace chronik::broker
