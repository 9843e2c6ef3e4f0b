// Idempotent producers that keep several batches of a partition under way, as clients do by default, and judge what
// they are told of them: checker IDEMPOTENT.
//
// They do as librdkafka does: after an error all that is under way is awaited, then everything that is not acknowledged
// goes again, in its order and as the same batches, half of the time to the same node over the same connection. What
// comes behind a batch that was refused is refused, too (broker/produce_order.h): neither acknowledged ahead of it, nor
// answered OUT_OF_ORDER_SEQUENCE_NUMBER, which librdkafka survives only where it knows what became of every earlier
// attempt.
#include <fmt/core.h>

#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/fiber/scope.h"
#include "core/fiber/wait.h"
#include "core/protocol/messages/init_producer_id.h"
#include "core/protocol/messages/produce.h"
#include "core/protocol/record_batch_builder.h"
#include "sim/scenarios/one_node.h"
#include "sim/scenarios/replicated.h"

namespace chronik::sim {

using protocol::ErrorCode;

namespace {

constexpr std::int16_t kPipelinedVersion = 9;
constexpr std::size_t kUnderWayMost = log::kProducerBatches;  // what a broker remembers of a producer
constexpr Duration kBrokersPatience = Duration::seconds(10);
constexpr Duration kClocksStep = Duration::seconds(100 * 3600);  // records that are that old are from no future

struct PipelinedBatch {
  const PlanOperation* operation = nullptr;
  std::int32_t first_sequence = 0;
  WallTime timestamp;  // of its records; zero: it was not sent yet
  bool acknowledged = false;
};

// One attempt to send one batch.
class Attempt final : public client::Client::Call {
 public:
  Attempt(PipelinedBatch& of, fiber::Event& news) : batch(of), news_(news) {}
  bool answered() const { return !under_way(); }

  PipelinedBatch& batch;
  StatusOr<Slice> body = absl::UnavailableError("not answered");

 private:
  void on_answer(StatusOr<Slice> told) override {
    body = std::move(told);
    news_.notify_all();
  }

  fiber::Event& news_;
};

// The batches of one partition, over a connection of their own.
class Pipeline {
 public:
  Pipeline(ProcessContext& process, ReplicatedState& state, const protocol::InitProducerIdResponse& producer,
           std::size_t partition)
      : process_(process), state_(state), producer_(producer), partition_(partition), leaders_(process, state) {
    session_ = {.client = mix_text(process.machine.name()), .number = partition + 1};
  }

  void add(const PlanOperation& operation) {
    batches_.push_back({.operation = &operation, .first_sequence = next_sequence_});
    next_sequence_ += static_cast<std::int32_t>(operation.number("records"));
  }

  void run() {
    while (first_ < batches_.size()) {
      attempt_all();
      while (first_ < batches_.size() && batches_[first_].acknowledged) {
        ++first_;
      }
      sleep_between(process_, 20, 220);
    }
  }

 private:
  // Ends with the first error, when nothing is under way any more.
  void attempt_all() {
    const bool stays = connected_ && process_.ports.random.next() % 2 == 0;
    connected_ = stays || leaders_.refresh().ok();
    const StatusOr<client::Client*> leader =
        connected_ ? leaders_.leader_of(partition_) : absl::UnavailableError("not known");
    connected_ = leader.ok();
    if (!connected_) {
      return;
    }
    failed_ = false;
    refused_ = nullptr;
    std::size_t next = first_;
    for (;;) {
      for (; !failed_ && under_way_.size() < kUnderWayMost && next < batches_.size(); ++next) {
        if (!batches_[next].acknowledged) {
          send(**leader, batches_[next]);
        }
      }
      if (under_way_.empty()) {
        break;
      }
      await_first(**leader);
      judge(*under_way_.front());
      under_way_.pop_front();
    }
  }

  void send(client::Client& leader, PipelinedBatch& batch) {
    const bool first_time = batch.timestamp == WallTime();
    if (first_time) {
      pause(*batch.operation);
      batch.timestamp =
          WallTime::from_milliseconds(process_.ports.clock.wall().milliseconds() - kClocksStep.milliseconds());
    }
    protocol::RecordBatchBuilder builder;
    const auto bytes = static_cast<std::size_t>(batch.operation->number("bytes"));
    const std::int64_t records = batch.operation->number("records");
    for (std::int64_t i = 0; i < records; ++i) {
      const std::string value = Ledger::bytes_of(value_of(*batch.operation, i), bytes);
      builder.append({.timestamp = batch.timestamp, .key = {}, .value = as_bytes(value), .headers = {}});
      if (first_time) {
        state_.ledger.send(value_of(*batch.operation, i), bytes, partition_, session_, 0,
                           {.id = producer_.producer_id.value(),
                            .epoch = producer_.producer_epoch.value(),
                            .sequence = batch.first_sequence + static_cast<std::int32_t>(i)});
      }
    }
    protocol::ProduceRequest request;
    request.acks = -1;
    request.timeout_ms = static_cast<std::int32_t>(kBrokersPatience.milliseconds());
    protocol::ProduceTopic& topic = request.topic_data.emplace_back();
    topic.name = kLedgerTopic;
    topic.partition_data.push_back({.index = partition_id(partition_),
                                    .records = builder.build({.producer_id = producer_.producer_id,
                                                              .producer_epoch = producer_.producer_epoch,
                                                              .base_sequence = batch.first_sequence})});
    auto attempt = std::make_unique<Attempt>(batch, news_);
    if (leader.start(request, kPipelinedVersion, *attempt).ok()) {
      under_way_.push_back(std::move(attempt));
    } else {
      lose();
    }
  }

  // Between two batches in the time of faults, as the plan says.
  void pause(const PlanOperation& operation) {
    if (state_.world->now() < state_.healed) {
      static_cast<void>(fiber::sleep(Duration::nanoseconds(operation.number("pause_ns"))));
    }
  }

  void await_first(client::Client& leader) {
    const Deadline deadline = fiber::within(kBrokersPatience + Duration::seconds(5), Expiry::kPeer);
    while (!under_way_.front()->answered()) {
      if (!news_.wait(WaitKey{WaitKind::kEvent, 0, 0, 0}, deadline).ok()) {
        leader.close();
        return lose();
      }
    }
  }

  void lose() {
    failed_ = true;
    connected_ = false;
  }

  void judge(const Attempt& attempt) {
    if (!attempt.body.ok()) {
      return lose();
    }
    const StatusOr<protocol::ProduceResponse> response =
        protocol::decode<protocol::ProduceResponse>(*attempt.body, kPipelinedVersion);
    if (!response.ok() || response->responses.size() != 1 || response->responses[0].partition_responses.size() != 1) {
      return state_.world->fail("CONFORM", "produce: an answer about other partitions than were produced to");
    }
    const auto& answer = response->responses[0].partition_responses[0];
    failed_ |= answer.error_code != ErrorCode::kNone;
    switch (answer.error_code) {
      case ErrorCode::kNone: return acknowledge(attempt, answer.base_offset.value());
      case ErrorCode::kOutOfOrderSequenceNumber: return fail(attempt, "is answered OUT_OF_ORDER_SEQUENCE_NUMBER");
      case ErrorCode::kNotLeaderOrFollower:
      case ErrorCode::kUnknownTopicOrPartition:
      case ErrorCode::kNotEnoughReplicas:
        state_.world->fault_fired(kBatchRefused);
        refused_ = refused_ == nullptr ? &attempt.batch : refused_;
        return;
      case ErrorCode::kNotEnoughReplicasAfterAppend:
      case ErrorCode::kRequestTimedOut: return;
      default: state_.world->fail("CONFORM", fmt::format("produce: {}", protocol::error_name(answer.error_code)));
    }
  }

  void acknowledge(const Attempt& attempt, std::int64_t base_offset) {
    if (refused_ != nullptr) {
      return fail(attempt, "is acknowledged");
    }
    attempt.batch.acknowledged = true;
    for (std::int64_t i = 0; i < attempt.batch.operation->number("records"); ++i) {
      state_.ledger.acknowledge(value_of(*attempt.batch.operation, i), base_offset + i);
    }
  }

  void fail(const Attempt& attempt, std::string_view what) {
    const std::string before = refused_ == nullptr
                                   ? "no batch before it was refused on this connection"
                                   : fmt::format("the one from {} before it was refused", refused_->first_sequence);
    state_.world->fail("IDEMPOTENT",
                       fmt::format("{}, partition {}: the batch from sequence {} {}, and {}", process_.machine.name(),
                                   partition_, attempt.batch.first_sequence, what, before));
  }

  ProcessContext& process_;
  ReplicatedState& state_;
  const protocol::InitProducerIdResponse& producer_;
  std::size_t partition_;
  LeaderClients leaders_;
  ProducerSessionId session_;
  std::int32_t next_sequence_ = 0;
  std::vector<PipelinedBatch> batches_;
  std::size_t first_ = 0;  // all before it are acknowledged
  fiber::Event news_;
  std::deque<std::unique_ptr<Attempt>> under_way_;
  bool connected_ = false;
  bool failed_ = false;
  const PipelinedBatch* refused_ = nullptr;  // the first of this connection; null: none
};

// Until a node gives one.
protocol::InitProducerIdResponse take_identity(ProcessContext& process, ReplicatedState& state) {
  for (;;) {
    const StatusOr<std::unique_ptr<client::Client>> any = connect_to_any(process, state);
    if (any.ok()) {
      const auto got = (*any)->call<protocol::InitProducerIdResponse>(protocol::InitProducerIdRequest{}, /*version=*/4,
                                                                      node_patience());
      if (got.ok() && got->error_code == ErrorCode::kNone) {
        return *got;
      }
    }
    sleep_between(process, 20, 220);
  }
}

}  // namespace

void run_pipelined_producer(ProcessContext& process, ReplicatedState& state) {
  ReplicatedState::Producer& producer = state.producers[process.machine.name()];
  const protocol::InitProducerIdResponse identity = take_identity(process, state);
  std::vector<std::unique_ptr<Pipeline>> pipelines;
  for (std::size_t partition = 0; partition < state.ledger.partitions(); ++partition) {
    pipelines.push_back(std::make_unique<Pipeline>(process, state, identity, partition));
  }
  for (const PlanOperation& operation : producer.operations) {
    pipelines[static_cast<std::size_t>(operation.number("partition")) % pipelines.size()]->add(operation);
  }
  fiber::FiberScope scope;
  for (std::size_t partition = 0; partition < pipelines.size(); ++partition) {
    scope.spawn({"pipeline", partition}, [&pipeline = *pipelines[partition]] { pipeline.run(); });
  }
  static_cast<void>(scope.join(fiber::for_ever()));
  producer.done = true;
}

}  // namespace chronik::sim
