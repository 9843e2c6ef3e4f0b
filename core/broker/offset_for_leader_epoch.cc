// OffsetForLeaderEpoch: where an epoch of a partition ended (KIP-101, KIP-320).
#include "core/protocol/messages/offset_for_leader_epoch.h"
#include "core/broker/answering.h"
#include "core/broker/forward_parts.h"

namespace chronik::broker {

using protocol::ErrorCode;
using protocol::OffsetForLeaderEpochRequest;
using protocol::OffsetForLeaderEpochResponse;

namespace {

void find_end_of_epoch(Broker& broker, const std::string& topic, const protocol::OffsetForLeaderPartition& asked,
                       protocol::OffsetForLeaderPartitionResult& answer) {
  answer.partition = asked.partition;
  Ref<replication::Partition> partition;
  answer.error_code = broker.find_partition(topic, asked.partition, partition);
  if (answer.error_code == ErrorCode::kNone) {
    answer.error_code = partition->check_leadership(asked.current_leader_epoch);
  }
  // An epoch that is still to come has no end.
  if (answer.error_code != ErrorCode::kNone || asked.leader_epoch > partition->epoch()) {
    return;
  }
  const log::PartitionLog& log = partition->log();
  if (asked.leader_epoch == partition->epoch()) {
    // Also where nothing was appended in it yet, and so the log does not know it.
    answer.leader_epoch = asked.leader_epoch;
    answer.end_offset = log.log_end();
    return;
  }
  const log::EpochEnd end = log.end_of_epoch(asked.leader_epoch);
  answer.leader_epoch = end.epoch;
  answer.end_offset = end.end;
}

void offset_for_leader_epoch(Broker& broker, Request& request, const OffsetForLeaderEpochRequest& asked) {
  OffsetForLeaderEpochResponse response;
  auto elsewhere = forward_by_name<OffsetForLeaderEpochResponse>(broker, request, asked);
  for (const protocol::OffsetForLeaderTopic& topic : asked.topics) {
    auto& answers = response.topics.emplace_back();
    answers.topic = topic.topic;
    for (const protocol::OffsetForLeaderPartition& partition : topic.partitions) {
      find_end_of_epoch(broker, topic.topic, partition, answers.partitions.emplace_back());
    }
  }
  elsewhere.gather_all(broker, response, deadline_of(broker));
  request.reply(response);
}

}  // namespace

void handle_offset_for_leader_epoch(Broker& broker, Request&& request) {
  decode_and_answer<OffsetForLeaderEpochRequest, &offset_for_leader_epoch>("offset-for-leader-epoch", broker,
                                                                           std::move(request));
}

}  // namespace chronik::broker
