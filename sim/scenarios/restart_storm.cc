// One node that dies while it recovers from the death before: each start meets its own death after a few operations of
// the disk, until the storm is over. Recovering many times gives what recovering once would.
#include "sim/disk_faults.h"
#include "sim/scenarios/one_node.h"
#include "sim/scenarios/scenarios.h"

namespace chronik::sim {

namespace {

class RestartStorm final : public OneNode {
 public:
  const char* name() const override { return "restart-storm"; }
  const char* description() const override { return "one node that dies while it recovers, again and again"; }
  std::vector<std::string> announced_faults() const override {
    std::vector<std::string> names = deadly_disk_fault_names();
    std::erase_if(names,
                  [](const std::string& name) { return name.ends_with("-unlink") || name.ends_with("-truncate"); });
    names.insert(names.end(), {"process kill", "power loss", "death in recovery"});
    return names;
  }

 protected:
  OneNodeRules rules() const override { return {.lasts = Duration::seconds(30)}; }
  void draw_faults(Plan& plan, Draws& draws, const std::vector<std::string>& names) const override {
    Draws storm = draws.child("storm", 0);
    const std::int64_t begins = storm.between(2, 6);
    for (std::int64_t i = 0; i < begins; ++i) {
      add_fault(plan, storm, storm.below(2) == 0 ? "kill" : "power", names.front());
    }
    plan.knobs["storm.steps_most"] = storm.magnitude(4, 60);
    plan.knobs["storm.goes_on_percent"] = storm.between(50, 90);
  }
  void prepare(World& world, const Plan& plan, Nemesis& /*nemesis*/, OneNodeState& state) const override {
    state.on_start = [&world, &state, most = plan.knob("storm.steps_most", 10),
                      goes_on = percent(static_cast<std::uint32_t>(plan.knob("storm.goes_on_percent", 50)))] {
      if (state.machine->incarnation() == 1 || world.now() >= state.healed) {
        return;
      }
      Draws draws = world.decisions().draws("storm", state.machine->incarnation());
      if (!draws.chance(goes_on)) {
        return;
      }
      const std::span<const DiskStep> steps = all_disk_steps();
      const std::span<const DiskEffect> effects = deadly_effects();
      SimulatedDisk& disk = disk_of(*state.machine);
      disk.forget_strikes();
      DiskStrike strike;
      strike.step = steps[draws.below(steps.size())];
      strike.effect = effects[draws.below(effects.size())];
      strike.nth = static_cast<std::uint64_t>(draws.magnitude(1, most));
      disk.strike(strike);
    };
  }
  void on_death(World& world, OneNodeState& state) const override {
    if (state.served != state.machine->incarnation()) {
      world.fault_fired("death in recovery");
    }
  }
};

}  // namespace

const Scenario* restart_storm_scenario() {
  static const RestartStorm scenario;
  return &scenario;
}

}  // namespace chronik::sim
