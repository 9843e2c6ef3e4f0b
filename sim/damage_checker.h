// No node finds a log damaged whose disk is sound: checker DAMAGE. For worlds in which nothing rots.
#pragma once

#include <fmt/core.h>

#include "core/base/observer.h"
#include "sim/checkers.h"
#include "sim/world.h"

namespace chronik::sim {

class DamageChecker final : public Checker, private Observer {
 public:
  explicit DamageChecker(World& world) : world_(world) {}

  const char* id() const override { return "DAMAGE"; }
  Observer* observe(Shard& /*shard*/) override { return this; }

 private:
  void on_damage(const PartitionRef& p, Offset from, Offset to) override {
    world_.fail("DAMAGE", fmt::format("{}-{}: said to be damaged from {} to {}, and no disk is", p.topic.to_string(),
                                      p.partition, from, to));
  }

  World& world_;
};

}  // namespace chronik::sim
