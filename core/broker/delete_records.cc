// DeleteRecords: moves the start of a log up, durably. The segments below it go with the next round of retention.
#include <algorithm>
#include <vector>

#include "core/broker/answering.h"
#include "core/broker/forward_parts.h"
#include "core/fiber/scope.h"
#include "core/protocol/messages/delete_records.h"

namespace chronik::broker {

using protocol::DeleteRecordsPartition;
using protocol::DeleteRecordsPartitionResult;
using protocol::DeleteRecordsRequest;
using protocol::DeleteRecordsResponse;
using protocol::ErrorCode;

namespace {

// So many partitions at a time: side by side they share the write-ahead log's syncs.
constexpr std::size_t kDeletersMax = 16;

struct Deletion {
  const std::string& topic;
  const DeleteRecordsPartition& asked;
  DeleteRecordsPartitionResult& answer;
};

ErrorCode error_of_deletion(const Status& status) {
  if (status.ok()) {
    return ErrorCode::kNone;
  }
  return absl::IsDeadlineExceeded(status) ? ErrorCode::kRequestTimedOut : ErrorCode::kNotLeaderOrFollower;
}

// How long the node's own log is waited for, and how long the others that have to know.
struct Patience {
  Deadline log;
  Deadline replicas;
};

// As with Kafka, a client that gives no time gets an answer where the leader alone decides.
Patience patience_of(Broker& broker, std::int32_t timeout_ms) {
  const Deadline deadline = deadline_of(broker, timeout_ms);
  return {.log = timeout_ms > 0 ? deadline : deadline_of(broker), .replicas = deadline};
}

void delete_records_of(Broker& broker, const Deletion& deletion, const Patience& patience) {
  DeleteRecordsPartitionResult& answer = deletion.answer;
  Ref<replication::Partition> partition;
  answer.error_code = broker.find_partition(deletion.topic, deletion.asked.partition_index, partition);
  if (answer.error_code == ErrorCode::kNone) {
    answer.error_code = partition->check_leadership(LeaderEpoch::none());
  }
  if (answer.error_code != ErrorCode::kNone) {
    return;
  }
  const HostedTopic* hosted = broker.table().find(deletion.topic);
  if (hosted != nullptr && !hosted->settings.deletes) {
    answer.error_code = ErrorCode::kPolicyViolation;  // as Kafka: it would take the last record of a key
    return;
  }
  const Offset to = deletion.asked.offset == Offset::none() ? partition->high_watermark() : deletion.asked.offset;
  if (to < Offset(0) || to > partition->high_watermark()) {
    answer.error_code = ErrorCode::kOffsetOutOfRange;
    return;
  }
  Status deleted = partition->log().advance_log_start(to, patience.log);
  if (deleted.ok()) {
    // Rule R16: or a fail-over would bring them back.
    partition->tell_log_start();
    deleted = partition->await_log_start(to, patience.replicas);
  }
  answer.error_code = error_of_deletion(deleted);
  if (answer.error_code == ErrorCode::kNone) {
    answer.low_watermark = partition->log().log_start();
  }
}

void delete_records(Broker& broker, Request& request, const DeleteRecordsRequest& asked) {
  DeleteRecordsResponse response;
  response.topics.resize(asked.topics.size());
  std::vector<Deletion> deletions;
  for (std::size_t t = 0; t < asked.topics.size(); ++t) {
    const protocol::DeleteRecordsTopic& topic = asked.topics[t];
    auto& answers = response.topics[t];
    answers.name = topic.name;
    answers.partitions.resize(topic.partitions.size());
    for (std::size_t p = 0; p < topic.partitions.size(); ++p) {
      answers.partitions[p].partition_index = topic.partitions[p].partition_index;
      deletions.push_back({.topic = topic.name, .asked = topic.partitions[p], .answer = answers.partitions[p]});
    }
  }
  const Patience patience = patience_of(broker, asked.timeout_ms);
  auto elsewhere = forward_by_name<DeleteRecordsResponse>(broker, request, asked);
  std::size_t next = 0;
  fiber::FiberScope deleters;
  for (std::size_t i = 0; i < std::min(deletions.size(), kDeletersMax); ++i) {
    deleters.spawn({"deleter", i}, [&] {
      while (next < deletions.size()) {
        delete_records_of(broker, deletions[next++], patience);
      }
    });
  }
  // Each of them ends by the deadline; this waits longer, and fails only where the connection or the node ends.
  if (!deleters.join(fiber::within(broker.limits().request * 2, Expiry::kPeer)).ok()) {
    deleters.cancel_and_join();
    return request.answer.close("the connection ends");
  }
  elsewhere.gather_all(broker, response, patience.replicas, Duration::milliseconds(std::max(asked.timeout_ms, 0)));
  request.reply(response);
}

}  // namespace

void handle_delete_records(Broker& broker, Request&& request) {
  decode_and_answer<DeleteRecordsRequest, &delete_records>("delete-records", broker, std::move(request));
}

}  // namespace chronik::broker
