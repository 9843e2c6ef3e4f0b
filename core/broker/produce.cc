// Produce: the way of a record, steps 2 to 8 (docs/ARCHITECTURE.md).
#include <absl/container/fixed_array.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "core/broker/broker.h"
#include "core/broker/connection.h"
#include "core/broker/handlers.h"
#include "core/protocol/messages/produce.h"
#include "core/protocol/record_batch_validate.h"

namespace chronik::broker {

using protocol::ErrorCode;
using protocol::ProducePartition;
using protocol::ProducePartitionResponse;
using protocol::ProduceRequest;
using protocol::ProduceResponse;

namespace {

class ProduceWork;

// An append that has to be acknowledged, and where its answer stands in the response.
struct PendingAppend final : replication::OffsetWaiter {
  void on_passed(bool passed) override;

  ProduceWork* work = nullptr;
  Ref<replication::Partition> partition;
  replication::Partition::AppendOutcome outcome;
  std::size_t topic = 0;
  std::size_t index = 0;
  ErrorCode error = ErrorCode::kRequestTimedOut;  // until it has passed
};

// A request on its way: appended by the connection's reader, answered when all is acknowledged or its time is over.
class ProduceWork final : public LateAnswer, private fiber::Timer {
 public:
  ProduceWork(Broker& from, Request asked, std::size_t partitions)
      : broker(from), request(std::move(asked)), appends(partitions) {}

  PendingAppend& next_append() { return appends[appended_++]; }
  std::size_t appended() const { return appended_; }
  // Waits for all appends side by side.
  void await();
  void settle_one();
  bool ready() const override { return waiting_ == 0; }
  void give() override;

  Broker& broker;
  Request request;
  ProduceResponse response;
  absl::FixedArray<PendingAppend, 1> appends;  // one for each partition asked for; appended() of them are used
  replication::Acks acks = replication::Acks::kLeader;
  Duration timeout;

 private:
  void on_timer() override;

  std::size_t appended_ = 0;
  std::size_t waiting_ = 0;
};

log::BatchSummary summary_of(const protocol::ProduceVerdict& verdict) {
  const protocol::RecordBatchView& batch = verdict.batch;
  log::BatchSummary summary;
  summary.record_count = batch.record_count();
  summary.max_timestamp = verdict.max_timestamp;
  summary.offset_of_max_timestamp = Offset(verdict.max_timestamp_offset_delta);
  if (batch.has_producer()) {
    summary.producer = {.id = batch.producer_id(),
                        .epoch = batch.producer_epoch(),
                        .first_sequence = batch.base_sequence(),
                        .last_sequence = batch.last_sequence()};
  }
  return summary;
}

protocol::ProduceChecks checks_of(const cluster::TopicSettings& settings, std::int16_t version, WallTime now) {
  protocol::ProduceChecks checks;
  checks.message_bytes_max = settings.max_message_bytes;
  checks.timestamp_type =
      settings.log_append_time ? protocol::TimestampType::kLogAppendTime : protocol::TimestampType::kCreateTime;
  checks.timestamp_before_ms_max = settings.timestamp_before_ms_max;
  checks.timestamp_after_ms_max = settings.timestamp_after_ms_max;
  checks.produce_version = version;
  checks.now = now;
  checks.decompressed_bytes_max = protocol::default_decompressed_bytes_max(settings.max_message_bytes);
  return checks;
}

void refuse(ProducePartitionResponse& answer, ErrorCode error, std::string_view message = {}) {
  answer.error_code = error;
  if (!message.empty()) {
    answer.error_message = std::string(message);
  }
}

// Validates and appends one partition's batch. Suspends only where the disk is behind. Fills `answer`; what must be
// waited for is added to the work's appends.
void append(ProduceWork& work, HostedTopic* topic, ProducePartition& asked, ProducePartitionResponse& answer) {
  Broker& broker = work.broker;
  answer.index = asked.index;
  const auto index = static_cast<std::size_t>(asked.index.value());
  if (topic == nullptr || asked.index.value() < 0 || index >= topic->partitions.size()) {
    return refuse(answer, ErrorCode::kUnknownTopicOrPartition);
  }
  Ref<replication::Partition> partition = topic->partitions[index];
  if (!partition) {
    return refuse(answer, ErrorCode::kKafkaStorageError);
  }
  Slice records = asked.records.has_value() ? *std::move(asked.records) : Slice();
  const WallTime now = broker.ports().clock.wall();
  protocol::ProduceVerdict verdict = protocol::validate_produced_batches(
      records.bytes(), checks_of(topic->settings, work.request.header.version, now), broker.codecs());
  if (!verdict.ok()) {
    refuse(answer, verdict.error, verdict.message);
    for (protocol::RecordError& error : verdict.record_errors) {
      answer.record_errors.push_back(
          {.batch_index = error.batch_index, .batch_index_error_message = std::move(error.message)});
    }
    return;
  }
  if (verdict.batch.attributes().is_transactional()) {
    return refuse(answer, ErrorCode::kInvalidTxnState, "transactions are not supported by this broker");
  }
  log::BatchSummary summary = summary_of(verdict);
  const bool log_append_time = topic->settings.log_append_time;
  if (log_append_time) {
    protocol::set_max_timestamp(records.mutable_bytes(), protocol::TimestampType::kLogAppendTime, now);
    summary.max_timestamp = now;
    summary.offset_of_max_timestamp = Offset(0);
  } else {
    protocol::set_max_timestamp(records.mutable_bytes(), protocol::TimestampType::kCreateTime, summary.max_timestamp);
  }
  // The topic may be gone when this returns; the partition is held, and closed then.
  const Status room = broker.logs().make_room(records.size(), fiber::within(work.timeout, Expiry::kPeer));
  if (absl::IsInvalidArgument(room)) {
    return refuse(answer, ErrorCode::kMessageTooLarge, std::string(room.message()));
  }
  if (!room.ok()) {
    return refuse(answer, absl::IsDeadlineExceeded(room) ? ErrorCode::kRequestTimedOut : ErrorCode::kKafkaStorageError,
                  std::string(room.message()));
  }
  const std::size_t bytes = records.size();
  const auto outcome = partition->append(std::move(records), summary, work.acks);
  if (outcome.error != ErrorCode::kNone) {
    return refuse(answer, outcome.error);
  }
  answer.base_offset = outcome.base_offset;
  answer.log_append_time_ms = log_append_time ? now.milliseconds() : -1;
  answer.log_start_offset = partition->log().log_start();
  BrokerMetrics& metrics = broker.metrics();
  metrics.messages_received.add(static_cast<std::uint64_t>(summary.record_count));
  metrics.bytes_produced.add(bytes);
  PendingAppend& append = work.next_append();
  append.partition = std::move(partition);
  append.outcome = outcome;
}

void append_all(ProduceRequest& asked, ProduceWork& work) {
  work.response.responses.resize(asked.topic_data.size());
  for (std::size_t t = 0; t < asked.topic_data.size(); ++t) {
    protocol::ProduceTopic& topic = asked.topic_data[t];
    auto& answers = work.response.responses[t];
    answers.name = std::move(topic.name);
    answers.partition_responses.resize(topic.partition_data.size());
    for (std::size_t p = 0; p < topic.partition_data.size(); ++p) {
      const std::size_t before = work.appended();
      // Looked up for each: the topic may have been deleted while the partition before it waited for room.
      append(work, work.broker.table().find(answers.name), topic.partition_data[p], answers.partition_responses[p]);
      if (work.appended() > before) {
        work.appends[before].topic = t;
        work.appends[before].index = p;
      }
    }
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

bool any_error(const ProduceResponse& response) {
  return std::any_of(response.responses.begin(), response.responses.end(), [](const auto& topic) {
    return std::any_of(topic.partition_responses.begin(), topic.partition_responses.end(),
                       [](const auto& partition) { return partition.error_code != ErrorCode::kNone; });
  });
}

std::size_t partitions_of(const ProduceRequest& asked) {
  std::size_t partitions = 0;
  for (const protocol::ProduceTopic& topic : asked.topic_data) {
    partitions += topic.partition_data.size();
  }
  return partitions;
}

void PendingAppend::on_passed(bool passed) {
  error = passed ? partition->acknowledge(work->acks) : ErrorCode::kNotLeaderOrFollower;
  work->settle_one();
}

void ProduceWork::await() {
  waiting_ = appended_;
  fiber::Scheduler& scheduler = fiber::Scheduler::current();
  scheduler.arm(*this, scheduler.now() + timeout);
  for (std::size_t i = 0; i < appended_; ++i) {
    appends[i].work = this;
    appends[i].partition->await(appends[i].outcome, acks, appends[i]);
  }
}

void ProduceWork::settle_one() {
  if (waiting_ > 0 && --waiting_ == 0) {
    request.answer.ready();
  }
}

void ProduceWork::on_timer() {
  waiting_ = 0;
  request.answer.ready();
}

void ProduceWork::give() {
  for (std::size_t i = 0; i < appended_; ++i) {
    const PendingAppend& append = appends[i];
    if (append.error != ErrorCode::kNone) {
      auto& answer = response.responses[append.topic].partition_responses[append.index];
      answer.error_code = append.error;
      answer.base_offset = Offset::none();
    }
  }
  broker.metrics().finish_produce(!any_error(response), fiber::Scheduler::current().now() - request.received);
  request.reply(response);
}

}  // namespace

void handle_produce(Broker& broker, Request request) {
  StatusOr<ProduceRequest> asked = protocol::decode<ProduceRequest>(request.body, request.header.version);
  if (!asked.ok()) {
    return broker.refuse_malformed(request, asked.status());
  }
  auto work = std::make_unique<ProduceWork>(broker, std::move(request), partitions_of(*asked));
  work->timeout = std::min(Duration::milliseconds(std::max(asked->timeout_ms, 0)), broker.limits().request);
  if (asked->acks < -1 || asked->acks > 1) {
    refuse_all(*asked, ErrorCode::kInvalidRequiredAcks, work->response);
    return work->request.reply(work->response);
  }
  work->acks = static_cast<replication::Acks>(asked->acks);
  append_all(*asked, *work);
  Answer& answer = work->request.answer;
  if (work->acks == replication::Acks::kNone) {
    const bool failed = any_error(work->response);
    broker.metrics().finish_produce(!failed, Duration::zero());
    // Nobody hears of an error but by the connection's end, as with Kafka.
    return failed ? answer.close("a produce with acks=0 failed") : answer.nothing();
  }
  if (work->appended() == 0) {
    broker.metrics().finish_produce(false, Duration::zero());
    return work->request.reply(work->response);
  }
  work->await();
  answer.comes(std::move(work));
}

}  // namespace chronik::broker
