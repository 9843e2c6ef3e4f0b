// One pass of compaction over one log: learns the latest record of each key, writes segments anew without what was
// overtaken, and puts small neighbours together.
//
// It runs beside everything else, in pieces: it holds nothing while it reads and writes, and takes the log's turnstile
// only to put a finished file in a segment's place (StoredLog::replace_segments). Where the log was cut, deleted from
// or closed meanwhile, what it has written is thrown away. Segments are cleaned from the oldest to the newest, each
// durably before the next: when a tombstone's time begins, all that it hides is gone for good.
#pragma once

#include <absl/functional/function_ref.h>

#include <cstdint>
#include <optional>

#include "core/base/keyed_hash.h"
#include "core/base/metrics.h"
#include "core/log/compaction.h"
#include "core/log/segment_rewrite.h"
#include "core/log/stored_log.h"

namespace chronik::log {

struct CleanerMetrics {
  Counter passes;           // that came to their end
  Counter read_bytes;       // of segments
  Counter written_bytes;    // of what took their place, or was to
  Counter removed_records;  // overtaken, or tombstones whose time was over
  Gauge dirty_percent_max;  // of the log that has most of it; when it was looked at last
  Gauge uncleanable_logs;   // whose records cannot be read, or damaged

  void add_to(MetricsRegistry& registry) const;
};

// How fast it may be: so many bytes read and written in a second.
class CleaningPace {
 public:
  explicit CleaningPace(double bytes_per_second) : bytes_per_second_(bytes_per_second) {}
  // So many bytes were just read or written: waits until the next may be. kCancelled: the node stops.
  Status spend(std::uint64_t bytes);

 private:
  double bytes_per_second_;
  MonotonicTime free_at_;
};

struct CleaningOptions {
  std::uint64_t dedupe_bytes_max = 128 << 20;  // of memory for the keys
  std::uint64_t free_disk_reserve_bytes = 0;   // that stays free on the disk
  std::uint64_t piece_bytes = 64 << 10;        // read and worked on at once
};

class Cleaning {
 public:
  Cleaning(LogHost& host, Ref<StoredLog> log, Cleanable what, const CleaningOptions& options, const HashKey& hash_key,
           CleaningPace& pace, CleanerMetrics& metrics);

  // kAborted, kCancelled: the log has changed, or the node stops. kResourceExhausted: the disk is full.
  // kFailedPrecondition: the memory for keys takes not even one batch. kDataLoss: records cannot be read. Whatever it
  // says, the log is as good as before.
  Status run();

 private:
  using VisitBatch = absl::FunctionRef<StatusOr<bool>(const Slice& batch)>;
  // Gives `visit` the batches from `from` on, until it returns false or `end`.
  Status each_batch(const Ref<Segment>& segment, Offset from, Offset end, VisitBatch visit);
  Status learn();
  Status learn_of(std::size_t index, bool& full);
  Status clean_segments();
  // Whether cleaning it would change it.
  StatusOr<bool> would_change(std::size_t index, const CleaningRules& rules);
  Status rewrite(std::size_t index, const CleaningRules& rules);
  // Puts the batch, or what is left of it, into the row. Whether that is another than before.
  StatusOr<bool> put(const Slice& batch, const CleaningRules& rules, CleanedRow& row, std::int32_t& removed);
  Status merge_small();
  Status merge(std::size_t first, std::size_t end);
  StatusOr<SegmentRewrite> begin_rewrite(std::size_t index, std::uint64_t bytes_max);
  Status write(SegmentRewrite& rewrite, std::vector<Slice>& gathered, std::size_t enough);
  Offset end_of(std::size_t index) const;

  LogHost& host_;
  Ref<StoredLog> log_;
  Cleanable what_;
  CleaningOptions options_;
  CleaningPace& pace_;
  CleanerMetrics& metrics_;
  std::uint64_t truncations_;
  Offset first_dirty_;
  KeyOffsets latest_;
  Offset known_to_;
};

}  // namespace chronik::log
