// The controller's plan for changes of configuration.

#include <absl/container/btree_map.h>
#include <absl/container/btree_set.h>
#include <fmt/core.h>

#include <algorithm>
#include <limits>

#include "core/cluster/config_values.h"
#include "core/cluster/controller.h"
#include "core/cluster/topic_names.h"

namespace chronik::cluster {

namespace {

// What a resource's name means, and what it has now.
struct Target {
  AlterConfigs::Resource resource;
  const ConfigMap* now = nullptr;  // null: no overrides
  bool of_topic = false;
};

ItemResult find_broker_target(const Image& image, const std::string& name, Target& target) {
  NodeId node = NodeId::none();
  if (!name.empty()) {
    const std::optional<std::int64_t> number = parse_number(name);
    if (!number.has_value() || *number < 0 || *number > std::numeric_limits<std::int32_t>::max()) {
      return refused(ErrorCode::kInvalidRequest, fmt::format("'{}' is no broker id", name));
    }
    node = NodeId(static_cast<std::int32_t>(*number));
    if (image.find_broker(node) == nullptr) {
      return refused(ErrorCode::kInvalidRequest, fmt::format("there is no broker {}", node));
    }
  }
  target.resource.of = node;
  target.now = image.configs_of_broker(node);
  return {};
}

ItemResult find_target(const Image& image, const ConfigRequest& request, Target& target) {
  if (request.type == ResourceType::kBroker) {
    return find_broker_target(image, request.name, target);
  }
  if (request.type != ResourceType::kTopic) {
    return refused(ErrorCode::kInvalidRequest,
                   fmt::format("resources of type {} have no configuration here", static_cast<int>(request.type)));
  }
  if (request.name.empty()) {
    return refused(ErrorCode::kInvalidRequest, "there are no settings of all topics together");
  }
  const Topic* topic = image.find_topic(request.name);
  if (std::string problem = topic_name_problem(request.name); topic == nullptr && !problem.empty()) {
    return refused(ErrorCode::kInvalidTopicException, std::move(problem));
  }
  if (topic == nullptr) {
    return refused(ErrorCode::kUnknownTopicOrPartition, fmt::format("there is no topic '{}'", request.name));
  }
  target.resource.of = topic->id;
  target.now = &topic->configs;
  target.of_topic = true;
  return {};
}

// A list with elements added or taken away; it begins as the override, or else as the default.
std::string edited_list(const ConfigDef& def, const Target& target, const ConfigRequest::Change& change) {
  std::string now(def.default_value.value_or(""));
  if (target.now != nullptr) {
    if (const auto found = target.now->find(change.name); found != target.now->end()) {
      now = found->second;
    }
  }
  std::vector<std::string> elements = parse_list(now);
  for (const std::string& element : parse_list(*change.value)) {
    const auto found = std::find(elements.begin(), elements.end(), element);
    if (change.operation == ConfigOperation::kAppend && found == elements.end()) {
      elements.push_back(element);
    } else if (change.operation == ConfigOperation::kSubtract && found != elements.end()) {
      elements.erase(found);
    }
  }
  return format_list(elements);
}

ItemResult plan_change(const ConfigRequest::Change& change, Target& target) {
  const ConfigDef* def = target.of_topic ? find_topic_config(change.name) : find_broker_config(change.name);
  if (def == nullptr && change.operation == ConfigOperation::kDelete) {
    return {};  // what does not exist is not set
  }
  if (def == nullptr) {
    return refused(ErrorCode::kInvalidConfig,
                   fmt::format("there is no {} setting '{}'", target.of_topic ? "topic" : "broker", change.name));
  }
  if (change.operation == ConfigOperation::kDelete) {
    target.resource.changes.push_back({.name = change.name, .value = std::nullopt});
    return {};
  }
  if (!change.value.has_value()) {
    return refused(ErrorCode::kInvalidRequest, fmt::format("'{}' has no value", change.name));
  }
  std::string value = *change.value;
  if (change.operation == ConfigOperation::kAppend || change.operation == ConfigOperation::kSubtract) {
    if (def->type != ConfigType::kList) {
      return refused(ErrorCode::kInvalidConfig, fmt::format("'{}' is not a list", change.name));
    }
    value = edited_list(*def, target, change);
  } else if (change.operation != ConfigOperation::kSet) {
    return refused(ErrorCode::kInvalidRequest,
                   fmt::format("operation {} is unknown", static_cast<int>(change.operation)));
  }
  const Status status =
      target.of_topic ? check_topic_config(change.name, value) : check_dynamic_broker_config(change.name, value);
  if (!status.ok()) {
    return refused(target.of_topic ? ErrorCode::kInvalidConfig : ErrorCode::kInvalidRequest,
                   std::string(status.message()));
  }
  target.resource.changes.push_back({.name = change.name, .value = std::move(value)});
  return {};
}

ItemResult plan_resource(const Image& image, const ConfigRequest& request, Target& target) {
  if (ItemResult result = find_target(image, request, target); !result.ok()) {
    return result;
  }
  absl::btree_set<std::string_view> named;
  for (const ConfigRequest::Change& change : request.changes) {
    if (!named.insert(change.name).second) {
      return refused(ErrorCode::kInvalidRequest, fmt::format("'{}' is named twice", change.name));
    }
    if (ItemResult result = plan_change(change, target); !result.ok()) {
      return result;
    }
  }
  if (request.replace && target.now != nullptr) {
    for (const auto& [name, value] : *target.now) {
      if (!named.contains(name)) {
        target.resource.changes.push_back({.name = name, .value = std::nullopt});
      }
    }
  }
  return {};
}

}  // namespace

Plan<AlterConfigs> plan_alter_configs(const Image& image, const std::vector<ConfigRequest>& resources) {
  Plan<AlterConfigs> plan;
  absl::btree_map<std::pair<ResourceType, std::string_view>, int> counts;
  for (const ConfigRequest& request : resources) {
    ++counts[{request.type, request.name}];
  }
  for (std::size_t i = 0; i < resources.size(); ++i) {
    Target target;
    ItemResult result = counts.at({resources[i].type, resources[i].name}) > 1
                            ? refused(ErrorCode::kInvalidRequest, "a resource is named twice")
                            : plan_resource(image, resources[i], target);
    if (result.ok()) {
      plan.command.resources.push_back(std::move(target.resource));
      plan.origin.push_back(i);
    }
    plan.items.push_back(std::move(result));
  }
  return plan;
}

}  // namespace chronik::cluster
