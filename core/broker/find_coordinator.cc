// FindCoordinator: which broker coordinates a group. Whoever asks first has the topic of the groups made.
#include "core/protocol/messages/find_coordinator.h"

#include <algorithm>

#include "core/broker/answering.h"
#include "core/broker/proposing.h"
#include "core/group/groups.h"

namespace chronik::broker {

using protocol::CoordinatorType;
using protocol::ErrorCode;
using protocol::FindCoordinatorRequest;
using protocol::FindCoordinatorResponse;
using protocol::FindCoordinatorResult;

namespace {

// With as many replicas as there are brokers for, at most as many as are configured: a node alone has groups, too.
cluster::ItemResult make_groups_topic(Broker& broker, const Deadline& deadline) {
  const cluster::GroupTopicSettings settings = broker.group_topic_settings();
  // Those that are away count as well: it waits for them rather than to have fewer replicas for good.
  std::int16_t known = 0;
  broker.metadata().image()->brokers.for_each(
      [&known](const cluster::Broker& /*one*/) { known = static_cast<std::int16_t>(known + 1); });
  cluster::TopicRequest request;
  request.name = std::string(group::kGroupsTopic);
  request.partitions = settings.partitions;
  request.replication_factor = std::max<std::int16_t>(std::min(settings.replication_factor, known), 1);
  // Its records are the groups: of each the last word counts, and none grows too old.
  request.configs = {{.name = "cleanup.policy", .value = "compact"},
                     {.name = "segment.bytes", .value = fmt::format("{}", settings.segment_bytes)}};
  const std::vector<cluster::TopicRequest> wanted{std::move(request)};
  return place(broker, wanted, /*validate_only=*/false, deadline,
               [&broker](const cluster::Image& now, const auto& due) {
                 return cluster::plan_create_topics(now, broker.settings(), due, broker.ports().random);
               })
      .front();
}

// None, or why there is no answer yet. A node that forwards names itself, and takes what comes to who coordinates.
std::optional<std::string> find_leader(Broker& broker, const cluster::Image& image, const std::string& group,
                                       FindCoordinatorResult& answer) {
  const cluster::Topic* topic = image.find_topic(group::kGroupsTopic);
  if (topic == nullptr) {
    return "the topic of the groups is not there yet";
  }
  const PartitionId index = group::partition_of(group, static_cast<std::int32_t>(topic->partitions.size()));
  const cluster::Partition* partition = topic->partitions.find(index);
  const bool led = partition != nullptr && partition->leader != NodeId::none();
  const cluster::Broker* leader =
      led ? image.find_broker(broker.forwarding() == nullptr ? partition->leader : broker.self()) : nullptr;
  if (leader == nullptr || leader->endpoints.empty()) {
    return fmt::format("nobody leads partition {} of {}", index.value(), group::kGroupsTopic);
  }
  answer.node_id = leader->node;
  answer.host = leader->endpoints.front().host;
  answer.port = leader->endpoints.front().port;
  return std::nullopt;
}

void answer_find_coordinator(Broker& broker, Request& request, const FindCoordinatorRequest& asked) {
  const bool groups = asked.key_type == CoordinatorType::kGroup;
  cluster::ItemResult made;
  if (groups && broker.metadata().image()->find_topic(group::kGroupsTopic) == nullptr) {
    made = make_groups_topic(broker, deadline_of(broker));
  }
  const cluster::ImageRef image = broker.metadata().image();
  FindCoordinatorResponse response;
  for (const std::string& key : asked.coordinator_keys) {
    FindCoordinatorResult& answer = response.coordinators.emplace_back();
    answer.key = key;
    answer.node_id = NodeId::none();
    answer.port = -1;
    if (asked.key_type == CoordinatorType::kTransaction) {
      answer.error_code = ErrorCode::kCoordinatorNotAvailable;
      answer.error_message = "transactions are not supported by this broker";
    } else if (!groups) {
      answer.error_code = ErrorCode::kInvalidRequest;
      answer.error_message = fmt::format("there is no coordinator of type {}", static_cast<int>(asked.key_type));
    } else if (std::optional<std::string> missing = find_leader(broker, *image, key, answer); missing.has_value()) {
      answer.error_code = ErrorCode::kCoordinatorNotAvailable;
      answer.error_message = made.ok() ? std::move(missing) : made.message;
    }
  }
  request.reply(response);
}

}  // namespace

void handle_find_coordinator(Broker& broker, Request&& request) {
  decode_and_answer<FindCoordinatorRequest, &answer_find_coordinator>("find-coordinator", broker, std::move(request));
}

}  // namespace chronik::broker
