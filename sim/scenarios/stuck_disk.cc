// The disk of one node of three is stuck for long, but not for so long that the node ends itself (rule R10): it gives
// its duties up, the others go on, and it takes them up again when its disk does.
//
// Judged besides what ailing.h says: whoever produces with acks=all, to whatever partition, is answered within half of
// replica.lag.time.max.ms, a session and an election (NO-STUCK).
#include "sim/disk_faults.h"
#include "sim/scenarios/ailing.h"
#include "sim/scenarios/scenarios.h"

namespace chronik::sim {

namespace {

constexpr Duration kSessionAndElection = Duration::seconds(6);  // and a slow network

class StuckDisk final : public Ailing {
 public:
  const char* name() const override { return "stuck-disk"; }
  const char* description() const override { return "three replicas, one of them on a disk that is stuck for a while"; }
  std::vector<std::string> announced_faults() const override { return {"disk-hang", "duties given up"}; }

 protected:
  void draw_trouble(Plan& plan, Draws& draws, const std::vector<std::string>& /*names*/) const override {
    Draws faults = draws.child("stuck", 0);
    plan.knobs["replica.lag_ms"] = faults.between(4'000, 16'000);
    PlanFault& fault = add_fault(plan, faults, "stuck", kAilingNode);
    fault.at = VirtualTime::zero() + Duration::milliseconds(faults.between(3'000, 10'000));
    fault.other = faults.below(4) == 0 ? "logs/" : "wal/";
    fault.numbers["step"] = static_cast<std::int64_t>(faults.below(2) == 0 ? DiskStep::kWrite : DiskStep::kSync);
    fault.numbers["for_ns"] = (answer_within(plan) + Duration::seconds(faults.between(2, 8))).nanoseconds();
  }

  void prepare(World& world, const Plan& plan, Nemesis& nemesis, ReplicatedState& state) const override {
    state.undisturbed = true;
    state.answer_within = answer_within(plan);
    nemesis.teach("stuck", [&world, &state](const PlanFault& fault) {
      SimulatedDisk& disk = disk_of(world.machine(fault.target));
      disk.strike({.step = static_cast<DiskStep>(fault.number("step", 0)),
                   .effect = DiskEffect::kHang,
                   .nth = 1,
                   .path = fault.other});
      const Duration lasts = Duration::nanoseconds(fault.number("for_ns", 0));
      world.after(lasts - Duration::seconds(1), [&world, &state] { look_who_is_stuck(world, state); });
      world.after(lasts, [&disk] {
        disk.forget_strikes();
        disk.release_hung();
      });
    });
  }

 private:
  static Duration answer_within(const Plan& plan) {
    return Duration::milliseconds(plan.knob("replica.lag_ms", 0)) / 2 + kSessionAndElection;
  }

  static void look_who_is_stuck(World& world, const ReplicatedState& state) {
    for (const auto& [name, node] : state.serving) {
      const cluster::Broker* broker = node->metadata().image()->find_broker(NodeId(1));
      if (broker != nullptr && broker->stuck) {
        return world.fault_fired("duties given up");
      }
    }
  }
};

}  // namespace

const Scenario* stuck_disk_scenario() {
  static const StuckDisk scenario;
  return &scenario;
}

}  // namespace chronik::sim
