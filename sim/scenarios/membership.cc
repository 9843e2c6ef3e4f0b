// Three nodes become five, one of them loses its disk and is replaced, and two go again, under load and under all that
// the network, deaths, suspensions, stalling disks and clocks can do.
//
// An operator asks any node that serves, as a person does over HTTP, and asks again until it is done. Which nodes go,
// which one loses its disk and when, is drawn. One disk is lost at most: with two of three replicas in sync, what was
// acknowledged is on another.
//
// Judged, besides what group.h says: what was acknowledged with acks=all is there in the end, at that offset, with
// those bytes, and nothing that was read is ever other (ACK-DURABLE, OFFSET-UNIQUE); in one epoch an offset has one
// content (REPLICA-MATCH); in one term of the metadata one node leads (ONE-LEADER); once all is healed the operator is
// done, the members are those that stay and all vote, who was removed does not serve (MEMBERS), every partition is in
// sync on all that stay, with one end (REPLICA-LIVE).
#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/fiber/wait.h"
#include "sim/damage_checker.h"
#include "sim/disk_faults.h"
#include "sim/fault_draws.h"
#include "sim/knobs.h"
#include "sim/nemesis.h"
#include "sim/replica_checker.h"
#include "sim/scenarios/group_watch.h"
#include "sim/scenarios/one_node.h"
#include "sim/scenarios/replicated.h"
#include "sim/scenarios/scenarios.h"
#include "sim/world.h"

namespace chronik::sim {

namespace {

constexpr int kNodesMost = 5;
constexpr std::int64_t kMembersOperationsMost = 100;  // of a client
constexpr std::int64_t kMembersBytesMost = 2000;

// ---- what the operator does ----

enum class StepKind : std::uint8_t { kAdd, kLoseDisk, kReplace, kRemove, kRebalance };
struct Step {
  StepKind kind;
  NodeId node = NodeId::none();
};

struct MembershipState final : ReplicatedState {
  MembershipState(World& of, std::size_t partitions) : ReplicatedState(of, partitions) { takes_orders = true; }
  std::vector<Step> steps;
  std::size_t done = 0;
  std::set<NodeId> members;  // who are to be, in the end
  std::string last_answer;   // for people
};

const char* verb_of(StepKind kind) {
  switch (kind) {
    case StepKind::kAdd: return "add";
    case StepKind::kLoseDisk: return "lose-disk";
    case StepKind::kReplace: return "remove-by-force";
    case StepKind::kRemove: return "remove";
    case StepKind::kRebalance: return "rebalance";
  }
  return "?";
}

std::optional<StepKind> step_kind(const std::string& verb) {
  for (const StepKind kind :
       {StepKind::kAdd, StepKind::kLoseDisk, StepKind::kReplace, StepKind::kRemove, StepKind::kRebalance}) {
    if (verb == verb_of(kind)) {
      return kind;
    }
  }
  return std::nullopt;
}

class Operator {
 public:
  Operator(ProcessContext& process, MembershipState& state) : process_(process), state_(state) {}

  void run() {
    while (state_.done < state_.steps.size()) {
      const Step& step = state_.steps[state_.done];
      if (is_done(step)) {
        ++state_.done;
        asked_ = false;
      } else {
        ask(step);
      }
      sleep_between(process_, 200, 2500);
    }
  }

 private:
  // As a node has it that serves and leads the metadata.
  const node::Node* leader() const {
    for (const auto& [name, node] : state_.serving) {
      if (node->raft().leadership().here && node->raft().raft().commit() == node->raft().applied()) {
        return node;
      }
    }
    return nullptr;
  }

  bool is_done(const Step& step) {
    const node::Node* const asked = leader();
    if (asked == nullptr || !asked->raft().membership_is_committed()) {
      return false;
    }
    const raft::Membership& members = asked->raft().membership();
    const bool votes = std::any_of(members.voters.begin(), members.voters.end(),
                                   [&](const raft::Member& voter) { return voter.node == step.node; });
    const cluster::Image& image = *asked->metadata().image();
    if (step.kind == StepKind::kLoseDisk) {
      lost_ = lost_ || (votes && image.is_live(step.node));  // before, there is nothing to be lost
      return asked_;
    }
    switch (step.kind) {
      case StepKind::kAdd: return votes && image.is_live(step.node) && image.departing.find(step.node) == nullptr;
      case StepKind::kReplace: return asked_ && members.find(step.node) == nullptr;
      case StepKind::kRemove: return members.find(step.node) == nullptr && image.find_broker(step.node) == nullptr;
      case StepKind::kRebalance: return asked_ && !image.rebalancing;
      case StepKind::kLoseDisk: break;
    }
    return false;
  }

  void ask(const Step& step) {
    if (step.kind == StepKind::kLoseDisk) {
      // Once, however long it takes until somebody leads again.
      return lost_ && !std::exchange(asked_, true) ? lose_disk(step.node) : void();
    }
    if (state_.serving.empty()) {
      return;
    }
    auto chosen = state_.serving.begin();
    std::advance(chosen, static_cast<std::ptrdiff_t>(process_.ports.random.next() % state_.serving.size()));
    // Whatever becomes of it, the operator looks at what is, and asks again.
    state_.orders[chosen->first].push_back(
        [state = &state_, step](node::Node& node) { carry_out(node, step, *state); });
    asked_ = true;
  }

  static void carry_out(node::Node& node, const Step& step, MembershipState& state) {
    const Deadline patience = fiber::within(Duration::seconds(5), Expiry::kPeer);
    Status status = ok();
    const std::string name = group_node_name(step.node.value());
    switch (step.kind) {
      case StepKind::kAdd:
        status = node.add_node({.node = step.node,
                                .kafka_host = name,
                                .kafka_port = kNodePort,
                                .raft_host = name,
                                .raft_port = state.configs.at(name).raft_port},
                               patience)
                     .status();
        break;
      case StepKind::kRemove: status = node.remove_node(step.node, false, patience).status(); break;
      case StepKind::kReplace: status = node.remove_node(step.node, true, patience).status(); break;
      case StepKind::kRebalance: status = node.rebalance(patience).status(); break;
      case StepKind::kLoseDisk: break;
    }
    state.last_answer = status.ToString();
  }

  void lose_disk(NodeId node) {
    World& world = *state_.world;
    Machine& machine = world.machine(group_node_name(node.value()));
    state_.may_be_removed.insert(machine.name());
    world.after(Duration::milliseconds(1), [&world, &machine] {
      machine.kill(Death::kPowerLoss);  // it is started again as after every death
      machine.replace_disk();
      world.fault_fired("disk lost");
    });
  }

  ProcessContext& process_;
  MembershipState& state_;
  bool asked_ = false;
  bool lost_ = false;  // the step of the lost disk may be taken
};

// ---- what is judged ----

std::string names_of(const std::vector<raft::Member>& members) {
  std::string names;
  for (const raft::Member& member : members) {
    names += fmt::format(" {}", member.node);
  }
  return names;
}

bool judge_members(World& world, const MembershipState& state) {
  if (state.done < state.steps.size()) {
    const Step& step = state.steps[state.done];
    world.fail("MEMBERS", fmt::format("the operator is not done after all was healed: {} of node {}: {}\n{}",
                                      verb_of(step.kind), step.node, state.last_answer, world.describe_waits()));
    return false;
  }
  for (const auto& [name, node] : state.serving) {
    const raft::Membership& members = node->raft().membership();
    std::set<NodeId> voters;
    for (const raft::Member& voter : members.voters) {
      voters.insert(voter.node);
    }
    if (voters != state.members || !members.learners.empty()) {
      world.fail("MEMBERS", fmt::format("{} knows the voters{} and the learners{}", name, names_of(members.voters),
                                        names_of(members.learners)));
      return false;
    }
  }
  for (const NodeId member : state.members) {
    if (!state.serving.contains(group_node_name(member.value()))) {
      world.fail("MEMBERS",
                 fmt::format("node {} does not serve after all was healed\n{}", member, world.describe_waits()));
      return false;
    }
  }
  return judge_images(world, state, state.members.size());
}

void judge_members_replicas(World& world, const MembershipState& state) {
  std::map<std::size_t, Offset> ends;
  for (const auto& [name, node] : state.serving) {
    const broker::HostedTopic* topic = node->table().find(kLedgerTopic);
    if (topic == nullptr || topic->partitions.size() != state.ledger.partitions()) {
      return world.fail("REPLICA-LIVE", fmt::format("{} does not host the topic", name));
    }
    for (std::size_t index = 0; index < topic->partitions.size(); ++index) {
      if (!topic->partitions[index]) {
        return world.fail("REPLICA-LIVE", fmt::format("{} does not host partition {}", name, index));
      }
      const replication::Partition& partition = *topic->partitions[index];
      const Offset end = partition.log().log_end();
      const Offset first = ends.emplace(index, end).first->second;
      if (partition.leadership().in_sync.size() != state.members.size() || end != first ||
          partition.high_watermark() != first) {
        return world.fail("REPLICA-LIVE",
                          fmt::format("{}, partition {}: {} in sync, log end {}, high watermark {}; another has log "
                                      "end {}\n{}",
                                      name, index, partition.leadership().in_sync.size(), end,
                                      partition.high_watermark(), first, world.describe_waits()));
      }
    }
  }
}

// ---- the scenario ----

class MembershipScenario final : public Scenario {
 public:
  const char* name() const override { return "membership"; }
  const char* description() const override {
    return "three nodes become five and three again, one is replaced, under network faults, deaths and clocks";
  }
  std::vector<std::string> announced_faults() const override {
    std::vector<std::string> names = group_fault_names();
    names.emplace_back("disk lost");
    return names;
  }
  std::vector<std::string> promises() const override {
    return with_group_promises(
        {"MEMBERS", "ONE-LEADER", "ACK-DURABLE", "OFFSET-UNIQUE", "REPLICA-MATCH", "REPLICA-LIVE"});
  }

  Plan generate(std::uint64_t seed) const override {
    Draws draws(seed, "plan", mix_text(name()));
    Plan plan = draw_group_plan(*this, seed, kNodesMost, draws);
    plan.calm = Duration::seconds(200);
    plan.knobs["nodes"] = kGroupNodes;  // of those with which the cluster begins
    plan.knobs["partitions"] = draws.between(1, 3);
    plan.knobs["replica.lag_ms"] = draws.magnitude(500, 30'000);
    std::vector<std::string> names;
    for (PlanMachine& machine : plan.machines) {
      names.push_back(machine.name);
      if (machine.numbers["number"] > kGroupNodes) {
        machine.numbers["starts_ns"] = draws.between(0, 20'000'000'000);
      }
    }
    names.emplace_back("reader");
    plan.machines.push_back(draw_machine("reader", "reader", draws));
    plan.machines.push_back(draw_machine("operator", "operator", draws));
    draw_steps(plan, draws.child("steps", 0));
    const std::int64_t clients = draws.between(1, 3);
    for (std::int64_t i = 1; i <= clients; ++i) {
      names.push_back(fmt::format("client-{}", i));
      plan.machines.push_back(draw_machine(names.back(), "producer", draws));
      draw_produces(plan, names.back(), draws);
    }
    if (draws.below(8) != 0) {
      draw_group_faults(plan, draws, names);
    }
    return plan;
  }

  std::unique_ptr<ScenarioState> build(World& world, const Plan& plan, Nemesis& nemesis) const override {
    auto owned = std::make_unique<MembershipState>(world, static_cast<std::size_t>(plan.knob("partitions", 1)));
    MembershipState* state = owned.get();
    begin_group(world, plan, nemesis, *state);
    for (int number = 1; number <= kNodesMost; ++number) {
      state->members.insert(NodeId(number));
    }
    for (const PlanOperation& operation : plan.operations) {
      if (const std::optional<StepKind> kind = step_kind(operation.verb); kind.has_value()) {
        take_step(*state, {*kind, NodeId(static_cast<std::int32_t>(operation.number("node")))});
      } else {
        state->producers[operation.machine].operations.push_back(operation);
      }
    }
    world.checkers().add(std::make_unique<ReplicaChecker>(world));
    world.checkers().add(std::make_unique<DamageChecker>(world));
    for (const PlanMachine& planned : plan.machines) {
      const auto starts = planned.numbers.find("starts_ns");
      Machine& machine = add_machine(world, planned, plan, nemesis, *state);
      world.after(Duration::nanoseconds(starts == planned.numbers.end() ? 0 : starts->second), [&machine] {
        if (!machine.running()) {
          machine.start();
        }
      });
    }
    watch_leaders(world, *state);
    return owned;
  }

  void at_end(World& world, ScenarioState& of) const override {
    auto& state = static_cast<MembershipState&>(of);
    if (!judge_members(world, state)) {
      return;
    }
    judge_members_replicas(world, state);
    if (!judge_all_read(world, state)) {
      return;
    }
    state.ledger.judge();
  }

 private:
  static void take_step(MembershipState& state, const Step& step) {
    state.steps.push_back(step);
    if (step.kind == StepKind::kRemove || step.kind == StepKind::kReplace) {
      state.may_be_removed.insert(group_node_name(step.node.value()));
    }
    if (step.kind == StepKind::kRemove) {
      state.members.erase(step.node);
    }
  }

  static Machine& add_machine(World& world, const PlanMachine& planned, const Plan& plan, Nemesis& nemesis,
                              MembershipState& state) {
    if (planned.role == "node") {
      Machine& machine = add_group_node(world, planned, plan, nemesis, state);
      node::NodeConfig& config = state.configs.at(planned.name);
      config.limits.request = Duration::seconds(20);
      config.broker["replica.lag.time.max.ms"] = fmt::format("{}", plan.knob("replica.lag_ms", 30'000));
      config.broker["num.partitions"] = fmt::format("{}", plan.knob("partitions", 1));
      config.broker["default.replication.factor"] = "3";
      config.broker["min.insync.replicas"] = "2";
      config.broker["leader.imbalance.check.interval.seconds"] = "5";
      return machine;
    }
    Machine& machine = add_planned_machine(world, planned);
    if (planned.role == "reader") {
      machine.install([&state](ProcessContext& process) { run_replicated_reader(process, state); });
    } else if (planned.role == "operator") {
      machine.install([&state](ProcessContext& process) { Operator(process, state).run(); });
    } else {
      machine.install([&state](ProcessContext& process) { run_replicated_producer(process, state); });
    }
    return machine;
  }

  // Five from three, and three from five; a disk is lost before, between or after.
  static void draw_steps(Plan& plan, Draws draws) {
    const auto step = [&plan](StepKind kind, std::int64_t node) {
      PlanOperation& operation = plan.operations.emplace_back();
      operation.id = plan.operations.size();
      operation.machine = "operator";
      operation.verb = verb_of(kind);
      operation.numbers["node"] = node;
    };
    std::vector<std::int64_t> nodes{1, 2, 3, 4, 5};
    for (std::size_t i = nodes.size(); i > 1; --i) {
      std::swap(nodes[i - 1], nodes[static_cast<std::size_t>(draws.below(i))]);
    }
    const std::int64_t when = draws.between(0, 2);
    const auto replace = [&](std::int64_t node) {
      step(StepKind::kLoseDisk, node);
      step(StepKind::kReplace, node);
      step(StepKind::kAdd, node);
    };
    if (when == 0) {
      replace(draws.between(1, 3));
    }
    step(StepKind::kAdd, 4);
    step(StepKind::kAdd, 5);
    step(StepKind::kRebalance, 0);
    if (when == 1) {
      replace(draws.between(1, 5));
    }
    step(StepKind::kRemove, nodes[0]);
    step(StepKind::kRemove, nodes[1]);
    if (when == 2) {
      replace(nodes[2]);
    }
  }

  static void draw_produces(Plan& plan, const std::string& machine, Draws& draws) {
    const std::int64_t operations = draws.magnitude(5, kMembersOperationsMost);
    const std::int64_t bytes_most = draws.magnitude(16, kMembersBytesMost);
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
};

}  // namespace

const Scenario* membership_scenario() {
  static const MembershipScenario scenario;
  return &scenario;
}

}  // namespace chronik::sim
