// Reading a StoredLog: by offset, by time.
#include <algorithm>
#include <iterator>
#include <utility>

#include "core/log/compaction.h"
#include "core/log/stored_log.h"
#include "core/protocol/record_batch_records.h"
#include "core/protocol/record_batch_stream.h"
#include "core/protocol/record_batch_walk.h"

namespace chronik::log {

using protocol::RecordBatchView;

namespace {
// Records of a batch are decompressed up to here to find a time; beyond it the batch's first offset is the answer.
constexpr std::size_t kSearchBytesMax = std::size_t{256} << 20;

bool before_segment(Offset offset, const Ref<Segment>& segment) { return offset < segment->base(); }

bool holds_records(const ReadResult& read) {
  return std::any_of(read.parts.begin(), read.parts.end(), [](const Slice& part) {
    protocol::BatchWalk walk(part.bytes(), protocol::BatchWalk::Checksums::kTrust);
    RecordBatchView batch;
    while (walk.next(batch)) {
      if (!is_empty_batch(batch)) {
        return true;
      }
    }
    return false;
  });
}
}  // namespace

StatusOr<ReadResult> StoredLog::read(Offset from, const ReadLimits& limits, const Deadline& deadline) {
  const std::uint64_t truncations = truncations_;
  ASSIGN_OR_RETURN(ReadResult result, read_on(from, limits, deadline));
  // Of a segment compaction may have left nothing but empty batches, of many in a row even. librdkafka takes a fetch
  // answer without a record for a limit that is too small for the next one, and the tenth in a row for an error.
  for (bool empty = !holds_records(result); empty && !result.parts.empty() && result.bytes < limits.max_bytes;) {
    const ReadLimits rest{.max_bytes = limits.max_bytes - result.bytes, .below = limits.below, .min_one_batch = false};
    StatusOr<ReadResult> more = read_on(result.end, rest, deadline);
    if (changed_since(truncations)) {
      return absl::AbortedError("the log changed while it was read");
    }
    if (!more.ok() || more->parts.empty()) {
      break;  // who asks for that learns why
    }
    // In a segment that was replaced meanwhile, one empty batch may hold what was given and what comes next.
    RecordBatchView next;
    CHECK(RecordBatchView::parse(more->parts.front().bytes(), next) == protocol::BatchDefect::kNone);
    if (next.base_offset() != result.end) {
      break;
    }
    empty = !holds_records(*more);
    std::move(more->parts.begin(), more->parts.end(), std::back_inserter(result.parts));
    result.bytes += more->bytes;
    result.end = more->end;
  }
  return result;
}

StatusOr<ReadResult> StoredLog::read_on(Offset from, const ReadLimits& asked, const Deadline& deadline) {
  if (closed_) {
    return absl::AbortedError("the log is closed");
  }
  if (from < log_start() || from > log_end_) {
    return absl::OutOfRangeError("offset out of range");
  }
  if (damage_at(from) != nullptr) {
    return absl::DataLossError("offset is damaged");
  }
  // An answer ends before the next damage: who asks for that learns of it.
  ReadLimits limits = asked;
  for (const DamagedRange& range : damaged_) {
    limits.below = range.from > from ? std::min(limits.below, range.from) : limits.below;
  }
  if (!tail_.empty() && from >= tail_.front().base) {
    return read_tail(from, limits);
  }
  if (const Offset next = tail_.empty() ? log_end_ : tail_.front().base; from >= written_end_ && from < next) {
    note_damage(from, next);
    return absl::DataLossError("offset is damaged");
  }
  if (from >= written_end_) {
    return ReadResult{.parts = {}, .bytes = 0, .end = from};
  }
  StatusOr<ReadResult> result = read_segments(from, limits, deadline);
  if (from < log_start() && !absl::IsAborted(result.status())) {
    return absl::OutOfRangeError("the log start has moved past the offset while it was read");
  }
  return result;
}

StatusOr<ReadResult> StoredLog::read_tail(Offset from, const ReadLimits& limits) {
  ReadResult result{.parts = {}, .bytes = 0, .end = from};
  const std::size_t first = tail_.find(from);
  if (first < tail_.size() && tail_[first].base > from) {
    note_damage(from, tail_[first].base);
    return absl::DataLossError("offset is damaged");
  }
  for (std::size_t i = first; i < tail_.size(); ++i) {
    const TailBatch& batch = tail_[i];
    const bool fits = result.bytes + batch.bytes.size() <= limits.max_bytes;
    if (batch.last >= limits.below || (!fits && !(limits.min_one_batch && result.parts.empty()))) {
      break;
    }
    if (!result.parts.empty() && batch.base != result.end) {
      break;  // a damaged range lies between: who asks for it learns of it
    }
    result.parts.push_back(batch.bytes);
    result.bytes += batch.bytes.size();
    result.end = batch.last.next();
  }
  return result;
}

std::size_t StoredLog::segment_holding(Offset offset) const {
  const auto behind = std::upper_bound(segments_.begin(), segments_.end(), offset, before_segment);
  return behind == segments_.begin() ? 0 : static_cast<std::size_t>(behind - segments_.begin()) - 1;
}

StatusOr<Ref<Segment>> StoredLog::segment_to_read(Offset from, std::uint64_t truncations, const Deadline& deadline) {
  for (;;) {
    if (changed_since(truncations)) {
      return absl::AbortedError("the log changed while it was read");
    }
    if (segments_.empty() || from < segments_.front()->base()) {
      return absl::DataLossError("the segment is not there");  // noted when the log was opened
    }
    const Ref<Segment> segment = segments_[segment_holding(from)];
    if (segment->loaded()) {
      return segment;
    }
    RETURN_IF_ERROR(load(segment, deadline));
  }
}

StatusOr<ReadResult> StoredLog::read_segments(Offset from, const ReadLimits& limits, const Deadline& deadline) {
  const std::uint64_t truncations = truncations_;
  RETURN_IF_ERROR(open(deadline));
  for (;;) {
    ASSIGN_OR_RETURN(const Ref<Segment> segment, segment_to_read(from, truncations, deadline));
    // Until the segment looks at its own length nothing suspends: what is written and where it ends agree.
    const std::size_t behind = segment_holding(from) + 1;
    const Offset end = behind < segments_.size() ? std::min(segments_[behind]->base(), written_end_) : written_end_;
    Segment::Damage damage;
    StatusOr<Segment::Read> read = segment->read({.from = from,
                                                  .below = std::min(limits.below, end),
                                                  .segment_end = end,
                                                  .max_bytes = limits.max_bytes,
                                                  .at_least_one = limits.min_one_batch},
                                                 damage, deadline);
    // R11: what was read, and how it failed, may be of a log that has been cut meanwhile.
    if (changed_since(truncations)) {
      return absl::AbortedError("the log changed while it was read");
    }
    // The old file's index may have led to bytes of the new one that only look like a batch.
    if (segment->replaced()) {
      RETURN_IF_ERROR(wait_for_replacement(deadline));
      continue;
    }
    if (absl::IsDataLoss(read.status())) {
      note_damage(damage.from, damage.to);
    }
    RETURN_IF_ERROR(read.status());
    ReadResult result{.parts = {}, .bytes = read->bytes.size(), .end = read->end};
    if (!read->bytes.empty()) {
      result.parts.push_back(std::move(read->bytes));
    }
    return result;
  }
}

// ---- by time ----

std::optional<TimestampOffset> StoredLog::search_batch(ByteSpan bytes, WallTime at, Offset below) const {
  RecordBatchView batch;
  if (RecordBatchView::parse(bytes, batch) != protocol::BatchDefect::kNone || batch.max_timestamp() < at) {
    return std::nullopt;
  }
  const auto found = [&](WallTime timestamp, Offset offset) -> std::optional<TimestampOffset> {
    if (offset >= below || offset < log_start_) {
      return std::nullopt;
    }
    return TimestampOffset{timestamp, offset, batch.partition_leader_epoch()};
  };
  if (batch.attributes().timestamp_type() == protocol::TimestampType::kLogAppendTime) {
    return found(batch.max_timestamp(), batch.base_offset());
  }
  protocol::RecordView record;
  std::optional<TimestampOffset> answer;
  const auto look = [&](auto& records) {
    while (!answer.has_value() && records.next(record)) {
      if (record.timestamp(batch) >= at && record.offset(batch) >= log_start_) {
        answer = found(record.timestamp(batch), record.offset(batch));
      }
    }
  };
  const protocol::Codec codec = batch.attributes().codec().value_or(protocol::Codec::kNone);
  if (codec == protocol::Codec::kNone) {
    protocol::RecordIterator records(batch);
    look(records);
  } else {
    protocol::RecordStream records(codec, batch.records(), batch.record_count(), kSearchBytesMax, host_.codecs());
    look(records);
  }
  return answer;
}

Status StoredLog::look_through(Look look, const Deadline& deadline) {
  const std::uint64_t truncations = truncations_;
  if (written_end_ <= log_start_) {
    return ok();
  }
  RETURN_IF_ERROR(open(deadline));
  std::uint64_t replacements = replacements_;
  constexpr Offset kNone(-1);
  Offset last = kNone;  // the base of the segment that was looked at last
  for (;;) {
    if (replacements != replacements_) {
      // What was looked at may be a part of another segment now, and what is not be behind it.
      replacements = replacements_;
      last = kNone;
    }
    if (changed_since(truncations)) {
      return absl::AbortedError("the log changed while it was searched");
    }
    // By base offset, not by position: segments may be deleted and rolled while one is looked at.
    const auto next = std::upper_bound(segments_.begin(), segments_.end(), last, before_segment);
    if (next == segments_.end()) {
      return ok();
    }
    const Ref<Segment> segment = *next;
    last = segment->base();
    if (const auto behind = std::next(next); behind != segments_.end() && (*behind)->base() <= log_start_) {
      continue;  // deleted, and its files go with the next round of retention
    }
    const StatusOr<bool> more = look(segment);
    if (segment->replaced()) {
      RETURN_IF_ERROR(wait_for_replacement(deadline));
      last = kNone;
      continue;
    }
    const bool deleted = !more.ok() && std::find(segments_.begin(), segments_.end(), segment) == segments_.end();
    if (deleted && !changed_since(truncations)) {
      continue;
    }
    if (!changed_since(truncations) && (!more.ok() || !*more)) {
      return more.status();
    }
  }
}

StatusOr<std::optional<TimestampOffset>> StoredLog::search_segment(const Ref<Segment>& segment, WallTime at,
                                                                   Offset below, const Deadline& deadline) {
  RETURN_IF_ERROR(load(segment, deadline));
  std::optional<TimestampOffset> answer;
  if (segment->max_timestamp() < at) {
    return answer;
  }
  ASSIGN_OR_RETURN(const std::uint64_t position, segment->position_before_time(at, deadline));
  RETURN_IF_ERROR(segment->visit(
      position,
      [&](const RecordBatchView& batch, std::uint64_t) {
        if (batch.last_offset() >= log_start_) {
          answer = search_batch(batch.bytes(), at, below);
        }
        return !answer.has_value() && batch.base_offset() < below;
      },
      deadline));
  return answer;
}

StatusOr<std::optional<TimestampOffset>> StoredLog::find_timestamp(WallTime at, Offset below,
                                                                   const Deadline& deadline) {
  std::optional<TimestampOffset> found;
  RETURN_IF_ERROR(look_through(
      [&](const Ref<Segment>& segment) -> StatusOr<bool> {
        ASSIGN_OR_RETURN(found, search_segment(segment, at, below, deadline));
        return !found.has_value();
      },
      deadline));
  for (std::size_t i = 0; !found.has_value() && i < tail_.size() && tail_[i].base < below; ++i) {
    if (tail_[i].max_timestamp >= at) {
      found = search_batch(tail_[i].bytes.bytes(), at, below);
    }
  }
  return found;
}

StatusOr<WallTime> StoredLog::max_timestamp_of(const Ref<Segment>& segment, const Deadline& deadline) {
  RETURN_IF_ERROR(load(segment, deadline));
  if (segment->base() >= log_start_ || segment->offset_of_max() >= log_start_) {
    return segment->max_timestamp();
  }
  // What the index knows as the largest is deleted: among the batches that are left there is no other way than to look.
  WallTime largest = WallTime::from_milliseconds(-1);
  ASSIGN_OR_RETURN(const std::uint64_t position, segment->position_of(log_start_, deadline));
  RETURN_IF_ERROR(segment->visit(
      position,
      [&](const RecordBatchView& batch, std::uint64_t) {
        if (batch.last_offset() >= log_start_) {
          largest = std::max(largest, batch.max_timestamp());
        }
        return true;
      },
      deadline));
  return largest;
}

StatusOr<std::optional<TimestampOffset>> StoredLog::max_timestamp(Offset below, const Deadline& deadline) {
  below = std::min(below, durable_end_);
  WallTime largest = WallTime::from_milliseconds(-1);
  RETURN_IF_ERROR(look_through(
      [&](const Ref<Segment>& segment) -> StatusOr<bool> {
        ASSIGN_OR_RETURN(const WallTime of_segment, max_timestamp_of(segment, deadline));
        largest = segment->replaced() ? largest : std::max(largest, of_segment);
        return true;
      },
      deadline));
  for (std::size_t i = 0; i < tail_.size() && tail_[i].last < below; ++i) {
    if (tail_[i].last >= log_start_) {
      largest = std::max(largest, tail_[i].max_timestamp);
    }
  }
  if (largest.milliseconds() < 0) {
    return std::optional<TimestampOffset>();
  }
  return find_timestamp(largest, below, deadline);
}

}  // namespace chronik::log
