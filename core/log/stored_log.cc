#include "core/log/stored_log.h"

#include <algorithm>
#include <utility>

#include "core/base/endian.h"
#include "core/base/log_line.h"
#include "core/base/observer.h"
#include "core/base/sim_point.h"
#include "core/log/batch_producer.h"
#include "core/protocol/record_batch.h"

namespace chronik::log {

using protocol::BatchDefect;
using protocol::RecordBatchView;

namespace {

Slice encode_offset(Offset offset) {
  Slice bytes = Slice::allocate(sizeof(std::int64_t));
  store_little(bytes.mutable_data(), offset.value());
  return bytes;
}

PartitionRef observed(const LogKey& key) { return {key.topic, key.partition}; }

}  // namespace

StoredLog::StoredLog(LogHost& host, const LogState& state, const LogConfig& config, std::uint64_t number)
    : host_(host),
      key_(state.key),
      topic_name_(state.topic_name),
      config_(config),
      log_start_(state.log_start),
      log_end_(state.log_end),
      durable_end_(state.log_end),
      high_watermark_(state.high_watermark),
      damaged_(state.damaged),
      written_end_(state.synced_end),
      written_lsn_(state.synced_lsn),
      synced_end_(state.synced_end),
      synced_lsn_(state.synced_lsn),
      synced_segment_(state.synced_segment),
      synced_bytes_(state.synced_bytes),
      cleaned_to_(state.cleaned_to),
      number_(number),
      files_turnstile_("log files", number),
      opening_({WaitKind::kTurnstile, number, 0, 1}) {
  checkpoints_.push_back({.number = 0, .lsn = Lsn(0), .before = synced_before()});
  epochs_.restore(state.epochs);
  for (const auto& [id, producer] : state.producers) {
    producers_.restore(id, producer);
  }
}

StoredLog::~StoredLog() = default;

LogState StoredLog::state() const {
  LogState state;
  state.key = key_;
  state.topic_name = topic_name_;
  state.log_start = log_start_;
  state.log_end = log_end_;
  state.high_watermark = high_watermark_;
  state.synced_end = synced_end_;
  state.synced_lsn = synced_lsn_;
  state.synced_segment = synced_segment_;
  state.synced_bytes = synced_bytes_;
  state.cleaned_to = cleaned_to_;
  state.epochs = epochs_.starts();
  state.damaged = damaged_;
  state.producers.assign(producers_.producers().begin(), producers_.producers().end());
  return state;
}

// ---- appending ----

Appended StoredLog::append(Slice batch, const BatchSummary& summary, LeaderEpoch epoch) {
  CHECK_GE(epoch, epochs_.last());
  protocol::set_base_offset(batch.mutable_bytes(), log_end_);
  protocol::set_partition_leader_epoch(batch.mutable_bytes(), epoch);
  return keep(std::move(batch), summary, log_end_, epoch);
}

Appended StoredLog::append_replicated(Slice batch, const BatchSummary& summary) {
  RecordBatchView view;
  CHECK(RecordBatchView::parse(batch.bytes(), view) == BatchDefect::kNone);
  CHECK_EQ(view.base_offset(), log_end_);
  return keep(std::move(batch), summary, view.base_offset(), view.partition_leader_epoch());
}

Appended StoredLog::keep(Slice batch, const BatchSummary& summary, Offset base, LeaderEpoch epoch) {
  CHECK(!closed_);
  CHECK_GT(summary.record_count, 0);
  const Offset last = base + (summary.record_count - 1);
  epochs_.note(epoch, base);
  producers_.record(summary.producer, base, last, host_.clock().wall());
  log_end_ = last.next();
  const Lsn lsn = host_.wal().append(wal::RecordType::kAppend, wal_key(key_), batch, log_end_);
  if (Observer* o = observer()) {
    RecordBatchView view;
    CHECK(RecordBatchView::parse(batch.bytes(), view) == BatchDefect::kNone);
    o->on_batch_appended(observed(key_), {.epoch = epoch,
                                          .base = base,
                                          .last = last,
                                          .crc = view.crc(),
                                          .records = static_cast<std::uint32_t>(summary.record_count),
                                          .cleaned = view.record_count() != summary.record_count ||
                                                     view.attributes().has_delete_horizon(),
                                          .producer = summary.producer.id,
                                          .producer_epoch = summary.producer.epoch,
                                          .base_sequence = summary.producer.first_sequence});
  }
  tail_.push({.base = base,
              .last = last,
              .lsn = lsn,
              .epoch = epoch,
              .max_timestamp = summary.max_timestamp,
              .offset_of_max = base + summary.offset_of_max_timestamp.value(),
              .bytes = std::move(batch)});
  host_.on_queued(*this, lsn, log_end_);
  return {.base_offset = base, .last_offset = last, .lsn = lsn};
}

bool StoredLog::advance_durable(Offset end) {
  if (end <= durable_end_) {
    return false;
  }
  CHECK_LE(end, log_end_);
  durable_end_ = end;
  if (Observer* o = observer()) {
    o->on_durable_end(observed(key_), durable_end_);
  }
  return true;
}

void StoredLog::tell_listener() {
  if (listener_ != nullptr) {
    listener_->on_durable(durable_end_);
  }
}

// ---- positions ----

EpochEnd StoredLog::end_of_epoch(LeaderEpoch epoch) const {
  const Epochs::Start end = epochs_.end_of(epoch, log_start_, log_end_);
  return {end.epoch, end.offset};
}

Status StoredLog::make_control_room(const Deadline& deadline) {
  while (host_.wal().try_reserve(sizeof(std::int64_t), wal::Urgency::kControl) != wal::Room::kGranted) {
    RETURN_IF_ERROR(host_.wal().wait_for_room(deadline));
  }
  return closed_ ? absl::AbortedError("the log is closed") : ok();
}

Status StoredLog::truncate(Offset to, absl::FunctionRef<bool()> still, const Deadline& deadline) {
  const auto within = [&] { return to >= log_start_; };
  Status cut_there = cut(
      to, [&] { return within() && still(); }, deadline);
  return !within() && absl::IsAborted(cut_there) && !closed_
             ? absl::OutOfRangeError("the log start has moved past where the log is to end")
             : cut_there;
}

Status StoredLog::enter_with_room(std::optional<fiber::Turnstile::Pass>& pass, Offset to, const Deadline& deadline) {
  for (bool room = false; !room;) {
    // Not waited for within: whoever makes room in the write-ahead log may need this log's files.
    pass.reset();
    RETURN_IF_ERROR(make_control_room(deadline));
    RETURN_IF_ERROR(files_turnstile_.enter(pass, deadline));
    if (!opened_ && written_end_ > to) {
      // Whoever opened it behind the record, a reader perhaps, would cut what the record has yet to take away.
      RETURN_IF_ERROR(open(deadline));
    }
    room = host_.wal().try_reserve(sizeof(std::int64_t), wal::Urgency::kControl) == wal::Room::kGranted;
  }
  return closed_ ? absl::AbortedError("the log is closed") : ok();
}

Status StoredLog::cut(Offset to, absl::FunctionRef<bool()> still, const Deadline& deadline) {
  std::optional<fiber::Turnstile::Pass> pass;
  sim_pause("log.before_truncation");
  RETURN_IF_ERROR(enter_with_room(pass, to, deadline));
  if (!still()) {
    return absl::AbortedError("it is not to be cut any more");
  }
  if (to >= log_end_) {
    return ok();
  }
  const Lsn lsn = host_.wal().append(wal::RecordType::kTruncate, wal_key(key_), encode_offset(to), to);
  ++truncations_;
  tail_.truncate(to);
  epochs_.truncate(to);
  producers_.truncate(to);
  log_end_ = to;
  durable_end_ = std::min(durable_end_, to);
  high_watermark_ = std::min(high_watermark_, to);
  if (to < log_start_) {
    change_start(to);
  }
  forget_written(lsn, to);
  host_.on_truncated(*this, to);
  if (Observer* o = observer()) {
    o->on_truncated(observed(key_), epochs_.last(), to);
  }
  sim_point("log.truncation_written");
  // Before it is durable nothing may be cut: the log that came back would miss what it still promises.
  RETURN_IF_ERROR(host_.wal().wait_durable(lsn, deadline));
  return cut_.has_value() ? open_to_change(deadline) : ok();
}

Status StoredLog::begin_anew(Offset to, absl::FunctionRef<bool()> still, const Deadline& deadline) {
  RETURN_IF_ERROR(truncate(log_start_, still, deadline));
  // Within: a drain that is under way has what it writes from the tail.
  std::optional<fiber::Turnstile::Pass> pass;
  RETURN_IF_ERROR(enter_with_room(pass, to, deadline));
  if (!still() || to < log_end_) {
    return absl::AbortedError("it is not to begin anew any more");
  }
  durable_start_ = log_start();
  const Lsn lsn = host_.wal().append(wal::RecordType::kLogStart, wal_key(key_), encode_offset(to), to);
  std::erase_if(start_moves_, [this](const StartMove& move) { return move.lsn <= host_.wal().durable(); });
  start_moves_.push_back({.to = to, .lsn = lsn});
  ++truncations_;
  jump(lsn, to);
  host_.on_truncated(*this, Offset(0));
  // Whoever waits for it here may be called off, and the log is to be durable to its end all the same.
  host_.on_moved(*this, lsn, to);
  pass.reset();
  RETURN_IF_ERROR(host_.wal().wait_durable(lsn, deadline));
  sim_pause("log.begun_anew");
  return ok();
}

// Nothing is left, and what comes next comes behind a gap.
void StoredLog::jump(Lsn lsn, Offset to) {
  log_start_ = log_end_ = to;
  tail_.truncate(Offset(0));  // also what the old start lay within
  written_end_ = synced_end_ = to;
  cleaned_to_ = to;
  first_unsynced_written_ = Lsn::none();
  synced_lsn_ = std::max(synced_lsn_, lsn);
  epochs_.truncate(Offset(0));
  keep_damage(to, to);
  if (Observer* o = observer()) {
    o->on_log_start(observed(key_), to);
  }
}

// Back, where all that was there is gone.
void StoredLog::change_start(Offset to) {
  log_start_ = durable_start_ = to;
  start_moves_.clear();
  if (Observer* o = observer(); o != nullptr && !host_.replaying()) {
    o->on_log_start(observed(key_), to);
  }
}

void StoredLog::forget_written(Lsn lsn, Offset to) {
  if (opened_ && written_end_ > to) {
    cut_ = Cut{cut_.has_value() ? std::min(cut_->to, to) : to, lsn};
  }
  // A checkpoint taken from now on counts of the segments only what ends at or below the cut, whether they are cut by
  // then or not.
  written_end_ = std::min(written_end_, to);
  cleaned_to_ = std::min(cleaned_to_, to);
  for (Checkpointed& checkpoint : checkpoints_) {
    checkpoint.before = std::min(checkpoint.before, to);
  }
  if (to <= synced_end_) {
    // No record before the cut matters to the log any more.
    synced_end_ = to;
    synced_lsn_ = std::max(synced_lsn_, lsn);
    first_unsynced_written_ = Lsn::none();
  } else if (written_end_ <= synced_end_) {
    first_unsynced_written_ = Lsn::none();
  }
  keep_damage(log_start_, to);
}

Offset StoredLog::durable_start() const {
  Offset start = durable_start_;
  for (const StartMove& move : start_moves_) {
    if (move.lsn > host_.wal().durable()) {
      break;
    }
    start = move.to;
  }
  return start;
}

Status StoredLog::advance_log_start(Offset to, const Deadline& deadline) {
  if (to <= log_start()) {
    return ok();
  }
  if (to > log_start_) {
    RETURN_IF_ERROR(make_control_room(deadline));
  }
  if (to <= log_start_) {
    // Somebody else has moved it, and perhaps gave up waiting: that it was moved is not yet durable.
    return host_.wal().wait_durable(start_moves_.back().lsn, deadline);
  }
  if (to > log_end_) {
    return absl::AbortedError("the log was cut below where it is to begin");
  }
  durable_start_ = log_start();
  const Lsn lsn = host_.wal().append(wal::RecordType::kLogStart, wal_key(key_), encode_offset(to), log_end_);
  std::erase_if(start_moves_, [this](const StartMove& move) { return move.lsn <= host_.wal().durable(); });
  start_moves_.push_back({.to = to, .lsn = lsn});
  host_.on_moved(*this, lsn, Offset::none());
  log_start_ = to;
  epochs_.advance_start(to);
  keep_damage(to, log_end_);
  if (Observer* o = observer()) {
    o->on_log_start(observed(key_), to);
  }
  return host_.wal().wait_durable(lsn, deadline);
}

// ---- replay ----

Status StoredLog::replay_append(Lsn lsn, const Slice& batch, bool checkpointed, std::uint64_t lost) {
  if (lsn <= synced_lsn_) {
    return ok();  // in a synced segment
  }
  RecordBatchView view;
  const BatchDefect defect = RecordBatchView::parse(batch.bytes(), view);
  if (defect != BatchDefect::kNone) {
    return absl::DataLossError(batch_defect_text(defect));  // the WAL's own checksum was right: not written by us
  }
  if (checkpointed && view.next_offset() > log_end_) {
    return ok();  // cut off since, as the checkpoint knows, whatever has become of the record that says so
  }
  const Offset base = view.base_offset();
  const LeaderEpoch epoch = view.partition_leader_epoch();
  const bool back = !checkpointed && epoch < epochs_.last();
  if (back || base < (tail_.empty() ? written_end_ : tail_.back().last.next())) {
    // The record of the truncation has rotted: it was durable before anything was appended behind it (R4).
    replay_lost_truncation(lsn, base, checkpointed, lost);
  }
  if (back) {
    epochs_.forget_above(epoch);
  }
  const Offset expected = tail_.empty() ? written_end_ : tail_.back().last.next();
  note_damage(expected, base);  // where there is a hole
  CHECK_GE(base, expected);
  tail_.push({.base = base,
              .last = view.last_offset(),
              .lsn = lsn,
              .epoch = epoch,
              .max_timestamp = view.max_timestamp(),
              .offset_of_max = view.last_offset(),
              .bytes = Slice::copy_of(batch.bytes())});
  if (!checkpointed) {
    epochs_.note(epoch, base);
    producers_.record(producer_of(view), base, view.last_offset(), host_.clock().wall());
    log_end_ = view.next_offset();
  }
  return ok();
}

void StoredLog::replay_truncate(Lsn lsn, Offset to, bool checkpointed) {
  if (lsn <= synced_lsn_) {
    return;
  }
  tail_.truncate(to);
  forget_written(lsn, to);
  if (!checkpointed) {
    epochs_.truncate(to);
    producers_.truncate(to);
    log_end_ = to;
    high_watermark_ = std::min(high_watermark_, to);
    if (to < log_start_) {
      change_start(to);
    }
  }
}

void StoredLog::replay_log_start(Lsn lsn, Offset to, bool checkpointed) {
  if (checkpointed) {
    return;  // the checkpoint has it, or it was of a former log under this key
  }
  if (to > log_end_) {
    jump(lsn, to);
  } else if (to > log_start_) {
    log_start_ = to;
    epochs_.advance_start(to);
    keep_damage(to, std::max(to, log_end_));
  }
}

void StoredLog::replay_lost_truncation(Lsn lsn, Offset to, bool checkpointed, std::uint64_t lost) {
  // What is committed is not cut; and of what the checkpoint knows, what was in synced segments was not, either.
  const Offset kept = checkpointed ? synced_end_ : high_watermark_;
  replay_truncate(lsn - 1, to, checkpointed);
  if (lost > 1) {
    // With it went, perhaps, what was first appended behind it: it may have cut further below.
    note_damage(kept, to);
  }
}

void StoredLog::replay_log_end(Lsn lsn, Offset end, std::uint64_t lost) {
  if (end < log_end_) {
    replay_lost_truncation(lsn, end, false, lost);
  }
  // A hole is noted once something lies behind it, or by finish_replay().
  log_end_ = end;
}

void StoredLog::finish_replay() {
  for (const DamagedRange& range : damaged_) {
    report_damage(range.from, range.to);
  }
  const Offset have = tail_.empty() ? written_end_ : tail_.back().last.next();
  if (have < log_end_) {
    note_damage(have, log_end_);  // promised by the checkpoint; the end stays where it was (R3)
  }
  if (high_watermark_ > log_end_) {
    note_damage(log_end_, high_watermark_);
    log_end_ = high_watermark_;
  }
  CHECK_LE(have, log_end_);
  durable_end_ = log_end_;
  if (Observer* o = observer()) {
    o->on_partition_opened(observed(key_), log_start_, log_end_, durable_end_);
  }
}

}  // namespace chronik::log
