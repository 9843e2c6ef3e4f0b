// DescribeConfigs, AlterConfigs, IncrementalAlterConfigs.
#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/broker/answer_room.h"
#include "core/broker/answering.h"
#include "core/broker/proposing.h"
#include "core/cluster/config_values.h"
#include "core/protocol/messages/alter_configs.h"
#include "core/protocol/messages/describe_configs.h"
#include "core/protocol/messages/incremental_alter_configs.h"

namespace chronik::broker {

using protocol::ErrorCode;

namespace {

// ---- describing ----

// One resource of a DescribeConfigs, on its way to an answer.
struct ConfigDescription {
  const protocol::DescribeConfigsRequest& request;
  const protocol::DescribeConfigsResource& asked;
  protocol::DescribeConfigsResult& answer;

  bool wants(std::string_view name) const {
    const auto& keys = asked.configuration_keys;
    return !keys.has_value() || keys->empty() || std::find(keys->begin(), keys->end(), name) != keys->end();
  }
  void refuse(ErrorCode error, std::string why) const {
    answer.error_code = error;
    answer.error_message = std::move(why);
  }
};

void describe_setting(const ConfigDescription& to, const cluster::ConfigDef& def, const cluster::ConfigLayers& layers,
                      bool read_only) {
  if (!to.wants(def.name)) {
    return;
  }
  const std::vector<cluster::ConfigEntry> entries = cluster::config_entries(def, layers);
  auto& described = to.answer.configs.emplace_back();
  described.name = std::string(def.name);
  described.read_only = read_only;
  described.config_source =
      static_cast<std::int8_t>(entries.empty() ? cluster::ConfigSource::kDefault : entries.front().source);
  if (!entries.empty()) {
    described.value = cluster::scaled_config_value(entries.front().value, entries.front().factor);
  }
  described.config_type = static_cast<std::int8_t>(def.type);
  if (to.request.include_documentation) {
    described.documentation = std::string(def.documentation);
  }
  if (to.request.include_synonyms) {
    for (const cluster::ConfigEntry& entry : entries) {
      described.synonyms.push_back(
          {.name = std::string(entry.name), .value = entry.value, .source = static_cast<std::int8_t>(entry.source)});
    }
  }
}

// Who and where a broker is. Tools look for it among a broker's settings; none of it is a setting here.
struct BrokerFact {
  std::string_view name;
  cluster::ConfigType type = cluster::ConfigType::kString;
  std::string value;
  std::string_view documentation;
};

std::vector<BrokerFact> facts_of(Broker& broker, const cluster::Image& image) {
  using enum cluster::ConfigType;
  std::string advertised;
  std::string protocols;
  std::string listeners;
  if (const cluster::Broker* self = image.find_broker(broker.self()); self != nullptr) {
    for (const cluster::Endpoint& endpoint : self->endpoints) {
      const char* const comma = advertised.empty() ? "" : ",";
      const bool bare_ipv6 = endpoint.host.find(':') != std::string::npos;
      advertised += fmt::format("{}{}://{}{}{}:{}", comma, endpoint.listener, bare_ipv6 ? "[" : "", endpoint.host,
                                bare_ipv6 ? "]" : "", endpoint.port);
      listeners += fmt::format("{}{}://{}", comma, endpoint.listener, broker.bound().to_string());
      protocols += fmt::format("{}{}:PLAINTEXT", comma, endpoint.listener);
    }
  }
  const std::string node = fmt::format("{}", broker.self());
  return {
      {.name = "advertised.listeners",
       .type = kList,
       .value = std::move(advertised),
       .documentation = "What clients are told to connect to."},
      {.name = "broker.id", .type = kInt, .value = node, .documentation = "This node's number."},
      {.name = "listener.security.protocol.map",
       .type = kString,
       .value = std::move(protocols),
       .documentation = "How connections of each listener are secured."},
      {.name = "listeners",
       .type = kList,
       .value = std::move(listeners),
       .documentation = "The address that this broker has bound for clients."},
      {.name = "log.dirs", .type = kString, .value = broker.log_directory(), .documentation = "Where the logs are."},
      {.name = "node.id", .type = kInt, .value = node, .documentation = "This node's number."},
      {.name = "process.roles",
       .type = kList,
       .value = "broker,controller",
       .documentation = "Each node serves clients and has a part in the metadata."}};
}

void describe_facts(const ConfigDescription& to, std::vector<BrokerFact> facts) {
  for (BrokerFact& fact : facts) {
    if (to.wants(fact.name)) {
      auto& described = to.answer.configs.emplace_back();
      described.name = std::string(fact.name);
      described.value = std::move(fact.value);
      described.read_only = true;
      described.config_source = static_cast<std::int8_t>(cluster::ConfigSource::kFile);
      described.config_type = static_cast<std::int8_t>(fact.type);
      if (to.request.include_documentation) {
        described.documentation = std::string(fact.documentation);
      }
      if (to.request.include_synonyms) {
        described.synonyms.push_back(
            {.name = described.name, .value = described.value, .source = described.config_source});
      }
    }
  }
}

void describe_topic_configs(Broker& broker, const cluster::Image& image, const ConfigDescription& to) {
  const cluster::Topic* topic = image.find_topic(to.asked.resource_name);
  if (topic == nullptr) {
    const std::string problem = cluster::topic_name_problem(to.asked.resource_name);
    return problem.empty() ? to.refuse(ErrorCode::kUnknownTopicOrPartition, "there is no such topic")
                           : to.refuse(ErrorCode::kInvalidTopicException, problem);
  }
  const cluster::ConfigLayers layers = cluster::topic_layers(image, broker.self(), broker.file(), *topic);
  for (const cluster::ConfigDef& def : cluster::topic_configs()) {
    describe_setting(to, def, layers, false);
  }
}

// A broker knows its own configuration file alone, so each is asked about itself. The empty name means all brokers:
// what is set for all of them together.
void describe_broker_configs(Broker& broker, const cluster::Image& image, const ConfigDescription& to) {
  if (to.asked.resource_name.empty()) {
    const cluster::ConfigMap* set = image.configs_of_all_brokers();
    const cluster::ConfigLayers layers{.all_brokers = set};
    for (const cluster::ConfigDef& def : cluster::broker_configs()) {
      if (set != nullptr && set->contains(def.name)) {
        describe_setting(to, def, layers, !def.dynamic);
      }
    }
    return;
  }
  if (cluster::parse_number(to.asked.resource_name) != broker.self().value()) {
    return to.refuse(ErrorCode::kInvalidRequest, fmt::format("this is broker {}: it cannot describe broker '{}'",
                                                             broker.self(), to.asked.resource_name));
  }
  const cluster::ConfigLayers layers = cluster::broker_layers(image, broker.self(), broker.file());
  for (const cluster::ConfigDef& def : cluster::broker_configs()) {
    describe_setting(to, def, layers, !def.dynamic);
  }
  describe_facts(to, facts_of(broker, image));
}

void describe_configs(Broker& broker, Request& request, const protocol::DescribeConfigsRequest& asked) {
  const cluster::ImageRef image = broker.metadata().image();
  protocol::DescribeConfigsResponse response;
  AnswerRoom<protocol::DescribeConfigsResponse> room(request);
  for (const protocol::DescribeConfigsResource& resource : asked.resources) {
    auto& answer = response.results.emplace_back();
    answer.resource_type = resource.resource_type;
    answer.resource_name = resource.resource_name;
    const ConfigDescription to{.request = asked, .asked = resource, .answer = answer};
    switch (static_cast<cluster::ResourceType>(resource.resource_type)) {
      case cluster::ResourceType::kTopic: describe_topic_configs(broker, *image, to); break;
      case cluster::ResourceType::kBroker: describe_broker_configs(broker, *image, to); break;
      default:
        to.refuse(ErrorCode::kInvalidRequest,
                  fmt::format("resources of type {} have no configuration here", resource.resource_type));
    }
    if (!room.take(&protocol::DescribeConfigsResponse::results, answer)) {
      return room.refuse(request);
    }
  }
  request.reply(response);
}

// ---- altering ----

// Both requests, which differ in what a change may say.
template <typename Response>
void alter(Broker& broker, Request& request, const std::vector<cluster::ConfigRequest>& resources, bool validate_only) {
  const Deadline deadline = deadline_of(broker);
  auto plan = plan_change(broker, deadline,
                          [&](const cluster::Image& now) { return cluster::plan_alter_configs(now, resources); });
  if (!validate_only) {
    carry_out(broker, plan, deadline);
  }
  Response response;
  for (std::size_t i = 0; i < resources.size(); ++i) {
    auto& answer = response.responses.emplace_back();
    answer.resource_type = static_cast<std::int8_t>(resources[i].type);
    answer.resource_name = resources[i].name;
    answer.error_code = plan.items[i].error;
    answer.error_message = message_of(plan.items[i]);
  }
  request.reply(response);
}

void alter_configs(Broker& broker, Request& request, const protocol::AlterConfigsRequest& asked) {
  std::vector<cluster::ConfigRequest> resources;
  for (const protocol::AlterConfigsResource& resource : asked.resources) {
    auto& wanted = resources.emplace_back(
        cluster::ConfigRequest{.type = static_cast<cluster::ResourceType>(resource.resource_type),
                               .name = resource.resource_name,
                               .changes = {},
                               .replace = true});
    for (const protocol::AlterConfigsEntry& entry : resource.configs) {
      wanted.changes.push_back({.name = entry.name, .operation = cluster::ConfigOperation::kSet, .value = entry.value});
    }
  }
  alter<protocol::AlterConfigsResponse>(broker, request, resources, asked.validate_only);
}

void incremental_alter_configs(Broker& broker, Request& request,
                               const protocol::IncrementalAlterConfigsRequest& asked) {
  std::vector<cluster::ConfigRequest> resources;
  for (const protocol::IncrementalAlterConfigsResource& resource : asked.resources) {
    auto& wanted = resources.emplace_back(
        cluster::ConfigRequest{.type = static_cast<cluster::ResourceType>(resource.resource_type),
                               .name = resource.resource_name,
                               .changes = {}});
    for (const protocol::IncrementalAlterConfigsEntry& entry : resource.configs) {
      wanted.changes.push_back({.name = entry.name,
                                .operation = static_cast<cluster::ConfigOperation>(entry.config_operation),
                                .value = entry.value});
    }
  }
  alter<protocol::IncrementalAlterConfigsResponse>(broker, request, resources, asked.validate_only);
}

}  // namespace

void handle_describe_configs(Broker& broker, Request&& request) {
  decode_and_answer<protocol::DescribeConfigsRequest, &describe_configs>("describe-configs", broker,
                                                                         std::move(request));
}

void handle_alter_configs(Broker& broker, Request&& request) {
  decode_and_answer<protocol::AlterConfigsRequest, &alter_configs>("alter-configs", broker, std::move(request));
}

void handle_incremental_alter_configs(Broker& broker, Request&& request) {
  decode_and_answer<protocol::IncrementalAlterConfigsRequest, &incremental_alter_configs>("incremental-alter-configs",
                                                                                          broker, std::move(request));
}

}  // namespace chronik::broker
