// Three replicas, of which everything is taken that the promise allows to be taken (fault_budget.h).
//
// Either one node is away and another loses its disk for good meanwhile, so that of what was acknowledged in between
// one replica is left: it, and the one that comes back and lacks that, die again and again. Or one node's disk lies
// about its syncs, and then loses its power: what it said to be durable is gone, and the others have it.
//
// Judged: what was acknowledged is there in the end (ACK-DURABLE), nothing that was read is ever other (OFFSET-UNIQUE),
// in one epoch an offset has one content (REPLICA-MATCH); whoever is left serves, and has everything (REPLICA-LIVE). A
// liar that does not start any more has to say why, and its disk must have lied (BUDGET).
#include <fmt/core.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "sim/disk_faults.h"
#include "sim/fault_draws.h"
#include "sim/scenarios/ailing.h"
#include "sim/scenarios/fault_budget.h"
#include "sim/scenarios/group_watch.h"
#include "sim/scenarios/one_node.h"
#include "sim/scenarios/scenarios.h"
#include "sim/world.h"

namespace chronik::sim {

namespace {

constexpr const char* kOneLeft = "one replica is left";

struct LimitState final : ScenarioState {
  LimitState(World& world, ReplicatedState& state) : budget(world, state) {}
  FaultBudget budget;
};

class Limit final : public Ailing {
 public:
  const char* name() const override { return "limit"; }
  const char* description() const override {
    return "three replicas, down to one that is left, or one of them on a disk that lies about its syncs";
  }
  std::vector<std::string> announced_faults() const override {
    return {"disk lost for good", kOneLeft, "sync-lied", "a liar loses its power", "process kill", "power loss"};
  }
  std::vector<std::string> promises() const override {
    return with_group_promises({"BUDGET", "ACK-DURABLE", "OFFSET-UNIQUE", "REPLICA-MATCH", "REPLICA-LIVE"});
  }

 protected:
  void draw_trouble(Plan& plan, Draws& draws, const std::vector<std::string>& /*names*/) const override {
    Draws faults = draws.child("limit", 0);
    std::vector<std::string> nodes{"node-1", "node-2", "node-3"};
    for (std::size_t i = nodes.size(); i > 1; --i) {
      std::swap(nodes[i - 1], nodes[static_cast<std::size_t>(faults.below(i))]);
    }
    Duration from = faults.between(Duration::seconds(3), Duration::seconds(8));
    if (faults.below(2) == 0) {
      PlanFault& away = add_fault(plan, faults, "away", nodes[0]);
      away.at = VirtualTime::zero() + from;
      away.numbers["for_ns"] = faults.between(Duration::seconds(6), Duration::seconds(14)).nanoseconds();
      from = from + faults.between(Duration::milliseconds(500), Duration::seconds(6));
      add_fault(plan, faults, "lose-disk", nodes[1]).at = VirtualTime::zero() + from;
    } else {
      for (std::int64_t i = faults.between(1, 3); i > 0; --i) {
        PlanFault& lie = add_fault(plan, faults, "lie", nodes[0]);
        lie.at = VirtualTime::zero() + faults.between(from, plan.lasts - Duration::seconds(6));
        lie.numbers["for_ns"] = faults.magnitude(10'000'000, 5'000'000'000);
        lie.numbers["lie_ppm"] = faults.below(2) == 0 ? 1'000'000 : faults.magnitude(10'000, 1'000'000);
      }
      from = Duration::seconds(3);
    }
    for (std::int64_t i = faults.between(0, 6); i > 0; --i) {
      PlanFault& away = add_fault(plan, faults, "away", nodes[static_cast<std::size_t>(faults.below(3))]);
      away.at = VirtualTime::zero() + faults.between(from, plan.lasts);
      away.numbers["for_ns"] = faults.magnitude(10'000'000, 3'000'000'000);
      away.numbers["process"] = faults.between(0, 1);
    }
  }

  void prepare(World& world, const Plan& /*plan*/, Nemesis& nemesis, ReplicatedState& state) const override {
    auto owned = std::make_unique<LimitState>(world, state);
    FaultBudget& budget = owned->budget;
    state.of_kind = std::move(owned);
    nemesis.teach("away", [&world, &state, &budget](const PlanFault& fault) {
      when_it_may(
          world, state, [&budget, fault] { return budget.may_be_away(fault.target); },
          [&world, &state, fault] {
            const bool process = fault.number("process", 0) == 1;
            go_away(world, state, fault.target, Duration::nanoseconds(fault.number("for_ns", 0)),
                    process ? Death::kProcessKill : Death::kPowerLoss);
          });
    });
    nemesis.teach("lose-disk", [&world, &state, &budget](const PlanFault& fault) {
      when_it_may(
          world, state, [&budget, fault] { return budget.may_lose_disk(fault.target); },
          [&world, &state, &budget, fault] { lose_disk(world, state, budget, fault.target); });
    });
    nemesis.teach("lie", [&world, &state, &budget](const PlanFault& fault) {
      when_it_may(
          world, state,
          [&state, &budget, fault] {
            return state.serving.size() == state.nodes() && budget.may_be_away(fault.target);
          },
          [&world, &state, &budget, fault] { lie(world, state, budget, fault); });
    });
  }

  void at_end(World& world, ScenarioState& of) const override {
    auto& state = static_cast<ReplicatedState&>(of);
    const std::size_t nodes = static_cast<LimitState&>(*state.of_kind).budget.to_serve();
    if (!world.findings().empty() || !judge_images(world, state, nodes)) {
      return;
    }
    if (!judge_all_read(world, state)) {
      return;
    }
    judge_those_that_are_left(world, state);
    state.ledger.judge();
  }

 private:
  using Test = std::function<bool()>;
  using Action = std::function<void()>;

  // Within the time of faults.
  static void when_it_may(World& world, const ReplicatedState& state, const Test& may, const Action& then) {
    if (world.now() >= state.healed) {
      return;
    }
    if (may()) {
      return then();
    }
    world.after(Duration::milliseconds(50), [&world, &state, may, then] { when_it_may(world, state, may, then); });
  }

  static void go_away(World& world, ReplicatedState& state, const std::string& name, Duration lasts, Death how) {
    Machine& machine = world.machine(name);
    if (machine.running()) {
      state.away[name] = lasts;
      world.fault_fired(how == Death::kPowerLoss ? "power loss" : "process kill", mix_text(name));
      machine.kill(how);
    }
  }

  static void lose_disk(World& world, ReplicatedState& state, FaultBudget& budget, const std::string& name) {
    Machine& machine = world.machine(name);
    if (!machine.running()) {
      return;
    }
    budget.lose_disk(name);
    state.gone.insert(name);
    world.fault_fired("disk lost for good", mix_text(name));
    if (state.serving.size() == 2) {
      world.fault_fired(kOneLeft, mix_text(name));
    }
    machine.kill(Death::kPowerLoss);
  }

  static void lie(World& world, ReplicatedState& state, FaultBudget& budget, const PlanFault& fault) {
    budget.disk_lies(fault.target);
    state.disks_may_fail.insert(fault.target);
    state.rots = true;  // where it has forgotten what lies in a segment, a reader may be the first to meet that
    DiskKnobs& knobs = disk_of(world.machine(fault.target)).knobs();
    knobs.sync_lies = {static_cast<std::uint32_t>(fault.number("lie_ppm", 0))};
    world.after(Duration::nanoseconds(fault.number("for_ns", 0)), [&world, &state, &knobs, name = fault.target] {
      knobs.sync_lies = {0};
      world.fault_fired("a liar loses its power", mix_text(name));
      go_away(world, state, name, Duration::milliseconds(300), Death::kPowerLoss);
    });
  }

  static void judge_those_that_are_left(World& world, const ReplicatedState& state) {
    for (std::size_t index = 0; index < state.ledger.partitions(); ++index) {
      Offset end = Offset::none();
      for (const auto& [name, node] : state.serving) {
        const broker::HostedTopic* topic = node->table().find(kLedgerTopic);
        const bool there = topic != nullptr && index < topic->partitions.size() && topic->partitions[index];
        const Offset own = there ? topic->partitions[index]->log().log_end() : Offset::none();
        end = end == Offset::none() ? own : end;
        if (!there || own != end || topic->partitions[index]->high_watermark() != own ||
            topic->partitions[index]->leadership().in_sync.size() != state.serving.size()) {
          return world.fail("REPLICA-LIVE",
                            fmt::format("{}, partition {}: not equal, or not in sync: log end {}, another "
                                        "has {}\n{}",
                                        name, index, own, end, world.describe_waits()));
        }
      }
    }
  }
};

}  // namespace

const Scenario* limit_scenario() {
  static const Limit scenario;
  return &scenario;
}

}  // namespace chronik::sim
