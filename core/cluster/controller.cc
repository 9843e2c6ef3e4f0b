#include "core/cluster/controller.h"

#include <absl/container/btree_map.h>
#include <absl/container/btree_set.h>
#include <fmt/core.h>

#include <algorithm>

#include "core/cluster/assignments.h"
#include "core/cluster/config_values.h"
#include "core/cluster/placement.h"

namespace chronik::cluster {

namespace {

// How often each key occurs.
template <typename Items, typename KeyOf>
auto occurrences(const Items& items, KeyOf key_of) {
  absl::btree_map<std::decay_t<decltype(key_of(items.front()))>, int> counts;
  for (const auto& item : items) {
    ++counts[key_of(item)];
  }
  return counts;
}

TopicId fresh_topic_id(const Image& image, Random& random) {
  for (;;) {
    const std::uint64_t high = random.next();
    const std::uint64_t low = random.next();
    const TopicId id = Uuid::from_random(high, low);
    if (!id.is_zero() && image.find_topic(id) == nullptr) {
      return id;
    }
  }
}

ItemResult check_new_name(const Image& image, const std::string& name) {
  if (std::string problem = topic_name_problem(name); !problem.empty()) {
    return refused(ErrorCode::kInvalidTopicException, std::move(problem));
  }
  const Topic* other = image.colliding_topic(name);
  if (other == nullptr) {
    return {};
  }
  return other->name == name
             ? refused(ErrorCode::kTopicAlreadyExists, fmt::format("topic '{}' exists", name))
             : refused(ErrorCode::kInvalidTopicException,
                       fmt::format("'{}' differs from topic '{}' only in '.' and '_'", name, other->name));
}

ItemResult collect_configs(const std::vector<TopicRequest::Config>& wanted, ConfigMap& configs) {
  for (const TopicRequest::Config& config : wanted) {
    if (!config.value.has_value()) {
      return refused(ErrorCode::kInvalidConfig, fmt::format("'{}' has no value", config.name));
    }
    if (Status status = check_topic_config(config.name, *config.value); !status.ok()) {
      return refused(ErrorCode::kInvalidConfig, std::string(status.message()));
    }
    if (!configs.emplace(config.name, *config.value).second) {
      return refused(ErrorCode::kInvalidRequest, fmt::format("'{}' is given twice", config.name));
    }
  }
  return {};
}

// Puts the partitions of one new topic into `topic`. `budget`: how many more partitions this request may create.
ItemResult lay_out(const Image& image, const BrokerSettings& settings, const TopicRequest& request, std::size_t budget,
                   Random& random, CreateTopics::Topic& topic) {
  if (!request.assignments.empty()) {
    if (request.partitions != -1 || request.replication_factor != -1) {
      return refused(ErrorCode::kInvalidRequest,
                     "with replicas assigned, partitions and replication factor must be -1");
    }
    if (request.assignments.size() > budget) {
      return too_many_partitions();
    }
    return adopt_assignments(image, request.assignments, topic.partitions);
  }
  const std::int32_t partitions = request.partitions == -1 ? settings.num_partitions : request.partitions;
  const std::int16_t factor =
      request.replication_factor == -1 ? settings.default_replication_factor : request.replication_factor;
  if (partitions <= 0) {
    return refused(ErrorCode::kInvalidPartitions,
                   fmt::format("{} partitions: it must be at least 1, or -1 for the default", partitions));
  }
  if (static_cast<std::size_t>(partitions) > budget) {
    return too_many_partitions();
  }
  if (ItemResult result = check_replication_factor(image, factor); !result.ok()) {
    return result;
  }
  topic.partitions =
      place_replicas(image, static_cast<std::size_t>(partitions), static_cast<std::size_t>(factor), random);
  return {};
}

}  // namespace

Plan<CreateTopics> plan_create_topics(const Image& image, const BrokerSettings& settings,
                                      const std::vector<TopicRequest>& topics, Random& random) {
  Plan<CreateTopics> plan;
  std::size_t budget = kPartitionsMax;
  const auto counts = occurrences(topics, [](const TopicRequest& topic) -> const std::string& { return topic.name; });
  absl::btree_map<TopicNameKey, std::string_view> planned;
  for (std::size_t i = 0; i < topics.size(); ++i) {
    const TopicRequest& request = topics[i];
    CreateTopics::Topic topic{.name = request.name, .id = {}, .partitions = {}, .configs = {}};
    ItemResult result;
    if (counts.at(request.name) > 1) {
      result = refused(ErrorCode::kInvalidRequest, fmt::format("topic '{}' is named twice", request.name));
    } else if (result = check_new_name(image, request.name); !result.ok()) {
    } else if (const auto twin = planned.find(TopicNameKey{request.name}); twin != planned.end()) {
      result = refused(ErrorCode::kInvalidTopicException,
                       fmt::format("'{}' differs from topic '{}' only in '.' and '_'", request.name, twin->second));
    } else if (result = collect_configs(request.configs, topic.configs); !result.ok()) {
    } else {
      result = lay_out(image, settings, request, budget, random, topic);
    }
    if (result.ok()) {
      budget -= topic.partitions.size();
      planned.emplace(TopicNameKey{request.name}, request.name);
      topic.id = fresh_topic_id(image, random);
      plan.command.topics.push_back(std::move(topic));
      plan.origin.push_back(i);
    }
    plan.items.push_back(std::move(result));
  }
  return plan;
}

Plan<DeleteTopics> plan_delete_topics(const Image& image, const BrokerSettings& settings,
                                      const std::vector<TopicDeletion>& topics) {
  Plan<DeleteTopics> plan;
  const auto find = [&image](const TopicDeletion& deletion) {
    return deletion.name.has_value() ? image.find_topic(*deletion.name) : image.find_topic(deletion.id);
  };
  const auto counts = occurrences(topics, [&find](const TopicDeletion& deletion) {
    const Topic* topic = find(deletion);
    return topic == nullptr ? TopicId{} : topic->id;
  });
  for (std::size_t i = 0; i < topics.size(); ++i) {
    const TopicDeletion& deletion = topics[i];
    const Topic* topic = find(deletion);
    if (!settings.delete_topics) {
      plan.items.push_back(refused(ErrorCode::kTopicDeletionDisabled, "delete.topic.enable is false"));
    } else if (deletion.name.has_value() != deletion.id.is_zero()) {
      plan.items.push_back(refused(ErrorCode::kInvalidRequest, "a topic is named by its name or by its id"));
    } else if (topic == nullptr) {
      plan.items.push_back(deletion.name.has_value()
                               ? refused(ErrorCode::kUnknownTopicOrPartition, "there is no such topic")
                               : refused(ErrorCode::kUnknownTopicId, "there is no topic with this id"));
    } else if (counts.at(topic->id) > 1) {
      plan.items.push_back(refused(ErrorCode::kInvalidRequest, fmt::format("topic '{}' is named twice", topic->name)));
    } else {
      plan.items.emplace_back();
      plan.command.topics.push_back(topic->id);
      plan.origin.push_back(i);
    }
  }
  return plan;
}

namespace {

ItemResult plan_growth(const Image& image, const PartitionsRequest& request, std::size_t budget, Random& random,
                       CreatePartitions::Topic& grown) {
  const Topic* topic = image.find_topic(request.name);
  if (topic == nullptr) {
    return refused(ErrorCode::kUnknownTopicOrPartition, fmt::format("there is no topic '{}'", request.name));
  }
  grown.id = topic->id;
  grown.existing = static_cast<std::int32_t>(topic->partitions.size());
  if (request.count <= grown.existing) {
    return refused(ErrorCode::kInvalidPartitions, fmt::format("topic '{}' has {} partitions; {} would not be more",
                                                              request.name, grown.existing, request.count));
  }
  const auto added = static_cast<std::size_t>(request.count - grown.existing);
  const Partition& model = *topic->partitions.first();
  const std::size_t factor = model.replicas.size() - model.adding.size();  // its own, if it is reassigned just now
  if (added > budget) {
    return too_many_partitions();
  }
  if (!request.assignments.has_value()) {
    if (ItemResult result = check_replication_factor(image, static_cast<std::int16_t>(factor)); !result.ok()) {
      return result;
    }
    grown.added = place_replicas(image, added, factor, random);
    return {};
  }
  if (request.assignments->size() != added) {
    return refused(
        ErrorCode::kInvalidReplicaAssignment,
        fmt::format("replicas are assigned to {} partitions; {} are new", request.assignments->size(), added));
  }
  std::vector<TopicRequest::Assignment> assignments;
  for (const std::vector<NodeId>& replicas : *request.assignments) {
    assignments.push_back({.partition = static_cast<std::int32_t>(assignments.size()), .replicas = replicas});
  }
  if (assignments.front().replicas.size() != factor) {
    return refused(ErrorCode::kInvalidReplicaAssignment,
                   fmt::format("topic '{}' has {} replicas of each partition", request.name, factor));
  }
  return adopt_assignments(image, assignments, grown.added);
}

}  // namespace

Plan<CreatePartitions> plan_create_partitions(const Image& image, const std::vector<PartitionsRequest>& topics,
                                              Random& random) {
  Plan<CreatePartitions> plan;
  std::size_t budget = kPartitionsMax;
  const auto counts =
      occurrences(topics, [](const PartitionsRequest& topic) -> const std::string& { return topic.name; });
  for (std::size_t i = 0; i < topics.size(); ++i) {
    CreatePartitions::Topic grown;
    ItemResult result =
        counts.at(topics[i].name) > 1
            ? refused(ErrorCode::kInvalidRequest, fmt::format("topic '{}' is named twice", topics[i].name))
            : plan_growth(image, topics[i], budget, random, grown);
    if (result.ok()) {
      budget -= grown.added.size();
      plan.command.topics.push_back(std::move(grown));
      plan.origin.push_back(i);
    }
    plan.items.push_back(std::move(result));
  }
  return plan;
}

}  // namespace chronik::cluster
