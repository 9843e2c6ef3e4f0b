// A small world for tests: machines by name, programs as lambdas.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "core/fiber/scope.h"
#include "core/fiber/wait.h"
#include "sim/machine.h"
#include "sim/network.h"
#include "sim/shard.h"
#include "sim/stacks.h"
#include "sim/world.h"

namespace chronik::sim {

struct SmallWorld {
  explicit SmallWorld(std::uint64_t seed = 1, ScheduleKind schedule = ScheduleKind::kFifo)
      : world(WorldOptions{.seed = seed, .schedule = schedule}, stacks) {}
  explicit SmallWorld(const WorldOptions& options) : world(options, stacks) {}

  Machine& machine(std::string name, Program program) {
    MachineOptions options;
    options.name = std::move(name);
    options.address = Address::ipv4(10, 0, 0, static_cast<std::uint8_t>(world.machines().size() + 1), 0);
    Machine& added = world.add_machine(options);
    added.install(std::move(program));
    return added;
  }
  // The first finding's checker, or "".
  std::string checker() const { return world.findings().empty() ? "" : world.findings().front().checker; }
  std::string message() const { return world.findings().empty() ? "" : world.findings().front().message; }

  StackArena stacks;
  World world;
};

inline Deadline patience() { return fiber::within(Duration::seconds(20), Expiry::kNormal); }

}  // namespace chronik::sim
