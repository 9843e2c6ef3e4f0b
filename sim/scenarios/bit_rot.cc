// One node on a disk that rots, loses blocks and writes to the wrong place: damage is detected and never served.
//
// A damaged offset may answer an error, and a node may refuse to start; it may not answer other bytes, or end its log
// below what was acknowledged. Damage in the last flush of a log cannot be told from a torn one (rule R3). So a death
// follows only once something was acknowledged that was sent after the last damage, and damage strikes only while the
// node serves: what a dead one has left is in doubt until its successor has written it anew.
#include "sim/disk_faults.h"
#include "sim/scenarios/one_node.h"
#include "sim/scenarios/scenarios.h"

namespace chronik::sim {

namespace {

class BitRot final : public OneNode {
 public:
  const char* name() const override { return "bit-rot"; }
  const char* description() const override { return "one node on a disk that rots and writes to the wrong place"; }
  std::vector<std::string> announced_faults() const override {
    return {"bit-rot", "unreadable-block", "misplaced-write", "process kill", "power loss"};
  }

 protected:
  OneNodeRules rules() const override { return {.calm = Duration::seconds(100), .disk_rots = true}; }

  void draw_faults(Plan& plan, Draws& draws, const std::vector<std::string>& names) const override {
    static constexpr DiskStep kWrites[] = {DiskStep::kWrite};
    static constexpr DiskEffect kMisplaces[] = {DiskEffect::kMisplace};
    Draws faults = draws.child("faults", 0);
    plan.knobs["log.tail_bytes_max"] = faults.magnitude(4'096, 1 << 17);  // so that some is read from segments
    const std::int64_t rots = faults.between(1, 4);
    for (std::int64_t i = 0; i < rots; ++i) {
      const bool spoils = faults.below(3) == 0;
      add_fault(plan, faults, spoils ? "spoil-while-serving" : "rot-while-serving", names.front());
    }
    if (faults.below(3) == 0) {
      draw_strikes(plan, faults, names.front(), 1, kWrites, kMisplaces);
    }
    const std::int64_t deaths = faults.between(0, 6);
    for (std::int64_t i = 0; i < deaths; ++i) {
      add_fault(plan, faults, "settled-death", names.front()).numbers["power"] = faults.between(0, 1);
    }
  }

  void prepare(World& world, const Plan& /*plan*/, Nemesis& nemesis, OneNodeState& state) const override {
    teach_rot_while_serving(world, nemesis, state);
  }
};

}  // namespace

void teach_rot_while_serving(World& world, Nemesis& nemesis, OneNodeState& state) {
  nemesis.teach("rot-while-serving", [&state](const PlanFault&) {
    if (state.node != nullptr) {
      disk_of(*state.machine).rot_somewhere();
    }
  });
  nemesis.teach("spoil-while-serving", [&state](const PlanFault&) {
    if (state.node != nullptr) {
      disk_of(*state.machine).spoil_a_block();
    }
  });
  nemesis.teach("settled-death", [&world, &state](const PlanFault& fault) {
    if (state.machine->running() && state.ledger.settled_era() >= disk_of(*state.machine).model().damage().size()) {
      const bool power = fault.number("power", 0) != 0;
      world.fault_fired(power ? "power loss" : "process kill", mix_text(fault.target));
      state.machine->kill(power ? Death::kPowerLoss : Death::kProcessKill);
    }
  });
}

const Scenario* bit_rot_scenario() {
  static const BitRot scenario;
  return &scenario;
}

}  // namespace chronik::sim
