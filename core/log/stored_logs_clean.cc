// The cleaner of StoredLogs: one fiber that compacts one log after the other, whichever has most to gain.
#include <algorithm>
#include <utility>

#include "core/base/log_line.h"
#include "core/log/cleaning.h"
#include "core/log/stored_logs.h"

namespace chronik::log {

namespace {
// A checkpoint that is written for compaction alone costs a file of the write-ahead log: not each time it looks, but
// where max.compaction.lag.ms has passed.
constexpr int kLooksPerCheckpoint = 10;
}  // namespace

void StoredLogs::clean_for_ever() {
  CleaningPace pace(options_.cleaner.bytes_per_second);
  for (;;) {
    if (!wait_to_clean().ok() || !wait_for_overdue().ok()) {
      return;
    }
    ++cleaner_looks_;
    for (StatusOr<bool> cleaned = true; cleaned.ok() && *cleaned;) {
      cleaned = clean_dirtiest(pace);
      if (absl::IsCancelled(cleaned.status())) {
        return;
      }
      check_disk(cleaned.status(), "compacting a log");
    }
  }
}

// One backoff since it last looked, however long that is meanwhile.
Status StoredLogs::wait_to_clean() {
  const MonotonicTime looked = scope_.scheduler().now();
  for (Duration left = options_.cleaner.backoff; left > Duration::zero();
       left = looked + options_.cleaner.backoff - scope_.scheduler().now()) {
    Status changed = cleaner_changed_.wait({WaitKind::kWork, 0, 0, 0}, fiber::within(left, Expiry::kNormal));
    if (!changed.ok() && !absl::IsDeadlineExceeded(changed)) {
      return changed;
    }
  }
  return ok();
}

void StoredLogs::set_cleaner_backoff(Duration backoff) {
  if (std::exchange(options_.cleaner.backoff, backoff) != backoff) {
    cleaner_changed_.notify_all();
  }
}

Status StoredLogs::wait_for_overdue() {
  overdue_.clear();
  for (const auto& [key, log] : logs_) {
    if (log->compaction_waits_for_drain()) {
      overdue_.push_back({.log = log, .to = log->last_undrained()});
    }
  }
  if (overdue_.empty()) {
    return ok();
  }
  drain_wanted_.notify_all();
  const Deadline deadline = fiber::within(options_.cleaner.backoff, Expiry::kNormal);
  for (const std::uint64_t before = overdue_rounds_; overdue_rounds_ == before;) {
    const Status drained = overdue_drained_.wait({WaitKind::kEvent, 0, 0, 0}, deadline);
    if (absl::IsDeadlineExceeded(drained)) {
      return ok();  // a full disk, perhaps
    }
    RETURN_IF_ERROR(drained);
  }
  return ok();
}

StatusOr<bool> StoredLogs::clean_dirtiest(CleaningPace& pace) {
  std::vector<Ref<StoredLog>> logs;
  for (const auto& [key, log] : logs_) {
    if (log->compacts()) {
      logs.push_back(log);
    }
  }
  Ref<StoredLog> dirtiest;
  Cleanable what;
  double ratio_max = -1;
  std::int64_t uncleanable = 0;
  std::int64_t percent_max = 0;
  bool wants_checkpoint = false;
  bool overdue = false;
  for (const Ref<StoredLog>& log : logs) {
    uncleanable += log->keeping.uncleanable || !log->damaged().empty() ? 1 : 0;
    StatusOr<Cleanable> now = log->keeping.uncleanable ? Cleanable() : log->cleanable();
    if (absl::IsAborted(now.status())) {
      continue;
    }
    RETURN_IF_ERROR(now.status());
    const std::uint64_t all = std::max(now->dirty_bytes + now->clean_bytes, std::uint64_t{1});
    const double ratio = static_cast<double>(now->dirty_bytes) / static_cast<double>(all);
    percent_max = std::max(percent_max, static_cast<std::int64_t>(ratio * 100));
    if (log->wants_cleaning(now->dirty_bytes, now->clean_bytes, now->overdue)) {
      if (log->keeping.passed_over != cleaner_looks_ && (now->overdue || ratio > ratio_max)) {
        ratio_max = now->overdue ? 1 : ratio;
        dirtiest = log;
        what = *std::move(now);
      }
    } else if (log->wants_cleaning(now->dirty_bytes + now->held_bytes, now->clean_bytes, now->held_overdue) &&
               log->settled_before() < log->synced_before()) {
      wants_checkpoint = true;
      overdue |= now->held_overdue;
    }
  }
  cleaner_metrics_.dirty_percent_max.set(percent_max);
  cleaner_metrics_.uncleanable_logs.set(uncleanable);
  if (!dirtiest) {
    return wants_checkpoint ? write_checkpoint_to_clean(overdue) : false;
  }
  Status done = clean_log(dirtiest, std::move(what), pace);
  if (done.ok()) {
    return true;
  }
  // The log has changed, or it is damaged, which is noted, or it is too large for what the disk has left: its turn
  // comes again, and what cleaning others frees may help.
  const bool no_room = absl::IsResourceExhausted(done);
  if (no_room || absl::IsAborted(done) || (absl::IsDataLoss(done) && !dirtiest->damaged().empty())) {
    if (no_room) {
      log_warn("log cannot be compacted now", field("topic", dirtiest->topic_name()),
               field("partition", dirtiest->key().partition), field("why", done.ToString()));
    }
    dirtiest->keeping.passed_over = cleaner_looks_;
    return true;
  }
  if (absl::IsDataLoss(done) || absl::IsFailedPrecondition(done)) {
    dirtiest->keeping.uncleanable = true;
    log_error("log cannot be compacted until the next start", field("topic", dirtiest->topic_name()),
              field("partition", dirtiest->key().partition), field("why", done.ToString()));
    return true;
  }
  return done;
}

Status StoredLogs::clean_log(const Ref<StoredLog>& log, Cleanable what, CleaningPace& pace) {
  HashKey hash_key;
  hash_key.first = ports_.random.next();
  hash_key.second = ports_.random.next();
  const CleaningOptions options{.dedupe_bytes_max = options_.cleaner.dedupe_bytes_max,
                                .free_disk_reserve_bytes = options_.wal.free_disk_reserve_bytes};
  return Cleaning(*this, log, std::move(what), options, hash_key, pace, cleaner_metrics_).run();
}

StatusOr<bool> StoredLogs::write_checkpoint_to_clean(bool overdue) {
  const MonotonicTime now = scope_.scheduler().now();
  if (now < (overdue ? next_overdue_checkpoint_ : next_checkpoint_to_clean_)) {
    return false;
  }
  next_overdue_checkpoint_ = now + options_.cleaner.backoff;
  next_checkpoint_to_clean_ = now + options_.cleaner.backoff * kLooksPerCheckpoint;
  const std::uint64_t taken = checkpoints_taken_;
  const Status rotated = wal_->rotate(file_deadline());
  if (absl::IsResourceExhausted(rotated)) {
    return false;
  }
  RETURN_IF_ERROR(rotated);
  for (const auto& [key, log] : logs_) {
    log->note_durable_checkpoint(taken + 1);
  }
  return true;
}

}  // namespace chronik::log
