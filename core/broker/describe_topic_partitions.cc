// DescribeTopicPartitions: topics in the order of their names, a page of partitions at a time (KIP-966).
#include <algorithm>
#include <string>
#include <vector>

#include "core/broker/answering.h"
#include "core/broker/operations.h"
#include "core/cluster/topic_names.h"
#include "core/protocol/messages/describe_topic_partitions.h"

namespace chronik::broker {

using protocol::DescribeTopicPartitionsPartition;
using protocol::DescribeTopicPartitionsRequest;
using protocol::DescribeTopicPartitionsResponse;
using protocol::DescribeTopicPartitionsTopic;
using protocol::ErrorCode;

namespace {

// Whatever the client allows: Kafka's max.request.partition.size.limit.
constexpr std::int32_t kPagePartitionsMax = 2000;

std::vector<NodeId> nodes_of(const cluster::ReplicaList& nodes) { return {nodes.begin(), nodes.end()}; }

DescribeTopicPartitionsPartition describe_partition(const cluster::Image& image, const cluster::Partition& partition) {
  DescribeTopicPartitionsPartition described;
  described.error_code = partition.leader == NodeId::none() ? ErrorCode::kLeaderNotAvailable : ErrorCode::kNone;
  described.partition_index = partition.index;
  described.leader_id = partition.leader;
  described.leader_epoch = partition.leader_epoch;
  described.replica_nodes = nodes_of(partition.replicas);
  described.isr_nodes = nodes_of(partition.isr);
  described.eligible_leader_replicas = nodes_of(partition.elr);
  described.last_known_elr.emplace();  // not kept: the last that was in sync stays eligible, unless its disk is lost
  for (const NodeId replica : partition.replicas) {
    if (!image.is_live(replica)) {
      described.offline_replicas.push_back(replica);
    }
  }
  return described;
}

DescribeTopicPartitionsTopic describe_unknown_topic(const std::string& name) {
  DescribeTopicPartitionsTopic described;
  described.name = name;
  described.topic_authorized_operations = kTopicOperations;
  described.error_code = cluster::topic_name_problem(name).empty() ? ErrorCode::kUnknownTopicOrPartition
                                                                   : ErrorCode::kInvalidTopicException;
  return described;
}

// Names in ascending order, each once, from the cursor's on.
std::vector<std::string> names_of_page(const cluster::Image& image, const DescribeTopicPartitionsRequest& asked) {
  std::vector<std::string> names;
  for (const protocol::DescribeTopicPartitionsTopicRequest& topic : asked.topics) {
    names.push_back(topic.name);
  }
  if (asked.topics.empty()) {
    image.topics.for_each([&](const cluster::TopicRef& topic) { names.push_back(topic->name); });
  }
  if (asked.cursor.has_value()) {
    std::erase_if(names, [&](const std::string& name) { return name < asked.cursor->topic_name; });
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

// Adds the topic's partitions from `first` on, at most `limit`. Returns the first that did not fit; none: all did.
PartitionId add_topic_page(const cluster::Image& image, const cluster::Topic& topic, PartitionId first,
                           std::int32_t limit, DescribeTopicPartitionsResponse& response) {
  auto& described = response.topics.emplace_back();
  described.name = topic.name;
  described.topic_id = topic.id;
  described.topic_authorized_operations = kTopicOperations;
  PartitionId next = PartitionId::none();
  topic.partitions.for_each_from(first, [&](const cluster::Partition& partition) {
    if (std::ssize(described.partitions) == limit) {
      next = partition.index;
      return false;
    }
    described.partitions.push_back(describe_partition(image, partition));
    return true;
  });
  return next;
}

DescribeTopicPartitionsResponse describe_page(const cluster::Image& image,
                                              const DescribeTopicPartitionsRequest& asked) {
  DescribeTopicPartitionsResponse response;
  std::int32_t room = std::clamp(asked.response_partition_limit, 1, kPagePartitionsMax);
  for (const std::string& name : names_of_page(image, asked)) {
    if (room == 0) {
      response.next_cursor = {.topic_name = name, .partition_index = PartitionId(0)};
      break;
    }
    const cluster::Topic* topic = image.find_topic(name);
    if (topic == nullptr) {
      response.topics.push_back(describe_unknown_topic(name));
      continue;
    }
    const bool resumed = asked.cursor.has_value() && asked.cursor->topic_name == name;
    const PartitionId next =
        add_topic_page(image, *topic, resumed ? asked.cursor->partition_index : PartitionId(0), room, response);
    if (next != PartitionId::none()) {
      response.next_cursor = {.topic_name = name, .partition_index = next};
      break;
    }
    room -= static_cast<std::int32_t>(response.topics.back().partitions.size());
  }
  return response;
}

// Whether the cursor may be of an answer to such a request: it stands at a topic that is asked for.
bool continues(const DescribeTopicPartitionsRequest& asked) {
  const auto is_cursors = [&asked](const protocol::DescribeTopicPartitionsTopicRequest& topic) {
    return topic.name == asked.cursor->topic_name;
  };
  return asked.cursor->partition_index.value() >= 0 &&
         (asked.topics.empty() || std::any_of(asked.topics.begin(), asked.topics.end(), is_cursors));
}

void describe_topic_partitions(Broker& broker, Request& request, const DescribeTopicPartitionsRequest& asked) {
  if (asked.cursor.has_value() && !continues(asked)) {
    // There is no error for the whole: each topic carries it.
    DescribeTopicPartitionsResponse response;
    for (const protocol::DescribeTopicPartitionsTopicRequest& topic : asked.topics) {
      auto& refused = response.topics.emplace_back();
      refused.name = topic.name;
      refused.error_code = ErrorCode::kInvalidRequest;
    }
    return request.reply(response);
  }
  DescribeTopicPartitionsResponse response = describe_page(*broker.metadata().image(), asked);
  if (broker.forwarding() != nullptr) {
    for (DescribeTopicPartitionsTopic& topic : response.topics) {
      for (DescribeTopicPartitionsPartition& partition : topic.partitions) {
        // Clients come here with everything.
        partition.leader_id = partition.leader_id == NodeId::none() ? NodeId::none() : broker.self();
      }
    }
  }
  request.reply(response);
}

}  // namespace

void handle_describe_topic_partitions(Broker& broker, Request&& request) {
  decode_and_answer<DescribeTopicPartitionsRequest, &describe_topic_partitions>("describe-topic-partitions", broker,
                                                                                std::move(request));
}

}  // namespace chronik::broker
