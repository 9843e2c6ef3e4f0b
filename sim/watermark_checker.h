// Checker HW-MONO (rule R8): what is below a high watermark is never taken back, but under an epoch that the image
// marks unclean.
//
// Judged at each change that a replica tells of: within one life of a node its high watermark does not go back; and
// where it rises to or above the highest that any replica has had, the log below is the same, by its leader epochs
// (REPLICA-MATCH says that one epoch has one content). In the end each replica has told of the one it has. That no
// client sees one go back is for the scenario's consumers to judge, with the same id.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "core/base/observer.h"
#include "core/log/partition_log.h"
#include "sim/checkers.h"
#include "sim/world.h"

namespace chronik::sim {

class WatermarkChecker final : public Checker {
 public:
  struct Replica {
    const log::PartitionLog* log = nullptr;  // null: this node does not serve (yet), or has no such replica
    Offset high_watermark = Offset::none();
  };
  struct Views {
    std::function<Replica(const Machine& machine, const PartitionRef& p)> replica;
    // The latest epoch that any image marks unclean; none: there is none.
    std::function<LeaderEpoch(const PartitionRef& p)> unclean_epoch;
  };
  WatermarkChecker(World& world, Views views);
  ~WatermarkChecker() override;

  const char* id() const override { return "HW-MONO"; }
  Observer* observe(Shard& shard) override;
  void on_exit(Machine& machine, const Exit& exit) override;
  void at_end(World& world) override;

 private:
  class Life;
  // The highest that any replica has had, and the epoch of the record below it (none: there is none).
  struct Committed {
    Offset end{0};
    LeaderEpoch epoch = LeaderEpoch::none();
  };
  void judge_committed(const Machine& machine, const PartitionRef& p, LeaderEpoch epoch, Offset high_watermark);

  World& world_;
  Views views_;
  std::map<const Machine*, std::unique_ptr<Life>> lives_;
  std::map<PartitionRef, Committed> committed_;
};

}  // namespace chronik::sim
