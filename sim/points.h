// Named points of core's code (sim_point): each passage is counted, and a plan may kill a process at one of them.
#pragma once

#include <absl/container/btree_map.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/ambient.h"
#include "sim/device.h"

namespace chronik::sim {

class World;

class Points final : public PointStrategy {
 public:
  explicit Points(World& world) : world_(world) {}

  // The process on `machine` dies as `how` when it passes `point` for the nth time from now on (0: the next).
  void kill_at(std::string_view machine, std::string_view point, std::uint64_t nth, Death how);
  void forget() { traps_.clear(); }
  void reached(const char* name) override;
  // How often each point was passed, by all processes.
  const absl::btree_map<std::string, std::uint64_t>& passages() const { return passages_; }

 private:
  struct Trap {
    std::uint64_t left = 0;
    Death how = Death::kProcessKill;
  };
  World& world_;
  absl::btree_map<std::string, std::uint64_t> passages_;
  absl::btree_map<std::pair<std::string, std::string>, Trap> traps_;
};

}  // namespace chronik::sim
