// Three nodes, of which one at a time is cut off from both others, in both directions or in one, while every client
// reaches all of them and nothing else goes wrong: no client of any node may stand still.
//
// Judged, besides what group.h says: whoever produces with acks=all is answered within kAnsweredWithin, also by a
// leader that does not know who leads in its place, and gets something acknowledged within kGoesOnWithin (NO-STUCK);
// what was acknowledged is there, once and in order, and is read in the end (ACK-DURABLE, OFFSET-UNIQUE, ORDER,
// REPLICA-MATCH, REPLICA-LIVE).
#include <fmt/core.h>

#include <memory>
#include <string>

#include "core/fiber/wait.h"
#include "core/protocol/record_batch_builder.h"
#include "sim/damage_checker.h"
#include "sim/disk_faults.h"
#include "sim/knobs.h"
#include "sim/obligations.h"
#include "sim/replica_checker.h"
#include "sim/scenarios/group_watch.h"
#include "sim/scenarios/one_node.h"
#include "sim/scenarios/replicated.h"
#include "sim/scenarios/scenarios.h"

namespace chronik::sim {

namespace {

using protocol::ErrorCode;

// A node takes up to 1.5 s to miss the leader of the metadata; then a session (1 s) and the longest election (1.5 s)
// pass elsewhere, as far as it can know. The rest is for the network and the timers' grain.
constexpr Duration kAnsweredWithin = Duration::milliseconds(4000 + 1500);
// Then it asks whichever node who leads, perhaps the one that is cut off, over and over.
constexpr Duration kGoesOnWithin = Duration::seconds(10);
constexpr std::uint64_t kAttemptsMost = 10'000;  // of one operation: each sends a value of its own
constexpr const char* kIsolatedAnswer = "answer of an isolated leader";

// Something that must come in time. Its end settles it.
class Owed {
 public:
  Owed(World& world, std::string what, Duration limit)
      : world_(world), obligation_(world.obligations().open(std::move(what), limit)) {}
  ~Owed() { world_.obligations().settle(obligation_); }
  Owed(const Owed&) = delete;
  Owed& operator=(const Owed&) = delete;

 private:
  World& world_;
  std::uint64_t obligation_;
};

// ---- the clients ----

class CutOffProducer {
 public:
  CutOffProducer(ProcessContext& process, ReplicatedState& state)
      : process_(process),
        state_(state),
        world_(*state.world),
        producer_(state.producers[process.machine.name()]),
        leaders_(process, state) {}

  void run() {
    // Until the topic is made and has its leaders, nobody is owed anything.
    while (!look_for_leaders()) {
    }
    for (; producer_.next < producer_.operations.size(); ++producer_.next) {
      const PlanOperation& operation = producer_.operations[producer_.next];
      if (world_.now() < state_.healed) {
        static_cast<void>(fiber::sleep(Duration::nanoseconds(operation.number("pause_ns"))));
      }
      const Owed goes_on(world_, fmt::format("{} goes on", process_.machine.name()), kGoesOnWithin);
      for (std::uint64_t attempt = 0; !produce(operation, attempt); ++attempt) {
        CHECK_LT(attempt, kAttemptsMost);
        while (!look_for_leaders()) {
        }
      }
    }
    producer_.done = true;
  }

 private:
  // False: to be tried again.
  bool look_for_leaders() {
    session_ = {.client = mix_text(process_.machine.name()), .number = ++producer_.sessions};
    if (leaders_.refresh().ok()) {
      return true;
    }
    sleep_between(process_, 20, 220);
    return false;
  }

  // False: not acknowledged.
  bool produce(const PlanOperation& operation, std::uint64_t attempt) {
    const auto partition = static_cast<std::size_t>(operation.number("partition")) % state_.ledger.partitions();
    const StatusOr<client::Client*> leader = leaders_.leader_of(partition);
    if (!leader.ok()) {
      sleep_between(process_, 20, 220);
      return false;
    }
    const std::uint64_t value = operation.id * kAttemptsMost + attempt;
    const auto size = static_cast<std::size_t>(operation.number("bytes"));
    const std::string bytes = Ledger::bytes_of(value, size);
    protocol::RecordBatchBuilder builder;
    builder.append({.timestamp = process_.ports.clock.wall(), .key = {}, .value = as_bytes(bytes), .headers = {}});
    state_.ledger.send(value, size, partition, session_);
    StatusOr<protocol::ProducePartitionResponse> answer = absl::UnknownError("not asked yet");
    {
      const Owed answered(world_, fmt::format("{} is answered", process_.machine.name()), kAnsweredWithin);
      answer =
          (*leader)->produce(kLedgerTopic, partition_id(partition), builder.build({}), /*acks=*/-1, node_patience());
    }
    const ErrorCode error = answer.ok() ? answer->error_code : ErrorCode::kUnknownServerError;
    if (error == ErrorCode::kNone) {
      state_.ledger.acknowledge(value, answer->base_offset.value());
      return true;
    }
    judge_error(value, error);
    sleep_between(process_, 20, 220);
    return false;
  }

  void judge_error(std::uint64_t value, ErrorCode error) {
    if (error == ErrorCode::kNotLeaderOrFollower && anybody_is_isolated()) {
      world_.fault_fired(kIsolatedAnswer);
    } else if (error == ErrorCode::kNotEnoughReplicas) {
      state_.ledger.refuse_value(value);
    } else if (error != ErrorCode::kNotLeaderOrFollower && error != ErrorCode::kNotEnoughReplicasAfterAppend) {
      world_.fail("CONFORM", fmt::format("produce: {}", protocol::error_name(error)));
    }
  }

  bool anybody_is_isolated() const {
    for (const auto& [name, node] : state_.serving) {
      for (const MetricsRegistry::Entry& entry : node->metrics().entries()) {
        if (entry.name == "broker_isolated" && entry.gauge->value() != 0) {
          return true;
        }
      }
    }
    return false;
  }

  ProcessContext& process_;
  ReplicatedState& state_;
  World& world_;
  ReplicatedState::Producer& producer_;
  LeaderClients leaders_;
  ProducerSessionId session_;
};

// ---- the scenario ----

class CutOff final : public Scenario {
 public:
  const char* name() const override { return "cut-off"; }
  const char* description() const override {
    return "three nodes, one at a time cut off from the others but not from the clients; nobody stands still";
  }
  std::vector<std::string> announced_faults() const override {
    return {"partition", "one-way partition", kIsolatedAnswer};
  }
  std::vector<std::string> promises() const override {
    return with_group_promises(
        {"NO-STUCK", "ACK-DURABLE", "OFFSET-UNIQUE", "REPLICA-MATCH", "REPLICA-LIVE", "REFUSED"});
  }

  Plan generate(std::uint64_t seed) const override {
    Draws draws(seed, "plan", mix_text(name()));
    Plan plan = draw_group_plan(*this, seed, kGroupNodes, draws);
    // So that a bound on the time means something.
    plan.knobs["network.delay_ns"] = draws.magnitude(20'000, 5'000'000);
    plan.knobs["network.delay_most_ns"] = plan.knobs["network.delay_ns"] * draws.between(4, 20);
    plan.knobs["partitions"] = draws.between(1, 3);
    plan.machines.push_back(draw_machine("reader", "reader", draws));
    const std::int64_t clients = draws.between(1, 4);
    for (std::int64_t i = 1; i <= clients; ++i) {
      plan.machines.push_back(draw_machine(fmt::format("client-{}", i), "producer", draws));
      draw_operations(plan, plan.machines.back().name, draws);
    }
    draw_cuts(plan, draws.child("cuts", 0));
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
        cluster::ConfigMap& settings = state->configs.at(planned.name).broker;
        settings["default.replication.factor"] = "3";
        settings["min.insync.replicas"] = "2";
        settings["num.partitions"] = fmt::format("{}", plan.knob("partitions", 1));
      } else if (planned.role == "reader") {
        add_planned_machine(world, planned).install([state](ProcessContext& process) {
          run_replicated_reader(process, *state);
        });
      } else {
        add_planned_machine(world, planned).install([state](ProcessContext& process) {
          CutOffProducer(process, *state).run();
        });
      }
    }
    world.checkers().add(std::make_unique<ReplicaChecker>(world));
    world.checkers().add(std::make_unique<DamageChecker>(world));
    start_all_machines(world, plan);
    return owned;
  }

  void at_end(World& world, ScenarioState& of) const override {
    auto& state = static_cast<ReplicatedState&>(of);
    if (!judge_images(world, state)) {
      return;
    }
    if (!judge_all_read(world, state)) {
      return;
    }
    state.ledger.judge();
  }

 private:
  static void draw_operations(Plan& plan, const std::string& machine, Draws& draws) {
    const std::int64_t operations = draws.magnitude(20, 200);
    const std::int64_t pause_most = 2 * plan.lasts.nanoseconds() / operations;
    for (std::int64_t k = 0; k < operations; ++k) {
      PlanOperation& operation = plan.operations.emplace_back();
      operation.id = plan.operations.size();
      operation.machine = machine;
      operation.verb = "produce";
      operation.numbers["partition"] = draws.between(0, 2);
      operation.numbers["bytes"] = draws.magnitude(8, 1000);
      operation.numbers["pause_ns"] = draws.between(0, pause_most);
    }
  }

  // One node after the other, with time to come back between.
  static void draw_cuts(Plan& plan, Draws draws) {
    VirtualTime at = VirtualTime::zero() + Duration::milliseconds(draws.between(3000, 8000));
    while (at < VirtualTime::zero() + plan.lasts) {
      const auto lasts = Duration::milliseconds(draws.magnitude(2000, 12'000));
      const std::int64_t alone = draws.between(1, kGroupNodes);
      enum class Way : std::uint8_t { kBoth, kIsNotHeard, kHearsNothing };
      const Way way = draws.below(2) == 0 ? Way::kBoth : draws.below(2) == 0 ? Way::kIsNotHeard : Way::kHearsNothing;
      for (std::int64_t other = 1; other <= kGroupNodes; ++other) {
        if (other == alone) {
          continue;
        }
        const std::int64_t from = way == Way::kHearsNothing ? other : alone;
        const std::int64_t to = way == Way::kHearsNothing ? alone : other;
        PlanFault& cut = add_fault(plan, draws, "partition", group_node_name(static_cast<int>(from)));
        cut.at = at;
        cut.other = group_node_name(static_cast<int>(to));
        cut.numbers["for_ns"] = lasts.nanoseconds();
        cut.numbers["one_way"] = way == Way::kBoth ? 0 : 1;
      }
      at = at + lasts + Duration::milliseconds(draws.between(4000, 10'000));
    }
  }
};

}  // namespace

const Scenario* cut_off_scenario() {
  static const CutOff scenario;
  return &scenario;
}

}  // namespace chronik::sim
