// The disk of one node of three rots under load (rule R18): its replicas report themselves, others lead, what is
// damaged is cut and fetched again, and they are in sync again.
//
// A damaged offset may answer an error until another node leads. The last flush of a dead node's write-ahead log is in
// doubt (rule R3), so where that log rots, the node dies only once its disk has kept some more flushes. Other nodes die
// whenever it happens.
#include <functional>
#include <memory>
#include <string>

#include "core/base/observer.h"
#include "sim/checkers.h"
#include "sim/disk_faults.h"
#include "sim/fault_draws.h"
#include "sim/scenarios/ailing.h"
#include "sim/scenarios/scenarios.h"
#include "sim/shard.h"
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

 protected:
  void draw_trouble(Plan& plan, Draws& draws, const std::vector<std::string>& /*names*/) const override {
    Draws faults = draws.child("rot", 0);
    for (std::int64_t i = faults.between(1, 6); i > 0; --i) {
      const bool of_wal = faults.below(2) == 0;
      add_fault(plan, faults, of_wal ? "wal-rot-then-death" : "segment-rot", kAilingNode);
    }
    plan.knobs["leader_dies_at_the_cut"] = faults.between(0, 1);
    if (draws.below(2) == 0) {
      draw_deaths(plan, draws.child("deaths", 0), {"node-2", "node-3"});
    }
  }

  void prepare(World& world, const Plan& plan, Nemesis& nemesis, ReplicatedState& state) const override {
    state.rots = true;
    nemesis.teach("segment-rot",
                  [&world](const PlanFault& fault) { disk_of(world.machine(fault.target)).rot_somewhere("logs/"); });
    nemesis.teach("wal-rot-then-death", [&world, &state](const PlanFault& fault) {
      Machine& machine = world.machine(fault.target);
      if (state.serving.contains(kAilingNode) && disk_of(machine).rot_somewhere("wal/")) {
        die_when_settled(world, state, fault, machine.incarnation(), flushes_of(state) + kFlushesLater);
      }
    });
    world.checkers().add(std::make_unique<Repaired>(world, state, plan.knob("leader_dies_at_the_cut", 0) != 0));
  }

 private:
  // Says which of the announced faults have had an effect. Whoever leads may die at the very moment when the damaged
  // log is cut: a replica that somebody still counts on would be elected for what it has lost.
  class Repaired final : public Checker, private Observer {
   public:
    Repaired(World& world, const ReplicatedState& state, bool leader_dies)
        : world_(world), state_(state), leader_dies_(leader_dies) {}
    const char* id() const override { return "REPLICA-LIVE"; }
    Observer* observe(Shard& shard) override { return shard.machine().name() == kAilingNode ? this : nullptr; }

   private:
    void on_damage(const PartitionRef& p, Offset /*from*/, Offset /*to*/) override {
      const bool starting = !state_.serving.contains(kAilingNode);
      world_.fault_fired(starting ? "damage found at the start" : "damage found", p.topic.bytes[0]);
      damaged_.insert(p);
    }
    void on_truncated(const PartitionRef& p, LeaderEpoch /*epoch*/, Offset /*end*/) override {
      if (damaged_.erase(p) > 0) {
        world_.fault_fired("log repaired", p.topic.bytes[0]);
        if (leader_dies_ && world_.now() < state_.healed) {
          world_.after(Duration::microseconds(1), [this, p] { kill_leader(p); });
        }
      }
    }
    void kill_leader(const PartitionRef& p) {
      for (const auto& [name, node] : state_.serving) {
        const cluster::Partition* partition = node->metadata().image()->find_partition(p.topic, p.partition);
        const bool leads = partition != nullptr && name == group_node_name(partition->leader.value());
        if (leads && name != kAilingNode && world_.machine(name).running()) {
          world_.fault_fired("process kill", mix_text(name));
          return world_.machine(name).kill(Death::kProcessKill);
        }
      }
    }
    World& world_;
    const ReplicatedState& state_;
    bool leader_dies_;
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

  static void die_when_settled(World& world, const ReplicatedState& state, const PlanFault& fault,
                               std::uint64_t incarnation, std::uint64_t flushes) {
    Machine& machine = world.machine(fault.target);
    const auto settled = [&state, &machine, flushes, incarnation] {
      return machine.incarnation() != incarnation || flushes_of(state) >= flushes;
    };
    as_soon_as(world, state, settled, [&world, &machine, incarnation] {
      if (machine.running() && machine.incarnation() == incarnation) {
        world.fault_fired("process kill", mix_text(machine.name()));
        machine.kill(Death::kProcessKill);
      }
    });
  }
};

}  // namespace

const Scenario* rotten_replica_scenario() {
  static const RottenReplica scenario;
  return &scenario;
}

}  // namespace chronik::sim
