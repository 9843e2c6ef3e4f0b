// What a node writes to segments against what its write-ahead log vouches for: rule R5, checker WAL.
//
// Everything goes through the write-ahead log, so the files of a partition never hold an offset at or above the end
// that was ever durable there. Where the log was cut, what was durable may be there until the segment is cut, too; what
// has taken its offset may not be before it is durable itself (rule R4); so it is with a log that was removed and made
// again. The disk's own truth is read: at each flush
// the newest segment of what the flush is about, and of what has changed when the process ends. On a disk that has
// rotted or lied nothing is judged.
#pragma once

#include <absl/container/btree_map.h>

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "core/base/observer.h"
#include "sim/checkers.h"
#include "sim/machine.h"
#include "sim/world.h"

namespace chronik::sim {

class SegmentChecker final : public Checker, private Observer {
 public:
  // The machine has a SimulatedDisk and runs nodes.
  SegmentChecker(World& world, Machine& machine) : world_(world), machine_(machine) {}

  const char* id() const override { return "WAL"; }
  Observer* observe(Shard& shard) override;
  void on_exit(Machine& machine, const Exit& exit) override;

 private:
  struct Known {
    Offset durable{0};  // believed, in any incarnation
    Offset end{0};
    std::string path = {};                         // of the segment that was looked at last
    std::uint64_t position = 0;                    // in it, up to where its batches are known to be right
    Offset cut_from{0};                            // below this it was durable once, in any incarnation
    std::map<Offset, std::uint32_t> waiting = {};  // checksums of what is not durable, by first offset
    // And of what was, in any incarnation: a replica that was cut may be given the very same batch again, which is
    // still in a file.
    std::set<std::pair<Offset, std::uint32_t>> was_durable = {};
  };

  void on_partition_opened(const PartitionRef& p, Offset start, Offset end, Offset durable) override;
  void on_partition_deleted(const PartitionRef& p) override;
  void on_batch_appended(const PartitionRef& p, const BatchAppended& batch) override;
  void on_truncated(const PartitionRef& p, LeaderEpoch epoch, Offset new_end) override;
  void on_durable_end(const PartitionRef& p, Offset end) override;
  void on_wal_flush(FlushNumber flush, Lsn first, Lsn last, FlushOutcome outcome) override;

  static void become_durable(Known& known, Offset end);
  void look_at(const PartitionRef& p, Known& known);

  World& world_;
  Machine& machine_;
  const DiskDevice* disk_ = nullptr;
  absl::btree_map<PartitionRef, Known> partitions_;
  std::set<PartitionRef> behind_;   // not durable to their ends
  std::set<PartitionRef> changed_;  // in this incarnation
};

}  // namespace chronik::sim
