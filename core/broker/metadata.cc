// Metadata: brokers, topics and their leaders, as the image has them; and topics that are made by being asked for.
#include <absl/container/btree_set.h>

#include <utility>

#include "core/broker/answer_room.h"
#include "core/broker/broker.h"
#include "core/broker/connection.h"
#include "core/broker/handlers.h"
#include "core/broker/operations.h"
#include "core/broker/proposing.h"
#include "core/cluster/topic_names.h"
#include "core/protocol/messages/metadata.h"

namespace chronik::broker {

using protocol::ErrorCode;
using protocol::MetadataRequest;
using protocol::MetadataRequestTopic;
using protocol::MetadataResponse;
using protocol::MetadataTopic;

namespace {

std::vector<NodeId> list_of(const cluster::ReplicaList& nodes) { return {nodes.begin(), nodes.end()}; }

void describe_topic(const cluster::Image& image, const cluster::Topic& topic, MetadataTopic& answer) {
  answer.name = topic.name;
  answer.topic_id = topic.id;
  answer.is_internal = topic.name == group::kGroupsTopic;
  topic.partitions.for_each([&](const cluster::Partition& partition) {
    auto& described = answer.partitions.emplace_back();
    described.partition_index = partition.index;
    described.leader_id = partition.leader;
    described.leader_epoch = partition.leader_epoch;
    described.error_code = partition.leader == NodeId::none() ? ErrorCode::kLeaderNotAvailable : ErrorCode::kNone;
    described.replica_nodes = list_of(partition.replicas);
    described.isr_nodes = list_of(partition.isr);
    for (const NodeId replica : partition.replicas) {
      if (!image.is_live(replica)) {
        described.offline_replicas.push_back(replica);
      }
    }
  });
}

// All that live; where this node forwards, only itself.
void describe_brokers(const cluster::Image& image, NodeId self, bool forwards, MetadataResponse& response) {
  image.brokers.for_each([&](const cluster::Broker& broker) {
    const bool itself = broker.node == self;
    if (broker.endpoints.empty() || (forwards ? !itself : broker.fenced)) {
      return;
    }
    auto& described = response.brokers.emplace_back();
    described.node_id = broker.node;
    described.host = broker.endpoints.front().host;
    described.port = broker.endpoints.front().port;
    described.rack = broker.rack.empty() ? std::nullopt : std::optional<std::string>(broker.rack);
  });
  response.cluster_id = image.cluster.to_string();
  response.controller_id = self;
}

// For a client that is to come here with everything, this node leads whatever is led.
void lead_everything(NodeId self, MetadataResponse& response) {
  for (MetadataTopic& topic : response.topics) {
    for (auto& partition : topic.partitions) {
      if (partition.leader_id != NodeId::none()) {
        partition.leader_id = self;
      }
    }
  }
}

// Who would lead in this node's place, as far as it knows; none: nobody.
NodeId successor(const cluster::Partition& partition, NodeId self) {
  for (const cluster::ReplicaList* among : {&partition.isr, &partition.elr}) {
    for (const NodeId replica : partition.replicas) {
      if (replica != self && cluster::contains(*among, replica)) {
        return replica;
      }
    }
  }
  return NodeId::none();
}

// A client that was refused here because others may lead would be back at once, since some (librdkafka) ask the node
// that they are busiest with. Others, who have not been refused, may go on reading here.
void name_successors(const cluster::Image& image, NodeId self, MetadataResponse& response) {
  for (MetadataTopic& topic : response.topics) {
    for (auto& described : topic.partitions) {
      const cluster::Partition* partition = image.find_partition(topic.topic_id, described.partition_index);
      if (described.leader_id == self && partition != nullptr) {
        const NodeId next = successor(*partition, self);
        described.leader_id = next == NodeId::none() ? self : next;
      }
    }
  }
}

// From this version on a topic may be asked for by its id; that has a field for it since version 10.
constexpr std::int16_t kAsksById = 12;

// Whether the request asks by id: whatever name stands beside it does not count.
bool by_id(const MetadataRequestTopic& asked, std::int16_t version) {
  return version >= kAsksById && (!asked.name.has_value() || !asked.topic_id.is_zero());
}

// Makes the topics that are missing, all in one commit.
void create_missing(Broker& broker, const MetadataRequest& asked, std::int16_t version, const Deadline& deadline) {
  const cluster::BrokerSettings settings = broker.settings();
  if (!settings.auto_create_topics || !asked.topics.has_value() || (version >= 4 && !asked.allow_auto_topic_creation)) {
    return;
  }
  std::vector<cluster::TopicRequest> missing;
  for (const MetadataRequestTopic& topic : *asked.topics) {
    if (topic.name.has_value() && topic.topic_id.is_zero() && topic.name != group::kGroupsTopic &&
        broker.metadata().image()->find_topic(*topic.name) == nullptr) {
      missing.push_back({.name = *topic.name, .assignments = {}, .configs = {}});
    }
  }
  if (missing.empty()) {
    return;
  }
  auto plan = cluster::plan_create_topics(*broker.metadata().image(), settings, missing, broker.ports().random);
  // What could not be made is described as missing below, with the reason that its name gives.
  carry_out(broker, plan, deadline);
}

MetadataTopic describe_asked(const cluster::Image& image, const MetadataRequestTopic& asked, std::int16_t version) {
  MetadataTopic answer;
  if (version < kAsksById && (!asked.topic_id.is_zero() || !asked.name.has_value())) {
    answer.topic_id = asked.topic_id;
    answer.name = asked.name;
    answer.error_code = ErrorCode::kInvalidRequest;
    return answer;
  }
  const bool id_only = by_id(asked, version);
  const cluster::Topic* topic = id_only ? image.find_topic(asked.topic_id) : image.find_topic(asked.name.value_or(""));
  if (topic != nullptr) {
    describe_topic(image, *topic, answer);
    return answer;
  }
  answer.name = id_only ? std::nullopt : asked.name;
  answer.topic_id = id_only ? asked.topic_id : TopicId{};
  if (id_only) {
    answer.error_code = ErrorCode::kUnknownTopicId;
  } else if (!cluster::topic_name_problem(asked.name.value_or("")).empty()) {
    answer.error_code = ErrorCode::kInvalidTopicException;
  } else {
    answer.error_code = ErrorCode::kUnknownTopicOrPartition;
  }
  return answer;
}

void answer_metadata(Broker& broker, Request& request, const MetadataRequest& asked) {
  const std::int16_t version = request.header.version;
  create_missing(broker, asked, version, fiber::within(broker.limits().request, Expiry::kPeer));
  const cluster::ImageRef image = broker.metadata().image();
  MetadataResponse response;
  const bool forwards = broker.forwarding() != nullptr;
  describe_brokers(*image, broker.self(), forwards, response);
  const bool all = !asked.topics.has_value() || (version == 0 && asked.topics->empty());
  if (all) {
    image->topics.for_each(
        [&](const cluster::TopicRef& topic) { describe_topic(*image, *topic, response.topics.emplace_back()); });
  } else {
    AnswerRoom<MetadataResponse> room(request);
    absl::btree_set<std::pair<TopicId, std::string_view>> answered;  // a topic that is named twice is told once
    for (const MetadataRequestTopic& topic : *asked.topics) {
      const std::string_view name = !topic.name.has_value() || by_id(topic, version) ? std::string_view() : *topic.name;
      if (answered.emplace(topic.topic_id, name).second) {
        response.topics.push_back(describe_asked(*image, topic, version));
        if (!room.take(&MetadataResponse::topics, response.topics.back())) {
          return room.refuse(request);
        }
      }
    }
  }
  if (forwards) {
    lead_everything(broker.self(), response);
  } else if (request.connection.sent_elsewhere() && broker.replication().isolated()) {
    name_successors(*image, broker.self(), response);
  }
  if (asked.include_cluster_authorized_operations) {
    response.cluster_authorized_operations = kClusterOperations;
  }
  for (MetadataTopic& topic : response.topics) {
    if (asked.include_topic_authorized_operations && topic.error_code == ErrorCode::kNone) {
      topic.topic_authorized_operations = kTopicOperations;
    }
  }
  request.reply(response);
}

}  // namespace

void handle_metadata(Broker& broker, Request&& request) {
  StatusOr<MetadataRequest> asked = protocol::decode<MetadataRequest>(request.body, request.header.version);
  if (!asked.ok()) {
    return broker.refuse_malformed(request, asked.status());
  }
  ClientConnection& connection = request.connection;
  connection.spawn("metadata", [&broker, request = std::move(request), asked = *std::move(asked)]() mutable {
    answer_metadata(broker, request, asked);
  });
}

}  // namespace chronik::broker
