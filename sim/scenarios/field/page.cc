#include "sim/scenarios/field/page.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <utility>

#include "sim/disk_faults.h"
#include "sim/knobs.h"

namespace chronik::sim {

namespace {

// What `draw` produces was spread over.
void stretch_pauses(Plan& plan, Duration drawn_for) {
  for (PlanOperation& operation : plan.operations) {
    if (const auto pause = operation.numbers.find("pause_ns"); pause != operation.numbers.end()) {
      pause->second = pause->second / std::max<std::int64_t>(drawn_for.milliseconds(), 1) * plan.lasts.milliseconds();
    }
  }
}

}  // namespace

// ---- drawing ----

PlanFault& PagePlan::strike(const std::string& kind, const std::string& target, VirtualTime at, Duration lasts) {
  return add_fault_at(plan, draws, kind, target, at, lasts);
}

PlanFault& PagePlan::strike_any(const std::string& kind, Range at, Range lasts) {
  const Duration how_long = draws.between(lasts.first, lasts.second);
  const VirtualTime when = between(at.first, at.second);
  return strike(kind, any_node(), when, how_long);
}

void PagePlan::slow_disk(const std::string& target, VirtualTime at, Duration lasts, Duration most) {
  PlanFault& slow = strike("disk-slow", target, at, lasts);
  slow.numbers["stall_ppm"] = 1'000'000;
  slow.numbers["stall_ns"] = most.nanoseconds();
}

void PagePlan::add_client(const std::string& name) { plan.machines.push_back(draw_machine(name, "own", draws)); }

void PagePlan::quick_network() {
  plan.knobs["network.delay_ns"] = draws.magnitude(20'000, 2'000'000);
  plan.knobs["network.delay_most_ns"] = plan.knobs["network.delay_ns"] * draws.between(2, 5);
  plan.knobs["network.resolve_most_ns"] = plan.knobs["network.delay_most_ns"] * 4;
  plan.knobs["network.backlog"] = 128;  // a SYN that finds no room is sent again after a second
}

void PagePlan::produce_from(Duration from) {
  std::map<std::string, std::vector<PlanOperation*>> of_machine;
  for (PlanOperation& operation : plan.operations) {
    if (operation.verb == "produce") {
      of_machine[operation.machine].push_back(&operation);
    }
  }
  for (const auto& [machine, operations] : of_machine) {
    const Duration each = (plan.lasts - from) / static_cast<std::int64_t>(operations.size());
    for (std::size_t i = 0; i < operations.size(); ++i) {
      operations[i]->numbers["pause_ns"] = draws.between(0, 2'000'000);
      operations[i]->numbers["not_before_ns"] = (from + each * static_cast<std::int64_t>(i)).nanoseconds();
    }
  }
}

void PagePlan::produce_at_once() {
  for (PlanOperation& operation : plan.operations) {
    operation.numbers["pause_ns"] = 0;
  }
}

// ---- watching ----

void Bench::every(Duration interval, std::function<void()> what) {
  world.after(interval, [this, interval, what = std::move(what)]() mutable {
    what();
    every(interval, std::move(what));
  });
}

void Bench::when(std::function<bool()> so, std::function<void()> what) {
  if (so()) {
    return what();
  }
  world.after(Duration::milliseconds(1),
              [this, so = std::move(so), what = std::move(what)]() mutable { when(std::move(so), std::move(what)); });
}

void Bench::end() const {
  for (const std::function<void()>& what : at_end_) {
    if (world.findings().empty()) {
      what();
    }
  }
}

void Bench::expect_at_most(std::uint64_t most, std::uint64_t figure, const std::string& what) {
  if (figure > most) {
    world.fail("COST", fmt::format("{}: {}, at most {} are right", what, figure, most));
  }
}

std::string GroupBench::controller() const {
  for (const auto& [name, node] : state.serving) {
    if (node->metadata().leadership().here) {
      return name;
    }
  }
  return {};
}

std::string GroupBench::leader_of(std::size_t partition) const {
  for (const auto& [name, node] : state.serving) {
    const broker::HostedTopic* topic = node->table().find(kLedgerTopic);
    if (topic != nullptr && partition < topic->partitions.size() && topic->partitions[partition] &&
        topic->partitions[partition]->leading()) {
      return name;
    }
  }
  return {};
}

void GroupBench::kill(const std::string& node, Death how, Duration away) {
  world.after(Duration::zero(), [this, node, how, away] {
    Machine& machine = world.machine(node);
    if (machine.running() && world.now() < healed) {
      world.fault_fired(how == Death::kPowerLoss ? "power loss" : "process kill", mix_text(node));
      state.away[node] = away;
      machine.kill(how);
    }
  });
}

// ---- pages ----

Replicated::Kind GroupScenario::kind() const {
  return {.nodes_least = page_.nodes_least,
          .nodes_most = page_.nodes_most,
          .forwards = page_.forwards,
          .replicas = page_.replicas,
          .consumers_least = page_.consumers};
}

void GroupScenario::draw_trouble(Plan& plan, Draws& draws, const std::vector<std::string>& /*names*/) const {
  PagePlan page(plan, draws.child("page", 0));
  const Duration drawn_for = plan.lasts;
  plan.lasts = page_.lasts;
  plan.calm = page_.calm;
  stretch_pauses(plan, drawn_for);
  plan.knobs["replicas.min"] = std::min(page_.in_sync, plan.knobs["replicas"]);
  // Each part of a snapshot waits for the one before: a hundred topics in parts of a hundred bytes take a minute.
  std::int64_t& part = plan.knobs["raft.snapshot_part_bytes"];
  part = std::max<std::int64_t>(part, 16'384);
  if (page_.partitions != 0) {
    plan.knobs["partitions"] = page_.partitions;
  }
  if (page_.plan != nullptr) {
    page_.plan(page);
  }
  for (PlanMachine& machine : plan.machines) {
    if (machine.role == "consumer") {
      machine.numbers["partition"] %= plan.knobs["partitions"];
    }
  }
}

void GroupScenario::configure(const Plan& plan, node::NodeConfig& config) const {
  if (page_.configure != nullptr) {
    page_.configure(plan, config);
  }
}

void GroupScenario::prepare(World& world, const Plan& plan, Nemesis& nemesis, ReplicatedState& state) const {
  if (page_.answered_within != Duration::zero()) {
    state.undisturbed = true;
    state.answer_within = page_.answered_within;
  }
  auto bench = std::make_unique<GroupBench>(world, plan, nemesis, state);
  GroupBench& at = *bench;
  state.of_kind = std::move(bench);
  if (page_.watch != nullptr) {
    page_.watch(at);
  }
}

void GroupScenario::judge(World& /*world*/, const ReplicatedState& state) const {
  static_cast<const GroupBench&>(*state.of_kind).end();
}

void NodeScenario::at_end(World& world, ScenarioState& of) const {
  OneNode::at_end(world, of);
  static_cast<const NodeBench&>(*static_cast<OneNodeState&>(of).of_kind).end();
}

void NodeScenario::draw_faults(Plan& plan, Draws& draws, const std::vector<std::string>& /*names*/) const {
  PagePlan page(plan, draws.child("page", 0));
  if (page_.plan != nullptr) {
    page_.plan(page);
  }
}

void NodeScenario::configure(const Plan& plan, node::NodeConfig& config) const {
  if (page_.configure != nullptr) {
    page_.configure(plan, config);
  }
}

void NodeScenario::prepare(World& world, const Plan& plan, Nemesis& nemesis, OneNodeState& state) const {
  auto bench = std::make_unique<NodeBench>(world, plan, nemesis, state);
  NodeBench& at = *bench;
  state.of_kind = std::move(bench);
  if (page_.watch != nullptr) {
    page_.watch(at);
  }
}

}  // namespace chronik::sim
