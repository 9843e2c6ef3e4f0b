// ListConfigResources: what DescribeConfigs can be asked about, topics and brokers. Kafka's other kinds (loggers,
// client metrics, groups) have no configuration here, so there are none of them.
#include "core/protocol/messages/list_config_resources.h"
#include "core/broker/answering.h"

namespace chronik::broker {

using protocol::ErrorCode;
using protocol::ListConfigResourcesRequest;
using protocol::ListConfigResourcesResponse;

namespace {

constexpr std::int8_t kTopicResource = 2;
constexpr std::int8_t kBrokerResource = 4;
constexpr std::int8_t kLoggerResource = 8;
constexpr std::int8_t kClientMetricsResource = 16;
constexpr std::int8_t kGroupResource = 32;
constexpr std::int16_t kFirstWithTypes = 1;  // before it, client metrics alone are asked for

bool known_resource(std::int8_t type) {
  return type == kTopicResource || type == kBrokerResource || type == kLoggerResource ||
         type == kClientMetricsResource || type == kGroupResource;
}

void list_config_resources(Broker& broker, Request& request, const ListConfigResourcesRequest& asked) {
  const std::vector<std::int8_t>& types = asked.resource_types;
  ListConfigResourcesResponse response;
  if (!std::all_of(types.begin(), types.end(), &known_resource)) {
    response.error_code = ErrorCode::kUnsupportedVersion;
    return request.reply(response);
  }
  const auto wanted = [&](std::int8_t type) {
    return request.header.version >= kFirstWithTypes &&
           (types.empty() || std::find(types.begin(), types.end(), type) != types.end());
  };
  const cluster::ImageRef image = broker.metadata().image();
  if (wanted(kTopicResource)) {
    image->topics.for_each([&](const cluster::TopicRef& topic) {
      response.config_resources.push_back({.resource_name = topic->name, .resource_type = kTopicResource});
    });
  }
  if (wanted(kBrokerResource)) {
    image->brokers.for_each([&](const cluster::Broker& of) {
      response.config_resources.push_back(
          {.resource_name = fmt::format("{}", of.node), .resource_type = kBrokerResource});
    });
  }
  request.reply(response);
}

}  // namespace

void handle_list_config_resources(Broker& broker, Request&& request) {
  decode_and_answer<ListConfigResourcesRequest, &list_config_resources>("list-config-resources", broker,
                                                                        std::move(request));
}

}  // namespace chronik::broker
