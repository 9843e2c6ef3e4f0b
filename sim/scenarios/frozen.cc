// The frozen node: each suspicion about it as a small model of the node that froze (frozen_node.h). They must fail,
// each named by its wait-for graph, as docs/FROZEN.md shows; none is one of `all`.
#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "sim/disk_faults.h"
#include "sim/knobs.h"
#include "sim/scenarios/frozen_node.h"
#include "sim/scenarios/scenarios.h"

namespace chronik::sim {

namespace {

struct FrozenState final : ScenarioState {
  std::vector<PlanOperation> operations;
};

// What the nodes are told to do, again and again: verbs of FrozenNode, at drawn times.
struct Suspicion {
  const char* name;
  const char* description;
  std::vector<const char*> verbs;
  std::int64_t nodes = 1;
  bool sync_hangs = false;
};

void run_node(ProcessContext& process, const FrozenState& state, const Address& other) {
  FrozenNode node(process, other);
  node.start();
  fiber::FiberScope scope;
  for (const PlanOperation& operation : state.operations) {
    if (operation.machine == process.machine.name()) {
      scope.spawn({operation.verb.c_str(), operation.id}, [&node, &operation, &process] {
        const VirtualTime at = VirtualTime::zero() + Duration::nanoseconds(operation.number("at_ns"));
        if (fiber::sleep(std::max(at - process.machine.world().now(), Duration::zero())).ok()) {
          node.carry_out(operation);
        }
      });
    }
  }
  static_cast<void>(scope.join(fiber::for_ever()));
}

class Frozen final : public Scenario {
 public:
  explicit Frozen(Suspicion suspicion) : suspicion_(std::move(suspicion)) {}
  const char* name() const override { return suspicion_.name; }
  const char* description() const override { return suspicion_.description; }
  std::vector<std::string> announced_faults() const override { return {}; }
  std::vector<std::string> promises() const override { return {"NO-STUCK"}; }

  Plan generate(std::uint64_t seed) const override {
    Draws draws(seed, "plan", mix_text(name()));
    Plan plan = draw_plan(*this, seed, draws);
    for (std::int64_t i = 1; i <= suspicion_.nodes; ++i) {
      plan.machines.push_back(draw_machine("node-" + std::to_string(i), "node", draws));
      plan.machines.back().numbers["disk"] = 1;
    }
    const std::int64_t operations = draws.between(40, 80);
    for (std::int64_t i = 0; i < operations; ++i) {
      PlanOperation& operation = plan.operations.emplace_back();
      operation.id = plan.operations.size();
      operation.machine = plan.machines[draws.below(plan.machines.size())].name;
      operation.verb = suspicion_.verbs[draws.below(suspicion_.verbs.size())];
      operation.numbers = {{"at_ns", draws.between(Duration::seconds(1), plan.lasts).nanoseconds()},
                           {"takes_ns", draws.between(50'000'000, 200'000'000)}};
    }
    if (suspicion_.sync_hangs) {
      PlanFault& hang = add_fault_at(plan, draws, "disk", "node-1", VirtualTime::zero() + Duration::milliseconds(500),
                                     Duration::zero());
      hang.numbers["step"] = static_cast<std::int64_t>(DiskStep::kSync);
      hang.numbers["effect"] = static_cast<std::int64_t>(DiskEffect::kHang);
      hang.numbers["nth"] = draws.between(1, 3);
    }
    // Long after the first node has frozen it is still time to look at it.
    plan.lasts = plan.lasts + Duration::seconds(30);
    return plan;
  }

  std::unique_ptr<ScenarioState> build(World& world, const Plan& plan, Nemesis& nemesis) const override {
    teach_disk_faults(world, nemesis);
    auto state = std::make_unique<FrozenState>();
    state->operations = plan.operations;
    for (const PlanMachine& planned : plan.machines) {
      add_planned_machine(world, planned);
    }
    for (const std::unique_ptr<Machine>& machine : world.machines()) {
      const Address other = world.machines()[world.machines().size() - 1 - machine->index()]->address();
      machine->install([state = state.get(), other](ProcessContext& process) { run_node(process, *state, other); });
      machine->start();
    }
    return state;
  }

 private:
  Suspicion suspicion_;
};

}  // namespace

const std::vector<const Scenario*>& frozen_scenarios() {
  static const Frozen kRaftAndLog(
      {"frozen-raft-and-log", "must fail: Raft waits for the log, and the log for Raft", {"append", "flush"}});
  static const Frozen kMetadata({"frozen-metadata-and-raft",
                                 "must fail: what is committed waits for the metadata, and they for Raft",
                                 {"apply", "list-topics"}});
  static const Frozen kQueue({"frozen-full-queue",
                              "must fail: Raft waits for a place in a queue whose reader waits for Raft",
                              {"publish", "metadata"}});
  static const Frozen kSync({"frozen-hung-sync",
                             "must fail: a sync never returns, under the lock that all requests need",
                             {"sync", "metadata"},
                             1,
                             true});
  static const Frozen kForwarding({"frozen-forwarding",
                                   "must fail: two nodes take each other for the leader, and hold the one connection",
                                   {"produce"},
                                   2});
  static const std::vector<const Scenario*> kFrozen{&kRaftAndLog, &kMetadata, &kQueue, &kSync, &kForwarding};
  return kFrozen;
}

}  // namespace chronik::sim
