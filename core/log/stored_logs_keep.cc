// The background of StoredLogs: draining tails into segments, syncing them, retention, deletion.
#include <algorithm>
#include <utility>

#include "core/base/log_line.h"
#include "core/base/sim_point.h"
#include "core/log/stored_logs.h"

namespace chronik::log {

namespace {

constexpr Duration kPauseOfKeeper = Duration::seconds(1);  // where something cannot be deleted yet

}  // namespace

// Not by the scope's source: an operation that was begun is waited for, also while the node stops.
Deadline StoredLogs::file_deadline() {
  return Deadline(scope_.scheduler().now() + options_.file_timeout, Expiry::kPeer, scope_.scheduler().root_cancel());
}
Deadline StoredLogs::write_deadline() {
  return Deadline(scope_.scheduler().now() + options_.write_timeout, Expiry::kPeer, scope_.scheduler().root_cancel());
}

void StoredLogs::check_disk(const Status& status, const char* what) {
  if (status.ok() || absl::IsAborted(status) || absl::IsCancelled(status)) {
    return;
  }
  // A failed write to a segment, or a failed sync, leaves pages of which nobody knows what the disk has (R2). A full
  // disk only stalls the recycling of the WAL, which then refuses new data by itself (R14).
  if (absl::IsResourceExhausted(status)) {
    log_warn("segments cannot be written: disk full", field("why", status.ToString()));
    return;
  }
  ports_.process.fatal(ExitStatus::kDiskFailed, std::string(what) + ": " + status.ToString());
}

MonotonicTime StoredLogs::disk_busy_since() const {
  return wal_ == nullptr ? draining_since_ : std::min(wal_->flushing_since(), draining_since_);
}

// One of the drainer's operations, as long as it lives.
class StoredLogs::Draining {
 public:
  explicit Draining(StoredLogs& logs) : logs_(logs) { logs_.draining_since_ = logs_.scope_.scheduler().now(); }
  ~Draining() { logs_.draining_since_ = MonotonicTime::never(); }
  Draining(const Draining&) = delete;
  Draining& operator=(const Draining&) = delete;

 private:
  StoredLogs& logs_;
};

void StoredLogs::on_pressure(Lsn drain_to) {
  drain_to_ = std::max(drain_to_, drain_to);
  pressed_ = true;
  drain_wanted_.notify_all();
}

Status StoredLogs::wait_for_work() {
  while (!must_drain()) {
    const MonotonicTime look =
        undrained_.empty() ? MonotonicTime::never() : scope_.scheduler().now() + options_.tail_age_max;
    const Status woken =
        drain_wanted_.wait({WaitKind::kWork, 0, 0, 0}, fiber::for_ever().no_later_than(look, Expiry::kNormal));
    if (!absl::IsDeadlineExceeded(woken)) {
      RETURN_IF_ERROR(woken);
      continue;
    }
    // A node at rest keeps no tails in memory.
    if (!undrained_.empty() && undrained_.front()->first_undrained() <= aging_) {
      drain_to_ = std::max(drain_to_, aging_);
      pressed_ = true;
    }
    aging_ = wal_->next_lsn() - 1;
  }
  return ok();
}

void StoredLogs::drain_for_ever() {
  constexpr Duration kPauseWhenFull = Duration::seconds(1);
  for (;;) {
    if (!wait_for_work().ok()) {
      return;
    }
    const bool all = std::exchange(drain_all_, false);
    const bool wanted = std::exchange(pressed_, false) || all || tail_bytes_ > options_.tail_bytes_max;
    const bool overdue = !overdue_.empty();
    Status drained = drain_ripe();
    if (drained.ok() && overdue) {
      drained = drain_overdue();
    }
    if (drained.ok() && wanted) {
      drained = drain_round(all);
    }
    check_disk(drained, "writing segments");
    // Nobody waits for what was only ripe: a sync for each would come between those of the write-ahead log.
    const bool sync = wanted || overdue || sync_is_due();
    const Status synced = drained.ok() && sync ? sync_round() : drained;
    check_disk(synced, "syncing segments");
    if (overdue) {
      overdue_.clear();  // the cleaner looks again, whatever has become of it
      ++overdue_rounds_;
      overdue_drained_.notify_all();
    }
    if (synced.ok()) {
      continue;
    }
    // What was wanted still is, and whoever sleeps until it is done hears that it cannot be.
    pressed_ = true;
    drain_all_ |= all;
    if (absl::IsResourceExhausted(synced)) {
      wal_->note_disk_full();
    }
    if (!fiber::sleep(kPauseWhenFull).ok()) {
      return;
    }
  }
}

Status StoredLogs::drain_round(bool everything) {
  const std::uint64_t enough = options_.tail_bytes_max / 2;
  while (!undrained_.empty()) {
    const Lsn first = undrained_.front()->first_undrained();
    const bool wanted = everything || tail_bytes_ > enough || (first != Lsn::none() && first <= drain_to_);
    if (!wanted) {
      break;
    }
    RETURN_IF_ERROR(drain_log(undrained_.front()));
    // Who outruns this round would else have filled the write-ahead log before it has let go of anything.
    if (wal_ != nullptr && sync_is_due()) {
      RETURN_IF_ERROR(sync_round());
    }
  }
  return ok();
}

// What is written soon after it came is copied out of the processor's caches and not out of memory; and no drain is a
// long one, which the syncs of the write-ahead log would wait for.
Status StoredLogs::drain_ripe() {
  for (std::size_t ripe = ripe_.size(); ripe > 0 && !ripe_.empty(); --ripe) {
    const Ref<StoredLog> log = ripe_.front();
    ripe_.pop_front();
    log->keeping.ripe = false;
    RETURN_IF_ERROR(drain_log(log));
  }
  return ok();
}

Status StoredLogs::drain_overdue() {
  for (const auto& [log, to] : std::exchange(overdue_, {})) {
    const auto waits = [&log = log, to = to] {
      return !log->closed() && log->has_undrained() && log->first_undrained() <= to;
    };
    while (waits()) {
      RETURN_IF_ERROR(drain_log(log));
    }
  }
  return ok();
}

Status StoredLogs::drain_log(Ref<StoredLog> held) {
  const Ref<StoredLog> log = std::move(held);  // the caller's is in a queue that changes meanwhile
  const Lsn first = log->first_undrained();
  if (first != Lsn::none() && first > drainable()) {
    RETURN_IF_ERROR(wal_->wait_durable(first, file_deadline()));
  }
  const StatusOr<std::uint64_t> drained = [&] {
    const Draining draining(*this);
    sim_pause("log.before_drain");
    return log->drain(drainable());
  }();
  if (log->closed()) {
    return ok();  // forget() took it out of the queues
  }
  RETURN_IF_ERROR(drained.status());
  unsynced_bytes_ += *drained;
  std::erase(undrained_, log);
  log->keeping.in_drain_queue = false;
  count_tail(*log);  // puts it back if it is not empty
  return ok();
}

Status StoredLogs::sync_dirty_logs() {
  std::vector<Ref<StoredLog>> dirty;
  for (const auto& [key, log] : logs_) {
    if (log->has_unsynced_files()) {
      dirty.push_back(log);
    }
  }
  if (dirty.size() > options_.sync_each_max) {
    std::vector<StoredLog::Written> before;
    for (const Ref<StoredLog>& log : dirty) {
      const Draining draining(*this);
      RETURN_IF_ERROR(log->prepare_sync_all());
    }
    before.reserve(dirty.size());
    for (const Ref<StoredLog>& log : dirty) {
      before.push_back(log->written());
    }
    const Draining draining(*this);
    RETURN_IF_ERROR(ports_.disk.sync_all(file_deadline()));
    for (std::size_t i = 0; i < dirty.size(); ++i) {
      dirty[i]->synced_as(before[i]);
    }
  } else {
    for (const Ref<StoredLog>& log : dirty) {
      const Draining draining(*this);
      RETURN_IF_ERROR(log->sync());
    }
  }
  return ok();
}

Status StoredLogs::sync_round() {
  unsynced_bytes_ = 0;
  RETURN_IF_ERROR(sync_dirty_logs());
  sim_pause("log.sync_round_done");
  const Lsn first = first_needed();
  const Lsn synced_to = first == Lsn::none() ? wal_->durable() : first - 1;
  drained_to_ = std::max(drained_to_, synced_to);
  wal_->release_up_to(synced_to.next());
  return ok();
}

// kDeadlineExceeded: it is time to look at what retention says.
Status StoredLogs::wait_to_keep() {
  if (!removed_.empty()) {
    return ok();
  }
  const Deadline retention = fiber::within(options_.retention_interval, Expiry::kNormal);
  const MonotonicTime stray = next_stray();
  Status woken = keep_wanted_.wait({WaitKind::kWork, 0, 0, 0}, retention.no_later_than(stray, Expiry::kNormal));
  return absl::IsDeadlineExceeded(woken) && stray < retention.at() ? ok() : woken;
}

void StoredLogs::keep_for_ever() {
  for (;;) {
    const Status woken = wait_to_keep();
    if (absl::IsCancelled(woken) || absl::IsAborted(woken)) {
      return;
    }
    const Status deleted = delete_removed();
    check_disk(deleted, "deleting a removed log");
    check_disk(delete_strays(), "deleting a log that nobody knows");
    if (!deleted.ok() && !fiber::sleep(kPauseOfKeeper).ok()) {
      return;
    }
    if (woken.ok()) {
      continue;
    }
    std::vector<Ref<StoredLog>> logs;
    for (const auto& [key, log] : logs_) {
      logs.push_back(log);
    }
    const std::int64_t now_ms = ports_.clock.wall().milliseconds();
    const WallTime seen_before = WallTime::from_milliseconds(now_ms - options_.producer_expiry.milliseconds());
    for (const Ref<StoredLog>& log : logs) {
      log->expire_producers(seen_before);
      drain_all_ |= log->retention_waits_for_drain();
      if (log->segment_bytes() > 0) {
        check_disk(log->enforce_retention(), "deleting a segment");
      }
    }
    if (drain_all_) {
      drain_wanted_.notify_all();  // the next round finds it in segments
    }
  }
}

Status StoredLogs::delete_removed() {
  while (!removed_.empty()) {
    // It stays in the list until its files are gone: nobody makes a log of that name before. What sets space free goes
    // before what may need some.
    const auto frees = std::find_if(removed_.rbegin(), removed_.rend(), [](const Removed& one) { return !one.stray; });
    const Removed next = frees == removed_.rend() ? removed_.back() : *frees;
    const Status durable = wal_->wait_durable(next.deletion, file_deadline());
    if (absl::IsDeadlineExceeded(durable)) {
      return absl::AbortedError("the deletion is not durable yet");  // the write-ahead log judges its disk itself
    }
    RETURN_IF_ERROR(durable);
    if (next.stray) {
      ASSIGN_OR_RETURN(const std::string aside, place_aside(next.log->key().to_string(), file_deadline()));
      ASSIGN_OR_RETURN(const bool had_files, next.log->move_files(aside));
      if (had_files) {
        add_stray(aside);
      }
    } else {
      RETURN_IF_ERROR(next.log->delete_files());
    }
    std::erase_if(removed_, [&next](const Removed& removed) { return removed.log == next.log; });
  }
  return ok();
}

}  // namespace chronik::log
