#include "sim/disk_faults.h"

#include <fmt/core.h>

#include <utility>

#include "sim/machine.h"

namespace chronik::sim {

namespace {

constexpr DiskStep kSteps[] = {
    DiskStep::kOpen,     DiskStep::kRead,   DiskStep::kWrite,           DiskStep::kSync,
    DiskStep::kTruncate, DiskStep::kUnlink, DiskStep::kCreateDirectory, DiskStep::kSyncDirectory,
    DiskStep::kSyncAll};
constexpr DiskEffect kDeadly[] = {DiskEffect::kKillBefore,      DiskEffect::kKillDuring,
                                  DiskEffect::kKillAfter,       DiskEffect::kPowerLossBefore,
                                  DiskEffect::kPowerLossDuring, DiskEffect::kPowerLossAfter};

void strike(World& world, const PlanFault& fault) {
  disk_of(world.machine(fault.target))
      .strike({.step = static_cast<DiskStep>(fault.number("step", 0)),
               .effect = static_cast<DiskEffect>(fault.number("effect", 0)),
               .nth = static_cast<std::uint64_t>(fault.number("nth", 1)),
               .path = fault.other == "-" ? "" : fault.other});
}

template <typename Heal>
std::function<void()> on_every_disk(World& world, Heal heal) {
  return [&world, heal] {
    for (const std::unique_ptr<Machine>& machine : world.machines()) {
      if (auto* disk = dynamic_cast<SimulatedDisk*>(machine->disk()); disk != nullptr) {
        heal(*disk);
      }
    }
  };
}

}  // namespace

SimulatedDisk& disk_of(Machine& machine) {
  auto* disk = dynamic_cast<SimulatedDisk*>(machine.disk());
  CHECK(disk != nullptr);
  return *disk;
}

void teach_disk_faults(World& world, Nemesis& nemesis) {
  nemesis.teach(
      "disk", [&world](const PlanFault& fault) { strike(world, fault); }, on_every_disk(world, [](SimulatedDisk& disk) {
        disk.forget_strikes();
        disk.release_hung();
      }));
  nemesis.teach(
      "disk-full",
      [&world](const PlanFault& fault) {
        SimulatedDisk& disk = disk_of(world.machine(fault.target));
        world.fault_fired("no room on the disk", mix_text(fault.target));
        disk.model().set_free(static_cast<std::uint64_t>(fault.number("free", 0)));
        world.after(Duration::nanoseconds(fault.number("for_ns", 0)),
                    [&disk] { disk.model().set_capacity(disk.knobs().capacity_bytes); });
      },
      on_every_disk(world, [](SimulatedDisk& disk) { disk.model().set_capacity(disk.knobs().capacity_bytes); }));
  nemesis.teach(
      "disk-slow",
      [&world](const PlanFault& fault) {
        DiskKnobs& knobs = disk_of(world.machine(fault.target)).knobs();
        knobs.stalls = {static_cast<std::uint32_t>(fault.number("stall_ppm", 0))};
        knobs.stall_most = Duration::nanoseconds(fault.number("stall_ns", 0));
        world.after(Duration::nanoseconds(fault.number("for_ns", 0)), [&knobs] { knobs.stalls = {0}; });
      },
      on_every_disk(world, [](SimulatedDisk& disk) { disk.knobs().stalls = {0}; }));
  nemesis.teach("rot", [&world](const PlanFault& fault) { disk_of(world.machine(fault.target)).rot_somewhere(); });
  nemesis.teach("spoil", [&world](const PlanFault& fault) { disk_of(world.machine(fault.target)).spoil_a_block(); });
}

PlanFault& add_fault(Plan& plan, Draws& draws, std::string kind, std::string target) {
  PlanFault& fault = plan.faults.emplace_back();
  fault.id = plan.faults.size();
  fault.at = VirtualTime::zero() + draws.between(Duration::milliseconds(1), plan.lasts);
  fault.kind = std::move(kind);
  fault.target = std::move(target);
  fault.other.assign(1, '-');
  fault.numbers["for_ns"] = draws.magnitude(1'000'000, 1'000'000'000);
  return fault;
}

PlanFault& add_fault_at(Plan& plan, Draws& draws, std::string kind, std::string target, VirtualTime at,
                        Duration lasts) {
  PlanFault& fault = add_fault(plan, draws, std::move(kind), std::move(target));
  fault.at = at;
  fault.numbers["for_ns"] = lasts.nanoseconds();
  return fault;
}

void draw_strikes(Plan& plan, Draws& draws, const std::string& target, std::int64_t count,
                  std::span<const DiskStep> steps, std::span<const DiskEffect> effects) {
  for (std::int64_t i = 0; i < count; ++i) {
    PlanFault& fault = add_fault(plan, draws, "disk", target);
    const DiskStep step = steps[draws.below(steps.size())];
    const bool frequent = step == DiskStep::kRead || step == DiskStep::kWrite || step == DiskStep::kSync;
    fault.numbers["step"] = static_cast<std::int64_t>(step);
    fault.numbers["effect"] = static_cast<std::int64_t>(effects[draws.below(effects.size())]);
    fault.numbers["nth"] = draws.magnitude(1, frequent ? 40 : 4);
  }
}

std::span<const DiskStep> all_disk_steps() { return kSteps; }
std::span<const DiskEffect> deadly_effects() { return kDeadly; }

std::vector<std::string> deadly_disk_fault_names() {
  std::vector<std::string> names;
  for (const DiskStep step : kSteps) {
    names.push_back(fmt::format("process-kill-at-{}", disk_step_name(step)));
    names.push_back(fmt::format("power-loss-at-{}", disk_step_name(step)));
  }
  return names;
}

}  // namespace chronik::sim
