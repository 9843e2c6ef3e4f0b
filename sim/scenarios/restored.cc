// A node of three dies, and comes back on an older copy of its disk and store: a backup, taken a life or more ago, that
// has forgotten votes and records (rule R15).
//
// Judged besides: the others have known a later life of that directory, so what it says counts for nothing, it is told
// so, and its process ends with that error, as often as it is started (OLDER-COPY); one node leads the metadata in a
// term (ONE-LEADER); what was acknowledged is there on the other two (ACK-DURABLE), which go on. Others may die just
// then; for some time before they live and are in touch, since who has not heard of the later life cannot know of it.
#include <fmt/core.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sim/backup.h"
#include "sim/disk_faults.h"
#include "sim/fault_draws.h"
#include "sim/scenarios/ailing.h"
#include "sim/scenarios/group_watch.h"
#include "sim/scenarios/scenarios.h"
#include "sim/world.h"

namespace chronik::sim {

namespace {

constexpr Duration kInTouchBefore = Duration::seconds(10);
constexpr Duration kAlreadyKnownAfter = Duration::seconds(12);
constexpr const char* kBroughtBack = "older copy brought back";

struct BackupState {
  std::optional<Backup> backup;
  std::uint64_t of_incarnation = 0;
};

class Restored final : public Ailing {
 public:
  const char* name() const override { return "restored"; }
  const char* description() const override {
    return "three replicas, and one of the nodes is brought back from an older backup";
  }
  std::vector<std::string> announced_faults() const override {
    return {kBroughtBack, kOlderCopyRefused, "process kill", "power loss"};
  }
  std::vector<std::string> promises() const override {
    return with_group_promises({"OLDER-COPY", "ONE-LEADER", "ACK-DURABLE", "OFFSET-UNIQUE", "REPLICA-MATCH"});
  }

 protected:
  void draw_trouble(Plan& plan, Draws& draws, const std::vector<std::string>& /*names*/) const override {
    Draws faults = draws.child("backup", 0);
    const VirtualTime taken = VirtualTime::zero() + faults.between(Duration::seconds(2), Duration::seconds(10));
    const VirtualTime died = taken + faults.between(Duration::milliseconds(200), Duration::seconds(4));
    const VirtualTime back = died + faults.between(Duration::seconds(12), Duration::seconds(20));
    add_fault(plan, faults, "backup", kAilingNode).at = taken;
    add_fault(plan, faults, faults.below(2) == 0 ? "kill" : "power", kAilingNode).at = died;
    add_fault(plan, faults, "bring-back", kAilingNode).at = back;
    const std::size_t before = plan.faults.size();
    if (faults.below(2) == 0) {
      draw_deaths(plan, draws.child("deaths", 0), {"node-2", "node-3"});
    }
    plan.faults.erase(std::remove_if(plan.faults.begin() + static_cast<std::ptrdiff_t>(before), plan.faults.end(),
                                     [back](const PlanFault& fault) {
                                       return fault.at + kInTouchBefore > back && fault.at < back + kAlreadyKnownAfter;
                                     }),
                      plan.faults.end());
    if (faults.below(2) == 0) {  // an election while it is back
      PlanFault& fault = add_fault(plan, faults, "kill", faults.below(2) == 0 ? "node-2" : "node-3");
      fault.at = back + faults.between(Duration::milliseconds(1), Duration::seconds(3));
    }
  }

  void prepare(World& world, const Plan& /*plan*/, Nemesis& nemesis, ReplicatedState& state) const override {
    auto kept = std::make_shared<BackupState>();
    nemesis.teach("backup", [&world, kept](const PlanFault& fault) {
      Machine& machine = world.machine(fault.target);
      kept->backup.emplace(machine);
      kept->of_incarnation = machine.incarnation();
    });
    nemesis.teach("bring-back", [&world, &state, kept](const PlanFault&) { bring_back(world, state, kept); });
    watch_leaders(world, state);
    look_who_serves(world, state);
  }

  void at_end(World& world, ScenarioState& of) const override {
    auto& state = static_cast<ReplicatedState&>(of);
    if (!judge_images(world, state, state.nodes() - state.older_copies.size())) {
      return;
    }
    if (!judge_all_read(world, state)) {
      return;
    }
    state.ledger.judge();
  }

 private:
  // As soon as a later life of the node is known to everybody.
  static void bring_back(World& world, ReplicatedState& state, const std::shared_ptr<BackupState>& kept) {
    Machine& machine = world.machine(kAilingNode);
    if (world.now() >= state.healed) {
      return;
    }
    if (!kept->backup.has_value() || machine.incarnation() <= kept->of_incarnation || !is_known_to_all(state)) {
      world.after(Duration::milliseconds(200), [&world, &state, kept] { bring_back(world, state, kept); });
      return;
    }
    state.older_copies.insert(kAilingNode);
    machine.kill(Death::kPowerLoss);
    kept->backup->bring_back(machine);
    world.fault_fired(kBroughtBack, mix_text(machine.name()));
  }

  static bool is_known_to_all(const ReplicatedState& state) {
    if (state.serving.size() != state.nodes()) {
      return false;
    }
    const auto epoch_of = [](const node::Node& node) {
      const cluster::Broker* broker = node.metadata().image()->find_broker(NodeId(1));
      return broker == nullptr ? BrokerEpoch::none() : broker->epoch;
    };
    const BrokerEpoch own = epoch_of(*state.serving.at(kAilingNode));
    return own == state.serving.at(kAilingNode)->metadata().broker_epoch() &&
           std::all_of(state.serving.begin(), state.serving.end(),
                       [&](const auto& serving) { return epoch_of(*serving.second) == own; });
  }

  static void look_who_serves(World& world, const ReplicatedState& state) {
    for (const std::string& name : state.older_copies) {
      if (state.serving.contains(name)) {
        return world.fail("OLDER-COPY", fmt::format("{} serves from an older copy of its disk", name));
      }
    }
    world.after(Duration::milliseconds(20), [&world, &state] { look_who_serves(world, state); });
  }
};

}  // namespace

const Scenario* restored_scenario() {
  static const Restored scenario;
  return &scenario;
}

}  // namespace chronik::sim
