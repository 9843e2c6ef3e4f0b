// One node that is killed and loses power again and again, at any time and before, in and after any kind of operation
// of its disk, which keeps, drops and tears what was not synced.
#include "sim/disk_faults.h"
#include "sim/fault_draws.h"
#include "sim/scenarios/one_node.h"
#include "sim/scenarios/scenarios.h"

namespace chronik::sim {

namespace {

class NodeKill final : public OneNode {
 public:
  const char* name() const override { return "node-kill"; }
  const char* description() const override { return "one node that dies again and again, producers and readers"; }
  std::vector<std::string> announced_faults() const override {
    std::vector<std::string> names = deadly_disk_fault_names();
    names.insert(names.end(), {"process kill", "power loss", "kill at point", "delay at point", "yield at point"});
    return names;
  }

 protected:
  void draw_faults(Plan& plan, Draws& draws, const std::vector<std::string>& names) const override {
    Draws deaths = draws.child("deaths", 0);
    const std::int64_t at_any_time = deaths.between(0, 12);
    for (std::int64_t i = 0; i < at_any_time; ++i) {
      add_fault(plan, deaths, deaths.below(3) == 0 ? "kill" : "power", names.front());
    }
    draw_strikes(plan, deaths, names.front(), deaths.between(0, 12), all_disk_steps(), deadly_effects());
    if (draws.below(3) == 0) {
      draw_network_faults(plan, draws.child("network", 0), names);
    }
  }
};

}  // namespace

const Scenario* node_kill_scenario() {
  static const NodeKill scenario;
  return &scenario;
}

}  // namespace chronik::sim
