// Three nodes that keep three replicas of each partition, two of which must be in sync, and clients that produce and
// read, under all that the network, deaths, suspensions, stalling disks and clocks can do.
//
// Judged, besides what group.h says: what was acknowledged with acks=all is there in the end, at that offset, with
// those bytes, and nothing that was read is ever other (ACK-DURABLE, OFFSET-UNIQUE: also across fail-overs, whoever
// leads); what was refused for want of replicas is not there (REFUSED); a connection's values are in the order of
// sending (ORDER); in one epoch an offset has one content, on whichever node (REPLICA-MATCH); once all is healed
// everything is produced and read, every replica is in sync, and all have the same end and high watermark
// (REPLICA-LIVE).
#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/client/client.h"
#include "core/fiber/wait.h"
#include "core/protocol/record_batch_builder.h"
#include "core/protocol/record_batch_walk.h"
#include "sim/knobs.h"
#include "sim/replica_checker.h"
#include "sim/scenarios/group.h"
#include "sim/scenarios/ledger.h"
#include "sim/scenarios/one_node.h"
#include "sim/scenarios/scenarios.h"

namespace chronik::sim {

namespace {

using protocol::ErrorCode;

constexpr std::int64_t kOperationsMost = 200;  // of a client
constexpr std::int64_t kBytesMost = 2000;

struct ReplicatedState final : GroupState {
  ReplicatedState(World& of, std::size_t partitions) : ledger(of, partitions) { world = &of; }
  struct Producer {
    std::vector<PlanOperation> operations;
    std::size_t next = 0;
    std::uint64_t sessions = 0;
    bool done = false;
  };
  Ledger ledger;
  std::map<std::string, Producer> producers;
  bool all_read = false;
  Status last_read;

  bool all_done() const {
    return std::all_of(producers.begin(), producers.end(), [](const auto& of) { return of.second.done; });
  }
};

// What a client knows of the topic, and its connections to those who lead.
class LeaderClients {
 public:
  LeaderClients(ProcessContext& process, ReplicatedState& state) : process_(process), state_(state) {}

  // Asks any node who leads. Not ok: it does not know, or not of all partitions.
  Status refresh() {
    clients_.clear();
    leaders_.clear();
    ASSIGN_OR_RETURN(const std::unique_ptr<client::Client> any, connect_to_any(process_, state_));
    ASSIGN_OR_RETURN(const protocol::MetadataTopic topic, any->metadata(kLedgerTopic, node_patience()));
    if (topic.error_code != ErrorCode::kNone || topic.partitions.size() != state_.ledger.partitions()) {
      return absl::UnavailableError("the topic is not made yet");
    }
    leaders_.resize(topic.partitions.size());
    for (const auto& partition : topic.partitions) {
      leaders_.at(static_cast<std::size_t>(partition.partition_index.value())) = partition.leader_id;
    }
    return ok();
  }

  // Of the partition's leader, as far as is known.
  StatusOr<client::Client*> leader_of(std::size_t partition) {
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

 private:
  ProcessContext& process_;
  ReplicatedState& state_;
  std::vector<NodeId> leaders_;
  std::map<NodeId, std::unique_ptr<client::Client>> clients_;
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
    for (std::size_t partition = 0; partition < state_.ledger.partitions(); ++partition) {
      RETURN_IF_ERROR(read_partition(partition));
    }
    return ok();
  }

  // From its first offset up to all that was known when this began.
  Status read_partition(std::size_t partition) {
    const std::int64_t known = state_.ledger.known_end(partition);
    std::int64_t position = 0;
    for (;;) {
      ASSIGN_OR_RETURN(client::Client * leader, leaders_.leader_of(partition));
      ASSIGN_OR_RETURN(const protocol::FetchPartitionResponse got,
                       leader->fetch_waiting(kLedgerTopic, partition_id(partition), Offset(position), 65'536,
                                             Duration::milliseconds(500), node_patience()));
      if (got.error_code == ErrorCode::kOffsetOutOfRange || got.error_code == ErrorCode::kCorruptMessage) {
        state_.world->fail("ACK-DURABLE", fmt::format("partition {} at {}: {}", partition, position,
                                                      protocol::error_name(got.error_code)));
      }
      if (got.error_code != ErrorCode::kNone) {
        return absl::UnavailableError(std::string(protocol::error_name(got.error_code)));
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
      if (batch.base_offset().value() != position) {
        state_.world->fail("OFFSET-CONTIG",
                           fmt::format("partition {} at {}: a batch at {}", partition, position, batch.base_offset()));
        return absl::DataLossError("offset");
      }
      protocol::RecordIterator iterator(batch);
      protocol::RecordView record;
      while (iterator.next(record)) {
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

// ---- the scenario ----

class Replicated final : public Scenario {
 public:
  const char* name() const override { return "replicated"; }
  const char* description() const override {
    return "three replicas of each partition, under network faults, deaths, suspensions and clocks";
  }
  std::vector<std::string> announced_faults() const override { return group_fault_names(); }

  Plan generate(std::uint64_t seed) const override {
    Draws draws(seed, "plan", mix_text(name()));
    Plan plan = draw_group_plan(*this, seed, kGroupNodes, draws);
    plan.knobs["partitions"] = draws.between(1, 3);
    plan.knobs["replica.lag_ms"] = draws.magnitude(500, 30'000);
    std::vector<std::string> names;
    for (const PlanMachine& machine : plan.machines) {
      names.push_back(machine.name);
    }
    names.emplace_back("reader");
    plan.machines.push_back(draw_machine("reader", "reader", draws));
    const std::int64_t clients = draws.between(1, 3);
    for (std::int64_t i = 1; i <= clients; ++i) {
      names.push_back(fmt::format("client-{}", i));
      plan.machines.push_back(draw_machine(names.back(), "producer", draws));
      draw_operations(plan, names.back(), draws);
    }
    draw_group_faults(plan, draws, names);
    return plan;
  }

  std::unique_ptr<ScenarioState> build(World& world, const Plan& plan, Nemesis& nemesis) const override {
    auto owned = std::make_unique<ReplicatedState>(world, static_cast<std::size_t>(plan.knob("partitions", 1)));
    ReplicatedState* state = owned.get();
    begin_group(world, plan, nemesis, *state);
    for (const PlanOperation& operation : plan.operations) {
      state->producers[operation.machine].operations.push_back(operation);
    }
    for (const PlanMachine& planned : plan.machines) {
      if (planned.role == "node") {
        add_group_node(world, planned, plan, nemesis, *state);
        configure(plan, state->configs.at(planned.name));
      } else if (planned.role == "reader") {
        add_planned_machine(world, planned).install([state](ProcessContext& process) {
          ReplicatedReader(process, *state).run();
        });
      } else {
        add_planned_machine(world, planned).install([state](ProcessContext& process) {
          ReplicatedProducer(process, *state).run();
        });
      }
    }
    world.checkers().add(std::make_unique<ReplicaChecker>(world));
    start_all_machines(world);
    return owned;
  }

  void at_end(World& world, ScenarioState& of) const override {
    auto& state = static_cast<ReplicatedState&>(of);
    if (!judge_images(world, state)) {
      return;
    }
    judge_replicas(world, state);
    if (!state.all_read) {
      world.fail("REPLICA-LIVE", fmt::format("not everything was produced and read after all was healed: {} of {} "
                                             "acknowledged, the reader's latest pass: {}\n{}",
                                             state.ledger.acknowledged(), state.ledger.sent(),
                                             state.last_read.ToString(), world.describe_waits()));
      return;
    }
    state.ledger.judge();
  }

 private:
  static void configure(const Plan& plan, node::NodeConfig& config) {
    config.limits.request = Duration::seconds(20);
    config.replication.lag_max = Duration::milliseconds(plan.knob("replica.lag_ms", 30'000));
    config.broker["num.partitions"] = fmt::format("{}", plan.knob("partitions", 1));
    config.broker["default.replication.factor"] = "3";
    config.broker["min.insync.replicas"] = "2";
  }

  static void draw_operations(Plan& plan, const std::string& machine, Draws& draws) {
    const std::int64_t operations = draws.magnitude(5, kOperationsMost);
    const std::int64_t bytes_most = draws.magnitude(16, kBytesMost);
    const std::int64_t pause_most = 2 * plan.lasts.nanoseconds() / operations;
    for (std::int64_t k = 0; k < operations; ++k) {
      PlanOperation& operation = plan.operations.emplace_back();
      operation.id = plan.operations.size();
      operation.machine = machine;
      operation.verb = "produce";
      operation.numbers["partition"] = draws.between(0, 2);
      operation.numbers["bytes"] = draws.between(8, bytes_most);
      operation.numbers["records"] = draws.magnitude(1, 5);
      operation.numbers["acks"] = draws.below(4) == 0 ? 1 : -1;
      operation.numbers["pause_ns"] = draws.between(0, pause_most);
    }
  }

  // What leaders know of their followers.
  static std::string known_ends(const ReplicatedState& state, std::size_t index) {
    std::string known;
    for (const auto& [name, node] : state.serving) {
      const replication::Partition& partition = *node->table().find(kLedgerTopic)->partitions[index];
      for (const replication::Follower& follower : partition.followers().all()) {
        known += fmt::format("{} knows node {} of broker epoch {} to be durable to {}; ", name, follower.node,
                             follower.broker_epoch, follower.durable_end);
      }
    }
    return known;
  }

  static void judge_replicas(World& world, const ReplicatedState& state) {
    struct First {
      Offset end;
      Offset watermark;
    };
    std::map<std::size_t, First> firsts;
    for (const auto& [name, node] : state.serving) {
      const broker::HostedTopic* topic = node->table().find(kLedgerTopic);
      if (topic == nullptr || topic->partitions.size() != state.ledger.partitions()) {
        return world.fail("REPLICA-LIVE", fmt::format("{} does not host the topic", name));
      }
      for (std::size_t index = 0; index < topic->partitions.size(); ++index) {
        const replication::Partition& partition = *topic->partitions[index];
        const Offset end = partition.log().log_end();
        const First first = firsts.emplace(index, First{end, partition.high_watermark()}).first->second;
        const std::size_t in_sync = partition.leadership().in_sync.size();
        if (in_sync != kGroupNodes || end != first.end || partition.high_watermark() != first.end) {
          return world.fail(
              "REPLICA-LIVE",
              fmt::format("{}, partition {}: {} in sync, log end {}, high watermark {}; another has log end {}; {}\n{}",
                          name, index, in_sync, end, partition.high_watermark(), first.end, known_ends(state, index),
                          world.describe_waits()));
        }
      }
    }
  }
};

}  // namespace

const Scenario* replicated_scenario() {
  static const Replicated scenario;
  return &scenario;
}

}  // namespace chronik::sim
