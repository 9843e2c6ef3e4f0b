#include "sim/scenario.h"

#include <array>

#include "core/ports/network.h"
#include "sim/device_host.h"
#include "sim/disk.h"
#include "sim/knobs.h"
#include "sim/machine.h"
#include "sim/scenarios/scenarios.h"
#include "sim/store.h"

namespace chronik::sim {

const Scenario* find_scenario(std::string_view name) {
  for (const Scenario* scenario : scenarios()) {
    if (scenario->name() == name) {
      return scenario;
    }
  }
  for (const Scenario* scenario : frozen_scenarios()) {
    if (scenario->name() == name) {
      return scenario;
    }
  }
  for (const Scenario* canary : {canary_scenario(), canary_race_scenario()}) {
    if (canary->name() == name) {
      return canary;
    }
  }
  return nullptr;
}

Plan draw_plan(const Scenario& scenario, std::uint64_t seed, Draws& draws) {
  static constexpr std::array<std::uint32_t, 3> kWeights{1, 3, 2};  // fifo, random, pct
  Plan plan;
  plan.scenario = scenario.name();
  plan.seed = seed;
  plan.schedule = static_cast<ScheduleKind>(draws.pick(kWeights));
  store_knobs(draw_network_knobs(draws), plan.knobs);
  return plan;
}

Machine& add_planned_machine(World& world, const PlanMachine& machine) {
  const std::size_t number = world.machines().size() + 1;
  CHECK_LT(number, std::size_t{65'000});
  MachineOptions options;
  options.name = machine.name;
  options.address =
      Address::ipv4(10, 0, static_cast<std::uint8_t>(number / 256), static_cast<std::uint8_t>(number % 256), 0);
  options.turns = turn_knobs(machine.numbers);
  options.clock = clock_knobs(machine.numbers);
  const auto shards = machine.numbers.find("shards");
  options.shards = shards == machine.numbers.end() ? 1 : static_cast<std::uint32_t>(shards->second);
  const auto disk = machine.numbers.find("disk");
  if (disk != machine.numbers.end() && disk->second != 0) {
    options.disk = [](World& of, const std::string& name) -> std::unique_ptr<DiskDevice> {
      Draws draws = of.draws("disk knobs", name);
      return std::make_unique<SimulatedDisk>(std::make_unique<WorldDeviceHost>(of, name), draw_disk_knobs(draws),
                                             of.draws("disk", name));
    };
    options.store = [](World& of, const std::string& name) -> std::unique_ptr<StoreDevice> {
      Draws draws = of.draws("store knobs", name);
      return std::make_unique<SimulatedStore>(std::make_unique<WorldDeviceHost>(of, name), draw_store_knobs(draws),
                                              of.draws("store", name));
    };
  }
  return world.add_machine(options);
}

}  // namespace chronik::sim
