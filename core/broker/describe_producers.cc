// DescribeProducers: whom with an id a partition remembers. Any replica answers from its own log.
#include "core/protocol/messages/describe_producers.h"
#include "core/broker/answer_room.h"
#include "core/broker/answering.h"
#include "core/broker/forward_parts.h"
#include "core/broker/named_once.h"
#include "core/cluster/topic_names.h"

namespace chronik::broker {

using protocol::DescribeProducersRequest;
using protocol::DescribeProducersResponse;
using protocol::ErrorCode;

namespace {

constexpr std::int32_t kNoCoordinator = -1;

void describe_partition(Broker& broker, const std::string& topic, PartitionId index,
                        protocol::DescribeProducersPartitionResponse& answer) {
  answer.partition_index = index;
  Ref<replication::Partition> partition;
  answer.error_code = broker.find_partition(topic, index, partition);
  if (std::string problem = cluster::topic_name_problem(topic); !problem.empty()) {
    answer.error_code = ErrorCode::kInvalidTopicException;
    answer.error_message = std::move(problem);
  } else if (broker.metadata().image()->find_topic(topic) == nullptr) {
    answer.error_message = "there is no such topic";
  }
  if (answer.error_code != ErrorCode::kNone) {
    return;
  }
  for (const auto& [id, producer] : partition->log().producers().producers()) {
    auto& described = answer.active_producers.emplace_back();
    described.producer_id = id;
    described.producer_epoch = producer.epoch.value();
    described.last_sequence = producer.count == 0 ? -1 : producer.batches[producer.count - 1].last_sequence;
    described.last_timestamp = producer.last_seen.milliseconds();
    described.coordinator_epoch = kNoCoordinator;
  }
}

void describe_producers(Broker& broker, Request& request, DescribeProducersRequest asked) {
  name_each_once(asked.topics);
  AnswerRoom<DescribeProducersResponse> room(request);
  DescribeProducersResponse response;
  auto elsewhere = forward_by_name<DescribeProducersResponse>(broker, request, asked);
  for (const protocol::DescribeProducersTopicRequest& topic : asked.topics) {
    auto& answers = response.topics.emplace_back();
    answers.name = topic.name;
    for (const PartitionId index : topic.partition_indexes) {
      auto& answer = answers.partitions.emplace_back();
      describe_partition(broker, topic.name, index, answer);
      if (!room.take(sizeof answer + answer.active_producers.size() * sizeof answer.active_producers[0])) {
        return room.refuse(request);
      }
    }
  }
  elsewhere.gather_all(broker, response, deadline_of(broker));
  request.reply(response);
}

}  // namespace

void handle_describe_producers(Broker& broker, Request&& request) {
  decode_and_answer<DescribeProducersRequest, &describe_producers>("describe-producers", broker, std::move(request));
}

}  // namespace chronik::broker
