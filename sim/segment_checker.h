// What a node writes to segments against what its write-ahead log vouches for: rule R5, checker WAL.
//
// Everything goes through the write-ahead log, so the files of a partition never hold an offset at or above the end
// that was ever durable there. The disk's own truth is read: at each flush the newest segment of what the flush is
// about, and of all partitions when the process ends.
#pragma once

#include <absl/container/btree_map.h>

#include <cstdint>
#include <string>

#include "core/base/observer.h"
#include "sim/checkers.h"
#include "sim/machine.h"
#include "sim/world.h"

namespace chronik::sim {

class SegmentChecker final : public Checker, private Observer {
 public:
  // The machine has a SimulatedDisk, whose content is not damaged, and runs nodes.
  SegmentChecker(World& world, Machine& machine) : world_(world), machine_(machine) {}

  const char* id() const override { return "WAL"; }
  Observer* observe(Shard& shard) override { return &shard.machine() == &machine_ ? this : nullptr; }
  void on_exit(Machine& machine, const Exit& exit) override;

 private:
  struct Known {
    Offset durable{0};  // believed, in any incarnation
    Offset end{0};
    std::string path = {};       // of the segment that was looked at last
    std::uint64_t position = 0;  // in it, up to where its batches are known to be right
  };

  void on_partition_opened(const PartitionRef& p, Offset start, Offset end, Offset durable) override;
  void on_partition_deleted(const PartitionRef& p) override { partitions_.erase(p); }
  void on_batch_appended(const PartitionRef& p, const BatchAppended& batch) override;
  void on_truncated(const PartitionRef& p, LeaderEpoch epoch, Offset new_end) override;
  void on_durable_end(const PartitionRef& p, Offset end) override { partitions_[p].durable = end; }
  void on_wal_flush(FlushNumber flush, Lsn first, Lsn last, FlushOutcome outcome) override;

  void look_at(const PartitionRef& p, Known& known);

  World& world_;
  Machine& machine_;
  absl::btree_map<PartitionRef, Known> partitions_;
};

}  // namespace chronik::sim
