// A copy of one of three nodes is started beside it, as by who clones a machine or looks whether a backup works: it has
// the node's identity, and names its running life among the earlier ones, as the node's next start would (rule R15).
//
// Judged besides: the copy never serves, and the original is not taken for the older one of both (OLDER-COPY,
// NODE-FATAL); one node leads the metadata in a term (ONE-LEADER). Once the copy has gone the others die in turn, so
// that the original is needed for a majority, and all of them serve in the end.
#include <fmt/core.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "sim/backup.h"
#include "sim/disk_faults.h"
#include "sim/fault_draws.h"
#include "sim/knobs.h"
#include "sim/scenarios/ailing.h"
#include "sim/scenarios/group_watch.h"
#include "sim/scenarios/scenarios.h"
#include "sim/world.h"

namespace chronik::sim {

namespace {

constexpr const char* kCopy = "copy-of-node-1";
constexpr const char* kStartedBeside = "copy started beside its original";

class Copied final : public Ailing {
 public:
  const char* name() const override { return "copied"; }
  const char* description() const override {
    return "three replicas, and a copy of one of the nodes is started while that node runs";
  }
  std::vector<std::string> announced_faults() const override { return {kStartedBeside, "process kill"}; }
  std::vector<std::string> promises() const override {
    return with_group_promises({"OLDER-COPY", "ONE-LEADER", "ACK-DURABLE", "OFFSET-UNIQUE", "REPLICA-MATCH"});
  }

 protected:
  void draw_trouble(Plan& plan, Draws& draws, const std::vector<std::string>& /*names*/) const override {
    Draws faults = draws.child("copy", 0);
    const VirtualTime beside = VirtualTime::zero() + faults.between(Duration::seconds(3), Duration::seconds(10));
    PlanFault& copied = add_fault(plan, faults, "start-copy", kAilingNode);
    copied.at = beside;
    const Duration lasts = faults.between(Duration::milliseconds(200), Duration::seconds(15));
    copied.numbers["for_ns"] = lasts.nanoseconds();
    VirtualTime at = beside + lasts + Duration::seconds(1);
    for (const char* other : {"node-2", "node-3"}) {
      add_fault(plan, faults, "kill", other).at = at;
      at = at + faults.between(Duration::seconds(5), Duration::seconds(8));
    }
  }

  void prepare(World& world, const Plan& plan, Nemesis& nemesis, ReplicatedState& state) const override {
    PlanMachine planned = *std::find_if(plan.machines.begin(), plan.machines.end(),
                                        [](const PlanMachine& machine) { return machine.name == kAilingNode; });
    planned.name = kCopy;
    add_planned_machine(world, planned).install([&state](ProcessContext& process) { run_copy(process, state); });
    nemesis.teach("start-copy", [&world](const PlanFault& fault) {
      const Machine& original = world.machine(fault.target);
      Machine& copy = world.machine(kCopy);
      if (!original.running() || copy.running()) {
        return;
      }
      Backup(world.machine(fault.target)).bring_back(copy);
      copy.start();
      world.fault_fired(kStartedBeside, mix_text(copy.name()));
      world.after(Duration::nanoseconds(fault.number("for_ns", 0)), [&copy] {
        if (copy.running()) {
          copy.kill(Death::kProcessKill);
        }
      });
    });
    watch_leaders(world, state);
  }

 private:
  static void run_copy(ProcessContext& process, ReplicatedState& state) {
    node::Node node(process.ports, state.configs.at(kAilingNode));
    if (node.start().ok()) {
      state.world->fail("OLDER-COPY", fmt::format("{} serves beside its original", kCopy));
    }
    static_cast<void>(node.stop());
  }
};

}  // namespace

const Scenario* copied_scenario() {
  static const Copied scenario;
  return &scenario;
}

}  // namespace chronik::sim
