// One node whose disk fails writes and syncs. The node ends; what comes back is judged as after any death, and the
// pages that a failed sync left clean may be forgotten at the end of the process, or lost with the power.
#include "sim/disk_faults.h"
#include "sim/scenarios/one_node.h"
#include "sim/scenarios/scenarios.h"

namespace chronik::sim {

namespace {

class FailedSync final : public OneNode {
 public:
  const char* name() const override { return "failed-sync"; }
  const char* description() const override {
    return "one node whose disk fails writes and syncs, and forgets what it did not keep";
  }
  std::vector<std::string> announced_faults() const override {
    return {"sync-failed", "write-failed", "the node gave up", "clean-pages-evicted", "power loss"};
  }

 protected:
  OneNodeRules rules() const override { return {.disk_may_fail = true}; }
  void draw_faults(Plan& plan, Draws& draws, const std::vector<std::string>& names) const override {
    static constexpr DiskStep kFailing[] = {DiskStep::kSync, DiskStep::kSync, DiskStep::kWrite,
                                            DiskStep::kSyncDirectory, DiskStep::kSyncAll};
    static constexpr DiskEffect kFails[] = {DiskEffect::kIoError};
    Draws faults = draws.child("faults", 0);
    draw_strikes(plan, faults, names.front(), faults.between(1, 12), kFailing, kFails);
    const std::int64_t losses = faults.between(0, 6);
    for (std::int64_t i = 0; i < losses; ++i) {
      add_fault(plan, faults, "power", names.front());
    }
  }
  void prepare(World& /*world*/, const Plan& /*plan*/, Nemesis& /*nemesis*/, OneNodeState& state) const override {
    disk_of(*state.machine).knobs().evicts = percent(50);
  }
};

}  // namespace

const Scenario* failed_sync_scenario() {
  static const FailedSync scenario;
  return &scenario;
}

}  // namespace chronik::sim
