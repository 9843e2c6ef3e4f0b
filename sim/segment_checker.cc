#include "sim/segment_checker.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdint>
#include <utility>

#include "core/protocol/record_batch_walk.h"
#include "sim/disk.h"
#include "sim/shard.h"

namespace chronik::sim {

namespace {

std::string newest_segment(const DiskModel& disk, const std::string& directory) {
  const StatusOr<std::vector<std::string>> names = disk.list_directory(directory);
  std::string newest;
  for (const std::string& name : names.ok() ? *names : std::vector<std::string>()) {
    if (name.ends_with(".log") && name > newest) {  // they are offsets of one length
      newest = name;
    }
  }
  return newest.empty() ? newest : directory + "/" + newest;
}

}  // namespace

Observer* SegmentChecker::observe(Shard& shard) {
  if (&shard.machine() != &machine_) {
    return nullptr;
  }
  if (const DiskDevice* disk = machine_.disk(); disk != disk_) {
    disk_ = disk;
    partitions_.clear();
  }
  return this;
}

void SegmentChecker::on_exit(Machine& machine, const Exit& /*exit*/) {
  if (&machine != &machine_) {
    return;
  }
  for (const PartitionRef& p : std::exchange(changed_, {})) {
    look_at(p, partitions_[p]);
  }
  behind_.clear();
}

void SegmentChecker::on_partition_opened(const PartitionRef& p, Offset /*start*/, Offset end, Offset durable) {
  Known& known = partitions_[p];
  become_durable(known, durable);
  known = {.durable = durable,
           .end = end,
           .cut_from = std::max({known.cut_from, known.durable, durable}),
           .was_durable = std::move(known.was_durable)};
  changed_.insert(p);
  if (end > durable) {
    behind_.insert(p);
  } else {
    behind_.erase(p);
  }
}

void SegmentChecker::on_partition_deleted(const PartitionRef& p) {
  // Its files may come back with a loss of power, and be there until the log of that name is opened that is made next.
  Known& known = partitions_[p];
  known = {.cut_from = std::max(known.cut_from, known.durable), .was_durable = std::move(known.was_durable)};
  behind_.erase(p);
  changed_.erase(p);
}

void SegmentChecker::on_batch_appended(const PartitionRef& p, const BatchAppended& batch) {
  Known& known = partitions_[p];
  known.end = batch.last.next();
  known.waiting[batch.base] = batch.crc;
  behind_.insert(p);
  changed_.insert(p);
}

void SegmentChecker::on_durable_end(const PartitionRef& p, Offset end) {
  Known& known = partitions_[p];
  known.durable = end;
  become_durable(known, end);
  if (known.end <= end) {
    behind_.erase(p);
  }
}

void SegmentChecker::become_durable(Known& known, Offset end) {
  const auto waits = known.waiting.lower_bound(end);
  known.was_durable.insert(known.waiting.begin(), waits);
  known.waiting.erase(known.waiting.begin(), waits);
}

void SegmentChecker::on_truncated(const PartitionRef& p, LeaderEpoch /*epoch*/, Offset new_end) {
  Known& known = partitions_[p];
  known.cut_from = std::max(known.cut_from, known.durable);
  known.durable = std::min(known.durable, new_end);
  known.end = new_end;
  known.position = 0;
  known.waiting.erase(known.waiting.lower_bound(new_end), known.waiting.end());
  changed_.insert(p);
}

void SegmentChecker::on_wal_flush(FlushNumber /*flush*/, Lsn /*first*/, Lsn /*last*/, FlushOutcome /*outcome*/) {
  for (const PartitionRef& p : behind_) {
    look_at(p, partitions_[p]);
  }
}

void SegmentChecker::look_at(const PartitionRef& p, Known& known) {
  const auto* disk = dynamic_cast<const SimulatedDisk*>(machine_.disk());
  CHECK(disk != nullptr);
  const std::vector<Damage>& damage = disk->model().damage();
  if (std::any_of(damage.begin(), damage.end(), [](const Damage& d) { return d.kind != DamageKind::kFailedSync; })) {
    return;
  }
  const std::string path =
      newest_segment(disk->model(), fmt::format("logs/{}-{}", p.topic.to_string(), p.partition.value()));
  if (path != known.path) {
    known.path = path;
    known.position = 0;
  }
  const StatusOr<std::string> rest = disk->model().written_bytes(path, known.position, UINT64_MAX);
  if (!rest.ok()) {
    return;  // there is no segment
  }
  // What a loss of power has left of a batch is none: its checksum is wrong, and nobody takes it for one.
  protocol::BatchWalk walk(as_bytes(*rest), protocol::BatchWalk::Checksums::kCheck);
  protocol::RecordBatchView batch;
  std::size_t right = 0;  // what is to be cut may yet be overwritten
  while (walk.next(batch)) {
    if (batch.last_offset() < known.durable) {
      right = walk.position();
      continue;
    }
    const auto waits = known.waiting.find(batch.base_offset());
    const bool waits_itself = waits != known.waiting.end() && waits->second == batch.crc() &&
                              !known.was_durable.contains({batch.base_offset(), batch.crc()});
    if (waits_itself || batch.last_offset() >= known.cut_from) {
      world_.fail("WAL", fmt::format("{} holds offset {}, and the write-ahead log vouches for what is below {} alone",
                                     path, batch.last_offset().value(), known.durable.value()));
      return;
    }
  }
  known.position += right;
}

}  // namespace chronik::sim
