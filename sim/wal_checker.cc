#include "sim/wal_checker.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "sim/disk.h"
#include "sim/shard.h"

namespace chronik::sim {

namespace {

const DiskModel& model_of(Machine& machine) {
  const auto* disk = dynamic_cast<const SimulatedDisk*>(machine.disk());
  CHECK(disk != nullptr);
  return disk->model();
}

std::string name_of(const PartitionRef& p) { return fmt::format("{}-{}", p.topic.to_string(), p.partition.value()); }

}  // namespace

Observer* WalChecker::observe(Shard& shard) {
  if (&shard.machine() != &machine_) {
    return nullptr;
  }
  if (const DiskDevice* disk = machine_.disk(); disk != disk_) {  // another disk holds nothing of what was known
    disk_ = disk;
    partitions_.clear();
    durable_ = Lsn(0);
  }
  return this;
}

// The disk has rotted, or has lied: what was durable may be gone.
bool WalChecker::may_lack() const {
  const std::vector<Damage>& damage = model_of(machine_).damage();
  return excuses_.damage || std::any_of(damage.begin(), damage.end(),
                                        [](const Damage& done) { return done.kind != DamageKind::kFailedSync; });
}

void WalChecker::on_exit(Machine& machine, const Exit& /*exit*/) {
  if (&machine == &machine_) {
    flushing_ = false;
    sync_failed_ = false;
    file_.clear();
  }
}

void WalChecker::on_fault(std::string_view kind, std::uint64_t target) {
  if (target != mix_text(machine_.name())) {
    return;
  }
  if (kind == "sync-failed") {
    sync_failed_ = true;
    expect_end_within(kFailedSyncLimit, "a sync failed");
  } else if (kind == "disk-hang" && excuses_.overdue != Duration::zero()) {
    expect_end_within(excuses_.overdue, "an operation of the disk hangs");
  }
}

void WalChecker::expect_end_within(Duration limit, const char* what) {
  if (world_.now() + limit >= excuses_.healed) {
    return;
  }
  world_.after(limit, [this, limit, what, incarnation = machine_.incarnation()] {
    if (machine_.running() && machine_.incarnation() == incarnation) {
      world_.fail("FSYNC-ERR", fmt::format("{}, and {} ms later the node runs on", what, limit.milliseconds()));
    }
  });
}

// ---- partitions ----

void WalChecker::on_partition_opened(const PartitionRef& p, Offset /*start*/, Offset end, Offset durable) {
  Known& known = partitions_[p];
  // One that is just being made is durable to nothing, and has nothing.
  if (std::max(durable, Offset(0)) < known.durable && !may_lack()) {
    world_.fail("WAL", fmt::format("{} is opened with durable end {}, and was durable to {} before", name_of(p),
                                   durable.value(), known.durable.value()));
  }
  known.durable = durable;
  known.end = end;
  known.waiting.clear();
  known.reopened = true;
}

void WalChecker::on_role(const PartitionRef& p, LeaderEpoch /*epoch*/, bool leader) {
  Known& known = partitions_[p];
  if (std::exchange(known.reopened, false) && !leader) {
    known.epoch = LeaderEpoch(-1);  // what it has lost may have been of a later epoch than what it is given anew
  }
  known.follows = !leader;
}

void WalChecker::on_partition_deleted(const PartitionRef& p) { partitions_.erase(p); }

void WalChecker::on_batch_appended(const PartitionRef& p, const BatchAppended& batch) {
  Known& known = partitions_[p];
  if (batch.base != known.end || batch.last - batch.base + 1 != static_cast<std::int64_t>(batch.records)) {
    world_.fail("OFFSET-CONTIG", fmt::format("{}: {} records at {} to {}, where {} comes next", name_of(p),
                                             batch.records, batch.base.value(), batch.last.value(), known.end.value()));
  }
  known.end = batch.last.next();
  known.waiting.push_back({known.end, flushes_});
  const bool anew = !known.follows && batch.epoch == known.led && known.incarnation != machine_.incarnation();
  if (batch.epoch < known.epoch || anew) {
    world_.fail("EPOCH", fmt::format("{}: offset {} is appended in epoch {}, which ended with an incarnation before",
                                     name_of(p), batch.base.value(), batch.epoch.value()));
  }
  known.epoch = batch.epoch;
  if (!known.follows) {
    known.led = batch.epoch;
    known.incarnation = machine_.incarnation();
  }
}

void WalChecker::on_truncated(const PartitionRef& p, LeaderEpoch epoch, Offset new_end) {
  Known& known = partitions_[p];
  known.end = new_end;
  known.durable = std::min(known.durable, new_end);
  known.epoch = epoch;
  while (!known.waiting.empty() && known.waiting.back().end > new_end) {
    known.waiting.pop_back();
  }
}

// Above the end: the log begins anew there, empty.
void WalChecker::on_log_start(const PartitionRef& p, Offset start) {
  Known& known = partitions_[p];
  if (start > known.end) {
    known.end = start;
    known.waiting.clear();
  }
}

void WalChecker::on_durable_end(const PartitionRef& p, Offset end) {
  Known& known = partitions_[p];
  if (end > known.end || end < known.durable) {
    world_.fail("WAL", fmt::format("{}: durable end {}, where the log ends at {} and was durable to {}", name_of(p),
                                   end.value(), known.end.value(), known.durable.value()));
  }
  for (; !known.waiting.empty() && known.waiting.front().end <= end; known.waiting.pop_front()) {
    if (known.waiting.front().flushes == flushes_) {
      world_.fail("WAL", fmt::format("{}: durable end {}, and nothing was written since what ends at {} was appended",
                                     name_of(p), end.value(), known.waiting.front().end.value()));
    }
  }
  known.durable = end;
}

void WalChecker::on_damage(const PartitionRef& p, Offset from, Offset to) {
  if (model_of(machine_).damage().empty()) {
    world_.fail("WAL", fmt::format("{}: offsets {} to {} are said to be damaged on a disk that is not", name_of(p),
                                   from.value(), to.value()));
  }
}

// ---- the log ----

void WalChecker::expect_durable(const char* what) {
  // What a sync of the file's former life failed to keep may lie behind what counts.
  const std::vector<Damage>& damage = model_of(machine_).damage();
  const bool failed = std::any_of(damage.begin(), damage.end(), [this](const Damage& done) {
    return (done.kind == DamageKind::kFailedSync || done.kind == DamageKind::kLyingSync) &&
           (done.path == file_ || done.path.empty());
  });
  if (!failed && !model_of(machine_).would_survive(file_)) {
    world_.fail("WAL", fmt::format("{}, and a loss of power now would take a part of {}", what, file_));
  }
}

// The file's, or one that took a part of what the flush under way wrote, whatever else it was to keep. The failure of
// another file's sync, or of a directory's, takes nothing from a flush that was on its way then: the disk kept it, and
// the node may be told of both in one turn, in any order.
bool WalChecker::failed_sync_of_its_own() const {
  const std::vector<Damage>& damage = model_of(machine_).damage();
  return !model_of(machine_).would_survive_since(file_, begun_at_) ||
         std::any_of(damage.begin() + static_cast<std::ptrdiff_t>(damage_before_), damage.end(),
                     [this](const Damage& done) { return done.kind == DamageKind::kFailedSync && done.path == file_; });
}

void WalChecker::on_wal_file(Generation /*generation*/, std::string_view path, bool /*recycled*/) { file_ = path; }

void WalChecker::on_wal_recovered(Lsn last, bool /*written_anew*/) {
  if (last < durable_ && !may_lack()) {
    world_.fail("WAL", fmt::format("the log was recovered to LSN {}, and was durable to {} before", last.value(),
                                   durable_.value()));
  }
  durable_ = last;
  expect_durable("the log was recovered");
}

void WalChecker::on_wal_flush(FlushNumber flush, Lsn first, Lsn last, FlushOutcome outcome) {
  if (outcome == FlushOutcome::kSubmitted) {
    if (flushing_) {
      world_.fail("WAL",
                  fmt::format("flush {} is written before the sync of the one before has returned", flush.value()));
    }
    flushing_ = true;
    ++flushes_;
    begun_too_late_ = sync_failed_;
    begun_at_ = model_of(machine_).next_seq();
    damage_before_ = model_of(machine_).damage().size();
    return;
  }
  flushing_ = false;
  if (outcome != FlushOutcome::kDurable) {
    return;
  }
  if (begun_too_late_ || (sync_failed_ && failed_sync_of_its_own())) {
    world_.fail("FSYNC-ERR", fmt::format("flush {} is durable after a sync that failed", flush.value()));
  }
  if (last >= first && first != durable_.next()) {
    world_.fail("WAL", fmt::format("flush {} holds LSN {} and more, where {} comes next", flush.value(), first.value(),
                                   durable_.next().value()));
  }
  durable_ = std::max(durable_, last);
  expect_durable("a flush is called durable");
}

}  // namespace chronik::sim
