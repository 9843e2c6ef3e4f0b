// What one node believes about its logs, against the truth of its disk: checkers WAL, OFFSET-CONTIG, EPOCH, FSYNC-ERR.
//
// WAL: a flush that the node calls durable would survive every loss of power now, and so would what its recovery has
// accepted; no flush is written before the sync of the one before has returned; no batch is durable before a flush was
// written that came after it, whatever was at its offset before a truncation (rule R4); a recovery finds at least what
// was durable before the death, and every partition ends no lower; a damage is reported only where there is one.
// OFFSET-CONTIG: each batch begins where the one before ended. EPOCH: no epoch is led by two incarnations, and none is
// appended to after a later one but where the log was cut or begun anew in between (rule R1). FSYNC-ERR: no flush
// becomes durable whose own sync failed, or that was begun after any sync had failed, and the process ends within
// kFailedSyncLimit; one that hangs ends it when its time is over.
#pragma once

#include <absl/container/btree_map.h>

#include <deque>
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
    bool damage = false;    // what was durable may be gone, whether the disk knows of damage or not
    Duration overdue = {};  // after which a disk operation that hangs has ended the process; zero: not judged
    VirtualTime healed = VirtualTime::never();  // what hangs goes on then
  };
  // The machine has a SimulatedDisk and runs nodes.
  WalChecker(World& world, Machine& machine, const Excuses& excuses)
      : world_(world), machine_(machine), excuses_(excuses) {}

  const char* id() const override { return "WAL"; }
  Observer* observe(Shard& shard) override;
  void on_fault(std::string_view kind, std::uint64_t target) override;
  void on_exit(Machine& machine, const Exit& exit) override;

 private:
  struct Known {
    Offset durable{0};              // believed, in any incarnation
    Offset end{0};                  // in this incarnation
    LeaderEpoch epoch{-1};          // of the last batch
    bool follows = false;           // in the epoch that is the latest
    bool reopened = false;          // and has no role since
    LeaderEpoch led{-1};            // the latest that it led, and appended in
    std::uint64_t incarnation = 0;  // that did
    struct Waiting {
      Offset end;
      std::uint64_t flushes = 0;  // that were written before it was appended
    };
    std::deque<Waiting> waiting = {};  // batches that are not durable
  };

  void on_partition_opened(const PartitionRef& p, Offset start, Offset end, Offset durable) override;
  void on_partition_deleted(const PartitionRef& p) override;
  void on_batch_appended(const PartitionRef& p, const BatchAppended& batch) override;
  void on_truncated(const PartitionRef& p, LeaderEpoch epoch, Offset new_end) override;
  void on_log_start(const PartitionRef& p, Offset start) override;
  void on_role(const PartitionRef& p, LeaderEpoch epoch, bool leader) override;
  void on_durable_end(const PartitionRef& p, Offset end) override;
  void on_damage(const PartitionRef& p, Offset from, Offset to) override;
  void on_wal_flush(FlushNumber flush, Lsn first, Lsn last, FlushOutcome outcome) override;
  void on_wal_file(Generation generation, std::string_view path, bool recycled) override;
  void on_wal_recovered(Lsn last, bool written_anew) override;

  bool may_lack() const;
  bool failed_sync_of_its_own() const;
  void expect_durable(const char* what);
  void expect_end_within(Duration limit, const char* what);

  World& world_;
  Machine& machine_;
  Excuses excuses_;
  absl::btree_map<PartitionRef, Known> partitions_;
  std::string file_;  // that is written now
  Lsn durable_{0};    // believed, in any incarnation
  const DiskDevice* disk_ = nullptr;
  std::uint64_t flushes_ = 0;  // that were written
  bool flushing_ = false;
  bool sync_failed_ = false;  // in this incarnation
  // When the flush under way was begun:
  bool begun_too_late_ = false;    // a sync had failed
  WriteSeq begun_at_ = 0;          // the disk's next write
  std::size_t damage_before_ = 0;  // how much of the disk's damage was there
};

}  // namespace chronik::sim
