// One node that deletes by time, and producers that take nanoseconds for milliseconds: their records lie fifty million
// years ahead. None of them is too old, however long it has been there, as with Kafka.
#include <fmt/core.h>

#include "sim/fault_draws.h"
#include "sim/scenarios/one_node.h"
#include "sim/scenarios/scenarios.h"

namespace chronik::sim {

namespace {

class StampedAhead final : public OneNode {
 public:
  const char* name() const override { return "stamped-ahead"; }
  const char* description() const override { return "one node that deletes by time, and records of a time to come"; }
  std::vector<std::string> announced_faults() const override { return {"power loss"}; }

 protected:
  OneNodeRules rules() const override { return {.lasts = Duration::seconds(40), .stamps_nanoseconds = true}; }

  void configure(const Plan& plan, node::NodeConfig& config) const override {
    config.broker["log.message.timestamp.after.max.ms"] = "9223372036854775807";
    config.broker["log.retention.check.interval.ms"] = fmt::format("{}", plan.knob("retention.interval_ms", 1000));
    config.broker["log.retention.ms"] = fmt::format("{}", plan.knob("retention.ms", 1000));
  }

  void draw_faults(Plan& plan, Draws& draws, const std::vector<std::string>& names) const override {
    Draws knobs = draws.child("retention", 0);
    plan.knobs["retention.interval_ms"] = knobs.magnitude(100, 5'000);
    plan.knobs["retention.ms"] = knobs.magnitude(100, 20'000);
    plan.knobs["log.tail_bytes_max"] = knobs.magnitude(1'024, 1 << 16);
    plan.knobs["log.segment_bytes"] = knobs.magnitude(1'024, 1 << 17);
    draw_deaths(plan, draws.child("deaths", 0), {names.front()});
  }
};

}  // namespace

const Scenario* stamped_ahead_scenario() {
  static const StampedAhead scenario;
  return &scenario;
}

}  // namespace chronik::sim
