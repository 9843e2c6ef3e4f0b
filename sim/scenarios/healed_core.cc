// As `replicated`, until a majority of the nodes is whole again, whichever, while the others stay broken: dead,
// suspended, or cut off from the rest, both ways or one.
//
// Judged, besides what replicated.h says, with nothing else than the majority to count on: within five elections one of
// it leads the metadata; within kCoreWholeWithin all of it serves, each partition of which one of it may lead is led by
// one of it, with all of its replicas there in sync, and where those are enough, whoever produces is done, or got on in
// the second half of that time (CORE-LIVE). A partition of which nobody there may lead is excused, by what the image
// there says of it.
#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "sim/disk_faults.h"
#include "sim/scenarios/one_node.h"
#include "sim/scenarios/replicated.h"
#include "sim/scenarios/scenarios.h"
#include "sim/world.h"

namespace chronik::sim {

namespace {

constexpr Duration kBreaksFrom = Duration::seconds(25);
constexpr Duration kCoreHealed = Duration::seconds(40);
constexpr Duration kFiveElections = Duration::milliseconds(5 * 1500);
constexpr Duration kCoreWholeWithin = Duration::seconds(40);
constexpr const char* kExcused = "partition without a core";

// Whom a plan's knob "broken.N" says nothing else of.
std::set<std::string> core_of(const Plan& plan) {
  std::set<std::string> core;
  for (std::int64_t number = 1; number <= plan.knob("nodes", 1); ++number) {
    if (plan.knob(fmt::format("broken.{}", number), 0) == 0) {
      core.insert(group_node_name(static_cast<int>(number)));
    }
  }
  return core;
}

class CoreJudge {
 public:
  CoreJudge(World& world, ReplicatedState& state, const Plan& plan)
      : world_(world), state_(state), core_(core_of(plan)) {}

  // Else whoever asks a suspended node would wait for it, over and over, as long as it likes.
  void let_others_be_shunned() const {
    for (const auto& [name, config] : state_.configs) {
      if (!core_.contains(name)) {
        state_.shunned.insert(name);
      }
    }
    world_.at(state_.healed, [&state = state_] { state.shunned.clear(); });
  }

  void judge_election() const {
    for (const auto& [name, node] : state_.serving) {
      if (core_.contains(name) && in_core(node->raft().leadership().leader)) {
        return;
      }
    }
    fail(fmt::format("nobody leads the metadata {} ms after a majority was healed", kFiveElections.milliseconds()));
  }

  void note_progress() {
    for (const auto& [name, producer] : state_.producers) {
      came_to_[name] = producer.next;
    }
  }

  void judge_service() const {
    for (const std::string& name : core_) {
      if (!state_.serving.contains(name)) {
        return fail(fmt::format("{} does not serve", name));
      }
    }
    const cluster::Image& image = *state_.serving.at(*core_.begin())->metadata().image();
    const cluster::Topic* topic = image.find_topic(kLedgerTopic);
    if (topic == nullptr) {
      return fail(fmt::format("there is no topic {}", kLedgerTopic));
    }
    bool all_take_records = true;
    topic->partitions.for_each(
        [&](const cluster::Partition& partition) { all_take_records = judge(partition) && all_take_records; });
    if (!all_take_records) {
      return world_.fault_fired(kExcused);
    }
    for (const auto& [name, producer] : state_.producers) {
      if (!producer.done && producer.next == came_to_.at(name)) {
        return fail(fmt::format("{} has produced {} of {}", name, producer.next, producer.operations.size()));
      }
    }
  }

 private:
  bool in_core(NodeId node) const { return core_.contains(group_node_name(node.value())); }

  // Whether it must take records.
  bool judge(const cluster::Partition& partition) const {
    const auto inside = [this](NodeId node) { return in_core(node); };
    if (std::none_of(partition.isr.begin(), partition.isr.end(), inside) &&
        std::none_of(partition.elr.begin(), partition.elr.end(), inside)) {
      return false;
    }
    const bool whole = std::all_of(partition.replicas.begin(), partition.replicas.end(), [&](NodeId node) {
      return !in_core(node) || std::find(partition.isr.begin(), partition.isr.end(), node) != partition.isr.end();
    });
    if (!in_core(partition.leader) || !whole) {
      std::string in_sync;
      for (const NodeId node : partition.isr) {
        in_sync += fmt::format(" {}", node);
      }
      fail(fmt::format("partition {} is led by {}, in sync are{}", partition.index, partition.leader, in_sync));
    }
    return std::count_if(partition.replicas.begin(), partition.replicas.end(), inside) >= 2;
  }

  void fail(const std::string& what) const {
    std::string names;
    for (const std::string& name : core_) {
      names += " " + name;
    }
    world_.fail("CORE-LIVE", fmt::format("{}; the majority is{}\n{}", what, names, world_.describe_waits()));
  }

  World& world_;
  ReplicatedState& state_;
  std::set<std::string> core_;
  std::map<std::string, std::size_t> came_to_;  // producers, some time before they are judged
};

class HealedCore final : public Replicated {
 public:
  const char* name() const override { return "healed-core"; }
  const char* description() const override {
    return "as replicated, until a majority is healed and the others stay broken";
  }
  std::vector<std::string> announced_faults() const override {
    return {"process kill", "power loss", "suspend", "partition", "one-way partition", kExcused};
  }
  std::vector<std::string> promises() const override {
    std::vector<std::string> names = Replicated::promises();
    names.insert(names.begin(), {"CORE-LIVE"});
    return names;
  }

 private:
  Kind kind() const override { return {.nodes_least = 3, .replicas = 3}; }

  void draw_trouble(Plan& plan, Draws& draws, const std::vector<std::string>& names) const override {
    Replicated::draw_trouble(plan, draws, names);
    // These strike whenever they can, perhaps after the majority was healed.
    std::erase_if(plan.faults, [](const PlanFault& fault) { return fault.kind == "disk" || fault.kind == "point"; });
    for (PlanFault& fault : plan.faults) {
      const std::int64_t left = (VirtualTime::zero() + kCoreHealed - fault.at).nanoseconds();
      fault.numbers["for_ns"] =
          std::clamp<std::int64_t>(fault.number("for_ns", 1'000'000'000), 1, std::max<std::int64_t>(left, 1));
    }
    for (const char* odds : {"network.reset_ppm", "network.half_open_ppm", "network.refuse_ppm", "network.lost_syn_ppm",
                             "network.no_descriptor_ppm"}) {
      plan.knobs.erase(odds);
    }
    plan.knobs["replica.lag_ms"] = draws.magnitude(500, 10'000);
    plan.lasts = kCoreHealed + kCoreWholeWithin + Duration::seconds(1);
    draw_broken(plan, draws.child("broken", 0));
    for (PlanOperation& operation : plan.operations) {
      operation.numbers["pause_ns"] /= 4;
    }
  }

  static void draw_broken(Plan& plan, Draws draws) {
    const std::int64_t nodes = plan.knob("nodes", kGroupNodes);
    for (std::int64_t left = (nodes - 1) / 2; left > 0;) {
      std::int64_t& broken = plan.knobs[fmt::format("broken.{}", draws.between(1, nodes))];
      left -= broken == 0 ? 1 : 0;
      broken = 1;
    }
    const std::set<std::string> core = core_of(plan);
    for (std::int64_t number = 1; number <= nodes; ++number) {
      const std::string node = group_node_name(static_cast<int>(number));
      if (!core.contains(node)) {
        // Nothing of it shall end what keeps it broken.
        std::erase_if(plan.faults, [&](const PlanFault& fault) {
          return fault.target == node && fault.kind != "partition" &&
                 fault.at > VirtualTime::zero() + (kBreaksFrom - Duration::seconds(5));
        });
        break_it(plan, draws, node, core);
      }
    }
  }

  // From some time before the others are healed until after they are judged.
  static PlanFault& begin(Plan& plan, Draws& draws, const char* fault_kind, const std::string& node) {
    PlanFault& fault = add_fault(plan, draws, fault_kind, node);
    fault.at = VirtualTime::zero() + draws.between(kBreaksFrom, kCoreHealed);
    fault.numbers["for_ns"] = (VirtualTime::zero() + plan.lasts - fault.at).nanoseconds();
    return fault;
  }

  static void break_it(Plan& plan, Draws& draws, const std::string& node, const std::set<std::string>& core) {
    switch (draws.below(5)) {
      case 0: begin(plan, draws, "kill", node); return;
      case 1: begin(plan, draws, "power", node); return;
      case 2: begin(plan, draws, "suspend", node); return;
      case 3: begin(plan, draws, "partition", node).other.assign(1, '*'); return;
      default: break;
    }
    // Clients still reach it.
    const std::int64_t one_way = draws.between(0, 1);
    const bool hears = draws.below(2) == 0;
    for (const std::string& other : core) {
      PlanFault& cut = begin(plan, draws, "partition", hears ? node : other);
      cut.other = hears ? other : node;
      cut.numbers["one_way"] = one_way;
    }
  }

  void prepare(World& world, const Plan& plan, Nemesis& /*nemesis*/, ReplicatedState& state) const override {
    const auto judge = std::make_shared<CoreJudge>(world, state, plan);
    const VirtualTime healed = VirtualTime::zero() + kCoreHealed;
    world.at(healed, [judge] { judge->let_others_be_shunned(); });
    world.at(healed + kFiveElections, [judge] { judge->judge_election(); });
    world.at(healed + kCoreWholeWithin / 2, [judge] { judge->note_progress(); });
    world.at(healed + kCoreWholeWithin, [judge] { judge->judge_service(); });
  }
};

}  // namespace

const Scenario* healed_core_scenario() {
  static const HealedCore scenario;
  return &scenario;
}

}  // namespace chronik::sim
