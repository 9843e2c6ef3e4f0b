// What one node believes about its logs, against the truth of its disk: checkers WAL, OFFSET-CONTIG, EPOCH, FSYNC-ERR.
//
// WAL: a flush that the node calls durable would survive every loss of power now, and so would what its recovery has
// accepted; no flush is written before the sync of the one before has returned; a recovery finds at least what was
// durable before the death, and every partition ends no lower; a damage is reported only where there is one.
// OFFSET-CONTIG: each batch begins where the one before ended. EPOCH: no epoch is appended to by two incarnations, and
// none after a later one (rule R1). FSYNC-ERR: no flush becomes durable whose own sync failed, or that was begun after
// any sync had failed, and the process ends within kFailedSyncLimit; one that hangs ends it when its time is over.
#pragma once

#include <absl/container/btree_map.h>

#include <string>

#include "core/base/observer.h"
#include "sim/checkers.h"
#include "sim/disk_inode.h"
#include "sim/machine.h"
#include "sim/world.h"

namespace chronik::sim {

class WalChecker final : public Checker, private Observer {
 public:
  static constexpr Duration kFailedSyncLimit = Duration::seconds(2);

  struct Excuses {
    bool damage = false;    // the disk rots: what was durable may be gone
    Duration overdue = {};  // after which a disk operation that hangs has ended the process; zero: not judged
    VirtualTime healed = VirtualTime::never();  // what hangs goes on then
  };
  // The machine has a SimulatedDisk and runs nodes.
  WalChecker(World& world, Machine& machine, const Excuses& excuses)
      : world_(world), machine_(machine), excuses_(excuses) {}

  const char* id() const override { return "WAL"; }
  Observer* observe(Shard& shard) override;
  void on_fault(std::string_view kind) override;
  void on_exit(Machine& machine, const Exit& exit) override;

 private:
  struct Known {
    Offset durable{0};              // believed, in any incarnation
    Offset end{0};                  // in this incarnation
    LeaderEpoch epoch{-1};          // of the last batch
    std::uint64_t incarnation = 0;  // that appended it
  };

  void on_partition_opened(const PartitionRef& p, Offset start, Offset end, Offset durable) override;
  void on_partition_deleted(const PartitionRef& p) override;
  void on_batch_appended(const PartitionRef& p, const BatchAppended& batch) override;
  void on_truncated(const PartitionRef& p, LeaderEpoch epoch, Offset new_end) override;
  void on_durable_end(const PartitionRef& p, Offset end) override;
  void on_damage(const PartitionRef& p, Offset from, Offset to) override;
  void on_wal_flush(FlushNumber flush, Lsn first, Lsn last, FlushOutcome outcome) override;
  void on_wal_file(Generation generation, std::string_view path, bool recycled) override;
  void on_wal_recovered(Lsn last, bool written_anew) override;

  bool failed_sync_of_its_own() const;
  void expect_durable(const char* what);
  void expect_end_within(Duration limit, const char* what);

  World& world_;
  Machine& machine_;
  Excuses excuses_;
  absl::btree_map<PartitionRef, Known> partitions_;
  std::string file_;  // that is written now
  Lsn durable_{0};    // believed, in any incarnation
  bool flushing_ = false;
  bool sync_failed_ = false;  // in this incarnation
  // When the flush under way was begun:
  bool begun_too_late_ = false;    // a sync had failed
  WriteSeq begun_at_ = 0;          // the disk's next write
  std::size_t damage_before_ = 0;  // how much of the disk's damage was there
};

}  // namespace chronik::sim
