#include "core/broker/replica_fetch.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

#include "core/base/sim_point.h"
#include "core/broker/connection.h"
#include "core/log/batch_at.h"
#include "core/protocol/record_batch.h"

namespace chronik::broker {

using protocol::ErrorCode;
using protocol::FetchPartitionResponse;
using protocol::FetchRequest;
using protocol::FetchResponse;
using replication::ReplicaSession;

namespace {

struct ReplicaFetch {
  Broker& broker;
  Request request;
  FetchRequest asked;
  Ref<ReplicaSession> session;
  std::uint64_t number = 0;
  FetchResponse response = {};
  std::size_t bytes_max = 0;
  std::size_t bytes = 0;
};

FetchPartitionResponse& answer_for(FetchResponse& response, const log::LogKey& key) {
  if (response.responses.empty() || response.responses.back().topic_id != key.topic) {
    response.responses.emplace_back().topic_id = key.topic;
  }
  FetchPartitionResponse& answer = response.responses.back().partitions.emplace_back();
  answer.partition_index = key.partition;
  return answer;
}

// Positions and forgotten partitions of the request go to the session.
void tell_session(ReplicaFetch& work) {
  for (const protocol::FetchForgottenTopic& topic : work.asked.forgotten_topics_data) {
    for (const PartitionId partition : topic.partitions) {
      work.session->forget({topic.topic_id, partition});
    }
  }
  for (const protocol::FetchTopic& topic : work.asked.topics) {
    HostedTopic* hosted = work.broker.table().find(topic.topic_id);
    for (const protocol::FetchPartition& wanted : topic.partitions) {
      const auto at = static_cast<std::size_t>(wanted.partition.value());
      const bool there = hosted != nullptr && wanted.partition >= PartitionId(0) && at < hosted->partitions.size();
      if (!there || !hosted->partitions[at]) {
        // Perhaps the image here is older than the follower's: it asks again.
        answer_for(work.response, {topic.topic_id, wanted.partition}).error_code =
            hosted == nullptr ? ErrorCode::kUnknownTopicId : ErrorCode::kNotLeaderOrFollower;
        continue;
      }
      work.session->tell(hosted->partitions[at], {.leader_epoch = wanted.current_leader_epoch,
                                                  .fetch_offset = wanted.fetch_offset,
                                                  .last_fetched_epoch = wanted.last_fetched_epoch,
                                                  .durable_end = wanted.durable_end,
                                                  .log_start = wanted.log_start_offset,
                                                  .bytes_max = wanted.partition_max_bytes});
    }
  }
}

// Where the follower's log and this one part. What it had of an epoch that nobody here remembers ends where this
// begins.
protocol::FetchEpochEndOffset divergence(const log::PartitionLog& log, LeaderEpoch last) {
  const log::EpochEnd end = log.end_of_epoch(last);
  return end.epoch == LeaderEpoch::none() ? protocol::FetchEpochEndOffset{.epoch = last, .end_offset = log.log_end()}
                                          : protocol::FetchEpochEndOffset{.epoch = end.epoch, .end_offset = end.end};
}

void describe_positions(const replication::Partition& partition, FetchPartitionResponse& answer) {
  answer.high_watermark = partition.high_watermark();
  answer.last_stable_offset = partition.high_watermark();
  answer.log_start_offset = partition.log().log_start();
}

// A follower reads whole batches: the first one also where the log starts within it. Where there is nothing for it any
// more, `answer` says where it has to begin.
StatusOr<log::ReadResult> read_for_replica(log::PartitionLog& log, Offset from, const log::ReadLimits& limits,
                                           FetchPartitionResponse& answer, const Deadline& deadline) {
  if (from >= log.log_start()) {
    return log.read(from, limits, deadline);
  }
  const Offset base = log::base_of_batch_at(log, log.log_start(), deadline);
  if (from != base) {
    answer.log_start_offset = base;
    return absl::OutOfRangeError("below the log's start");
  }
  return log.read(log.log_start(), limits, deadline);
}

// What this entry has for the follower. `entry` may be gone afterwards. False: no room is left in the answer.
bool fill(ReplicaFetch& work, ReplicaSession::Entry& entry, const Deadline& deadline) {
  const Ref<replication::Partition> partition = entry.held();
  const replication::FetchPosition position = entry.position();
  log::PartitionLog& log = partition->log();
  if (work.bytes >= work.bytes_max) {
    work.session->give_later(log.key());
    return false;
  }
  const std::size_t left = work.bytes_max - work.bytes;
  const std::uint64_t since = entry.since();
  FetchPartitionResponse answer;
  answer.partition_index = log.key().partition;
  answer.error_code = partition->check_leadership(position.leader_epoch);
  if (answer.error_code == ErrorCode::kNone) {
    describe_positions(*partition, answer);
    const Offset from = entry.next();
    if (from == position.fetch_offset && !partition->agrees(position.last_fetched_epoch, from)) {
      answer.diverging_epoch = divergence(log, position.last_fetched_epoch);
    } else {
      entry.give_records();
      entry.told_positions(answer.high_watermark, answer.log_start_offset);
      // From here on `entry` may be gone.
      const log::ReadLimits limits{
          .max_bytes = std::min(left, static_cast<std::size_t>(std::max(position.bytes_max, 0))),
          .below = log.log_end(),
          .min_one_batch = work.bytes == 0};
      const MonotonicTime began = fiber::Scheduler::current().now();
      StatusOr<log::ReadResult> read = sim_fails("replica.before_read")
                                           ? StatusOr<log::ReadResult>(absl::UnavailableError("it cannot be read now"))
                                           : read_for_replica(log, from, limits, answer, deadline);
      work.broker.replication().sessions().note_read(fiber::Scheduler::current().now() - began);
      if (read.ok() && read->bytes == 0) {
        work.session->give_later(log.key());
        return false;
      }
      if (read.ok()) {
        work.bytes += read->bytes;
        work.session->gave_up_to(log.key(), from, read->end);
        answer.records = joined(std::move(read->parts), read->bytes);
        answer_for(work.response, log.key()) = std::move(answer);
        return true;
      }
      answer.error_code = read_error_of(read.status());
    }
  }
  work.session->gave_trouble(log.key(), since);
  answer_for(work.response, log.key()) = std::move(answer);
  return true;
}

void serve(ReplicaFetch& work) {
  Broker& broker = work.broker;
  const Duration wait = std::min(Duration::milliseconds(std::max(work.asked.max_wait_ms, 0)), broker.limits().request);
  const Deadline reading = fiber::within(wait + broker.limits().request, Expiry::kPeer);
  // From now on, not from when its turn comes: a follower that has asked twice waits for both from when it asked.
  const Deadline waiting = fiber::within(wait, Expiry::kNormal);
  Status status = work.session->enter(work.number, reading);
  if (status.ok()) {
    status = work.session->wait_for_news(work.number, waiting);
  }
  if (!status.ok()) {
    work.session->end(work.number);
    return work.request.answer.close("the connection ends");
  }
  sim_pause("replica.news");
  // Not out of the consumers' budget, who might starve replication; a few answers for each follower are a bound, too.
  for (ReplicaSession::Entry* entry = work.session->next_ready(work.number); entry != nullptr;
       entry = work.session->next_ready(work.number)) {
    if (!fill(work, *entry, reading)) {
      break;
    }
  }
  work.session->take_watermarks(work.number, [&work](ReplicaSession::Entry& entry) {
    describe_positions(entry.partition(), answer_for(work.response, entry.partition().log().key()));
    entry.told_positions(entry.partition().high_watermark(), entry.partition().log().log_start());
  });
  work.response.session_id = work.session->id();
  work.session->end(work.number);
  work.request.reply(work.response);
}

void refuse_fetch(Request& request, ErrorCode error) {
  FetchResponse response;
  response.error_code = error;
  request.reply(response);
}

}  // namespace

NodeId replica_of(const FetchRequest& asked, std::int16_t version) {
  return version >= 15 ? asked.replica_state.replica_id : asked.replica_id;
}

Slice joined(std::vector<Slice> parts, std::size_t bytes) {
  if (parts.size() == 1) {
    return std::move(parts.front());
  }
  Slice whole = Slice::allocate(bytes);
  std::size_t at = 0;
  for (const Slice& part : parts) {
    std::memcpy(whole.mutable_data() + at, part.data(), part.size());
    at += part.size();
  }
  return whole;
}

ErrorCode read_error_of(const Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOutOfRange: return ErrorCode::kOffsetOutOfRange;
    case absl::StatusCode::kDataLoss: return ErrorCode::kCorruptMessage;
    case absl::StatusCode::kAborted: return ErrorCode::kNotLeaderOrFollower;
    default: return ErrorCode::kKafkaStorageError;
  }
}

void handle_replica_fetch(Broker& broker, Request&& request, FetchRequest&& asked) {
  const NodeId node = replica_of(asked, request.header.version);
  const BrokerEpoch epoch = asked.replica_state.replica_epoch;
  const cluster::Broker* known = broker.metadata().image()->find_broker(node);
  // Of a newer one the image here has yet to learn: the follower asks again.
  if (known == nullptr || epoch != known->epoch) {
    return refuse_fetch(request, ErrorCode::kStaleBrokerEpoch);
  }
  replication::ReplicaSessions& sessions = broker.replication().sessions();
  Ref<ReplicaSession> session =
      asked.session_epoch == 0 ? sessions.open(node, epoch) : sessions.find(node, asked.session_id);
  if (!session || session->closed()) {
    return refuse_fetch(request, ErrorCode::kFetchSessionIdNotFound);
  }
  if (asked.session_epoch != 0 && asked.session_epoch != session->next_epoch()) {
    return refuse_fetch(request, ErrorCode::kInvalidFetchSessionEpoch);
  }
  auto work = std::make_unique<ReplicaFetch>(ReplicaFetch{
      .broker = broker, .request = std::move(request), .asked = std::move(asked), .session = std::move(session)});
  work->bytes_max = static_cast<std::size_t>(std::clamp(work->asked.max_bytes, 0, broker.limits().fetch_bytes_max));
  tell_session(*work);
  const bool at_once = !work->response.responses.empty() || work->asked.max_wait_ms <= 0;
  work->number = work->session->begin(at_once);
  ClientConnection& connection = work->request.connection;
  connection.spawn("replica-fetch", [work = std::move(work)] { serve(*work); });
}

}  // namespace chronik::broker
