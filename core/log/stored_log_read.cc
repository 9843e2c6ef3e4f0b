// Reading a StoredLog: by offset, by time.
#include <algorithm>
#include <utility>

#include "core/log/stored_log.h"
#include "core/protocol/record_batch_records.h"
#include "core/protocol/record_batch_stream.h"

namespace chronik::log {

using protocol::RecordBatchView;

namespace {
// Records of a batch are decompressed up to here to find a time; beyond it the batch's first offset is the answer.
constexpr std::size_t kSearchBytesMax = std::size_t{256} << 20;
}  // namespace

StatusOr<ReadResult> StoredLog::read(Offset from, const ReadLimits& asked, const Deadline& deadline) {
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
  if (from >= written_end_) {
    return ReadResult{.parts = {}, .bytes = 0, .end = from};
  }
  const std::uint64_t truncations = truncations_;
  StatusOr<ReadResult> result = read_segments(from, limits, deadline);
  // R11: what was read may be of a log that has been cut meanwhile.
  if (closed_ || truncations != truncations_) {
    return absl::AbortedError("the log changed while it was read");
  }
  if (from < log_start()) {
    return absl::OutOfRangeError("the log start has moved past the offset while it was read");
  }
  return result;
}

ReadResult StoredLog::read_tail(Offset from, const ReadLimits& limits) const {
  ReadResult result{.parts = {}, .bytes = 0, .end = from};
  for (std::size_t i = tail_.find(from); i < tail_.size(); ++i) {
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
  const auto behind =
      std::upper_bound(segments_.begin(), segments_.end(), offset,
                       [](Offset asked, const Ref<Segment>& segment) { return asked < segment->base(); });
  return behind == segments_.begin() ? 0 : static_cast<std::size_t>(behind - segments_.begin()) - 1;
}

StatusOr<ReadResult> StoredLog::read_segments(Offset from, const ReadLimits& limits, const Deadline& deadline) {
  RETURN_IF_ERROR(open(deadline));
  ReadResult result{.parts = {}, .bytes = 0, .end = from};
  // By base offset, not by position: segments may be deleted and rolled while one is read.
  for (Offset at = from; at < written_end_ && !segments_.empty();) {
    const std::size_t index = segment_holding(at);
    const Ref<Segment> segment = segments_[index];
    const Offset next = index + 1 < segments_.size() ? segments_[index + 1]->base() : written_end_;
    Segment::Damage damage;
    StatusOr<Segment::Read> read =
        segment->read(at, std::min(limits.below, next), next, limits.max_bytes, limits.min_one_batch, damage, deadline);
    if (absl::IsDataLoss(read.status())) {
      note_damage(damage.from, damage.to);
    }
    RETURN_IF_ERROR(read.status());
    if (!read->bytes.empty()) {
      result.bytes = read->bytes.size();
      result.end = read->end;
      result.parts.push_back(std::move(read->bytes));
      return result;
    }
    if (next >= limits.below || next <= at) {
      break;
    }
    at = next;  // a gap at the segment's end
  }
  return result;
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

StatusOr<std::optional<TimestampOffset>> StoredLog::search_segment(Segment& segment, WallTime at, Offset below,
                                                                   const Deadline& deadline) {
  RETURN_IF_ERROR(segment.load(deadline));
  std::optional<TimestampOffset> answer;
  if (segment.max_timestamp() < at) {
    return answer;
  }
  ASSIGN_OR_RETURN(const std::uint64_t position, segment.position_before_time(at, deadline));
  RETURN_IF_ERROR(segment.visit(
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
  const std::uint64_t truncations = truncations_;
  if (written_end_ > log_start_) {
    RETURN_IF_ERROR(open(deadline));
    const std::vector<Ref<Segment>> segments = segments_;
    for (const Ref<Segment>& segment : segments) {
      ASSIGN_OR_RETURN(const std::optional<TimestampOffset> found, search_segment(*segment, at, below, deadline));
      if (closed_ || truncations != truncations_) {
        return absl::AbortedError("the log changed while it was searched");
      }
      if (found.has_value()) {
        return found;
      }
    }
  }
  for (std::size_t i = 0; i < tail_.size() && tail_[i].base < below; ++i) {
    if (tail_[i].max_timestamp >= at) {
      const std::optional<TimestampOffset> found = search_batch(tail_[i].bytes.bytes(), at, below);
      if (found.has_value()) {
        return found;
      }
    }
  }
  return std::optional<TimestampOffset>();
}

StatusOr<WallTime> StoredLog::max_timestamp_of(Segment& segment, const Deadline& deadline) {
  RETURN_IF_ERROR(segment.load(deadline));
  if (segment.base() >= log_start_ || segment.offset_of_max() >= log_start_) {
    return segment.max_timestamp();
  }
  // What the index knows as the largest is deleted: among the batches that are left there is no other way than to look.
  WallTime largest = WallTime::from_milliseconds(-1);
  ASSIGN_OR_RETURN(const std::uint64_t position, segment.position_of(log_start_, deadline));
  RETURN_IF_ERROR(segment.visit(
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

StatusOr<std::optional<TimestampOffset>> StoredLog::max_timestamp(const Deadline& deadline) {
  WallTime largest = WallTime::from_milliseconds(-1);
  if (written_end_ > log_start_) {
    RETURN_IF_ERROR(open(deadline));
    const std::vector<Ref<Segment>> segments = segments_;
    for (std::size_t i = 0; i < segments.size(); ++i) {
      if (i + 1 < segments.size() && segments[i + 1]->base() <= log_start_) {
        continue;  // deleted, and its files go with the next round of retention
      }
      ASSIGN_OR_RETURN(const WallTime of_segment, max_timestamp_of(*segments[i], deadline));
      largest = std::max(largest, of_segment);
    }
  }
  for (std::size_t i = 0; i < tail_.size(); ++i) {
    if (tail_[i].last >= log_start_) {
      largest = std::max(largest, tail_[i].max_timestamp);
    }
  }
  if (largest.milliseconds() < 0) {
    return std::optional<TimestampOffset>();
  }
  return find_timestamp(largest, durable_end_, deadline);
}

}  // namespace chronik::log
