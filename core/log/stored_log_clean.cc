// What compaction needs of a StoredLog: what may be cleaned, and a file that takes others' place.
//
// A checkpoint says how much of the segment counts that was the newest when it was taken, and where in it the log was
// synced to; of those before, a start believes the files. So a segment may be written anew only once each checkpoint
// that a start may begin with names a later one: the last that is durable, and those that may become it. And no replay
// from there may cut within it, since a cut falls between batches that were there, and these may be one filler now: a
// truncation lowers what the checkpoints before it settle.
#include <algorithm>
#include <utility>

#include "core/base/log_line.h"
#include "core/base/sim_point.h"
#include "core/log/segment_rewrite.h"
#include "core/log/stored_log.h"

namespace chronik::log {

void StoredLog::note_checkpoint(std::uint64_t number, Lsn lsn) {
  forget_old_checkpoints();
  checkpoints_.push_back({.number = number, .lsn = lsn, .before = synced_before()});
}

void StoredLog::note_durable_checkpoint(std::uint64_t number) {
  while (checkpoints_.size() > 1 && checkpoints_[1].number <= number) {
    checkpoints_.pop_front();
  }
}

// A record that is durable behind a checkpoint says that it is, too: they go out in this order.
void StoredLog::forget_old_checkpoints() {
  while (checkpoints_.size() > 1 && checkpoints_[1].lsn <= host_.wal().durable()) {
    checkpoints_.pop_front();
  }
}

Offset StoredLog::settled_before() {
  forget_old_checkpoints();
  Offset before = synced_before();
  for (const Checkpointed& checkpoint : checkpoints_) {
    before = std::min(before, checkpoint.before);
  }
  return before;
}

bool StoredLog::remembers(ProducerId producer, Offset base) const {
  const auto found = producers_.producers().find(producer);
  if (found == producers_.producers().end()) {
    return false;
  }
  const ProducerState& state = found->second;
  return std::any_of(state.batches.begin(), state.batches.begin() + static_cast<std::ptrdiff_t>(state.count),
                     [base](const ProducerBatchEntry& batch) { return batch.base_offset == base; });
}

StoredLog::SegmentLimits StoredLog::segment_limits() const {
  return {.bytes = std::min(config_.segment_bytes, kPositionsMax),
          .index_entries = config_.segment_index_bytes / 8,
          .offsets = kOffsetsMax};
}

StatusOr<Cleanable> StoredLog::cleanable() {
  Cleanable result;
  if (segment_bytes() == 0 || cut_.has_value()) {
    return result;
  }
  RETURN_IF_ERROR(open_patiently());
  if (closed_) {
    return absl::AbortedError("the log is closed");
  }
  const std::uint64_t truncations = result.truncations = truncations_;
  const Offset settled = settled_before();
  const WallTime now = host_.clock().wall();
  const std::vector<Ref<Segment>> segments = segments_;
  // The last one is being written.
  for (std::size_t i = 0; i + 1 < segments.size(); ++i) {
    const Ref<Segment>& segment = segments[i];
    const Offset end = segments[i + 1]->base();
    if (end <= log_start()) {
      continue;  // deleted, and its file will go
    }
    if (end > std::min({synced_end_, durable_end_, high_watermark_}) ||
        (!damaged_.empty() && damaged_.front().from < end)) {
      break;
    }
    RETURN_IF_ERROR(load(segment, host_.file_deadline()));
    if (changed_since(truncations)) {
      return absl::AbortedError("the log was cut or closed");
    }
    // Nothing is cleaned above damage: it may hide what only a tombstone there keeps away.
    if (!segment->damage().empty() || segment->data_end() != end) {
      break;
    }
    const bool dirty = end > cleaned_to_;
    // Without a lag what bears a time to come is cleaned as well.
    if (dirty && config_.compaction_lag_min > Duration::zero() &&
        now - segment->max_timestamp() < config_.compaction_lag_min) {
      break;
    }
    const bool overdue = dirty && is_overdue(segment->first_timestamp());
    if (end > settled) {
      result.held_bytes += segment->bytes();
      result.held_overdue |= overdue;
      continue;
    }
    result.overdue |= overdue;
    (dirty ? result.dirty_bytes : result.clean_bytes) += segment->bytes();
    result.segments.push_back(segment);
    result.end = end;
  }
  return result;
}

Status StoredLog::note_cleaned(Offset to, std::uint64_t truncations) {
  if (changed_since(truncations)) {
    return absl::AbortedError("the log was cut or closed");
  }
  cleaned_to_ = std::max(cleaned_to_, to);
  return ok();
}

bool StoredLog::is_overdue(WallTime first) const {
  return config_.compaction_lag_max != Duration::infinite() && first.milliseconds() >= 0 &&
         host_.clock().wall() - first > config_.compaction_lag_max;
}

bool StoredLog::compaction_waits_for_drain() const {
  if (!config_.compacts || tail_.empty()) {
    return false;
  }
  const bool in_segment = !segments_.empty() && segments_.back()->loaded() && segments_.back()->bytes() > 0;
  return is_overdue(tail_.front().max_timestamp) || (in_segment && is_overdue(segments_.back()->first_timestamp()));
}

bool StoredLog::wants_cleaning(std::uint64_t dirty_bytes, std::uint64_t clean_bytes, bool overdue) const {
  const std::uint64_t all = dirty_bytes + clean_bytes;
  const bool dirty = static_cast<double>(dirty_bytes) >= config_.dirty_ratio_min * static_cast<double>(all);
  return dirty_bytes > 0 && (dirty || overdue);
}

StatusOr<Segment::Read> StoredLog::read_to_clean(const Ref<Segment>& segment, Offset from, Offset end,
                                                 std::uint64_t bytes, std::uint64_t truncations) {
  if (changed_since(truncations)) {
    return absl::AbortedError("the log was cut or closed");
  }
  Segment::Damage damage;
  StatusOr<Segment::Read> read = segment->read({.from = from,
                                                .below = end,
                                                .segment_end = end,
                                                .max_bytes = static_cast<std::size_t>(bytes),
                                                .at_least_one = true},
                                               damage, host_.file_deadline());
  const bool there = std::find(segments_.begin(), segments_.end(), segment) != segments_.end();
  if (changed_since(truncations) || !there) {
    return absl::AbortedError("the log was cut, deleted from or closed");
  }
  if (absl::IsDataLoss(read.status())) {
    note_damage(damage.from, damage.to);
  }
  return read;
}

Status StoredLog::wait_for_replacement(const Deadline& deadline) {
  std::optional<fiber::Turnstile::Pass> pass;
  return files_turnstile_.enter(pass, deadline);
}

// ---- a file in the place of others ----

StatusOr<SegmentRewrite> StoredLog::begin_rewrite(Offset base, std::uint64_t truncations) {
  // Within the turnstile: whoever removes the log does not take its directory away between the look and the file.
  std::optional<fiber::Turnstile::Pass> pass;
  RETURN_IF_ERROR(enter_files(pass));
  if (changed_since(truncations)) {
    return absl::AbortedError("the log was cut or closed");
  }
  SegmentRewrite rewrite(
      host_.disk(), Ref<Segment>::make(static_cast<FileHost&>(host_), directory(), number_, base, std::uint64_t{0}),
      config_.index_interval_bytes);
  RETURN_IF_ERROR(rewrite.begin(host_.file_deadline()));
  return rewrite;
}

Status StoredLog::replace_segments(const std::vector<Ref<Segment>>& old, const Ref<Segment>& fresh,
                                   std::uint64_t truncations) {
  std::optional<fiber::Turnstile::Pass> pass;
  RETURN_IF_ERROR(enter_files(pass));
  const auto first = std::find(segments_.begin(), segments_.end(), old.front());
  const bool there =
      static_cast<std::size_t>(segments_.end() - first) > old.size() && std::equal(old.begin(), old.end(), first);
  if (changed_since(truncations) || cut_.has_value() || !there || old.back()->data_end() > settled_before()) {
    return absl::AbortedError("the log was cut, deleted from or closed");
  }
  // From here on a reader that fails asks again, once this has left the turnstile.
  for (const Ref<Segment>& segment : old) {
    segment->set_replaced(true);
  }
  Status renamed = rename_over(fresh);
  if (!renamed.ok()) {
    for (const Ref<Segment>& segment : old) {
      segment->set_replaced(false);
    }
    return renamed;
  }
  ++replacements_;
  const auto at = std::find(segments_.begin(), segments_.end(), old.front());
  *at = fresh;
  segments_.erase(at + 1, at + static_cast<std::ptrdiff_t>(old.size()));
  count_segment_bytes();
  sim_pause("cleaner.renamed");
  // Durable before anything relies on it: the next segment's cleaning, and the end of those that it holds now.
  RETURN_IF_ERROR(host_.disk().sync_directory(directory(), host_.file_deadline()));
  // In order, each for good before the next: what a death leaves of them lies end to end behind what the new file holds
  // up to the first of them, where loading cuts it.
  for (std::size_t i = 1; i < old.size(); ++i) {
    sim_pause("cleaner.before_unlink");
    RETURN_IF_ERROR(unlink_segment(old[i]->base()));
    RETURN_IF_ERROR(host_.disk().sync_directory(directory(), host_.file_deadline()));
  }
  return fresh->write_index(host_.file_deadline());
}

Status StoredLog::rename_over(const Ref<Segment>& fresh) {
  const Deadline deadline = host_.file_deadline();
  // An index is never believed; but bytes of a client's would now lie where the old one's entries point.
  for (const char* ending : {".index", ".timeindex"}) {
    host_.files().forget(fresh->path(ending));
    Status gone = host_.disk().unlink(fresh->path(ending), deadline);
    if (!gone.ok() && !absl::IsNotFound(gone)) {
      return gone;
    }
  }
  RETURN_IF_ERROR(host_.disk().sync_directory(directory(), deadline));
  sim_pause("cleaner.before_rename");
  host_.files().forget(fresh->path(".log"));
  Status renamed = host_.disk().rename(fresh->path(kCleanedEnding), fresh->path(".log"), deadline);
  // Also what was opened under this name while it was renamed.
  host_.files().forget(fresh->path(".log"));
  return renamed;
}

}  // namespace chronik::log
