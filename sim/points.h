// Named points of core's code (core/base/sim_point.h): each passage is counted; a plan may kill a process at one of
// them, hold up who passes, or let fail what the point guards.
//
// Whether a passage is held up is decided by a hash of the fault's id, the shard and how many passages it has seen
// (rule S10), so faults can be taken away without changing what the others do.
#pragma once

#include <absl/container/btree_map.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/sim_point.h"
#include "sim/coverage.h"
#include "sim/decision.h"
#include "sim/device.h"

namespace chronik::sim {

class Shard;
class World;

// What befalls who passes a point.
struct PointFault {
  std::uint64_t id = 0;  // the plan's
  std::string machine;
  std::size_t point = 0;
  PerMillion odds;
  Duration delay = {};  // of one that holds up; zero: only until every other fiber that is ready has run
  bool fails = false;   // what the point guards
};

class Points final : public PointStrategy {
 public:
  explicit Points(World& world) : world_(world) {}

  // The process on `machine` dies as `how` when it passes `point` for the nth time from now on (0: the next).
  void kill_at(std::string_view machine, std::size_t point, std::uint64_t nth, Death how);
  void begin(const PointFault& fault);
  void end(std::uint64_t id);
  void forget();
  const Coverage& coverage() const { return coverage_; }

  bool reached(std::size_t point) override;
  void answered(std::int16_t api, std::int16_t error) override;

 private:
  struct Trap {
    std::uint64_t left = 0;
    Death how = Death::kProcessKill;
  };
  struct Active {
    PointFault fault;
    absl::btree_map<std::uint64_t, Draws> draws;  // by the shard's lineage
  };
  void spring(std::size_t point, Shard& shard);
  bool befall(std::size_t point, Shard& shard);

  World& world_;
  Coverage coverage_;
  absl::btree_map<std::pair<std::string, std::size_t>, Trap> traps_;
  std::vector<Active> active_;
};

}  // namespace chronik::sim
