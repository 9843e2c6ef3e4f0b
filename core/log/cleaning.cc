#include "core/log/cleaning.h"

#include <algorithm>
#include <utility>

#include "core/base/log_line.h"
#include "core/base/sim_point.h"
#include "core/fiber/scope.h"
#include "core/protocol/record_batch_walk.h"

namespace chronik::log {

using protocol::RecordBatchView;

namespace {

// Neighbours are put together where what is copied is at most twice what joins the largest of them, or they are many:
// so a large segment is not copied again for each small one behind it.
constexpr std::size_t kManySegments = 8;

std::uint64_t bytes_of(const std::vector<Slice>& batches) {
  std::uint64_t bytes = 0;
  for (const Slice& batch : batches) {
    bytes += batch.size();
  }
  return bytes;
}

}  // namespace

void CleanerMetrics::add_to(MetricsRegistry& registry) const {
  registry.add("log_cleaner_passes_total", "Passes of compaction over a log that came to their end", passes);
  registry.add("log_cleaner_read_bytes_total", "Bytes that compaction has read", read_bytes);
  registry.add("log_cleaner_written_bytes_total", "Bytes that compaction has written", written_bytes);
  registry.add("log_cleaner_removed_records_total", "Records that compaction has removed", removed_records);
  registry.add("log_cleaner_max_dirty_percent", "Of the compacted log with the most of it, how much is new",
               dirty_percent_max);
  registry.add("log_cleaner_uncleanable_partitions", "Compacted logs that are damaged or cannot be compacted",
               uncleanable_logs);
}

Status CleaningPace::spend(std::uint64_t bytes) {
  const MonotonicTime now = fiber::Scheduler::current().now();
  free_at_ = std::max(free_at_, now);
  const double seconds = static_cast<double>(bytes) / bytes_per_second_;
  constexpr double kLongest = 1e6;
  free_at_ = free_at_ + Duration::nanoseconds(static_cast<std::int64_t>(std::min(seconds, kLongest) * 1e9));
  if (free_at_ > now) {
    return fiber::sleep(free_at_ - now);
  }
  fiber::yield_to_next_turn();
  return fiber::Fiber::current().scope().source().cancelled() ? absl::CancelledError("the node stops") : ok();
}

Cleaning::Cleaning(LogHost& host, Ref<StoredLog> log, Cleanable what, const CleaningOptions& options,
                   const HashKey& hash_key, CleaningPace& pace, CleanerMetrics& metrics)
    : host_(host),
      log_(std::move(log)),
      what_(std::move(what)),
      options_(options),
      pace_(pace),
      metrics_(metrics),
      truncations_(what_.truncations),
      first_dirty_(std::max(log_->cleaned_to(), what_.segments.front()->base())),
      latest_(options.dedupe_bytes_max, static_cast<std::uint64_t>(std::max(what_.end - first_dirty_, std::int64_t{0})),
              hash_key),
      known_to_(first_dirty_) {}

Offset Cleaning::end_of(std::size_t index) const {
  return index + 1 < what_.segments.size() ? what_.segments[index + 1]->base() : what_.end;
}

Status Cleaning::run() {
  RETURN_IF_ERROR(learn());
  RETURN_IF_ERROR(clean_segments());
  RETURN_IF_ERROR(log_->note_cleaned(known_to_, truncations_));
  RETURN_IF_ERROR(merge_small());
  metrics_.passes.add();
  sim_point("cleaner.pass_ended");
  return ok();
}

Status Cleaning::each_batch(const Ref<Segment>& segment, Offset from, Offset end, VisitBatch visit) {
  for (Offset at = from; at < end;) {
    ASSIGN_OR_RETURN(const Segment::Read read,
                     log_->read_to_clean(segment, at, end, options_.piece_bytes, truncations_));
    CHECK(!read.bytes.empty());
    metrics_.read_bytes.add(read.bytes.size());
    protocol::BatchWalk walk(read.bytes.bytes(), protocol::BatchWalk::Checksums::kTrust);
    RecordBatchView batch;
    bool more = true;
    for (std::size_t position = 0; more && walk.next(batch); position = walk.position()) {
      ASSIGN_OR_RETURN(more, visit(read.bytes.sub(position, batch.size_bytes())));
    }
    at = more ? read.end : end;
    RETURN_IF_ERROR(pace_.spend(read.bytes.size()));
  }
  return ok();
}

// ---- which record of each key is the latest ----

Status Cleaning::learn() {
  bool full = false;
  for (std::size_t i = 0; i < what_.segments.size() && !full; ++i) {
    if (end_of(i) > first_dirty_) {
      RETURN_IF_ERROR(learn_of(i, full));
    }
  }
  return full && known_to_ == first_dirty_
             ? absl::FailedPreconditionError("log.cleaner.dedupe.buffer.size is too small for a single batch")
             : ok();
}

Status Cleaning::learn_of(std::size_t index, bool& full) {
  const Ref<Segment>& segment = what_.segments[index];
  return each_batch(segment, std::max(segment->base(), first_dirty_), end_of(index),
                    [&](const Slice& bytes) -> StatusOr<bool> {
                      RecordBatchView batch;
                      CHECK(RecordBatchView::parse(bytes.bytes(), batch) == protocol::BatchDefect::kNone);
                      full = !latest_.has_room(static_cast<std::uint64_t>(std::max(batch.record_count(), 0)));
                      if (full) {
                        return false;
                      }
                      RETURN_IF_ERROR(note_keys(bytes, latest_, host_.codecs()));
                      known_to_ = batch.next_offset();
                      return true;
                    });
}

// ---- without what was overtaken ----

Status Cleaning::clean_segments() {
  const CleaningRules rules{.latest = latest_,
                            .known_to = known_to_,
                            .now = host_.clock().wall(),
                            .tombstones_last = log_->tombstones_last()};
  for (std::size_t i = 0; i < what_.segments.size() && what_.segments[i]->base() < known_to_; ++i) {
    ASSIGN_OR_RETURN(const bool changes, would_change(i, rules));
    if (changes) {
      RETURN_IF_ERROR(rewrite(i, rules));
    }
  }
  return ok();
}

StatusOr<bool> Cleaning::put(const Slice& bytes, const CleaningRules& rules, CleanedRow& row, std::int32_t& removed) {
  RecordBatchView batch;
  CHECK(RecordBatchView::parse(bytes.bytes(), batch) == protocol::BatchDefect::kNone);
  ASSIGN_OR_RETURN(CleanedBatch cleaned, clean_batch(bytes, rules, host_.codecs()));
  removed += cleaned.removed;
  if (cleaned.kind != CleanedBatch::Kind::kEmpty) {
    row.add(std::move(cleaned.bytes));
    return cleaned.kind == CleanedBatch::Kind::kRewritten;
  }
  const bool keeps = log_->remembers(batch.producer_id(), batch.base_offset());
  row.add_empty(batch, keeps);
  return cleaned.removed > 0 || batch.has_producer() != keeps;
}

StatusOr<bool> Cleaning::would_change(std::size_t index, const CleaningRules& rules) {
  const Ref<Segment>& segment = what_.segments[index];
  CleanedRow row;
  std::size_t before = 0;
  std::size_t after = 0;
  bool changes = false;
  RETURN_IF_ERROR(each_batch(segment, segment->base(), end_of(index), [&](const Slice& bytes) -> StatusOr<bool> {
    std::int32_t removed = 0;
    ASSIGN_OR_RETURN(changes, put(bytes, rules, row, removed));
    ++before;
    after += row.take(false).size();
    return !changes;
  }));
  after += row.take(true).size();
  return changes || after < before;
}

StatusOr<SegmentRewrite> Cleaning::begin_rewrite(std::size_t index, std::uint64_t bytes_max) {
  ASSIGN_OR_RETURN(const std::uint64_t free, host_.disk().free_bytes(host_.file_deadline()));
  if (free < bytes_max + options_.free_disk_reserve_bytes) {
    return absl::ResourceExhaustedError("too little room on the disk to write a segment anew");
  }
  return log_->begin_rewrite(what_.segments[index]->base(), truncations_);
}

Status Cleaning::write(SegmentRewrite& rewrite, std::vector<Slice>& gathered, std::size_t enough) {
  const std::uint64_t bytes = bytes_of(gathered);
  if (bytes < enough || gathered.empty()) {
    return ok();
  }
  metrics_.written_bytes.add(bytes);
  RETURN_IF_ERROR(rewrite.write(std::exchange(gathered, {}), host_.file_deadline()));
  return pace_.spend(bytes);
}

Status Cleaning::rewrite(std::size_t index, const CleaningRules& rules) {
  const Ref<Segment> old = what_.segments[index];
  ASSIGN_OR_RETURN(SegmentRewrite rewriting, begin_rewrite(index, old->bytes()));
  CleanedRow row;
  std::vector<Slice> gathered;
  std::int32_t removed = 0;
  const auto gather = [&](bool ended) {
    for (Slice& batch : row.take(ended)) {
      gathered.push_back(std::move(batch));
    }
    return write(rewriting, gathered, ended ? 0 : options_.piece_bytes);
  };
  Status done = each_batch(old, old->base(), end_of(index), [&](const Slice& bytes) -> StatusOr<bool> {
    RETURN_IF_ERROR(put(bytes, rules, row, removed).status());
    RETURN_IF_ERROR(gather(false));
    return true;
  });
  if (done.ok()) {
    done = gather(true);
  }
  if (done.ok()) {
    done = rewriting.finish(host_.file_deadline());
  }
  if (done.ok()) {
    CHECK_EQ(rewriting.fresh()->data_end(), end_of(index));
    sim_pause("cleaner.segment_written");
    done = log_->replace_segments({old}, rewriting.fresh(), truncations_);
  }
  if (!done.ok()) {
    RETURN_IF_ERROR(rewriting.discard(host_.file_deadline()));
    return done;
  }
  metrics_.removed_records.add(static_cast<std::uint64_t>(removed));
  log_info("segment compacted", field("topic", log_->topic_name()), field("partition", log_->key().partition),
           field("base", old->base()), field("bytes", old->bytes()), field("left", rewriting.bytes()),
           field("removed", removed));
  what_.segments[index] = rewriting.fresh();
  return ok();
}

// ---- small neighbours ----

Status Cleaning::merge_small() {
  const StoredLog::SegmentLimits limits = log_->segment_limits();
  for (std::size_t first = 0; first < what_.segments.size();) {
    std::uint64_t bytes = 0;
    std::uint64_t largest = 0;
    std::uint64_t entries = 0;
    std::size_t end = first;
    for (; end < what_.segments.size() && end_of(end) <= known_to_; ++end) {
      const Segment& next = *what_.segments[end];
      const bool fits = bytes + next.bytes() <= limits.bytes && entries + next.index_entries() < limits.index_entries &&
                        end_of(end) - what_.segments[first]->base() < limits.offsets;
      if (!fits) {
        break;
      }
      bytes += next.bytes();
      entries += next.index_entries();
      largest = std::max(largest, next.bytes());
    }
    const std::size_t count = end - first;
    if (count >= 2 && (largest <= bytes / 2 || count >= kManySegments)) {
      RETURN_IF_ERROR(merge(first, end));
    }
    ++first;
  }
  return ok();
}

Status Cleaning::merge(std::size_t first, std::size_t end) {
  const std::vector<Ref<Segment>> old(what_.segments.begin() + static_cast<std::ptrdiff_t>(first),
                                      what_.segments.begin() + static_cast<std::ptrdiff_t>(end));
  std::uint64_t bytes = 0;
  for (const Ref<Segment>& segment : old) {
    bytes += segment->bytes();
  }
  ASSIGN_OR_RETURN(SegmentRewrite rewriting, begin_rewrite(first, bytes));
  std::vector<Slice> gathered;
  Status done = ok();
  for (std::size_t i = first; i < end && done.ok(); ++i) {
    const Ref<Segment>& segment = what_.segments[i];
    done = each_batch(segment, segment->base(), end_of(i), [&](const Slice& batch) -> StatusOr<bool> {
      gathered.push_back(batch);
      RETURN_IF_ERROR(write(rewriting, gathered, options_.piece_bytes));
      return true;
    });
  }
  if (done.ok()) {
    done = write(rewriting, gathered, 0);
  }
  if (done.ok()) {
    done = rewriting.finish(host_.file_deadline());
  }
  if (done.ok()) {
    sim_pause("cleaner.merge_written");
    done = log_->replace_segments(old, rewriting.fresh(), truncations_);
  }
  if (!done.ok()) {
    RETURN_IF_ERROR(rewriting.discard(host_.file_deadline()));
    return done;
  }
  what_.segments.erase(what_.segments.begin() + static_cast<std::ptrdiff_t>(first) + 1,
                       what_.segments.begin() + static_cast<std::ptrdiff_t>(end));
  what_.segments[first] = rewriting.fresh();
  return ok();
}

}  // namespace chronik::log
