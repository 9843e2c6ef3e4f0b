// The committer: one fiber that writes whatever has gathered, one flush after another.
#include <algorithm>
#include <utility>

#include "core/base/check.h"
#include "core/base/log_line.h"
#include "core/base/observer.h"
#include "core/base/sim_point.h"
#include "core/wal/engine.h"

namespace chronik::wal {

namespace {
constexpr std::uint64_t kBytesWorthACommit = 64 << 10;  // from about there on, the bytes are what a flush costs
}  // namespace

void Engine::commit_loop() {
  const fiber::Provides provides({WaitKind::kWalFlush, kAnyNumber, 0, 0});
  const WaitKey idle{WaitKind::kWork, 0, 0, 0};
  while (!scope_.source().cancelled()) {
    if (!work_to_do()) {
      if (closing_ || !work_.wait(idle, fiber::for_ever()).ok()) {
        return;
      }
      continue;
    }
    if (!linger(idle).ok() || !delay_commit(idle).ok()) {
      return;
    }
    // What the rest of this turn has to say goes with this flush.
    fiber::yield_until_quiet();
    sim_pause("wal.before_flush");
    flushing_since_ = fiber::Scheduler::current().now();
    if (!plan_rotation().ok() || !flush().ok()) {
      return;
    }
    flushing_since_ = MonotonicTime::never();
  }
}

// Waits for more where that was asked for, until there is enough.
Status Engine::linger(const WaitKey& key) {
  const std::size_t enough = std::min(options_.linger_records, options_.batch_records_max);
  return gather(key, enough, options_.batch_bytes_max, fiber::within(options_.linger, Expiry::kNormal));
}

// Whose records the last flush made durable are about to send the next ones. A flush of the first few of these makes
// all the others wait for it, and costs as much as one for all.
Status Engine::delay_commit(const WaitKey& key) {
  if (queue_.empty()) {
    return ok();  // a new file is to begin
  }
  const MonotonicTime until = last_commit_.end + std::min(options_.commit_delay_max, last_commit_.took);
  return gather(key, last_commit_.records, kBytesWorthACommit,
                fiber::within(std::max(until - now(), Duration::zero()), Expiry::kNormal));
}

Status Engine::gather(const WaitKey& key, std::size_t records, std::uint64_t bytes, const Deadline& end) {
  while (queue_.size() < records && queued_bytes_ < bytes && !closing_ && now() < end.at()) {
    const Status waited = work_.wait(key, end);
    if (absl::IsDeadlineExceeded(waited)) {
      return ok();
    }
    RETURN_IF_ERROR(waited);
  }
  return ok();
}

// ---- rotation ----

// A file that has to grow costs a multiple of one that is overwritten: it is left as soon as a filled one is ready.
bool Engine::better_slot_waits() const {
  return !files_.current_is_filled() && files_.has_filled_free_slot() && files_.available() > 1 &&
         position_ - current_.records_at() >= options_.fill_after_bytes;
}

// Decides whether the next file begins behind all that is queued now.
Status Engine::plan_rotation() {
  if (next_file_.has_value()) {
    return ok();
  }
  if (!rotation_wanted() && projected() < limit_of(current_) && !better_slot_waits()) {
    return ok();
  }
  StatusOr<std::size_t> slot = absl::ResourceExhaustedError("no free slot");
  // A file that is not filled yet takes room on the disk. Where others have taken what is kept for that, this one
  // grows.
  const bool has_room = files_.has_filled_free_slot() || space_.allows(/*control=*/true, 0);
  if (!has_room) {
    space_.ask_again();
  }
  if (has_room && files_.may_begin_file(released_, next_lsn_)) {
    slot = files_.take_slot(disk_);
    if (absl::IsResourceExhausted(slot.status())) {
      note_disk_full();
    }
  }
  if (absl::IsResourceExhausted(slot.status())) {
    // The file grows beyond its size; how far, try_reserve() bounds. Whoever asked for the rotation is told.
    rotation_asked_ = current_.generation;
    rotated_.notify_all();
    return ok();
  }
  RETURN_IF_ERROR(slot.status());

  const fiber::NoSuspend no_suspend;
  NextFile next;
  next.slot = *slot;
  CheckpointWriter checkpoint(next_lsn_);
  FileHeader& header = next.header;
  header.kind = FileKind::kRotation;
  header.shard = options_.shard;
  header.shard_count = options_.shard_count;
  header.generation = current_.generation.next();
  header.use = static_cast<std::uint32_t>(ports_.random.next());
  header.previous = next_lsn_ > current_.first_lsn ? current_.generation : current_.previous;
  header.cut = next_lsn_ - 1;
  header.first_lsn = next_lsn_;
  header.replay_from = client_.write_checkpoint(checkpoint);
  header.flush_bytes_max = flush_bytes_max(options_);
  CHECK_GE(header.replay_from, released_);
  CHECK_GE(header.replay_from, replay_from_);
  CHECK_LE(header.replay_from, header.first_lsn);
  next.checkpoint = checkpoint.take();
  if (next.checkpoint.empty()) {
    next.checkpoint.emplace_back();  // so that a checkpoint of nothing can be told from a lost one
  }
  header.checkpoint_bytes = FlushBuilder::checkpoint_bytes(next.checkpoint);
  next_file_ = std::move(next);
  sim_point("wal.checkpoint_taken");
  return ok();
}

// ---- one flush ----

// How many of the queued records go together: within the bounds, and not into the file that begins behind them.
std::size_t Engine::batch_size(bool in_new_file) const {
  std::size_t most = std::min(queue_.size(), options_.batch_records_max);
  if (next_file_.has_value() && !in_new_file) {
    const Lsn first = next_lsn_ - static_cast<std::int64_t>(queue_.size());
    most = std::min(most, static_cast<std::size_t>(next_file_->header.first_lsn - first));
  }
  std::uint64_t bytes = 0;
  std::size_t records = 0;
  while (records < most) {
    bytes += record_bytes(queue_[records].payload.size());
    if (records > 0 && bytes > options_.batch_bytes_max) {
      break;
    }
    ++records;
  }
  return records;
}

std::vector<Slice> Engine::build(std::size_t records, const NextFile* next_file) {
  if (next_file != nullptr) {
    summary_.clear();  // the checkpoint says it
  }
  const Slice summary = summary_.take();
  std::size_t staging = summary.empty() ? 0 : builder_.staging_bytes(summary.size());
  for (std::size_t i = 0; i < records; ++i) {
    staging += builder_.staging_bytes(queue_[i].payload.size());
  }
  if (next_file != nullptr) {
    staging += kHeaderBytes + builder_.checkpoint_staging_bytes(next_file->checkpoint);
  }
  builder_.start(current_.generation, current_.use, last_flush_, position_, staging);
  if (next_file != nullptr) {
    builder_.add_file_header(current_);
    builder_.add_checkpoint(current_.first_lsn, next_file->checkpoint, records == 0);
    CHECK_EQ(builder_.bytes(), current_.records_at());
  }
  Lsn lsn = next_lsn_ - static_cast<std::int64_t>(queue_.size());
  if (!summary.empty()) {
    builder_.add_record(RecordType::kSummary, LogKey{}, lsn, 0, summary);
  }
  for (std::size_t i = 0; i < records; ++i) {
    const QueuedRecord& record = queue_[i];
    queued_bytes_ -= record_bytes(record.payload.size());
    builder_.add_record(record.type, record.key, lsn, i + 1 == records ? kFlagEndsFlush : std::uint8_t{0},
                        record.payload);
    summary_.note(record.key, record.log_end);
    lsn = lsn.next();
  }
  queue_.pop_front(records);
  return builder_.finish(true);
}

void Engine::begin_next_file(std::size_t records) {
  FileHeader& header = next_file_->header;
  header.first_flush = last_flush_;
  header.first_flush_last = header.cut + static_cast<std::int64_t>(records);
  files_.begin_file(next_file_->slot, header.generation, header.first_lsn);
  current_ = header;
  position_ = 0;
  metrics_->rotations.add();
  sim_point("wal.file_begun");
  if (Observer* o = observer()) {
    o->on_wal_file(header.generation, files_.path(next_file_->slot), files_.current_slot().bytes > 0);
  }
}

Status Engine::flush() {
  const Lsn first = next_lsn_ - static_cast<std::int64_t>(queue_.size());
  const bool begins_file = next_file_.has_value() && first == next_file_->header.first_lsn;
  const std::size_t records = batch_size(begins_file);
  if (records == 0 && !begins_file) {
    return ok();
  }
  FileBatch batch;
  batch.sync = true;
  const Lsn last = first + (static_cast<std::int64_t>(records) - 1);
  {
    const fiber::NoSuspend no_suspend;
    last_flush_ = last_flush_.next();
    if (begins_file) {
      begin_next_file(records);
    }
    std::vector<Slice> parts = build(records, begins_file ? &*next_file_ : nullptr);
    batch.writes.push_back({.offset = position_, .parts = std::move(parts)});
    position_ += builder_.bytes();
    if (begins_file) {
      next_file_.reset();
    }
  }
  metrics_->queue_depth.set(static_cast<std::int64_t>(queue_.size()));
  if (Observer* o = observer()) {
    o->on_wal_flush(last_flush_, first, last, FlushOutcome::kSubmitted);
  }
  const MonotonicTime start = now();
  sim_pause("wal.before_sync");
  Slot& slot = files_.current_slot();
  const Status written = slot.file->run(std::move(batch), disk_.deadline());
  if (!written.ok()) {
    if (Observer* o = observer()) {
      o->on_wal_flush(last_flush_, first, last,
                      absl::IsUnknown(written) ? FlushOutcome::kOverdue : FlushOutcome::kFailed);
    }
    return disk_.judge(written, "sync of the log", DiskGuard::FullDisk::kFatal);
  }
  sim_pause("wal.after_sync");
  slot.bytes = std::max(slot.bytes, position_);
  metrics_->writes.add(records);
  metrics_->bytes_written.add(builder_.bytes());
  metrics_->fsyncs.add();
  metrics_->commit_batch_size.record(records);
  metrics_->commit_bytes.record(builder_.bytes());
  last_commit_ = {.records = records, .end = now(), .took = now() - start};
  metrics_->commit_duration.record(last_commit_.took);
  publish(last, begins_file);
  if (Observer* o = observer()) {
    o->on_wal_flush(last_flush_, first, last, FlushOutcome::kDurable);
  }
  return ok();
}

// Tells everybody who waited for this flush.
void Engine::publish(Lsn last, bool began_file) {
  const fiber::NoSuspend no_suspend;
  if (last > durable_) {
    durable_ = last;
    client_.on_durable(durable_);
    wake_waiters();
  }
  if (began_file) {
    checkpointed_ = current_.generation;
    replay_from_ = current_.replay_from;
    files_.free_below(replay_from_);
    rotated_.notify_all();
    if (files_are_short()) {
      press();
    }
  }
  if (wants_fill()) {
    fill_wanted_.notify_all();
  }
  room_.notify_all();
}

}  // namespace chronik::wal
