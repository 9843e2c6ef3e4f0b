// The idempotent producers of the scenarios of one node, and what they judge of an answer themselves: checker
// IDEMPOTENT. What is stored how often and where is the ledger's to judge.
#include "sim/scenarios/idempotent.h"

#include <fmt/core.h>

#include <utility>

#include "core/fiber/scope.h"
#include "core/fiber/wait.h"
#include "core/protocol/messages/init_producer_id.h"
#include "core/protocol/record_batch_builder.h"
#include "sim/scenarios/one_node.h"

namespace chronik::sim {

namespace {

using protocol::ErrorCode;

constexpr std::int16_t kInitProducerIdVersion = 4;
constexpr std::size_t kOpenMost = 5;  // in a partition: so many a broker recognises

// One connection's worth of produces, and a second connection's of retries.
class IdempotentSession {
 public:
  IdempotentSession(ProcessContext& process, OneNodeState& state, client::Client& client)
      : process_(process),
        state_(state),
        plan_(state.producers[process.machine.name()]),
        producer_(state.idempotent[process.machine.name()]),
        client_(client),
        number_(++plan_.sessions) {}

  void run() {
    if (!take_identity()) {
      return;
    }
    if (draw(3) != 0) {
      StatusOr<std::unique_ptr<client::Client>> second = connect_to_node(process_);
      second_ = second.ok() ? std::move(*second) : nullptr;
    }
    fiber::FiberScope workers;
    workers_ = &workers;
    for (std::size_t i = 0; i < state_.window; ++i) {
      workers.spawn({"worker", i}, [this] { work(); });
    }
    static_cast<void>(workers.join(fiber::for_ever()));
    state_.judge_answer(client_.violation(), "an answer to an idempotent producer");
    if (second_ != nullptr) {
      state_.judge_answer(second_->violation(), "an answer to an idempotent producer");
    }
  }

 private:
  using Batch = std::shared_ptr<IdempotentBatch>;

  std::uint64_t draw(std::uint64_t ways) { return process_.ports.random.next() % ways; }

  void end() {
    ended_ = true;
    client_.close();
    if (second_ != nullptr) {
      second_->close();
    }
    changed_.notify_all();
  }

  // ---- who it is ----

  bool take_identity() {
    if (producer_.id >= 0 && draw(8) == 0) {
      producer_.id = -1;
    } else if (producer_.id >= 0 && !producer_.anything_open() && draw(4) == 0) {
      begin(producer_.id, static_cast<std::int16_t>(producer_.epoch + 1));
    }
    if (producer_.id >= 0) {
      return true;
    }
    const protocol::InitProducerIdRequest request;
    const auto got = client_.call<protocol::InitProducerIdResponse>(request, kInitProducerIdVersion, node_patience());
    state_.judge_answer(got.status(), "init producer id");
    judge_lasting(state_, got.status());
    if (!got.ok() || got->error_code == ErrorCode::kCoordinatorLoadInProgress) {
      return false;
    }
    if (got->error_code != ErrorCode::kNone) {
      state_.judge_error(got->error_code, "init producer id");
      return false;
    }
    const std::int64_t id = got->producer_id.value();
    const auto [other, fresh] = state_.producer_ids.emplace(id, process_.machine.name());
    if (!fresh || id < 0) {
      state_.world.fail("IDEMPOTENT", fmt::format("producer id {} is given to {}, and was to {}", id,
                                                  process_.machine.name(), other->second));
    }
    begin(id, got->producer_epoch.value());
    return true;
  }

  // Whatever has no answer is given up: it may be stored, once.
  void begin(std::int64_t id, std::int16_t epoch) {
    producer_.id = id;
    producer_.epoch = epoch;
    producer_.partitions.assign(state_.ledger.partitions(), {});
  }

  // ---- sending ----

  void work() {
    while (!ended_) {
      Batch batch = next_again();
      if (batch == nullptr && plan_.next < plan_.operations.size()) {
        const Duration pause = Duration::nanoseconds(plan_.operations[plan_.next].number("pause_ns"));
        if (!fiber::sleep(pause).ok() || ended_) {
          return;
        }
        batch = next_again();
        batch = batch == nullptr ? next_new() : batch;
      }
      if (batch != nullptr) {
        attempt(client_, batch, false);
      } else if (plan_.next == plan_.operations.size() && !producer_.anything_open()) {
        end();
      } else if (!changed_.wait({WaitKind::kEvent, 5, 0, 0}, fiber::for_ever()).ok()) {
        return;
      }
    }
  }

  // What an earlier connection has left, in the order of the sequence numbers.
  Batch next_again() {
    for (const IdempotentProducer::Partition& partition : producer_.partitions) {
      for (const Batch& batch : partition.open) {
        if (!batch->acknowledged && batch->sent_in != number_) {
          return batch;
        }
      }
    }
    return nullptr;
  }

  // Null where the next operation's partition must be waited for. A broker takes whatever comes first of a producer
  // that it does not know, so the first batch goes alone.
  Batch next_new() {
    if (plan_.next == plan_.operations.size()) {
      return nullptr;
    }
    const PlanOperation& operation = plan_.operations[plan_.next];
    const auto at = static_cast<std::size_t>(operation.number("partition")) % state_.ledger.partitions();
    IdempotentProducer::Partition& partition = producer_.partitions[at];
    if (partition.open.size() >= (partition.known ? kOpenMost : 1)) {
      return nullptr;
    }
    ++plan_.next;
    const auto records = static_cast<std::int32_t>(operation.number("records"));
    Batch batch = std::make_shared<IdempotentBatch>(IdempotentBatch{.operation = &operation,
                                                                    .partition = at,
                                                                    .sequence = partition.next_sequence,
                                                                    .nth = partition.next_nth++,
                                                                    .timestamp = state_.stamp(process_.ports.clock)});
    partition.next_sequence += records;
    partition.open.push_back(batch);
    const ProducerSessionId session{
        .client = mix_text(process_.machine.name()),
        .number = mix(static_cast<std::uint64_t>(producer_.id), static_cast<std::uint64_t>(producer_.epoch))};
    for (std::int32_t i = 0; i < records; ++i) {
      state_.ledger.send(value_of(operation, i), static_cast<std::size_t>(operation.number("bytes")), at, session, 0,
                         {.id = producer_.id, .epoch = producer_.epoch, .sequence = batch->sequence + i});
    }
    return batch;
  }

  Slice bytes_of(const IdempotentBatch& batch) const {
    const PlanOperation& operation = *batch.operation;
    protocol::RecordBatchBuilder builder;
    for (std::int64_t i = 0; i < operation.number("records"); ++i) {
      const std::string value =
          Ledger::bytes_of(value_of(operation, i), static_cast<std::size_t>(operation.number("bytes")));
      builder.append({.timestamp = batch.timestamp, .key = {}, .value = as_bytes(value), .headers = {}});
    }
    return builder.build({.producer_id = ProducerId(producer_.id),
                          .producer_epoch = ProducerEpoch(producer_.epoch),
                          .base_sequence = batch.sequence});
  }

  // Before all is healed a client may lose its patience early, so that the retry meets the first attempt.
  Deadline patience() {
    const bool short_of_it = !state_.rules.connections_last && state_.world.now() < state_.healed && draw(8) == 0;
    return short_of_it
               ? fiber::within(Duration::milliseconds(static_cast<std::int64_t>(1 + draw(500))), Expiry::kNormal)
               : node_patience();
  }

  // second: over the second connection, beside the attempt over the first.
  void attempt(client::Client& client, const Batch& batch, bool second) {
    const PlanOperation& operation = *batch->operation;
    const IdempotentProducer::Partition& partition = producer_.partitions[batch->partition];
    const bool alone = partition.open.empty() || partition.open.front()->nth >= batch->nth;
    if (!second) {
      batch->sent_in = number_;
      if (second_ != nullptr && draw(3) == 0) {
        workers_->spawn({"again", operation.id}, [this, batch, delay = draw(2) == 0 ? 0 : draw(20)] {
          if ((delay == 0 || fiber::sleep(Duration::milliseconds(static_cast<std::int64_t>(delay))).ok()) && !ended_) {
            attempt(*second_, batch, true);
          }
        });
      }
    }
    const auto answer = client.produce(kLedgerTopic, partition_id(batch->partition), bytes_of(*batch),
                                       static_cast<std::int16_t>(operation.number("acks")), patience());
    const bool acknowledged = answer.ok() && answer->error_code == ErrorCode::kNone;
    state_.world.trace().record(Record::kClient, operation.id, acknowledged ? 0 : 1);
    state_.judge_answer(answer.status(), "produce");
    if (acknowledged) {
      settle(*batch, answer->base_offset.value());
    } else if (!answer.ok() && !ended_) {
      judge_lasting(state_, answer.status());
    } else if (answer.ok() && answer->error_code == ErrorCode::kOutOfOrderSequenceNumber) {
      judge_out_of_order(*batch, alone);
    } else if (answer.ok()) {
      state_.judge_error(answer->error_code, "produce");
    }
    if (!acknowledged && !second) {
      end();
    }
  }

  // Justified where a batch before it may not have come, and where so many came after it that it is forgotten.
  void judge_out_of_order(const IdempotentBatch& batch, bool alone) {
    const std::int64_t behind = producer_.partitions[batch.partition].next_nth - 1 - batch.nth;
    if (alone && behind < static_cast<std::int64_t>(kOpenMost)) {
      state_.world.fail("IDEMPOTENT",
                        fmt::format("producer {} in epoch {}, partition {}: sequence number {} is answered "
                                    "OUT_OF_ORDER_SEQUENCE_NUMBER; all before it were acknowledged, {} came after it",
                                    producer_.id, producer_.epoch, batch.partition, batch.sequence, behind));
    }
  }

  void settle(IdempotentBatch& batch, std::int64_t base) {
    const std::int64_t records = batch.operation->number("records");
    for (std::int64_t i = 0; i < records; ++i) {
      state_.ledger.acknowledge(value_of(*batch.operation, i), base + i);
    }
    if (batch.acknowledged) {
      state_.world.fault_fired("retry answered");
      return;
    }
    batch.acknowledged = true;
    IdempotentProducer::Partition& partition = producer_.partitions[batch.partition];
    partition.known = true;
    while (!partition.open.empty() && partition.open.front()->acknowledged) {
      partition.open.pop_front();
    }
    expect_news(state_, batch.partition, base + records - 1);
    changed_.notify_all();
  }

  ProcessContext& process_;
  OneNodeState& state_;
  OneNodeState::Producer& plan_;
  IdempotentProducer& producer_;
  client::Client& client_;
  std::uint64_t number_;
  std::unique_ptr<client::Client> second_;
  fiber::FiberScope* workers_ = nullptr;
  fiber::Event changed_;
  bool ended_ = false;
};

}  // namespace

void run_idempotent_producer(ProcessContext& process, OneNodeState& state) {
  OneNodeState::Producer& producer = state.producers[process.machine.name()];
  IdempotentProducer& known = state.idempotent[process.machine.name()];
  known = {};  // a process that is started anew has lost its identity
  while (producer.next < producer.operations.size() || known.anything_open()) {
    StatusOr<std::unique_ptr<client::Client>> client = connect_to_node(process);
    if (client.ok() && expect_topic(state, **client).ok()) {
      IdempotentSession(process, state, **client).run();
    }
    sleep_between(process, 20, 220);
  }
  producer.done = true;
}

}  // namespace chronik::sim
