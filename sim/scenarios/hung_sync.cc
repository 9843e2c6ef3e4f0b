// One node with operations of its disk that never return: the node ends itself when their time is over, and answers
// nothing that depends on them.
#include "sim/disk_faults.h"
#include "sim/scenarios/one_node.h"
#include "sim/scenarios/scenarios.h"

namespace chronik::sim {

namespace {

constexpr Duration kDiskTimeout = Duration::seconds(8);

class HungSync final : public OneNode {
 public:
  const char* name() const override { return "hung-sync"; }
  const char* description() const override { return "one node with syncs and writes that never return"; }
  std::vector<std::string> announced_faults() const override { return {"disk-hang", "the node gave up"}; }

 protected:
  OneNodeRules rules() const override {
    return {.lasts = Duration::seconds(40), .disk_may_fail = true, .hang_limit = kDiskTimeout + Duration::seconds(5)};
  }
  void configure(const Plan& /*plan*/, node::NodeConfig& config) const override {
    config.logs.wal.io_timeout = kDiskTimeout;
    config.logs.file_timeout = kDiskTimeout;
    config.logs.write_timeout = kDiskTimeout;
  }
  void draw_faults(Plan& plan, Draws& draws, const std::vector<std::string>& names) const override {
    static constexpr DiskStep kHanging[] = {DiskStep::kSync, DiskStep::kSync, DiskStep::kWrite};
    static constexpr DiskEffect kHangs[] = {DiskEffect::kHang};
    Draws faults = draws.child("faults", 0);
    draw_strikes(plan, faults, names.front(), faults.between(1, 6), kHanging, kHangs);
    const std::int64_t losses = faults.between(0, 3);
    for (std::int64_t i = 0; i < losses; ++i) {
      add_fault(plan, faults, "power", names.front());
    }
  }
};

}  // namespace

const Scenario* hung_sync_scenario() {
  static const HungSync scenario;
  return &scenario;
}

}  // namespace chronik::sim
