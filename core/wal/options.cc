#include "core/wal/options.h"

#include <fmt/core.h>

#include <algorithm>
#include <string_view>

#include "core/wal/flush_summary.h"
#include "core/wal/record.h"

namespace chronik::wal {

namespace {

constexpr std::uint64_t kRotationBytesMin = 64 * 1024;
constexpr std::size_t kFilesMin = 3;

Status refuse(std::string_view name, std::uint64_t value, std::string_view right) {
  return absl::InvalidArgumentError(fmt::format("wal: {} is {}, must be {}", name, value, right));
}

}  // namespace

Status validate(const WalOptions& options) {
  if (options.rotation_bytes < kRotationBytesMin) {
    return refuse("rotation_bytes", options.rotation_bytes, "at least 65536");
  }
  if (options.files_max < kFilesMin) {
    return refuse("files_max", options.files_max, "at least 3");
  }
  if (options.record_bytes_max == 0 || options.record_bytes_max > options.rotation_bytes / 4) {
    return refuse("record_bytes_max", options.record_bytes_max, "at most a quarter of rotation_bytes, and not 0");
  }
  if (options.batch_records_max == 0) {
    return refuse("batch_records_max", options.batch_records_max, "at least 1");
  }
  if (options.batch_bytes_max == 0 || options.batch_bytes_max > options.rotation_bytes) {
    return refuse("batch_bytes_max", options.batch_bytes_max, "at most rotation_bytes, and not 0");
  }
  if (options.linger_records == 0) {
    return refuse("linger_records", options.linger_records, "at least 1");
  }
  if (options.queue_records_max == 0) {
    return refuse("queue_records_max", options.queue_records_max, "at least 1");
  }
  if (options.queue_bytes_max < record_bytes(options.record_bytes_max)) {
    return refuse("queue_bytes_max", options.queue_bytes_max, "room for a record of record_bytes_max");
  }
  if (options.control_reserve_bytes > options.rotation_bytes / 8) {
    return refuse("control_reserve_bytes", options.control_reserve_bytes, "at most an eighth of rotation_bytes");
  }
  if (options.fill_step_bytes == 0) {
    return refuse("fill_step_bytes", options.fill_step_bytes, "at least 1");
  }
  if (options.read_chunk_bytes == 0 || options.read_chunk_bytes % kBlockBytes != 0) {
    return refuse("read_chunk_bytes", options.read_chunk_bytes, "a multiple of 4096");
  }
  return ok();
}

std::uint64_t flush_bytes_max(const WalOptions& options) {
  const std::uint64_t records =
      std::max<std::uint64_t>(options.batch_bytes_max, record_bytes(options.record_bytes_max));
  return round_up_to_block(records + record_bytes(options.batch_records_max * kSummaryEntryBytes));
}

void WalMetrics::add_to(MetricsRegistry& registry) const {
  using Unit = MetricsRegistry::Unit;
  registry.add("wal_writes_total", "Records written to the write-ahead log", writes);
  registry.add("wal_bytes_written_total", "Bytes written to the write-ahead log", bytes_written);
  registry.add("wal_fsync_total", "Syncs of the write-ahead log", fsyncs);
  registry.add("produce_flush_total", "Flushes of the write-ahead log, each one sync for all that waited", fsyncs);
  registry.add("wal_segment_rotations_total", "Files that the write-ahead log has begun", rotations);
  registry.add("wal_recovery_events_total", "Records replayed and damages found at the start", recovery_events);
  registry.add("wal_refused_total", "Reservations refused for want of room", refused);
  registry.add("wal_commit_batch_size", "Records in one flush", commit_batch_size, Unit::kNone);
  registry.add("wal_commit_bytes", "Bytes of one flush", commit_bytes, Unit::kBytes);
  registry.add("wal_commit_duration", "Time of one write and sync", commit_duration, Unit::kSeconds);
  registry.add("wal_queue_depth", "Records that wait for a flush", queue_depth);
}

}  // namespace chronik::wal
