// The disk of one node of three rots under load (rule R18): its replicas report themselves, others lead, what is
// damaged is cut and fetched again, and they are in sync again.
//
// A damaged offset may answer an error until another node leads. The last flush of a dead node's write-ahead log is in
// doubt (rule R3), so where that log rots, the node dies only once its disk has kept some more flushes. Other nodes die
// whenever it happens.
#include <fmt/core.h>

#include <functional>
#include <memory>
#include <string>

#include "core/base/observer.h"
#include "sim/checkers.h"
#include "sim/disk_faults.h"
#include "sim/fault_draws.h"
#include "sim/scenarios/ailing.h"
#include "sim/scenarios/scenarios.h"
#include "sim/world.h"

namespace chronik::sim {

namespace {

constexpr std::uint64_t kFlushesLater = 3;

std::uint64_t flushes_of(const ReplicatedState& state) {
  const auto serving = state.serving.find(kAilingNode);
  return serving == state.serving.end() ? 0 : serving->second->logs().wal_metrics().fsyncs.value();
}

class RottenReplica final : public Ailing {
 public:
  const char* name() const override { return "rotten-replica"; }
  const char* description() const override { return "three replicas, one of them on a disk that rots"; }
  std::vector<std::string> announced_faults() const override {
    return {"bit-rot", "process kill", "power loss", "damage found", "damage found at the start", "log repaired"};
  }
  std::vector<std::string> promises() const override {
    std::vector<std::string> names = Ailing::promises();
    names.insert(names.begin(), {"DAMAGE"});
    return names;
  }

 protected:
  void draw_trouble(Plan& plan, Draws& draws, const std::vector<std::string>& /*names*/) const override {
    Draws faults = draws.child("rot", 0);
    for (std::int64_t i = faults.between(1, 6); i > 0; --i) {
      const bool of_wal = faults.below(2) == 0;
      PlanFault& fault = add_fault(plan, faults, of_wal ? "wal-rot-then-death" : "segment-rot", kAilingNode);
      if (of_wal && faults.below(2) == 0) {
        fault.numbers["other"] = faults.between(2, 3);
        fault.numbers["for_ns"] = faults.magnitude(1'000'000, 200'000'000);
      }
    }
    if (draws.below(2) == 0) {
      draw_deaths(plan, draws.child("deaths", 0), {"node-2", "node-3"});
    }
  }

  void prepare(World& world, const Plan& /*plan*/, Nemesis& nemesis, ReplicatedState& state) const override {
    state.rots = true;
    nemesis.teach("segment-rot",
                  [&world](const PlanFault& fault) { disk_of(world.machine(fault.target)).rot_somewhere("logs/"); });
    nemesis.teach("wal-rot-then-death", [&world, &state](const PlanFault& fault) {
      Machine& machine = world.machine(fault.target);
      if (state.serving.contains(kAilingNode) && disk_of(machine).rot_somewhere("wal/")) {
        die_when_settled(world, state, fault, machine.incarnation(), flushes_of(state) + kFlushesLater);
      }
    });
    world.checkers().add(std::make_unique<Repaired>(world, state));
  }

 private:
  // Says which of the announced faults have had an effect.
  class Repaired final : public Checker, private Observer {
   public:
    Repaired(World& world, const ReplicatedState& state) : world_(world), state_(state) {}
    const char* id() const override { return "REPLICA-LIVE"; }
    Observer* observe(Shard& /*shard*/) override { return this; }

   private:
    void on_damage(const PartitionRef& p, Offset /*from*/, Offset /*to*/) override {
      const bool starting = !state_.serving.contains(kAilingNode);
      world_.fault_fired(starting ? "damage found at the start" : "damage found", p.topic.bytes[0]);
      damaged_.insert(p);
    }
    void on_truncated(const PartitionRef& p, LeaderEpoch /*epoch*/, Offset /*end*/) override {
      if (damaged_.erase(p) > 0) {
        world_.fault_fired("log repaired", p.topic.bytes[0]);
      }
    }
    World& world_;
    const ReplicatedState& state_;
    absl::btree_set<PartitionRef> damaged_;
  };

  // Calls `then` as soon as `when` is true, within the time of faults.
  static void as_soon_as(World& world, const ReplicatedState& state, std::function<bool()> when,
                         std::function<void()> then) {
    if (world.now() >= state.healed) {
      return;
    }
    if (when()) {
      return then();
    }
    world.after(Duration::milliseconds(5), [&world, &state, when, then] { as_soon_as(world, state, when, then); });
  }

  // Whoever led meanwhile may die as soon as the node is back: it must not be elected for what it has lost.
  static void die_when_settled(World& world, const ReplicatedState& state, const PlanFault& fault,
                               std::uint64_t incarnation, std::uint64_t flushes) {
    Machine& machine = world.machine(fault.target);
    const auto settled = [&state, &machine, flushes, incarnation] {
      return machine.incarnation() != incarnation || flushes_of(state) >= flushes;
    };
    const auto back = [&state, incarnation, &machine] {
      return machine.incarnation() > incarnation && state.serving.contains(kAilingNode);
    };
    const std::string other = fault.number("other", 0) == 0 ? "" : fmt::format("node-{}", fault.number("other", 0));
    const Duration later = Duration::nanoseconds(fault.number("for_ns", 0));
    as_soon_as(world, state, settled, [&world, &state, &machine, incarnation, back, other, later] {
      if (!machine.running() || machine.incarnation() != incarnation) {
        return;
      }
      world.fault_fired("process kill", mix_text(machine.name()));
      machine.kill(Death::kProcessKill);
      if (other.empty()) {
        return;
      }
      as_soon_as(world, state, back, [&world, other, later] {
        world.after(later, [&world, other] {
          if (world.machine(other).running()) {
            world.machine(other).kill(Death::kProcessKill);
          }
        });
      });
    });
  }
};

}  // namespace

const Scenario* rotten_replica_scenario() {
  static const RottenReplica scenario;
  return &scenario;
}

}  // namespace chronik::sim
