// One node and clients whose wall clocks step to and fro by up to a day, and whose processes are suspended. Only
// timestamps may show it: retention is off, and no wait and no promise rests on a wall clock.
#include "sim/disk_faults.h"
#include "sim/fault_draws.h"
#include "sim/scenarios/one_node.h"
#include "sim/scenarios/scenarios.h"

namespace chronik::sim {

namespace {

class ClockSteps final : public OneNode {
 public:
  const char* name() const override { return "clock-steps"; }
  const char* description() const override { return "one node and clients whose wall clocks step, and that sleep"; }
  std::vector<std::string> announced_faults() const override { return {"clock step", "suspend", "power loss"}; }

 protected:
  void draw_faults(Plan& plan, Draws& draws, const std::vector<std::string>& names) const override {
    draw_clock_steps(plan, draws.child("steps", 0), names);
    draw_suspensions(plan, draws.child("suspensions", 0), names);
    draw_deaths(plan, draws.child("deaths", 0), {names.front()});
  }
  void configure(const Plan& /*plan*/, node::NodeConfig& config) const override {
    config.broker["log.retention.ms"] = "-1";
    config.broker["log.message.timestamp.after.max.ms"] = "9223372036854775807";
  }
};

}  // namespace

const Scenario* clock_steps_scenario() {
  static const ClockSteps scenario;
  return &scenario;
}

}  // namespace chronik::sim
