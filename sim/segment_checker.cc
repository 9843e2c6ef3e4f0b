#include "sim/segment_checker.h"

#include <fmt/core.h>

#include <cstdint>

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

void SegmentChecker::on_exit(Machine& machine, const Exit& /*exit*/) {
  if (&machine != &machine_) {
    return;
  }
  for (auto& [partition, known] : partitions_) {
    look_at(partition, known);
  }
}

void SegmentChecker::on_partition_opened(const PartitionRef& p, Offset /*start*/, Offset end, Offset durable) {
  partitions_[p] = {.durable = durable, .end = end};
}

void SegmentChecker::on_batch_appended(const PartitionRef& p, const BatchAppended& batch) {
  partitions_[p].end = batch.last.next();
}

void SegmentChecker::on_truncated(const PartitionRef& p, LeaderEpoch /*epoch*/, Offset new_end) {
  Known& known = partitions_[p];
  known = {.durable = std::min(known.durable, new_end), .end = new_end};
}

void SegmentChecker::on_wal_flush(FlushNumber /*flush*/, Lsn /*first*/, Lsn /*last*/, FlushOutcome /*outcome*/) {
  for (auto& [partition, known] : partitions_) {
    if (known.end > known.durable) {
      look_at(partition, known);
    }
  }
}

void SegmentChecker::look_at(const PartitionRef& p, Known& known) {
  const auto* disk = dynamic_cast<const SimulatedDisk*>(machine_.disk());
  CHECK(disk != nullptr);
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
  while (walk.next(batch)) {
    if (batch.last_offset() >= known.durable) {
      world_.fail("WAL", fmt::format("{} holds offset {}, and the write-ahead log vouches for what is below {} alone",
                                     path, batch.last_offset().value(), known.durable.value()));
      return;
    }
  }
  known.position += walk.position();
}

}  // namespace chronik::sim
