#include "sim/scenarios/ailing.h"

#include <fmt/core.h>

#include <map>

#include "sim/fault_draws.h"
#include "sim/knobs.h"
#include "sim/replica_checker.h"
#include "sim/scenarios/group_watch.h"
#include "sim/scenarios/one_node.h"

namespace chronik::sim {

namespace {

constexpr std::int64_t kAilingOperationsMost = 300;  // of a client
constexpr std::int64_t kAilingBytesMost = 4000;

void draw_produces(Plan& plan, const std::string& machine, Draws draws) {
  const std::int64_t operations = draws.magnitude(20, kAilingOperationsMost);
  const std::int64_t bytes_most = draws.magnitude(64, kAilingBytesMost);
  const std::int64_t pause_most = 2 * plan.lasts.nanoseconds() / operations;
  for (std::int64_t k = 0; k < operations; ++k) {
    PlanOperation& operation = plan.operations.emplace_back();
    operation.id = plan.operations.size();
    operation.machine = machine;
    operation.verb = "produce";
    operation.numbers["partition"] = draws.between(0, 2);
    operation.numbers["bytes"] = draws.between(8, bytes_most);
    operation.numbers["records"] = draws.magnitude(1, 5);
    operation.numbers["acks"] = -1;
    operation.numbers["pause_ns"] = draws.between(0, pause_most);
  }
}

std::string describe_replicas(const ReplicatedState& state) {
  std::string known;
  for (const auto& [name, node] : state.serving) {
    const broker::HostedTopic* topic = node->table().find(kLedgerTopic);
    for (std::size_t index = 0; topic != nullptr && index < topic->partitions.size(); ++index) {
      const Ref<replication::Partition>& partition = topic->partitions[index];
      known += !partition ? fmt::format("\n{} has nothing of partition {}", name, index)
                          : fmt::format(
                                "\n{} has partition {} from {} to {}, {} damaged places, led by {} in epoch {}, "
                                "{} in sync, high watermark {}",
                                name, index, partition->log().log_start(), partition->log().log_end(),
                                partition->log().damaged().size(), partition->leader(), partition->epoch(),
                                partition->leadership().in_sync.size(), partition->high_watermark());
    }
  }
  return known;
}

void judge_replicas_of_all(World& world, const ReplicatedState& state) {
  std::map<std::size_t, Offset> ends;
  for (const auto& [name, node] : state.serving) {
    const broker::HostedTopic* topic = node->table().find(kLedgerTopic);
    for (std::size_t index = 0; index < state.ledger.partitions(); ++index) {
      const bool there = topic != nullptr && index < topic->partitions.size() && topic->partitions[index];
      const replication::Partition* partition = there ? topic->partitions[index].get() : nullptr;
      const Offset end = there ? partition->log().log_end() : Offset::none();
      const Offset first = ends.emplace(index, end).first->second;
      if (!there || end != first || partition->high_watermark() != first ||
          partition->leadership().in_sync.size() != kGroupNodes) {
        return world.fail("REPLICA-LIVE", fmt::format("{}, partition {}: not equal, or not in sync{}\n{}", name, index,
                                                      describe_replicas(state), world.describe_waits()));
      }
    }
  }
}

}  // namespace

Plan Ailing::generate(std::uint64_t seed) const {
  Draws draws(seed, "plan", mix_text(name()));
  Plan plan = draw_group_plan(*this, seed, kGroupNodes, draws);
  plan.knobs["partitions"] = draws.between(1, 3);
  plan.knobs["replica.lag_ms"] = draws.magnitude(2'000, 30'000);
  plan.knobs["log.tail_bytes_max"] = draws.magnitude(4'096, 1 << 17);
  plan.knobs["log.segment_bytes"] = draws.magnitude(16'384, 1 << 18);
  std::vector<std::string> names;
  for (const PlanMachine& machine : plan.machines) {
    names.push_back(machine.name);
  }
  names.emplace_back("reader");
  plan.machines.push_back(draw_machine("reader", "reader", draws));
  for (std::int64_t i = 1, clients = draws.between(1, 3); i <= clients; ++i) {
    names.push_back(fmt::format("client-{}", i));
    plan.machines.push_back(draw_machine(names.back(), "producer", draws));
    draw_produces(plan, names.back(), draws.child("operations", static_cast<std::uint64_t>(i)));
  }
  draw_trouble(plan, draws, names);
  return plan;
}

std::unique_ptr<ScenarioState> Ailing::build(World& world, const Plan& plan, Nemesis& nemesis) const {
  auto owned = std::make_unique<ReplicatedState>(world, static_cast<std::size_t>(plan.knob("partitions", 1)));
  ReplicatedState* state = owned.get();
  begin_group(world, plan, nemesis, *state);
  for (const PlanOperation& operation : plan.operations) {
    state->producers[operation.machine].operations.push_back(operation);
  }
  for (const PlanMachine& planned : plan.machines) {
    if (planned.role == "node") {
      add_group_node(world, planned, plan, nemesis, *state);
      node::NodeConfig& config = state->configs.at(planned.name);
      config.limits.request = Duration::seconds(20);
      config.broker["replica.lag.time.max.ms"] = fmt::format("{}", plan.knob("replica.lag_ms", 30'000));
      config.logs.tail_bytes_max = static_cast<std::uint64_t>(plan.knob("log.tail_bytes_max", 1 << 20));
      config.broker["log.segment.bytes"] = fmt::format("{}", plan.knob("log.segment_bytes", 1 << 20));
      config.broker["num.partitions"] = fmt::format("{}", plan.knob("partitions", 1));
      config.broker["default.replication.factor"] = fmt::format("{}", kGroupNodes);
      config.broker["min.insync.replicas"] = "2";
      config.broker["leader.imbalance.check.interval.seconds"] = "5";
      configure(plan, config);
    } else if (planned.role == "reader") {
      add_planned_machine(world, planned).install([state](ProcessContext& process) {
        run_replicated_reader(process, *state);
      });
    } else {
      add_planned_machine(world, planned).install([state](ProcessContext& process) {
        run_replicated_producer(process, *state);
      });
    }
  }
  world.checkers().add(std::make_unique<ReplicaChecker>(world));
  prepare(world, plan, nemesis, *state);
  start_all_machines(world, plan);
  return owned;
}

void Ailing::at_end(World& world, ScenarioState& of) const {
  auto& state = static_cast<ReplicatedState&>(of);
  if (!judge_images(world, state)) {
    return;
  }
  if (!judge_all_read(world, state, describe_replicas(state))) {
    return;
  }
  judge_replicas_of_all(world, state);
  state.ledger.judge();
}

}  // namespace chronik::sim
