// The simulated world as the conformance suite sees it: one machine, and a network, clocks and a schedule that differ
// from seed to seed.
#pragma once

#include "sim/machine.h"
#include "sim/network.h"
#include "sim/stacks.h"
#include "sim/world.h"
#include "tests/conformance/world.h"

namespace chronik::sim {

class SimulatedWorld final : public conformance::ConformanceWorld {
 public:
  explicit SimulatedWorld(std::uint64_t seed);

  bool simulated() const override { return true; }
  bool can(conformance::Ability) const override { return true; }
  using ConformanceWorld::run;
  conformance::RunEnd run(Body body, conformance::Death death, Duration limit) override;
  conformance::RunEnd run_to_fatal(Body body) override;

  Address here() const override { return Address::ipv4(127, 0, 0, 1, 0); }
  Address nobody() const override { return Address::ipv4(127, 0, 0, 1, 9); }
  Address hole() const override { return Address::ipv4(10, 9, 9, 9, 9); }

  void fail_next(conformance::DiskStep step, conformance::DiskFault fault) override;
  void release_hung() override;
  void limit_transfers(std::size_t bytes) override { world_.network().knobs().transfer_most = bytes; }

 private:
  StackArena stacks_;
  World world_;
  Machine* machine_ = nullptr;
};

}  // namespace chronik::sim
