#include "sim/segment_checker.h"

#include <fmt/core.h>

#include "core/base/endian.h"
#include "core/protocol/record_batch_walk.h"
#include "sim/disk.h"
#include "sim/shard.h"

namespace chronik::sim {

namespace {

// Of a record batch's header (docs/formats): what is needed to find its last offset and the next batch.
constexpr std::size_t kLengthAt = 8;
constexpr std::size_t kLengthEnd = 12;
constexpr std::size_t kLastDeltaAt = 23;
constexpr std::size_t kBatchHeaderBytes = 61;
constexpr std::uint32_t kBatchBytesMax = 64 << 20;  // no scenario writes larger ones

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
  while (!path.empty()) {
    const StatusOr<std::string> header = disk->model().written_bytes(path, known.position, kBatchHeaderBytes);
    if (!header.ok() || header->size() < kBatchHeaderBytes) {
      return;
    }
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(header->data());
    const auto length = load_big<std::uint32_t>(bytes + kLengthAt);
    if (length + kLengthEnd < kBatchHeaderBytes) {
      return;  // not a batch: the end, or torn
    }
    const StatusOr<std::string> whole = length <= kBatchBytesMax
                                            ? disk->model().written_bytes(path, known.position, length + kLengthEnd)
                                            : StatusOr<std::string>(std::string());
    protocol::BatchWalk walk(as_bytes(whole.ok() ? std::string_view(*whole) : std::string_view()),
                             protocol::BatchWalk::Checksums::kCheck);
    protocol::RecordBatchView batch;
    if (!walk.next(batch)) {
      return;  // what a loss of power has left of one: nobody takes it for a batch
    }
    const Offset last(load_big<std::int64_t>(bytes) + load_big<std::int32_t>(bytes + kLastDeltaAt));
    if (last >= known.durable) {
      world_.fail("WAL", fmt::format("{} holds offset {}, and the write-ahead log vouches for what is below {} alone",
                                     path, last.value(), known.durable.value()));
      return;
    }
    known.position += length + kLengthEnd;
  }
}

}  // namespace chronik::sim
