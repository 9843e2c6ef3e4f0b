// A plan: everything that a run is made of but the schedule: machines and their knobs, the workload's operations, the
// faults and when they strike (rule S10). Plain data in versioned text, so that it can be kept, read, edited and
// shrunk.
//
// Ids of operations and faults are permanent: taking one out leaves the others' ids, and the decisions about them,
// alone.
//
//   chronik-plan 1
//   # what somebody who keeps it has to say of it
//   scenario echo
//   seed 42
//   schedule random
//   lasts 20000000000 calm 10000000000      nanoseconds of trouble, then of quiet
//   knob network.delay_ns 200000
//   machine client-1 client shards=1 clock.drift_ppm=-120
//   operation 7 client-1 send bytes=900 pause_ns=1000000
//   fault 3 1500000000 partition server client-1 for_ns=300000000 one_way=1     at, kind, target, other
//   choose <shard> <point> <who> <nth> <chosen>
//   end
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "sim/strategy.h"
#include "sim/virtual_time.h"
#include "sim/world.h"

namespace chronik::sim {

// Named integers.
using Numbers = std::map<std::string, std::int64_t, std::less<>>;

struct PlanMachine {
  std::string name;
  std::string role;
  Numbers numbers;
  friend bool operator==(const PlanMachine&, const PlanMachine&) = default;
};

struct PlanOperation {
  std::uint64_t id = 0;
  std::string machine;
  std::string verb;
  Numbers numbers;
  std::int64_t number(std::string_view name) const;  // which must be there
  friend bool operator==(const PlanOperation&, const PlanOperation&) = default;
};

struct PlanFault {
  std::uint64_t id = 0;
  VirtualTime at;
  std::string kind;
  std::string target;  // a machine
  std::string other;   // a machine, a named point, a path; "-": none
  Numbers numbers;
  std::int64_t number(std::string_view name, std::int64_t otherwise) const;
  friend bool operator==(const PlanFault&, const PlanFault&) = default;
};

struct Plan {
  std::string scenario;
  std::uint64_t seed = 0;
  ScheduleKind schedule = ScheduleKind::kFifo;
  Duration lasts = Duration::seconds(10);  // faults strike within it
  Duration calm = Duration::seconds(10);   // then everything is healed, and must come right by itself
  Numbers knobs;
  std::vector<PlanMachine> machines;
  std::vector<PlanOperation> operations;
  std::vector<PlanFault> faults;
  bool replays = false;  // `choices` decides alone
  Deviations choices;

  std::int64_t knob(std::string_view name, std::int64_t otherwise) const;
  std::string to_text() const;
  static StatusOr<Plan> parse(std::string_view text);
  friend bool operator==(const Plan&, const Plan&) = default;
};

}  // namespace chronik::sim
