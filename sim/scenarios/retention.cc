// One node that deletes what is too much or too old, down to empty logs, and dies: a log's start only moves forward,
// its end does not go back, and what lies between is all there (rule R16).
#include <fmt/core.h>

#include "sim/disk_faults.h"
#include "sim/scenarios/one_node.h"
#include "sim/scenarios/scenarios.h"

namespace chronik::sim {

namespace {

class Retention final : public OneNode {
 public:
  const char* name() const override { return "retention"; }
  const char* description() const override { return "one node that deletes old segments, and dies"; }
  std::vector<std::string> announced_faults() const override {
    return {"process kill", "power loss", "power-loss-at-unlink", "process-kill-at-unlink"};
  }

 protected:
  OneNodeRules rules() const override { return {.lasts = Duration::seconds(40), .retains = true}; }

  void configure(const Plan& plan, node::NodeConfig& config) const override {
    config.broker["log.retention.check.interval.ms"] = fmt::format("{}", plan.knob("retention.interval_ms", 1000));
    config.broker["log.retention.bytes"] = fmt::format("{}", plan.knob("retention.bytes", -1));
    config.broker["log.retention.ms"] = fmt::format("{}", plan.knob("retention.ms", -1));
  }

  void draw_faults(Plan& plan, Draws& draws, const std::vector<std::string>& names) const override {
    Draws faults = draws.child("faults", 0);
    plan.knobs["retention.interval_ms"] = faults.magnitude(100, 5'000);
    plan.knobs["retention.bytes"] = faults.below(3) == 0 ? -1 : faults.magnitude(1'000, 1 << 20);
    plan.knobs["retention.ms"] = faults.below(3) == 0 ? -1 : faults.magnitude(100, 20'000);
    plan.knobs["log.tail_bytes_max"] = faults.magnitude(1'024, 1 << 16);
    plan.knobs["log.segment_bytes"] = faults.magnitude(1'024, 1 << 17);
    const std::int64_t deaths = faults.between(0, 8);
    for (std::int64_t i = 0; i < deaths; ++i) {
      add_fault(plan, faults, faults.below(3) == 0 ? "kill" : "power", names.front());
    }
    draw_strikes(plan, faults, names.front(), faults.between(0, 8), all_disk_steps(), deadly_effects());
  }
};

}  // namespace

const Scenario* retention_scenario() {
  static const Retention scenario;
  return &scenario;
}

}  // namespace chronik::sim
