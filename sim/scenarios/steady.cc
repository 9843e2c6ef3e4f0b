// One node that nothing befalls: what is acknowledged reaches the consumer at once, every connection lasts, and once
// the clients have gone the node comes to rest.
#include "sim/disk_faults.h"
#include "sim/scenarios/one_node.h"
#include "sim/scenarios/scenarios.h"

namespace chronik::sim {

namespace {

class Steady final : public OneNode {
 public:
  const char* name() const override { return "steady"; }
  const char* description() const override {
    return "one node that nothing befalls, producers, a reader and a consumer";
  }
  std::vector<std::string> announced_faults() const override { return {}; }

 protected:
  OneNodeRules rules() const override {
    return {.calm = Duration::seconds(120), .consumer_is_prompt = true, .connections_last = true};
  }
  void draw_faults(Plan& /*plan*/, Draws& /*draws*/, const std::vector<std::string>& /*names*/) const override {}
};

}  // namespace

const Scenario* steady_scenario() {
  static const Steady scenario;
  return &scenario;
}

}  // namespace chronik::sim
