// Produce: the way of a record, steps 2 to 8 (docs/ARCHITECTURE.md).
#include <absl/container/fixed_array.h>
#include <fmt/core.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "core/base/sim_point.h"
#include "core/broker/broker.h"
#include "core/broker/connection.h"
#include "core/broker/forward_parts.h"
#include "core/broker/handlers.h"
#include "core/broker/leader_hints.h"
#include "core/broker/log_starts.h"
#include "core/broker/produced_batch.h"
#include "core/fiber/wait_graph.h"
#include "core/protocol/answer_errors.h"
#include "core/protocol/messages/produce.h"
#include "core/protocol/record_batch_validate.h"

namespace chronik::broker {

using protocol::ErrorCode;
using protocol::ProducePartition;
using protocol::ProducePartitionResponse;
using protocol::ProduceRequest;
using protocol::ProduceResponse;

namespace {

class LateProduce;

// An append that has to be acknowledged, and where its answer stands in the response.
struct PendingAppend final : replication::OffsetWaiter {
  void on_passed(bool passed) override;

  LateProduce* work = nullptr;
  Ref<replication::Partition> partition;
  std::uint32_t topic = 0;
  std::uint32_t index = 0;
  ErrorCode error = ErrorCode::kRequestTimedOut;  // until it has passed
};

// What another leader is asked to append, and its answer.
class ForwardedProduce final : public ForwardCall {
 public:
  ForwardedProduce(LateProduce& work, std::vector<PartitionPlace> places) : work_(work), places_(std::move(places)) {}

  void fail(const Status& why) { answer_ = why; }
  // What has become of it, into the response. False: not all of it was acknowledged.
  bool tell(ProduceResponse& response, std::int16_t version) const;

 private:
  void on_forwarded(StatusOr<Slice> body) override;

  LateProduce& work_;
  std::vector<PartitionPlace> places_;
  StatusOr<Slice> answer_ = absl::DeadlineExceededError("no answer yet");
};

// An answer that waits for its appends to be acknowledged, or for the end of its time. It is encoded when they are
// made, while all that it tells is at hand; what fails afterwards changes it.
class LateProduce final : public LateAnswer, private fiber::Timer, private fiber::WaitSource {
 public:
  LateProduce(Broker& broker, Request& request, replication::Acks acks, std::size_t partitions)
      : broker_(broker),
        client_(request.connection),
        key_(request.connection.request_key()),
        answer_(std::move(request.answer)),
        hold_(std::move(request.frame_hold)),
        received_(request.received),
        correlation_id_(request.header.correlation_id),
        version_(request.header.version),
        acks_(acks),
        appends_(partitions) {}

  // To be acknowledged. `topic` and `index`: the answer's place in the response.
  void add(Ref<replication::Partition> partition, const replication::Partition::AppendOutcome& outcome,
           std::size_t topic, std::size_t index);
  std::size_t appended() const { return appended_; }
  // What goes to other leaders; sends it. Does not suspend but where a broken link is put away.
  void forward(ForwardParts<ProduceRequest>& parts, ClientConnection& client, Duration timeout);
  // All are made.
  void answer(const ProduceResponse& response, bool all_appended);
  void wait(Duration timeout);
  void settle_one();
  void note_forwarded(bool answered);
  replication::Acks acks() const { return acks_; }
  Answer& obligation() { return answer_; }

  bool ready() const override { return waiting_ == 0; }
  void give() override;

 private:
  void on_timer() override;
  void add_wait(MonotonicTime now, std::vector<fiber::FiberWait>& into) const override;
  bool correct();

  Broker& broker_;
  ClientConnection& client_;
  WaitKey key_;
  Answer answer_;
  fiber::Budget::Hold hold_;
  MonotonicTime received_;
  MonotonicTime ends_ = MonotonicTime::never();
  CorrelationId correlation_id_;
  std::int16_t version_;
  replication::Acks acks_;
  bool all_appended_ = true;
  std::size_t appended_ = 0;
  std::size_t waiting_ = 1;  // appends that have not passed, and one for wait()
  std::vector<std::unique_ptr<ForwardedProduce>> forwarded_;
  absl::FixedArray<PendingAppend, 1> appends_;  // one for each partition asked for; appended_ of them are used
};

// A request while it is appended, on the connection's reader.
struct Appending {
  Broker& broker;
  std::int16_t version;
  replication::Acks acks;
  Duration timeout;
  bool forwards = false;                   // what others lead goes to them
  std::unique_ptr<LateProduce> late = {};  // null: acks=0
  ForwardParts<ProduceRequest> elsewhere = {};
  ProduceResponse response = {};
  bool all_appended = true;
};

bool refuse(ProducePartitionResponse& answer, ErrorCode error, std::string_view message = {}) {
  answer.error_code = error;
  if (!message.empty()) {
    answer.error_message = std::string(message);
  }
  return false;
}

bool refuse_batch(ProducePartitionResponse& answer, protocol::ProduceVerdict& verdict) {
  for (protocol::RecordError& error : verdict.record_errors) {
    answer.record_errors.push_back(
        {.batch_index = error.batch_index, .batch_index_error_message = std::move(error.message)});
  }
  return refuse(answer, verdict.error, verdict.message);
}

// Whether the partition's batch goes to another leader.
bool forward(Appending& work, const ProduceRequest& whole, HostedTopic* topic, ProducePartition& asked,
             const PartitionPlace& place) {
  if (!work.forwards || topic == nullptr) {
    return false;
  }
  const NodeId leader =
      work.broker.leader_elsewhere(work.broker.metadata().image()->find_topic(topic->id), asked.index);
  if (leader == NodeId::none()) {
    return false;
  }
  work.elsewhere.add(whole, place, std::move(asked), leader,
                     [topic] { return protocol::ProduceTopic{.name = topic->name, .partition_data = {}}; });
  return true;
}

// Validates and appends one partition's batch. Suspends only where the disk is behind. Fills `answer`; false: it tells
// why not.
bool append(Appending& work, const ProduceRequest& whole, HostedTopic* topic, ProducePartition& asked,
            ProducePartitionResponse& answer, const PartitionPlace& place) {
  Broker& broker = work.broker;
  answer.index = asked.index;
  Ref<replication::Partition> partition;
  const ErrorCode found = topic == nullptr ? ErrorCode::kUnknownTopicOrPartition : topic->find(asked.index, partition);
  const bool led_here = found == ErrorCode::kNone && partition->leading();
  if (!led_here && forward(work, whole, topic, asked, place)) {
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
    return refuse_batch(answer, verdict);
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
    work.late->add(std::move(partition), outcome, place.topic, place.partition);
  }
  return true;
}

void append_all(ProduceRequest& asked, Appending& work) {
  work.response.responses.resize(asked.topic_data.size());
  for (std::size_t t = 0; t < asked.topic_data.size(); ++t) {
    protocol::ProduceTopic& topic = asked.topic_data[t];
    auto& answers = work.response.responses[t];
    answers.name = std::move(topic.name);
    answers.partition_responses.resize(topic.partition_data.size());
    for (std::size_t p = 0; p < topic.partition_data.size(); ++p) {
      // Looked up for each: the topic may have been deleted while the partition before it waited for room.
      HostedTopic* hosted = work.broker.table().find(answers.name);
      work.all_appended &= append(work, asked, hosted, topic.partition_data[p], answers.partition_responses[p], {t, p});
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

void PendingAppend::on_passed(bool passed) {
  error = partition->acknowledge(work->acks(), passed);
  work->settle_one();
}

void LateProduce::add(Ref<replication::Partition> partition, const replication::Partition::AppendOutcome& outcome,
                      std::size_t topic, std::size_t index) {
  PendingAppend& append = appends_[appended_++];
  append.work = this;
  append.partition = std::move(partition);
  append.topic = static_cast<std::uint32_t>(topic);
  append.index = static_cast<std::uint32_t>(index);
  ++waiting_;
  append.partition->await(outcome, acks_, append);
}

// Whoever of its partitions has not passed yet.
void LateProduce::add_wait(MonotonicTime now, std::vector<fiber::FiberWait>& into) const {
  fiber::FiberWait wait;
  for (std::size_t i = 0; i < appended_; ++i) {
    if (appends_[i].linked()) {
      wait.keys.push_back(appends_[i].partition->await_key(acks_, appends_[i].awaited()));
      wait.detail += (wait.detail.empty() ? "" : "; ") + appends_[i].partition->describe_await(acks_);
    }
  }
  for (const std::unique_ptr<ForwardedProduce>& call : forwarded_) {
    if (call->under_way()) {
      wait.keys.push_back(call->key());
      wait.detail += (wait.detail.empty() ? "" : "; ") + call->describe_wait();
    }
  }
  if (wait.keys.empty()) {
    return;  // still being appended, or about to be answered
  }
  wait.path = fmt::format("Produce {} of {}", correlation_id_.value(), client_.peer().to_string());
  wait.waiting = true;
  wait.meaning = Expiry::kPeer;
  wait.waited = now - received_;
  wait.left = ends_ - now;
  wait.provides = {key_};
  into.push_back(std::move(wait));
}

void LateProduce::answer(const ProduceResponse& response, bool all_appended) {
  all_appended_ = all_appended;
  protocol::note_errors(response);
  answer_.prepare(protocol::encode_response(correlation_id_, response, version_));
}

void LateProduce::forward(ForwardParts<ProduceRequest>& parts, ClientConnection& client, Duration timeout) {
  const Duration left = timeout - (fiber::Scheduler::current().now() - received_);
  for (ForwardPart<ProduceRequest>& part : parts.all()) {
    ForwardedProduce& call =
        *forwarded_.emplace_back(std::make_unique<ForwardedProduce>(*this, std::move(part.places)));
    part.request.timeout_ms = static_cast<std::int32_t>(std::max<std::int64_t>(left.milliseconds(), 1));
    ForwardPin* pin = broker_.forwarding()->pinned(client, part.leader);
    const Status sent = pin == nullptr || sim_fails("forward.before_send")
                            ? absl::FailedPreconditionError("the leader cannot be reached")
                            : call.start(pin->link(), part.request, version_);
    broker_.metrics().produce_forwards.add();
    if (sent.ok()) {
      ++waiting_;
    } else {
      broker_.metrics().forward_errors.add();
      call.fail(sent);
    }
  }
}

void LateProduce::note_forwarded(bool answered) {
  if (answered) {
    broker_.metrics().produce_forward_duration.record(fiber::Scheduler::current().now() - received_);
  } else {
    broker_.metrics().forward_errors.add();
  }
  settle_one();
}

void ForwardedProduce::on_forwarded(StatusOr<Slice> body) {
  answer_ = std::move(body);
  work_.note_forwarded(answer_.ok());
}

bool ForwardedProduce::tell(ProduceResponse& response, std::int16_t version) const {
  StatusOr<ProduceResponse> answer =
      answer_.ok() ? protocol::decode<ProduceResponse>(*answer_, version) : StatusOr<ProduceResponse>(answer_.status());
  const Status status = answer.status();
  if (!status.ok() || !merge_part(*std::move(answer), places_, response)) {
    // What may have been appended is not called refused.
    fail_part(status.ok() ? ErrorCode::kRequestTimedOut : error_of_forward(status), places_, response);
  }
  return std::all_of(places_.begin(), places_.end(), [&response](const PartitionPlace& place) {
    return response.responses[place.topic].partition_responses[place.partition].error_code == ErrorCode::kNone;
  });
}

void LateProduce::wait(Duration timeout) {
  fiber::Scheduler& scheduler = fiber::Scheduler::current();
  ends_ = scheduler.now() + timeout;
  scheduler.arm(*this, ends_);
  settle_one();
}

void LateProduce::settle_one() {
  if (waiting_ > 0 && --waiting_ == 0) {
    answer_.ready();
  }
}

void LateProduce::on_timer() {
  waiting_ = 0;
  answer_.ready();
}

void LateProduce::give() {
  // What other leaders say is not in the prepared answer.
  bool acknowledged =
      forwarded_.empty() && std::all_of(appends_.begin(), appends_.begin() + static_cast<std::ptrdiff_t>(appended_),
                                        [](const PendingAppend& append) { return append.error == ErrorCode::kNone; });
  if (!acknowledged) {
    acknowledged = correct();
  }
  broker_.metrics().finish_produce(all_appended_ && acknowledged, fiber::Scheduler::current().now() - received_);
  answer_.send_prepared();
}

// Reads the answer that was meant for success, and writes what has become of it. False: not all was acknowledged.
bool LateProduce::correct() {
  const StatusOr<protocol::ReceivedResponse> meant = protocol::decode_response_header(
      answer_.prepared().flat().from(protocol::kFrameLengthBytes), protocol::ApiKey::kProduce, version_);
  CHECK_OK(meant.status());
  StatusOr<ProduceResponse> response = protocol::decode<ProduceResponse>(meant->body, version_);
  CHECK_OK(response.status());
  bool acknowledged = true;
  for (std::size_t i = 0; i < appended_; ++i) {
    const PendingAppend& append = appends_[i];
    if (append.error != ErrorCode::kNone) {
      protocol::note_error(protocol::ApiKey::kProduce, append.error);
      auto& answer = response->responses[append.topic].partition_responses[append.index];
      answer.error_code = append.error;
      answer.base_offset = Offset::none();
      acknowledged = false;
    }
  }
  for (const std::unique_ptr<ForwardedProduce>& forwarded : forwarded_) {
    acknowledged &= forwarded->tell(*response, version_);
  }
  name_leaders(broker_, client_, *response);
  answer_.prepare(protocol::encode_response(correlation_id_, *response, version_));
  return acknowledged;
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
  if (asked->acks < -1 || asked->acks > 1) {
    ProduceResponse response;
    refuse_all(*asked, ErrorCode::kInvalidRequiredAcks, response);
    return request.reply(response);
  }
  Appending work{.broker = broker,
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
  late.answer(work.response, work.all_appended);
  late.wait(work.timeout);
  late.obligation().comes(std::move(work.late));
}

}  // namespace chronik::broker
