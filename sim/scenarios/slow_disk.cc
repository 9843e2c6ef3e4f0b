// One node on a disk whose operations stall for seconds: nothing fails, and everything gets done.
#include "sim/disk_faults.h"
#include "sim/scenarios/one_node.h"
#include "sim/scenarios/scenarios.h"

namespace chronik::sim {

namespace {

class SlowDisk final : public OneNode {
 public:
  const char* name() const override { return "slow-disk"; }
  const char* description() const override { return "one node on a disk that stalls, and dies"; }
  std::vector<std::string> announced_faults() const override { return {"disk-stall", "process kill", "power loss"}; }

 protected:
  void draw_faults(Plan& plan, Draws& draws, const std::vector<std::string>& names) const override {
    Draws faults = draws.child("faults", 0);
    const std::int64_t spells = faults.between(1, 6);
    for (std::int64_t i = 0; i < spells; ++i) {
      PlanFault& fault = add_fault(plan, faults, "disk-slow", names.front());
      fault.numbers["for_ns"] = faults.magnitude(10'000'000, 10'000'000'000);
      fault.numbers["stall_ppm"] = faults.magnitude(1'000, 500'000);
      fault.numbers["stall_ns"] = faults.magnitude(1'000'000, 8'000'000'000);
    }
    const std::int64_t deaths = faults.between(0, 4);
    for (std::int64_t i = 0; i < deaths; ++i) {
      add_fault(plan, faults, faults.below(2) == 0 ? "kill" : "power", names.front());
    }
  }
};

}  // namespace

const Scenario* slow_disk_scenario() {
  static const SlowDisk scenario;
  return &scenario;
}

}  // namespace chronik::sim
