// CreateTopics, DeleteTopics, CreatePartitions: one command for all that is well in a request.
#include <absl/container/btree_set.h>

#include <limits>
#include <string_view>
#include <utility>

#include "core/broker/answering.h"
#include "core/broker/proposing.h"
#include "core/cluster/apply.h"
#include "core/cluster/config_values.h"
#include "core/protocol/messages/create_partitions.h"
#include "core/protocol/messages/create_topics.h"
#include "core/protocol/messages/delete_topics.h"

namespace chronik::broker {

namespace {

cluster::TopicRequest request_of(const protocol::CreateTopicsTopic& asked) {
  cluster::TopicRequest topic{.name = asked.name,
                              .partitions = asked.num_partitions,
                              .replication_factor = asked.replication_factor,
                              .assignments = {},
                              .configs = {}};
  for (const protocol::CreateTopicsAssignment& assignment : asked.assignments) {
    topic.assignments.push_back({.partition = assignment.partition_index.value(), .replicas = assignment.broker_ids});
  }
  for (const protocol::CreateTopicsConfig& config : asked.configs) {
    topic.configs.push_back({.name = config.name, .value = config.value});
  }
  return topic;
}

// Java's AdminClient takes an answer with a number of partitions and without settings for its own mistake.
void describe_created_settings(Broker& broker, const cluster::Image& image, const cluster::Topic& topic,
                               protocol::CreateTopicsTopicResult& answer) {
  const cluster::ConfigLayers layers = cluster::topic_layers(image, broker.self(), broker.file(), topic);
  auto& configs = answer.configs.emplace();
  for (const cluster::ConfigDef& def : cluster::topic_configs()) {
    const std::vector<cluster::ConfigEntry> entries = cluster::config_entries(def, layers);
    auto& described = configs.emplace_back();
    described.name = std::string(def.name);
    described.config_source = static_cast<std::int8_t>(cluster::ConfigSource::kDefault);
    if (!entries.empty()) {
      described.value = cluster::scaled_config_value(entries.front().value, entries.front().factor);
      described.config_source = static_cast<std::int8_t>(entries.front().source);
    }
  }
}

void describe_created(Broker& broker, const cluster::Image& image, protocol::CreateTopicsTopicResult& answer) {
  const cluster::Topic* topic = image.find_topic(answer.name);
  if (topic == nullptr) {
    return;  // deleted again already
  }
  answer.topic_id = topic->id;
  answer.num_partitions = static_cast<std::int32_t>(topic->partitions.size());
  topic->partitions.for_each([&](const cluster::Partition& partition) {
    answer.replication_factor = static_cast<std::int16_t>(partition.replicas.size());
  });
  describe_created_settings(broker, image, *topic, answer);
}

// As it would be if they were made. Nothing is proposed.
cluster::ImageRef image_with(NodeId self, const cluster::ImageRef& now, cluster::CreateTopics topics) {
  const cluster::Broker* registered = now->find_broker(self);
  if (registered == nullptr) {
    return now;
  }
  // Behind all that this node has proposed.
  const cluster::ProposalId proposal{
      .node = self, .incarnation = registered->incarnation, .sequence = std::numeric_limits<std::int64_t>::max()};
  return cluster::apply(now, now->applied.next(), {.proposal = proposal, .body = std::move(topics)}).image;
}

void create_topics(Broker& broker, Request& request, const protocol::CreateTopicsRequest& asked) {
  std::vector<cluster::TopicRequest> topics;
  for (const protocol::CreateTopicsTopic& topic : asked.topics) {
    topics.push_back(request_of(topic));
  }
  const Deadline deadline = deadline_of(broker, asked.timeout_ms);
  cluster::CreateTopics planned;
  const std::vector<cluster::ItemResult> results =
      place(broker, topics, asked.validate_only, deadline, [&](const cluster::Image& now, const auto& due) {
        auto plan = cluster::plan_create_topics(now, broker.settings(), due, broker.ports().random);
        if (asked.validate_only) {
          planned = plan.command;
        }
        return plan;
      });
  const cluster::ImageRef now = broker.metadata().image();
  // What is only validated is described as it would be.
  const cluster::ImageRef image = asked.validate_only ? image_with(broker.self(), now, std::move(planned)) : now;
  protocol::CreateTopicsResponse response;
  absl::btree_set<std::string_view> answered;  // a topic that is named twice is refused, and that is said once
  for (std::size_t i = 0; i < topics.size(); ++i) {
    if (!answered.insert(topics[i].name).second) {
      continue;
    }
    auto& answer = response.topics.emplace_back();
    answer.name = topics[i].name;
    answer.error_code = results[i].error;
    answer.error_message = message_of(results[i]);
    answer.configs.emplace();
    if (results[i].ok()) {
      describe_created(broker, *image, answer);
    }
  }
  request.reply(response);
}

void delete_topics(Broker& broker, Request& request, const protocol::DeleteTopicsRequest& asked) {
  std::vector<cluster::TopicDeletion> deletions;
  for (const std::string& name : asked.topic_names) {
    deletions.push_back({.name = name, .id = {}});
  }
  for (const protocol::DeleteTopicsTopic& topic : asked.topics) {
    deletions.push_back({.name = topic.name, .id = topic.topic_id});
  }
  const Deadline deadline = deadline_of(broker, asked.timeout_ms);
  auto plan = plan_change(broker, deadline, [&](const cluster::Image& now) {
    return cluster::plan_delete_topics(now, broker.settings(), deletions);
  });
  // Names and ids as they are before: afterwards nobody knows them.
  const cluster::ImageRef before = broker.metadata().image();
  carry_out(broker, plan, deadline);
  protocol::DeleteTopicsResponse response;
  absl::btree_set<TopicId> answered;  // a topic that is named twice is refused, and that is said once
  for (std::size_t i = 0; i < deletions.size(); ++i) {
    const cluster::Topic* topic =
        deletions[i].name.has_value() ? before->find_topic(*deletions[i].name) : before->find_topic(deletions[i].id);
    if (topic != nullptr && !answered.insert(topic->id).second) {
      continue;
    }
    auto& answer = response.responses.emplace_back();
    const bool deleted = topic != nullptr && plan.items[i].ok();
    answer.name = deleted ? std::optional<std::string>(topic->name) : deletions[i].name;
    answer.topic_id = deleted ? topic->id : deletions[i].id;
    answer.error_code = plan.items[i].error;
    answer.error_message = message_of(plan.items[i]);
  }
  request.reply(response);
}

void create_partitions(Broker& broker, Request& request, const protocol::CreatePartitionsRequest& asked) {
  std::vector<cluster::PartitionsRequest> topics;
  for (const protocol::CreatePartitionsTopic& topic : asked.topics) {
    auto& wanted = topics.emplace_back(
        cluster::PartitionsRequest{.name = topic.name, .count = topic.count, .assignments = std::nullopt});
    if (topic.assignments.has_value()) {
      wanted.assignments.emplace();
      for (const protocol::CreatePartitionsAssignment& assignment : *topic.assignments) {
        wanted.assignments->push_back(assignment.broker_ids);
      }
    }
  }
  const Deadline deadline = deadline_of(broker, asked.timeout_ms);
  const std::vector<cluster::ItemResult> results =
      place(broker, topics, asked.validate_only, deadline, [&broker](const cluster::Image& now, const auto& due) {
        return cluster::plan_create_partitions(now, due, broker.ports().random);
      });
  protocol::CreatePartitionsResponse response;
  absl::btree_set<std::string_view> answered;  // as of CreateTopics
  for (std::size_t i = 0; i < topics.size(); ++i) {
    if (!answered.insert(topics[i].name).second) {
      continue;
    }
    auto& answer = response.results.emplace_back();
    answer.name = topics[i].name;
    answer.error_code = results[i].error;
    answer.error_message = message_of(results[i]);
  }
  request.reply(response);
}

}  // namespace

void handle_create_topics(Broker& broker, Request&& request) {
  decode_and_answer<protocol::CreateTopicsRequest, &create_topics>("create-topics", broker, std::move(request));
}

void handle_delete_topics(Broker& broker, Request&& request) {
  decode_and_answer<protocol::DeleteTopicsRequest, &delete_topics>("delete-topics", broker, std::move(request));
}

void handle_create_partitions(Broker& broker, Request&& request) {
  decode_and_answer<protocol::CreatePartitionsRequest, &create_partitions>("create-partitions", broker,
                                                                           std::move(request));
}

}  // namespace chronik::broker
