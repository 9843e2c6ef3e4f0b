// Clients of replicated partitions: how they find the leaders, who produces, who deletes records.
#include <fmt/core.h>

#include <optional>

#include "core/fiber/scope.h"
#include "core/fiber/wait.h"
#include "core/protocol/messages/create_topics.h"
#include "core/protocol/messages/delete_records.h"
#include "core/protocol/record_batch_builder.h"
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
  epochs_.resize(topic.partitions.size());
  for (const auto& partition : topic.partitions) {
    const auto at = static_cast<std::size_t>(partition.partition_index.value());
    leaders_.at(at) = partition.leader_id;
    epochs_.at(at) = partition.leader_epoch;
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
    ASSIGN_OR_RETURN(std::unique_ptr<client::Client> connected, connect_to_group_node(process_, leader));
    if (client == nullptr) {
      client = std::move(connected);  // else somebody else has come first
    }
  }
  return client.get();
}

void LeaderClients::close() {
  for (const auto& [leader, client] : clients_) {
    if (client != nullptr) {
      client->close();
    }
  }
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
        produce_until_one_fails();
      }
      sleep_between(process_, 20, 220);
    }
    producer_.done = true;
  }

 private:
  void produce_until_one_fails() {
    bool going_on = true;
    fiber::FiberScope workers;
    for (std::size_t i = 0; i < state_.window; ++i) {
      workers.spawn({"worker", i}, [this, &going_on] {
        while (going_on && producer_.next < producer_.operations.size() && produce_next(going_on)) {
        }
        if (producer_.next < producer_.operations.size()) {
          going_on = false;
          leaders_.close();
        }
      });
    }
    static_cast<void>(workers.join(fiber::for_ever()));
  }

  // False: who leads is to be asked anew.
  bool produce_next(const bool& going_on) {
    const std::size_t mine = producer_.next;
    const PlanOperation& operation = producer_.operations[mine];
    if (state_.world->now() < state_.healed) {
      const auto burst = operation.numbers.find("not_before_ns");
      const VirtualTime begins =
          burst == operation.numbers.end() ? VirtualTime::zero() : VirtualTime::from_nanoseconds(burst->second);
      const Duration left = std::max(begins - state_.world->now(), Duration::zero());
      static_cast<void>(fiber::sleep(left + Duration::nanoseconds(operation.number("pause_ns"))));
    }
    const auto partition = static_cast<std::size_t>(operation.number("partition")) % state_.ledger.partitions();
    const StatusOr<client::Client*> leader = leaders_.leader_of(partition);
    if (!leader.ok() || !going_on) {
      return false;
    }
    if (producer_.next != mine) {
      return true;  // somebody else has
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
      if (answer->error_code == ErrorCode::kNotEnoughReplicas || answer->error_code == ErrorCode::kInvalidTimestamp ||
          answer->error_code == ErrorCode::kKafkaStorageError) {
        state_.ledger.refuse_value(value_of(operation, i));
      } else if (answer->error_code == ErrorCode::kNone && acks == -1 && !state_.unclean) {
        state_.ledger.acknowledge(value_of(operation, i), answer->base_offset.value() + i);
      }
    }
    if (answer->error_code == ErrorCode::kNone && state_.on_acknowledged) {
      state_.on_acknowledged(partition, Offset(answer->base_offset.value() + records - 1), acks);
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
      case ErrorCode::kKafkaStorageError:
        if (state_.space_may_lack) {
          return state_.world->fault_fired("refused write");
        }
        [[fallthrough]];
      default: state_.world->fail("CONFORM", fmt::format("produce: {}", protocol::error_name(error)));
    }
  }

  ProcessContext& process_;
  ReplicatedState& state_;
  ReplicatedState::Producer& producer_;
  LeaderClients leaders_;
  ProducerSessionId session_;
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

// ---- making topics ----

// A topic after the other, each of which takes a record in each of its partitions soon.
class TopicMaker {
 public:
  TopicMaker(ProcessContext& process, ReplicatedState& state) : process_(process), state_(state) {}

  void run() {
    for (std::int64_t made = 0; state_.world->now() < state_.healed; ++made) {
      sleep_between(process_, 100, 3000);
      StatusOr<std::unique_ptr<client::Client>> client = connect_to_any(process_, state_);
      const std::string name = fmt::format("{}.{}", process_.machine.name(), made);
      if (client.ok() && create(**client, name)) {
        const Awaited awaited(state_, fmt::format("topic {} takes records", name));
        for (std::int32_t partition = 0; partition < kMadePartitions; ++partition) {
          while (!produce(**client, name, PartitionId(partition))) {
            sleep_between(process_, 5, 50);
          }
        }
      }
    }
  }

 private:
  static constexpr std::int32_t kMadePartitions = 3;

  static bool create(client::Client& client, const std::string& name) {
    protocol::CreateTopicsRequest request;
    request.timeout_ms = 10'000;
    request.topics.push_back(
        {.name = name, .num_partitions = kMadePartitions, .replication_factor = -1, .assignments = {}, .configs = {}});
    const auto got = client.call<protocol::CreateTopicsResponse>(request, /*version=*/5, node_patience());
    return got.ok() && got->topics.size() == 1 && got->topics[0].error_code == ErrorCode::kNone;
  }

  bool produce(client::Client& any, const std::string& topic, PartitionId partition) {
    const StatusOr<protocol::MetadataTopic> known = any.metadata(topic, node_patience());
    if (!known.ok() || known->partitions.size() != static_cast<std::size_t>(kMadePartitions)) {
      return false;
    }
    const auto of = std::find_if(known->partitions.begin(), known->partitions.end(),
                                 [&](const auto& one) { return one.partition_index == partition; });
    const StatusOr<std::unique_ptr<client::Client>> leader = connect_to_group_node(process_, of->leader_id);
    if (!leader.ok()) {
      return false;
    }
    protocol::RecordBatchBuilder builder;
    builder.append({.timestamp = process_.ports.clock.wall(), .key = {}, .value = as_bytes(topic), .headers = {}});
    const auto answer = (*leader)->produce(topic, partition, builder.build({}), -1, node_patience());
    return answer.ok() && answer->error_code == ErrorCode::kNone;
  }

  ProcessContext& process_;
  ReplicatedState& state_;
};

}  // namespace

void run_topic_maker(ProcessContext& process, ReplicatedState& state) { TopicMaker(process, state).run(); }

void run_replicated_producer(ProcessContext& process, ReplicatedState& state) {
  ReplicatedProducer(process, state).run();
}

void run_replicated_trimmer(ProcessContext& process, ReplicatedState& state) {
  ReplicatedTrimmer(process, state).run();
}

}  // namespace chronik::sim
