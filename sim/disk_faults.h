// Faults of a machine's disk, for a plan and for the nemesis that carries it out.
//
// Kinds, each against fault.target, which has a SimulatedDisk:
//   disk        strikes once: `step`, `effect` (indices of DiskStep, DiskEffect), at the `nth` step of its kind; only
//               files whose path contains fault.other where that is not "-"
//   disk-full   `free` bytes are left; after for_ns there is room again
//   disk-slow   `stall_ppm` of the operations take up to `stall_ns` longer, for for_ns
//   rot, spoil  some durable byte changes; some durable block cannot be read any more
#pragma once

#include <span>
#include <string>
#include <vector>

#include "sim/decision.h"
#include "sim/disk.h"
#include "sim/nemesis.h"
#include "sim/plan.h"

namespace chronik::sim {

SimulatedDisk& disk_of(Machine& machine);

// Names this file's kinds to the nemesis. Healing forgets strikes, releases what hangs, gives room, speed back; damage
// stays.
void teach_disk_faults(World& world, Nemesis& nemesis);

// A fault at a drawn time within plan.lasts, for a drawn while (1 ms to 1 s).
PlanFault& add_fault(Plan& plan, Draws& draws, std::string kind, std::string target);
// One at that time, for that long.
PlanFault& add_fault_at(Plan& plan, Draws& draws, std::string kind, std::string target, VirtualTime at, Duration lasts);
// `count` strikes, each a drawn one of `steps` with a drawn one of `effects`.
void draw_strikes(Plan& plan, Draws& draws, const std::string& target, std::int64_t count,
                  std::span<const DiskStep> steps, std::span<const DiskEffect> effects);

// What a node does to its disk, and the effects that end its process.
std::span<const DiskStep> all_disk_steps();
std::span<const DiskEffect> deadly_effects();
// "power-loss-at-write" and the like, of each of all_disk_steps().
std::vector<std::string> deadly_disk_fault_names();

}  // namespace chronik::sim
