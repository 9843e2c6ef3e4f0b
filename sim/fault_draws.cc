#include "sim/fault_draws.h"

#include <algorithm>
#include <array>

#include "core/base/sim_point.h"

namespace chronik::sim {

namespace {

struct Kind {
  const char* name;
  std::int64_t count_most;
  Duration longest;
};

const std::string& any_of(Draws& draws, const std::vector<std::string>& machines) {
  return machines[draws.below(machines.size())];
}

// Between one and count_most faults of the kind, in about half of all seeds.
void draw_kind(Plan& plan, Draws& draws, const Kind& kind, const std::vector<std::string>& machines, bool between_two) {
  if (draws.below(2) == 0) {
    return;
  }
  const std::int64_t count = draws.between(1, kind.count_most);
  for (std::int64_t i = 0; i < count; ++i) {
    PlanFault fault;
    fault.id = plan.faults.size() + 1;
    fault.at = VirtualTime::zero() + draws.between(Duration::milliseconds(1), plan.lasts);
    fault.kind = kind.name;
    fault.target = any_of(draws, machines);
    fault.other = between_two ? (draws.below(3) == 0 ? "*" : any_of(draws, machines)) : "-";
    if (fault.other == fault.target) {
      fault.other = "*";
    }
    fault.numbers["for_ns"] = draws.magnitude(1'000'000, std::max<std::int64_t>(2'000'000, kind.longest.nanoseconds()));
    plan.faults.push_back(fault);
  }
}

void draw_odds(Plan& plan, Draws& draws, const char* knob, std::int64_t most) {
  if (draws.below(3) == 0) {
    plan.knobs[knob] = draws.magnitude(1, most);
  }
}

}  // namespace

void draw_deaths(Plan& plan, Draws draws, const std::vector<std::string>& machines) {
  draw_kind(plan, draws, {"kill", 6, Duration::seconds(5)}, machines, false);
  draw_kind(plan, draws, {"power", 4, Duration::seconds(5)}, machines, false);
}

void draw_suspensions(Plan& plan, Draws draws, const std::vector<std::string>& machines) {
  draw_kind(plan, draws, {"suspend", 4, Duration::seconds(5)}, machines, false);
}

void draw_clock_steps(Plan& plan, Draws draws, const std::vector<std::string>& machines) {
  const std::size_t first = plan.faults.size();
  draw_kind(plan, draws, {"step", 4, Duration::seconds(1)}, machines, false);
  for (std::size_t i = first; i < plan.faults.size(); ++i) {
    const std::int64_t size = draws.magnitude(1, 100'000'000);
    plan.faults[i].numbers["by_ms"] = draws.below(2) == 0 ? size : -size;
  }
}

void draw_network_faults(Plan& plan, Draws draws, const std::vector<std::string>& machines) {
  const std::size_t first = plan.faults.size();
  draw_kind(plan, draws, {"partition", 4, Duration::seconds(5)}, machines, true);
  draw_kind(plan, draws, {"clog", 4, Duration::seconds(5)}, machines, true);
  draw_kind(plan, draws, {"slow", 3, Duration::seconds(5)}, machines, true);
  draw_kind(plan, draws, {"thin", 3, Duration::seconds(5)}, machines, true);
  draw_kind(plan, draws, {"reset", 8, Duration::milliseconds(2)}, machines, false);
  for (std::size_t i = first; i < plan.faults.size(); ++i) {
    PlanFault& fault = plan.faults[i];
    if (fault.kind == "partition") {
      fault.numbers["one_way"] = draws.between(0, 1);
    } else if (fault.kind == "slow") {
      fault.numbers["delay_ns"] = draws.magnitude(1'000'000, 2'000'000'000);
    } else if (fault.kind == "thin") {
      fault.numbers["bytes_per_second"] = draws.magnitude(500, 100'000);
    } else if (fault.kind == "reset") {
      fault.numbers["half_open"] = draws.between(0, 1);
    }
  }
  draw_odds(plan, draws, "network.reset_ppm", 2'000);
  draw_odds(plan, draws, "network.half_open_ppm", 1'000);
  draw_odds(plan, draws, "network.refuse_ppm", 300'000);
  draw_odds(plan, draws, "network.lost_syn_ppm", 300'000);
  draw_odds(plan, draws, "network.no_descriptor_ppm", 300'000);
}

void draw_point_faults(Plan& plan, Draws draws, const std::vector<std::string>& machines) {
  static constexpr std::array<std::int64_t, 4> kOdds{10'000, 100'000, 500'000, 1'000'000};
  if (draws.below(3) != 0) {
    return;
  }
  const bool deadly = std::any_of(plan.faults.begin(), plan.faults.end(),
                                  [](const PlanFault& fault) { return fault.kind == "kill" || fault.kind == "power"; });
  for (std::int64_t i = draws.between(1, 5); i > 0; --i) {
    const bool dies = deadly && draws.below(3) == 0;
    const PointKind wanted = draws.below(4) == 0 ? PointKind::kFail : PointKind::kPause;
    std::vector<std::string_view> names;
    for (const SimPoint& point : kPoints) {
      if (dies || point.kind == wanted) {
        names.push_back(point.name);
      }
    }
    PlanFault fault;
    fault.id = plan.faults.size() + 1;
    fault.at = VirtualTime::zero() + draws.between(Duration::milliseconds(1), plan.lasts);
    fault.kind = dies ? "point" : wanted == PointKind::kFail ? "fail" : "pause";
    fault.target = any_of(draws, machines);
    fault.other = names[draws.below(names.size())];
    if (dies) {
      fault.numbers["nth"] = draws.magnitude(1, 50) - 1;
      fault.numbers["power"] = draws.between(0, 1);
    } else {
      fault.numbers["ppm"] = kOdds[draws.below(kOdds.size())];
      // Long, since many points are passed once in seconds.
      fault.numbers["for_ns"] = draws.between(Duration::milliseconds(100), plan.lasts).nanoseconds();
    }
    if (fault.kind == "pause") {
      fault.numbers["delay_ns"] = draws.below(3) == 0 ? 0 : draws.magnitude(10'000, 200'000'000);
    }
    plan.faults.push_back(fault);
  }
}

std::vector<std::string> death_fault_names() { return {"process kill", "power loss"}; }

std::vector<std::string> network_fault_names() {
  return {"partition",
          "one-way partition",
          "clog",
          "slow link",
          "thin link",
          "connection reset",
          "half-open connection",
          "network reset",
          "network half-open",
          "network refuse",
          "network lost connect",
          "network no descriptor"};
}

}  // namespace chronik::sim
