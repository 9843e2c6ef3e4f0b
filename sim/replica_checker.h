// One epoch, one content (rule R1): checker REPLICA-MATCH. Whichever nodes append a batch at an offset in an epoch, in
// whichever of their lives, it is the same batch. And no node finds a log damaged whose disk is sound: checker DAMAGE.
#pragma once

#include <map>
#include <tuple>

#include "core/base/observer.h"
#include "sim/checkers.h"
#include "sim/world.h"

namespace chronik::sim {

class ReplicaChecker final : public Checker, private Observer {
 public:
  enum class Disks : std::uint8_t { kSound, kDamaged };
  explicit ReplicaChecker(World& world, Disks disks = Disks::kSound) : world_(world), disks_(disks) {}

  const char* id() const override { return "REPLICA-MATCH"; }
  Observer* observe(Shard& /*shard*/) override { return this; }

 private:
  struct Content {
    Offset last;
    std::uint32_t crc = 0;
    friend bool operator==(const Content&, const Content&) = default;
  };
  void on_batch_appended(const PartitionRef& p, const BatchAppended& batch) override;
  void on_damage(const PartitionRef& p, Offset from, Offset to) override;

  World& world_;
  Disks disks_;
  std::map<std::tuple<PartitionRef, LeaderEpoch, Offset>, Content> batches_;
};

}  // namespace chronik::sim
