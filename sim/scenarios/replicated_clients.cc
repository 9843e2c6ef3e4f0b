// Clients of replicated partitions.
#include <fmt/core.h>

#include <optional>

#include "core/fiber/wait.h"
#include "core/protocol/messages/delete_records.h"
#include "core/protocol/record_batch_builder.h"
#include "core/protocol/record_batch_walk.h"
#include "sim/obligations.h"
#include "sim/scenarios/one_node.h"
#include "sim/scenarios/replicated.h"

namespace chronik::sim {

using protocol::ErrorCode;

Status LeaderClients::refresh() {
  clients_.clear();
  leaders_.clear();
  ASSIGN_OR_RETURN(std::unique_ptr<client::Client> any, connect_to_any(process_, state_));
  ASSIGN_OR_RETURN(const protocol::MetadataTopic topic, any->metadata(kLedgerTopic, node_patience()));
  if (topic.error_code != ErrorCode::kNone || topic.partitions.size() != state_.ledger.partitions()) {
    return absl::UnavailableError("the topic is not made yet");
  }
  leaders_.resize(topic.partitions.size());
  for (const auto& partition : topic.partitions) {
    leaders_.at(static_cast<std::size_t>(partition.partition_index.value())) = partition.leader_id;
  }
  return state_.forwarded ? stay_with(std::move(any)) : ok();
}

// With forwarding on, the node that was asked leads everything that anybody leads.
Status LeaderClients::stay_with(std::unique_ptr<client::Client> node) {
  NodeId named = NodeId::none();
  for (const NodeId leader : leaders_) {
    if (leader != NodeId::none() && named != NodeId::none() && leader != named) {
      state_.world->fail("CONFORM", fmt::format("a node that forwards names nodes {} and {}", named, leader));
    }
    named = leader != NodeId::none() ? leader : named;
  }
  clients_[named] = std::move(node);
  return ok();
}

StatusOr<client::Client*> LeaderClients::leader_of(std::size_t partition) {
  const NodeId leader = leaders_.at(partition);
  if (leader == NodeId::none()) {
    return absl::UnavailableError("nobody leads");
  }
  std::unique_ptr<client::Client>& client = clients_[leader];
  if (client == nullptr) {
    ASSIGN_OR_RETURN(client, connect_to_group_node(process_, leader));
  }
  return client.get();
}

namespace {

// Where nothing goes wrong, somebody waits for this and must not wait long.
class Awaited {
 public:
  Awaited(ReplicatedState& state, std::string what) : state_(state) {
    if (state.undisturbed) {
      obligation_ = state.world->obligations().open(std::move(what), state.answer_within);
    }
  }
  ~Awaited() {
    if (obligation_.has_value()) {
      state_.world->obligations().settle(*obligation_);
    }
  }
  Awaited(const Awaited&) = delete;
  Awaited& operator=(const Awaited&) = delete;

 private:
  ReplicatedState& state_;
  std::optional<std::uint64_t> obligation_;
};

// ---- producing ----

class ReplicatedProducer {
 public:
  ReplicatedProducer(ProcessContext& process, ReplicatedState& state)
      : process_(process),
        state_(state),
        producer_(state.producers[process.machine.name()]),
        leaders_(process, state) {}

  void run() {
    while (producer_.next < producer_.operations.size()) {
      session_ = {.client = mix_text(process_.machine.name()), .number = ++producer_.sessions};
      if (leaders_.refresh().ok()) {
        while (producer_.next < producer_.operations.size() && produce_next()) {
        }
      }
      sleep_between(process_, 20, 220);
    }
    producer_.done = true;
  }

 private:
  // False: who leads is to be asked anew.
  bool produce_next() {
    const PlanOperation& operation = producer_.operations[producer_.next];
    if (state_.world->now() < state_.healed) {
      static_cast<void>(fiber::sleep(Duration::nanoseconds(operation.number("pause_ns"))));
    }
    const auto partition = static_cast<std::size_t>(operation.number("partition")) % state_.ledger.partitions();
    const StatusOr<client::Client*> leader = leaders_.leader_of(partition);
    if (!leader.ok()) {
      return false;
    }
    ++producer_.next;
    const auto bytes = static_cast<std::size_t>(operation.number("bytes"));
    const std::int64_t records = operation.number("records");
    const auto acks = static_cast<std::int16_t>(operation.number("acks"));
    protocol::RecordBatchBuilder builder;
    for (std::int64_t i = 0; i < records; ++i) {
      const std::string value = Ledger::bytes_of(value_of(operation, i), bytes);
      builder.append({.timestamp = process_.ports.clock.wall(), .key = {}, .value = as_bytes(value), .headers = {}});
      state_.ledger.send(value_of(operation, i), bytes, partition, session_);
    }
    if (acks == 0) {
      return (*leader)
          ->produce_unanswered(kLedgerTopic, partition_id(partition), builder.build({}), node_patience())
          .ok();
    }
    const Awaited awaited(state_, fmt::format("{} is answered", process_.machine.name()));
    const StatusOr<protocol::ProducePartitionResponse> answer =
        (*leader)->produce(kLedgerTopic, partition_id(partition), builder.build({}), acks, node_patience());
    if (!answer.ok()) {
      return false;
    }
    judge_error(answer->error_code);
    for (std::int64_t i = 0; i < records; ++i) {
      if (answer->error_code == ErrorCode::kNotEnoughReplicas || answer->error_code == ErrorCode::kInvalidTimestamp) {
        state_.ledger.refuse_value(value_of(operation, i));
      } else if (answer->error_code == ErrorCode::kNone && acks == -1) {
        state_.ledger.acknowledge(value_of(operation, i), answer->base_offset.value() + i);
      }
    }
    return answer->error_code == ErrorCode::kNone;
  }

  void judge_error(ErrorCode error) {
    switch (error) {
      case ErrorCode::kNone:
      case ErrorCode::kInvalidTimestamp:  // clocks step
      case ErrorCode::kNotLeaderOrFollower:
      case ErrorCode::kUnknownTopicOrPartition:
      case ErrorCode::kNotEnoughReplicas:
      case ErrorCode::kNotEnoughReplicasAfterAppend:
      case ErrorCode::kRequestTimedOut: return;
      default: state_.world->fail("CONFORM", fmt::format("produce: {}", protocol::error_name(error)));
    }
  }

  ProcessContext& process_;
  ReplicatedState& state_;
  ReplicatedState::Producer& producer_;
  LeaderClients leaders_;
  ProducerSessionId session_;
};

// ---- reading ----

class ReplicatedReader {
 public:
  ReplicatedReader(ProcessContext& process, ReplicatedState& state)
      : process_(process), state_(state), leaders_(process, state) {}

  void run() {
    while (!state_.all_read) {
      const bool last = state_.world->now() >= state_.healed && state_.all_done();
      state_.last_read = read_all();
      state_.all_read = last && state_.last_read.ok();
      sleep_between(process_, 200, 3000);
    }
  }

 private:
  Status read_all() {
    RETURN_IF_ERROR(leaders_.refresh());
    if (state_.forwarded) {
      return read_together();
    }
    for (std::size_t partition = 0; partition < state_.ledger.partitions(); ++partition) {
      RETURN_IF_ERROR(read_partition(partition));
    }
    return ok();
  }

  // All partitions at once, of whichever leaders, from one node.
  Status read_together() {
    std::vector<std::int64_t> known;
    for (std::size_t partition = 0; partition < state_.ledger.partitions(); ++partition) {
      known.push_back(state_.ledger.known_end(partition));
    }
    std::vector<std::int64_t> positions(known.size());
    for (;;) {
      ASSIGN_OR_RETURN(client::Client * node, leaders_.leader_of(0));
      protocol::FetchRequest request;
      request.max_wait_ms = 500;
      request.min_bytes = 1;
      auto& asked = request.topics.emplace_back();
      asked.topic = kLedgerTopic;
      for (std::size_t partition = 0; partition < positions.size(); ++partition) {
        auto& wanted = asked.partitions.emplace_back();
        wanted.partition = partition_id(partition);
        wanted.fetch_offset = Offset(positions[partition]);
        wanted.current_leader_epoch = LeaderEpoch::none();
        wanted.last_fetched_epoch = LeaderEpoch::none();
        wanted.partition_max_bytes = 65'536;
      }
      ASSIGN_OR_RETURN(const protocol::FetchResponse got,
                       node->call<protocol::FetchResponse>(request, 12, node_patience()));
      if (got.responses.size() != 1 || got.responses[0].partitions.size() != positions.size()) {
        state_.world->fail("CONFORM", "a fetch is answered for other partitions than were asked for");
        return absl::DataLossError("partitions");
      }
      const std::vector<std::int64_t> before = positions;
      for (std::size_t partition = 0; partition < positions.size(); ++partition) {
        const protocol::FetchPartitionResponse& answer = got.responses[0].partitions[partition];
        RETURN_IF_ERROR(judge_fetched(partition, positions[partition], answer.error_code));
        RETURN_IF_ERROR(take(partition, answer.records.value_or(Slice()), positions[partition]));
      }
      if (positions != before) {
        continue;
      }
      for (std::size_t partition = 0; partition < positions.size(); ++partition) {
        if (positions[partition] < known[partition]) {
          return absl::UnavailableError(
              fmt::format("partition {} ends at {}; {} were known", partition, positions[partition], known[partition]));
        }
      }
      return ok();
    }
  }

  Status judge_fetched(std::size_t partition, std::int64_t position, ErrorCode error) {
    if (error == ErrorCode::kOffsetOutOfRange || error == ErrorCode::kCorruptMessage) {
      state_.world->fail("ACK-DURABLE",
                         fmt::format("partition {} at {}: {}", partition, position, protocol::error_name(error)));
    }
    return error == ErrorCode::kNone ? ok() : absl::UnavailableError(std::string(protocol::error_name(error)));
  }

  // From its first offset up to all that was known when this began.
  Status read_partition(std::size_t partition) {
    const std::int64_t known = state_.ledger.known_end(partition);
    std::int64_t position = 0;
    for (;;) {
      // A leader that does not know yet that it is none any more may tell of what is deleted elsewhere; once all is
      // healed there is none.
      const bool settled = state_.world->now() > state_.healed + Duration::seconds(20);
      const std::int64_t known_start = settled ? state_.ledger.confirmed_start(partition) : 0;
      ASSIGN_OR_RETURN(client::Client * leader, leaders_.leader_of(partition));
      ASSIGN_OR_RETURN(const protocol::FetchPartitionResponse got,
                       leader->fetch_waiting(kLedgerTopic, partition_id(partition), Offset(position), 65'536,
                                             Duration::milliseconds(500), node_patience()));
      if (got.error_code == ErrorCode::kOffsetOutOfRange && state_.ledger.asked_start(partition) > 0) {
        if (got.log_start_offset.value() > position &&
            state_.ledger.begin_at(partition, got.log_start_offset.value(), known_start, /*retained=*/false)) {
          position = got.log_start_offset.value();
          continue;
        }
        return absl::UnavailableError("the log's start is moving");
      }
      const bool damaged = got.error_code == ErrorCode::kCorruptMessage && !state_.rots;
      if (got.error_code == ErrorCode::kOffsetOutOfRange || damaged) {
        state_.world->fail("ACK-DURABLE", fmt::format("partition {} at {}: {}", partition, position,
                                                      protocol::error_name(got.error_code)));
      }
      if (got.error_code != ErrorCode::kNone) {
        return absl::UnavailableError(std::string(protocol::error_name(got.error_code)));
      }
      if (!state_.ledger.read_at(partition, position, known_start)) {
        return absl::DataLossError("deleted");
      }
      const std::int64_t before = position;
      RETURN_IF_ERROR(take(partition, got.records.value_or(Slice()), position));
      if (position == before && position >= known) {
        return ok();
      }
      // A new leader says nothing of what it does not know to be committed.
      if (position == before) {
        return absl::UnavailableError(
            fmt::format("partition {} ends at {}; {} were known", partition, position, known));
      }
    }
  }

  Status take(std::size_t partition, const Slice& records, std::int64_t& position) {
    protocol::BatchWalk walk(records.bytes(), protocol::BatchWalk::Checksums::kCheck);
    protocol::RecordBatchView batch;
    while (walk.next(batch)) {
      const bool within = position <= state_.ledger.asked_start(partition) && batch.base_offset().value() < position;
      if (batch.base_offset().value() != position && !within) {
        state_.world->fail("OFFSET-CONTIG",
                           fmt::format("partition {} at {}: a batch at {}", partition, position, batch.base_offset()));
        return absl::DataLossError("offset");
      }
      protocol::RecordIterator iterator(batch);
      protocol::RecordView record;
      while (iterator.next(record)) {
        if (record.offset(batch).value() < position) {
          continue;
        }
        if (!state_.ledger.see(partition, position, record.value_bytes)) {
          return absl::DataLossError("record");
        }
        ++position;
      }
    }
    return ok();
  }

  ProcessContext& process_;
  ReplicatedState& state_;
  LeaderClients leaders_;
};

// ---- deleting ----

class ReplicatedTrimmer {
 public:
  ReplicatedTrimmer(ProcessContext& process, ReplicatedState& state)
      : process_(process), state_(state), leaders_(process, state) {}

  void run() {
    while (state_.world->now() < state_.healed) {
      if (leaders_.refresh().ok()) {
        while (state_.world->now() < state_.healed && trim(draw(state_.ledger.partitions()))) {
          sleep_between(process_, 10, 2000);
        }
      }
      sleep_between(process_, 20, 500);
    }
  }

 private:
  std::uint64_t draw(std::uint64_t ways) { return process_.ports.random.next() % ways; }

  // False: who leads is to be asked anew.
  bool trim(std::size_t partition) {
    const StatusOr<client::Client*> leader = leaders_.leader_of(partition);
    if (!leader.ok()) {
      return false;
    }
    const std::int64_t start = state_.ledger.log_start(partition);
    const std::int64_t width = std::max<std::int64_t>(state_.ledger.known_end(partition) - start, 0);
    const Offset to(start + static_cast<std::int64_t>(draw(static_cast<std::uint64_t>(width) + 1)));
    state_.ledger.ask_start(partition, to.value());
    protocol::DeleteRecordsRequest request;
    request.timeout_ms = 10'000;
    request.topics.push_back(
        {.name = kLedgerTopic, .partitions = {{.partition_index = partition_id(partition), .offset = to}}});
    const auto got = (*leader)->call<protocol::DeleteRecordsResponse>(request, /*version=*/2, node_patience());
    if (!got.ok() || got->topics.size() != 1 || got->topics[0].partitions.size() != 1 ||
        got->topics[0].partitions[0].error_code != ErrorCode::kNone) {
      return false;
    }
    if (got->topics[0].partitions[0].low_watermark < to) {
      state_.world->fail("LOG-START", fmt::format("partition {}: deletion below {} is answered with a start of {}",
                                                  partition, to, got->topics[0].partitions[0].low_watermark));
    }
    state_.world->fault_fired("records deleted");
    state_.ledger.confirm_start(partition, to.value());
    return true;
  }

  ProcessContext& process_;
  ReplicatedState& state_;
  LeaderClients leaders_;
};

}  // namespace

void run_replicated_producer(ProcessContext& process, ReplicatedState& state) {
  ReplicatedProducer(process, state).run();
}

void run_replicated_reader(ProcessContext& process, ReplicatedState& state) { ReplicatedReader(process, state).run(); }

void run_replicated_trimmer(ProcessContext& process, ReplicatedState& state) {
  ReplicatedTrimmer(process, state).run();
}

}  // namespace chronik::sim
