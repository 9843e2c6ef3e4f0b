#include "sim/scenarios/group_plan.h"

#include <fmt/core.h>

#include <algorithm>

#include "sim/disk_faults.h"
#include "sim/fault_draws.h"
#include "sim/knobs.h"

namespace chronik::sim {

namespace {

std::vector<std::string> node_names(const Plan& plan) {
  std::vector<std::string> nodes;
  for (const PlanMachine& machine : plan.machines) {
    if (machine.role == "node") {
      nodes.push_back(machine.name);
    }
  }
  return nodes;
}

void add_stop(Plan& plan, const std::string& node, Duration at, Duration lasts) {
  PlanOperation& stop = plan.operations.emplace_back();
  stop.id = plan.operations.size();
  stop.machine = node;
  stop.verb = "stop";
  stop.numbers["at_ns"] = at.nanoseconds();
  stop.numbers["for_ns"] = lasts.nanoseconds();
}

// While a node's disk stalls, what it has promised and not written stands out; and all at once a majority is gone.
void draw_more_deaths(Plan& plan, Draws draws, const std::vector<std::string>& nodes) {
  const std::int64_t spells = draws.below(2) == 0 ? 0 : draws.between(1, 6);
  for (std::int64_t i = 0; i < spells; ++i) {
    PlanFault& fault = add_fault(plan, draws, "disk-slow", nodes[draws.below(nodes.size())]);
    fault.numbers["for_ns"] = draws.magnitude(10'000'000, 10'000'000'000);
    fault.numbers["stall_ppm"] = draws.magnitude(10'000, 1'000'000);
    fault.numbers["stall_ns"] = draws.magnitude(1'000'000, 1'000'000'000);
  }
  const std::int64_t deaths = draws.below(3) == 0 ? 0 : draws.magnitude(1, 40);
  for (std::int64_t i = 0; i < deaths; ++i) {
    const std::string& struck = nodes[draws.below(nodes.size())];
    const char* how = draws.below(3) == 0 ? "kill" : "power";
    add_fault(plan, draws, how, struck);
  }
}

}  // namespace

std::string group_node_name(int number) { return fmt::format("node-{}", number); }

Plan draw_group_plan(const Scenario& scenario, std::uint64_t seed, int nodes, Draws& draws) {
  Plan plan = draw_plan(scenario, seed, draws);
  plan.lasts = Duration::seconds(40);
  plan.calm = Duration::seconds(100);
  for (const char* knob : {"network.segment_most", "network.transfer_most"}) {
    if (plan.knobs[knob] != 0) {
      plan.knobs[knob] = std::max<std::int64_t>(plan.knobs[knob], 512);
    }
  }
  plan.knobs["network.receive_buffer"] = std::max<std::int64_t>(plan.knobs["network.receive_buffer"], 65'536);
  plan.knobs["raft.entries_per_snapshot"] = draws.magnitude(2, 200);
  plan.knobs["raft.entries_kept"] = draws.magnitude(1, 200) - 1;
  plan.knobs["raft.snapshot_part_bytes"] = draws.magnitude(64, 1 << 16);
  plan.knobs["nodes"] = nodes;
  for (int number = 1; number <= nodes; ++number) {
    plan.machines.push_back(draw_machine(group_node_name(number), "node", draws));
    plan.machines.back().numbers["disk"] = 1;
    plan.machines.back().numbers["number"] = number;
  }
  return plan;
}

int draw_group_size(Draws& draws, int least, int most) {
  return draws.below(2) == 0 ? std::clamp(kGroupNodes, least, most) : static_cast<int>(draws.between(least, most));
}

void draw_slow_starts(Plan& plan, Draws draws) {
  for (PlanMachine& machine : plan.machines) {
    if (machine.role == "node") {
      machine.numbers["start_ns"] = draws.below(2) == 0 ? 0 : draws.magnitude(1'000'000, 10'000'000'000);
    }
  }
}

void draw_stops(Plan& plan, Draws draws) {
  const std::vector<std::string> nodes = node_names(plan);
  if (draws.below(3) == 0) {
    for (std::int64_t i = draws.between(1, 6); i > 0; --i) {
      const Duration at = draws.between(Duration::zero(), plan.lasts);
      const Duration lasts = Duration::nanoseconds(draws.magnitude(1'000'000, 3'000'000'000));
      add_stop(plan, nodes[draws.below(nodes.size())], at, lasts);
    }
  } else {
    const Duration down = Duration::nanoseconds(draws.magnitude(1'000'000, 3'000'000'000));
    const Duration between = down + Duration::nanoseconds(draws.magnitude(10'000'000, 5'000'000'000));
    std::size_t next = 0;
    for (Duration at = draws.between(Duration::seconds(1), Duration::seconds(10)); at < plan.lasts; at = at + between) {
      add_stop(plan, nodes[next++ % nodes.size()], at, down);
    }
  }
}

void draw_group_faults(Plan& plan, Draws& draws, const std::vector<std::string>& names) {
  const std::vector<std::string> nodes = node_names(plan);
  draw_network_faults(plan, draws.child("network", 0), names);
  draw_network_faults(plan, draws.child("between nodes", 0), nodes);
  draw_deaths(plan, draws.child("deaths", 0), nodes);
  draw_more_deaths(plan, draws.child("more deaths", 0), nodes);
  draw_suspensions(plan, draws.child("suspensions", 0), names);
  draw_clock_steps(plan, draws.child("clock steps", 0), names);
  draw_point_faults(plan, draws.child("points", 0), nodes);
}

std::vector<std::string> group_fault_names() {
  std::vector<std::string> names = network_fault_names();
  for (const std::string& name : death_fault_names()) {
    names.push_back(name);
  }
  names.insert(names.end(),
               {"suspend", "clock step", "disk-stall", "kill at point", "delay at point", "yield at point"});
  return names;
}

std::vector<std::string> with_group_promises(std::vector<std::string> also) {
  also.insert(also.end(), {"META-WHOLE", "META-AGREE", "META-LIVE", "NODE-START", "NODE-FATAL", "CONFORM", "NO-STUCK",
                           "NO-SPIN", "WAL", "FSYNC-ERR", "EPOCH", "BOUNDED"});
  return also;
}

}  // namespace chronik::sim
