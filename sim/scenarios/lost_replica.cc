// A node of three comes back and lacks the log of one of its replicas, though it had made it (rule R12): the replica
// says so, is counted on by nobody, begins anew, empty, and is in sync again.
#include <memory>
#include <string>
#include <vector>

#include "core/log/stored_logs.h"
#include "sim/disk_faults.h"
#include "sim/fault_draws.h"
#include "sim/scenarios/ailing.h"
#include "sim/scenarios/scenarios.h"

namespace chronik::sim {

namespace {

// Takes a log out of the node's logs, as if it had never been there, before the node starts.
void lose_a_log(ProcessContext& process, ReplicatedState& state) {
  const Deadline deadline = fiber::within(Duration::seconds(30), Expiry::kPeer);
  log::StoredLogs logs(process.ports, state.configs.at(process.machine.name()).logs);
  if (!logs.open(deadline).ok()) {
    return;
  }
  logs.start();
  const std::vector<log::LogKey> keys = logs.keys();
  if (!keys.empty()) {
    const log::LogKey key = keys[process.ports.random.next() % keys.size()];
    const bool held = logs.find(key)->log_end() > Offset(0);
    if (logs.remove(key, deadline).ok() && held) {
      state.world->fault_fired("log lost", mix_text(process.machine.name()));
    }
  }
  static_cast<void>(logs.stop(deadline));
}

class LostReplica final : public Ailing {
 public:
  const char* name() const override { return "lost-replica"; }
  const char* description() const override { return "three replicas, and one of a node's logs is gone at its start"; }
  std::vector<std::string> announced_faults() const override { return {"log lost", "process kill", "power loss"}; }

 protected:
  void draw_trouble(Plan& plan, Draws& draws, const std::vector<std::string>& /*names*/) const override {
    Draws faults = draws.child("losses", 0);
    for (std::int64_t i = faults.between(1, 4); i > 0; --i) {
      add_fault(plan, faults, "lose-log", kAilingNode);
    }
    if (draws.below(2) == 0) {
      draw_deaths(plan, draws.child("deaths", 0), {"node-2", "node-3"});
    }
  }

  void prepare(World& world, const Plan& /*plan*/, Nemesis& nemesis, ReplicatedState& state) const override {
    auto loses = std::make_shared<bool>(false);
    nemesis.teach("lose-log", [&world, loses](const PlanFault& fault) {
      Machine& machine = world.machine(fault.target);
      if (machine.running()) {
        *loses = true;
        machine.kill(Death::kPowerLoss);
      }
    });
    world.machine(kAilingNode).install([&state, loses](ProcessContext& process) {
      if (std::exchange(*loses, false)) {
        lose_a_log(process, state);
      }
      run_group_node(process, state);
    });
  }
};

}  // namespace

const Scenario* lost_replica_scenario() {
  static const LostReplica scenario;
  return &scenario;
}

}  // namespace chronik::sim
