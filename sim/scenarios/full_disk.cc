// One node whose disk fills up and gets room again: writes are refused while there is none and resume by themselves,
// reads go on, and nothing ends the node (rule R14). Judged besides: while the disk is full the reader gets through,
// and once there is room for good, writes are taken again (NODE-LIVE).
//
// What the node keeps in reserve is for segments, too, so in a spell they find room. In some spells others take that as
// well, once the node has refused a write: then segments are not written until there is room again (a failed drain).
#include <fmt/core.h>

#include "core/fiber/wait.h"
#include "sim/disk_faults.h"
#include "sim/scenarios/one_node.h"
#include "sim/scenarios/scenarios.h"

namespace chronik::sim {

namespace {

constexpr std::int64_t kReserve = 1 << 20;
constexpr Duration kLongSpell = Duration::seconds(8);
constexpr std::int64_t kTailAgeSeconds = 2;  // where the reserve goes: tails are to be drained just then

class FullDisk final : public OneNode {
 public:
  const char* name() const override { return "full-disk"; }
  const char* description() const override { return "one node whose disk is full for a while, again and again"; }
  std::vector<std::string> announced_faults() const override {
    return {"no room on the disk", "refused write", "the reserve is gone",
            kSegmentWithoutRoom,   "process kill",  "power loss"};
  }

 protected:
  OneNodeRules rules() const override { return {.lasts = Duration::seconds(40), .space_may_lack = true}; }

  void configure(const Plan& /*plan*/, node::NodeConfig& config) const override {
    config.logs.wal.free_disk_reserve_bytes = static_cast<std::uint64_t>(kReserve);
  }

  void draw_faults(Plan& plan, Draws& draws, const std::vector<std::string>& names) const override {
    Draws faults = draws.child("faults", 0);
    plan.knobs["wal.rotation_bytes"] = 65'536;
    plan.knobs["disk.bytes"] = faults.between(2, 4) << 20;
    const std::int64_t spells = faults.between(1, 4);
    for (std::int64_t i = 0; i < spells; ++i) {
      PlanFault& fault = add_fault(plan, faults, "disk-full", names.front());
      fault.numbers["for_ns"] = faults.magnitude(100'000'000, 20'000'000'000);
      fault.numbers["free"] = faults.between(kReserve / 2, kReserve + (1 << 17));
      draw_loss_of_reserve(plan, fault, draws.child("reserve", static_cast<std::uint64_t>(i)));
    }
    const std::int64_t deaths = faults.below(2) == 0 ? 0 : faults.between(1, 3);
    plan.knobs["deaths"] = deaths;
    for (std::int64_t i = 0; i < deaths; ++i) {
      add_fault(plan, faults, faults.below(2) == 0 ? "kill" : "power", names.front());
    }
  }

  void prepare(World& world, const Plan& plan, Nemesis& /*nemesis*/, OneNodeState& state) const override {
    SimulatedDisk& disk = disk_of(*state.machine);
    disk.knobs().capacity_bytes = static_cast<std::uint64_t>(plan.knob("disk.bytes", 1 << 23));
    disk.model().set_capacity(disk.knobs().capacity_bytes);
    // For the quiet part, in which everything is written that was not.
    world.at(state.healed, [&disk] {
      disk.knobs().capacity_bytes = std::uint64_t{1} << 40;
      disk.model().set_capacity(disk.knobs().capacity_bytes);
    });
    world.at(state.healed + Duration::seconds(20), [&state] {
      state.acknowledged_then = state.ledger.acknowledged();
      state.first_refusal = VirtualTime::never();
    });
    for (const PlanFault& fault : plan.faults) {
      const Duration lasts = Duration::nanoseconds(fault.number("for_ns", 0));
      if (fault.kind == "disk-full" && lasts >= kLongSpell && plan.knob("deaths", 0) == 0) {
        expect_reads(world, state, fault.at, lasts);
      }
      if (const std::int64_t left = fault.number("reserve_left", -1); left >= 0) {
        lose_reserve(world, disk, state, {.from = fault.at, .lasts = lasts, .left = static_cast<std::uint64_t>(left)});
      }
    }
  }

  void at_end(World& world, ScenarioState& of) const override {
    const auto& state = static_cast<OneNodeState&>(of);
    const bool taken = state.ledger.acknowledged() > state.acknowledged_then;
    if (!taken && state.first_refusal + Duration::seconds(10) < state.last_refusal) {
      world.fail("NODE-LIVE",
                 fmt::format("writes are refused at {}, and none was taken, long after there was room again",
                             state.last_refusal.to_string()));
      return;
    }
    OneNode::at_end(world, of);
  }

 private:
  struct LossOfReserve {
    VirtualTime from;
    Duration lasts;
    std::uint64_t left;
  };

  static void draw_loss_of_reserve(Plan& plan, PlanFault& fault, Draws draws) {
    if (draws.below(3) == 0) {
      return;
    }
    fault.numbers["free"] = draws.between(kReserve / 2, kReserve / 4 * 3);  // one of the next writes is refused
    fault.numbers["reserve_left"] = draws.magnitude(4'096, 1 << 15);
    fault.numbers["for_ns"] = std::max(fault.numbers["for_ns"], Duration::seconds(6).nanoseconds());
    plan.knobs["log.tail_age_s"] = kTailAgeSeconds;
    plan.knobs["log.tail_bytes_max"] = std::max<std::int64_t>(plan.knobs["log.tail_bytes_max"], 1 << 18);
  }

  // As soon as the node has refused a write: nothing is on its way to the write-ahead log then but what it reserves
  // room for.
  static void lose_reserve(World& world, SimulatedDisk& disk, OneNodeState& state, const LossOfReserve& loss) {
    world.at(loss.from + Duration::milliseconds(100), [&world, &disk, &state, loss] {
      if (world.now() >= loss.from + loss.lasts || disk.model().free_bytes() >= kReserve) {
        return;  // it is over, or another spell was over meanwhile
      }
      if (state.last_refusal < loss.from) {
        return lose_reserve(world, disk, state,
                            {.from = world.now(), .lasts = loss.from + loss.lasts - world.now(), .left = loss.left});
      }
      world.fault_fired("the reserve is gone");
      disk.model().set_free(loss.left);
    });
  }

  static void expect_reads(World& world, OneNodeState& state, VirtualTime from, Duration lasts) {
    world.at(from, [&world, &state, lasts] {
      const std::uint64_t before = state.passes;
      if (before == 0) {
        return;  // perhaps there is no topic yet
      }
      world.after(lasts, [&world, &state, before] {
        if (state.passes == before && !state.all_read) {
          world.fail("NODE-LIVE", "nothing was read while the disk was full: " + state.last_read.ToString());
        }
      });
    });
  }
};

}  // namespace

const Scenario* full_disk_scenario() {
  static const FullDisk scenario;
  return &scenario;
}

}  // namespace chronik::sim
