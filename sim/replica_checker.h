// One epoch, one content (rule R1): checker REPLICA-MATCH. Whichever nodes append a batch at an offset in an epoch, in
// whichever of their lives, it is the same batch, as long as compaction has left it as it was.
#pragma once

#include <map>
#include <tuple>

#include "core/base/observer.h"
#include "sim/checkers.h"
#include "sim/world.h"

namespace chronik::sim {

class ReplicaChecker final : public Checker, private Observer {
 public:
  explicit ReplicaChecker(World& world) : world_(world) {}

  const char* id() const override { return "REPLICA-MATCH"; }
  Observer* observe(Shard& /*shard*/) override { return this; }

 private:
  struct Content {
    Offset last;
    std::uint32_t crc = 0;
    friend bool operator==(const Content&, const Content&) = default;
  };
  void on_batch_appended(const PartitionRef& p, const BatchAppended& batch) override;

  World& world_;
  std::map<std::tuple<PartitionRef, LeaderEpoch, Offset>, Content> batches_;
};

}  // namespace chronik::sim
