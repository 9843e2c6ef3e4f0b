// Sizes and bounds of one shard's write-ahead log. Profiles (docs/OPERATIONS.md) choose them; a simulation draws them
// small.
#pragma once

#include <cstdint>
#include <string>

#include "core/base/metrics.h"
#include "core/base/status.h"
#include "core/base/time.h"

namespace chronik::wal {

struct WalOptions {
  std::string directory = "wal/0";  // created if missing, with its parents
  std::int32_t shard = 0;           // within the node
  std::int32_t shard_count = 1;     // stored: opening with another count is refused (rule R4)

  std::uint64_t rotation_bytes = 250'000'000;  // of a file; at least 64 KiB
  std::size_t files_max = 8;                   // at least 3; so the log takes about files_max * rotation_bytes

  std::size_t batch_records_max = 10'000;     // in one flush
  std::uint64_t batch_bytes_max = 16 << 20;   // in one flush, but for a single larger record
  std::size_t queue_records_max = 50'000;     // waiting for a flush
  std::uint64_t queue_bytes_max = 64 << 20;   // waiting for a flush
  std::uint64_t record_bytes_max = 32 << 20;  // of a payload; at most a quarter of rotation_bytes
  Duration linger = Duration::zero();         // waits this long for more before each flush, or until
  std::size_t linger_records = 50'000;        // so many wait for it; at least 1
  // While fewer records wait than went with the last flush, the next one waits as long as that took, and at most this.
  Duration commit_delay_max = Duration::milliseconds(1);

  std::uint64_t gather_below_bytes = 4096;              // smaller payloads are copied together, others referred to
  std::uint64_t control_reserve_bytes = 1'000'000;      // of a file, for Urgency::kControl; at most rotation_bytes / 8
  std::uint64_t free_disk_reserve_bytes = 512'000'000;  // of the disk: below it data is refused (rule R14)
  std::uint64_t fill_step_bytes = 8 << 20;              // of zeros in one hand-over to the bulk lane
  std::uint64_t fill_after_bytes = 1 << 20;     // written before the next file is filled: an idle node fills none
  std::uint64_t read_chunk_bytes = 1 << 20;     // of recovery; a multiple of kBlockBytes
  Duration io_timeout = Duration::seconds(60);  // of a write and its sync; then the node exits (rule R2)
};

// InvalidArgument names the option, its value, and what would be right.
Status validate(const WalOptions& options);

// No flush of a log with these options is longer.
std::uint64_t flush_bytes_max(const WalOptions& options);

struct WalMetrics {
  Counter writes;         // records
  Counter bytes_written;  // padding and checkpoints included
  Counter fsyncs;
  Counter rotations;
  Counter recovery_events;      // records replayed, cuts and damaged ranges
  Counter refused;              // reservations
  Histogram commit_batch_size;  // records
  Histogram commit_bytes;
  Histogram commit_duration;  // write + sync, nanoseconds
  Gauge queue_depth;          // records

  void add_to(MetricsRegistry& registry) const;
};

}  // namespace chronik::wal
