// Produce: the way of a record, steps 2 to 8 (docs/ARCHITECTURE.md).
#include <fmt/core.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "core/base/sim_point.h"
#include "core/broker/broker.h"
#include "core/broker/handlers.h"
#include "core/broker/late_produce.h"
#include "core/broker/leader_hints.h"
#include "core/broker/log_starts.h"
#include "core/broker/produced_batch.h"
#include "core/protocol/messages/produce.h"
#include "core/protocol/record_batch_validate.h"

namespace chronik::broker {

using protocol::ErrorCode;
using protocol::ProducePartition;
using protocol::ProducePartitionResponse;
using protocol::ProduceRequest;
using protocol::ProduceResponse;

namespace {

// A request while it is appended, on the connection's reader.
struct Appending {
  Broker& broker;
  ClientConnection& client;
  std::int16_t version;
  replication::Acks acks;
  Duration timeout;
  bool forwards = false;                   // what others lead goes to them
  std::unique_ptr<LateProduce> late = {};  // null: acks=0
  ForwardParts<ProduceRequest> elsewhere = {};
  ProduceResponse response = {};
  std::size_t record_errors = 10'000;  // that the answer may still tell: it is read again where it is corrected
  bool all_appended = true;
};

bool refuse(ProducePartitionResponse& answer, ErrorCode error, std::string_view message = {}) {
  answer.error_code = error;
  if (!message.empty()) {
    answer.error_message = std::string(message);
  }
  return false;
}

bool refuse_batch(Appending& work, ProducePartitionResponse& answer, protocol::ProduceVerdict& verdict) {
  for (protocol::RecordError& error : verdict.record_errors) {
    if (work.record_errors == 0) {
      break;
    }
    --work.record_errors;
    answer.record_errors.push_back(
        {.batch_index = error.batch_index, .batch_index_error_message = std::move(error.message)});
  }
  return refuse(answer, verdict.error, verdict.message);
}

// Whether the partition's batch goes to another leader.
bool forward(Appending& work, const ProduceRequest& whole, HostedTopic* topic, ProducePartition& asked,
             const ProduceOrder::Batch& batch, const PartitionPlace& place) {
  if (!work.forwards || topic == nullptr) {
    return false;
  }
  const NodeId leader =
      work.broker.leader_elsewhere(work.broker.metadata().image()->find_topic(topic->id), asked.index);
  if (leader == NodeId::none()) {
    return false;
  }
  if (batch.producer.present()) {
    work.late->add_ordered(batch, leader, place);
  }
  work.elsewhere.add(whole, place, std::move(asked), leader,
                     [topic] { return protocol::ProduceTopic{.name = topic->name, .partition_data = {}}; });
  return true;
}

// Whether the batch is refused because of one before it on this connection.
bool is_behind(Appending& work, const ProduceOrder::Batch& batch, ProducePartitionResponse& answer) {
  ProduceOrder& order = work.client.produce_order();
  if (const ErrorCode refused = order.check(batch); refused != ErrorCode::kNone) {
    refuse(answer, refused, "a batch before it was refused, and comes first");
    return true;
  }
  const NodeId elsewhere = order.under_way_to(batch);
  const bool stays =
      elsewhere == NodeId::none() || work.broker.leader_elsewhere(batch.topic, batch.partition) == elsewhere;
  if (!stays) {
    refuse(answer, ErrorCode::kNotLeaderOrFollower,
           "a batch before it is under way to another leader, and comes first");
  }
  return !stays;
}

// Validates and appends one partition's batch. Suspends only where the disk is behind. Fills `answer`; false: it tells
// why not.
bool append(Appending& work, const ProduceRequest& whole, HostedTopic* topic, ProducePartition& asked,
            const ProduceOrder::Batch& batch, ProducePartitionResponse& answer, const PartitionPlace& place) {
  Broker& broker = work.broker;
  Ref<replication::Partition> partition;
  const ErrorCode found = topic == nullptr ? ErrorCode::kUnknownTopicOrPartition : topic->find(asked.index, partition);
  const bool led_here = found == ErrorCode::kNone && partition->leading();
  if (!led_here && forward(work, whole, topic, asked, batch, place)) {
    return true;
  }
  if (found != ErrorCode::kNone) {
    return refuse(answer, found);
  }
  if (topic->name == group::kGroupsTopic) {
    return refuse(answer, ErrorCode::kInvalidTopicException, "groups are changed by their own requests");
  }
  Slice records = asked.records.has_value() ? *std::move(asked.records) : Slice();
  const WallTime now = broker.ports().clock.wall();
  protocol::ProduceVerdict verdict = protocol::validate_produced_batches(
      records.bytes(), checks_of(topic->settings, work.version, now), broker.codecs());
  if (!verdict.ok()) {
    return refuse_batch(work, answer, verdict);
  }
  if (verdict.batch.attributes().is_transactional()) {
    return refuse(answer, ErrorCode::kInvalidTxnState, "transactions are not supported by this broker");
  }
  log::BatchSummary summary = summary_of(verdict);
  if (const Status done = recompress_for(topic->settings, verdict.codec, broker.codecs(), records); !done.ok()) {
    return refuse(answer, ErrorCode::kMessageTooLarge, std::string(done.message()));
  }
  const bool log_append_time = topic->settings.log_append_time;
  if (log_append_time) {
    protocol::set_max_timestamp(records.mutable_bytes(), protocol::TimestampType::kLogAppendTime, now);
    summary.max_timestamp = now;
    summary.offset_of_max_timestamp = Offset(0);
  } else {
    protocol::set_max_timestamp(records.mutable_bytes(), protocol::TimestampType::kCreateTime, summary.max_timestamp);
  }
  sim_pause("produce.before_room");
  // The topic may be gone when this returns; the partition is held, and closed then.
  const Status room = broker.logs().make_room(records.size(), fiber::within(work.timeout, Expiry::kPeer));
  if (absl::IsInvalidArgument(room)) {
    return refuse(answer, ErrorCode::kMessageTooLarge, std::string(room.message()));
  }
  if (!room.ok()) {
    return refuse(answer, absl::IsDeadlineExceeded(room) ? ErrorCode::kRequestTimedOut : ErrorCode::kKafkaStorageError,
                  std::string(room.message()));
  }
  if (batch.producer.present() && is_behind(work, batch, answer)) {
    return false;  // since it waits for room
  }
  const std::size_t bytes = records.size();
  const auto outcome = partition->append(std::move(records), summary, work.acks);
  if (outcome.error != ErrorCode::kNone) {
    return refuse(answer, outcome.error);
  }
  sim_point("produce.appended");
  answer.base_offset = outcome.base_offset;
  answer.log_append_time_ms = log_append_time ? now.milliseconds() : -1;
  answer.log_start_offset = partition->log().log_start();
  BrokerMetrics& metrics = broker.metrics();
  metrics.messages_received.add(static_cast<std::uint64_t>(summary.record_count));
  metrics.bytes_produced.add(bytes);
  if (work.late != nullptr) {
    work.late->add(std::move(partition), outcome, summary.producer, place);
  }
  return true;
}

// The same, in the order that an idempotent producer counts on (produce_order.h). `name`: the topic's.
bool append_in_order(Appending& work, const ProduceRequest& whole, const std::string& name, ProducePartition& asked,
                     ProducePartitionResponse& answer, const PartitionPlace& place) {
  answer.index = asked.index;
  // Looked up for each: the topic may have been deleted while the partition before it waited for room.
  HostedTopic* topic = work.broker.table().find(name);
  ProduceOrder::Batch batch{name, asked.index, {}};
  if (asked.records.has_value() && work.acks != replication::Acks::kNone) {
    batch.producer = producer_of(asked.records->bytes());
  }
  if (!batch.producer.present()) {
    return append(work, whole, topic, asked, batch, answer, place);
  }
  const bool appended = !is_behind(work, batch, answer) && append(work, whole, topic, asked, batch, answer, place);
  if (!appended) {
    work.client.produce_order().refuse(batch, answer.error_code);
  }
  return appended;
}

void append_all(ProduceRequest& asked, Appending& work) {
  work.response.responses.resize(asked.topic_data.size());
  for (std::size_t t = 0; t < asked.topic_data.size(); ++t) {
    protocol::ProduceTopic& topic = asked.topic_data[t];
    auto& answers = work.response.responses[t];
    answers.name = std::move(topic.name);
    answers.partition_responses.resize(topic.partition_data.size());
    for (std::size_t p = 0; p < topic.partition_data.size(); ++p) {
      work.all_appended &=
          append_in_order(work, asked, answers.name, topic.partition_data[p], answers.partition_responses[p], {t, p});
    }
    tell_log_starts(work.broker.table().find(answers.name), answers);
  }
}

void refuse_all(const ProduceRequest& asked, ErrorCode error, ProduceResponse& response) {
  for (const protocol::ProduceTopic& topic : asked.topic_data) {
    auto& answers = response.responses.emplace_back();
    answers.name = topic.name;
    for (const ProducePartition& partition : topic.partition_data) {
      auto& answer = answers.partition_responses.emplace_back();
      answer.index = partition.index;
      answer.error_code = error;
    }
  }
}

std::size_t partitions_of(const ProduceRequest& asked) {
  std::size_t partitions = 0;
  for (const protocol::ProduceTopic& topic : asked.topic_data) {
    partitions += topic.partition_data.size();
  }
  return partitions;
}

// An answer to more could not be read any more, and is read before it is corrected.
Status check_size(const ProduceRequest& asked) {
  constexpr std::size_t kMost = 100'000;
  const std::size_t named = asked.topic_data.size() + partitions_of(asked);
  return named <= kMost ? ok()
                        : absl::InvalidArgumentError(fmt::format(
                              "a Produce request names {} topics and partitions; {} are the most", named, kMost));
}

// With acks=0. Not ok: what has become of it is not known.
Status send_unanswered(Appending& work, ClientConnection& client) {
  // Nobody waits for an answer, and so the request's own time, which may be none, is of no matter.
  const Deadline deadline = fiber::within(work.broker.limits().write, Expiry::kPeer);
  for (ForwardPart<ProduceRequest>& part : work.elsewhere.all()) {
    work.broker.metrics().produce_forwards.add();
    ForwardPin* pin = work.broker.forwarding()->pinned(client, part.leader);
    if (pin == nullptr) {
      return absl::UnavailableError("the leader cannot be reached");
    }
    pin->note_unanswered();
    RETURN_IF_ERROR(pin->link().client().send(part.request, work.version, deadline));
  }
  return ok();
}

}  // namespace

void handle_produce(Broker& broker, Request&& request) {
  StatusOr<ProduceRequest> asked = protocol::decode<ProduceRequest>(request.body, request.header.version);
  if (!asked.ok()) {
    return broker.refuse_malformed(request, asked.status());
  }
  if (const Status size = check_size(*asked); !size.ok()) {
    return broker.refuse_malformed(request, size);
  }
  if (asked->acks < -1 || asked->acks > 1) {
    ProduceResponse response;
    refuse_all(*asked, ErrorCode::kInvalidRequiredAcks, response);
    return request.reply(response);
  }
  Appending work{.broker = broker,
                 .client = request.connection,
                 .version = request.header.version,
                 .acks = static_cast<replication::Acks>(asked->acks),
                 .timeout = std::min(Duration::milliseconds(std::max(asked->timeout_ms, 0)), broker.limits().request),
                 .forwards = broker.forwards(request)};
  if (work.acks == replication::Acks::kNone) {
    append_all(*asked, work);
    if (const Status sent = send_unanswered(work, request.connection); !sent.ok()) {
      broker.metrics().forward_errors.add();
      work.all_appended = false;
    }
    broker.metrics().finish_produce(work.all_appended, Duration::zero());
    // Nobody hears of an error but by the connection's end, as with Kafka.
    return work.all_appended ? request.answer.nothing() : request.answer.close("a produce with acks=0 failed");
  }
  work.late = std::make_unique<LateProduce>(broker, request, work.acks, partitions_of(*asked));
  append_all(*asked, work);
  LateProduce& late = *work.late;
  late.forward(work.elsewhere, request.connection, work.timeout);
  if (!work.all_appended) {
    name_leaders(broker, request.connection, work.response);
  }
  if (!late.answer(work.response, work.all_appended)) {
    return;
  }
  late.wait(work.timeout);
  late.obligation().comes(std::move(work.late));
}

}  // namespace chronik::broker
