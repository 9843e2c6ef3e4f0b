#include "sim/scenario.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <iterator>

#include "core/ports/network.h"
#include "sim/device_host.h"
#include "sim/disk.h"
#include "sim/knobs.h"
#include "sim/machine.h"
#include "sim/scenarios/scenarios.h"
#include "sim/store.h"

namespace chronik::sim {

namespace {

// Those that must fail, too: they are not of `all`, and no pattern means them.
std::vector<const Scenario*> must_fail() {
  std::vector<const Scenario*> all = frozen_scenarios();
  all.insert(all.end(), {canary_scenario(), canary_race_scenario()});
  return all;
}

const Scenario* find_in(const std::vector<const Scenario*>& among, std::string_view name) {
  const auto found =
      std::find_if(among.begin(), among.end(), [name](const Scenario* one) { return one->name() == name; });
  return found == among.end() ? nullptr : *found;
}

}  // namespace

const Scenario* find_scenario(std::string_view name) {
  const Scenario* found = find_in(scenarios(), name);
  return found != nullptr ? found : find_in(must_fail(), name);
}

StatusOr<std::vector<const Scenario*>> select_scenarios(std::string_view names) {
  std::vector<std::string_view> parts;
  for (std::size_t begin = 0; begin <= names.size();) {
    const std::size_t end = std::min(names.find(',', begin), names.size());
    parts.push_back(names.substr(begin, end - begin));
    begin = end + 1;
  }
  const auto fits = [](std::string_view part, std::string_view name) {
    const bool prefix = part.ends_with('*');
    return part == "all" || (prefix ? name.starts_with(part.substr(0, part.size() - 1)) : name == part);
  };
  std::vector<const Scenario*> known = scenarios();
  const std::vector<const Scenario*> others = must_fail();
  std::copy_if(others.begin(), others.end(), std::back_inserter(known),
               [&](const Scenario* one) { return std::find(parts.begin(), parts.end(), one->name()) != parts.end(); });
  for (const std::string_view part : parts) {
    if (std::none_of(known.begin(), known.end(), [&](const Scenario* one) { return fits(part, one->name()); })) {
      return absl::NotFoundError(fmt::format("no scenario is called {}; chronik-sim list names them", part));
    }
  }
  std::erase_if(known, [&](const Scenario* one) {
    return std::none_of(parts.begin(), parts.end(), [&](std::string_view part) { return fits(part, one->name()); });
  });
  return known;
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
