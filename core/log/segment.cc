#include "core/log/segment.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "core/base/endian.h"
#include "core/base/wrapping.h"
#include "core/protocol/record_batch_walk.h"

namespace chronik::log {

using protocol::BatchDefect;
using protocol::BatchWalk;
using protocol::kBatchHeaderBytes;
using protocol::kBatchMagic;
using protocol::RecordBatchView;

namespace {

constexpr std::size_t kBaseDigits = 20;
// How much of a chunk a read looks at beyond what it gives: the batches between an index entry and the asked offset.
constexpr std::size_t kReadSlackBytes = 16 * 1024;

Offset announced_base_offset(ByteSpan header) {
  return Offset(load_big<std::int64_t>(header.data() + protocol::kBatchBaseOffsetAt));
}

// The last offset that the header at the start of `bytes` names, whether or not the whole batch is there; none(): it is
// no header.
Offset announced_last_offset(ByteSpan bytes) {
  if (bytes.size() < kBatchHeaderBytes || static_cast<std::int8_t>(bytes[protocol::kBatchMagicAt]) != kBatchMagic) {
    return Offset::none();
  }
  return Offset(wrapping_add(load_big<std::int64_t>(bytes.data() + protocol::kBatchBaseOffsetAt),
                             load_big<std::int32_t>(bytes.data() + protocol::kBatchLastOffsetDeltaAt)));
}

}  // namespace

std::string segment_file_name(Offset base, std::string_view ending) {
  return fmt::format("{:020}{}", base.value(), ending);
}

Offset segment_base_of(std::string_view file_name) {
  if (file_name.size() != kBaseDigits + 4 || !file_name.ends_with(".log")) {
    return Offset::none();
  }
  std::int64_t base = 0;
  for (const char digit : file_name.substr(0, kBaseDigits)) {
    if (digit < '0' || digit > '9' || __builtin_mul_overflow(base, 10, &base) ||
        __builtin_add_overflow(base, digit - '0', &base)) {
      return Offset::none();
    }
  }
  return Offset(base);
}

Status Segment::create(const Deadline& deadline) {
  RETURN_IF_ERROR(host_.files().create(path(".log"), deadline).status());
  data_end_ = base_;
  loaded_ = true;
  dirty_ = true;
  return ok();
}

// ---- the index, believed as far as the log agrees ----

bool Segment::holds(const SegmentIndex::Entry& entry, ByteSpan at_entry) const {
  return entry.position == 0 || announced_last_offset(at_entry) == base_ + entry.relative_offset;
}

StatusOr<bool> Segment::holds(const SegmentIndex::TimeEntry& time, const Deadline& deadline) {
  const Offset offset = base_ + time.relative_offset;
  ASSIGN_OR_RETURN(const Place place, place_before(offset, deadline));
  bool agrees = false;
  const Status looked = visit(
      place.position,
      [&](const RecordBatchView& batch, std::uint64_t) {
        agrees = batch.last_offset() == offset && batch.max_timestamp().milliseconds() == time.timestamp;
        return batch.last_offset() < offset;
      },
      deadline);
  if (!looked.ok() && !says_damage(looked)) {
    return looked;
  }
  return agrees;
}

void Segment::forget(const SegmentIndex::Entry& wrong) {
  index_.forget(wrong);
  entries_written_ = 0;  // the next sync, if there is one, writes all of them anew
}

StatusOr<Segment::Place> Segment::place_before(Offset offset, const Deadline& deadline) {
  const Place first{0, base_};
  while (offset > base_) {
    const SegmentIndex::Entry entry = index_.entry_before(relative(offset));
    if (entry.position == 0) {
      break;
    }
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(kBatchHeaderBytes, bytes_ - entry.position));
    ASSIGN_OR_RETURN(const Slice header, read_bytes(entry.position, size, deadline));
    if (holds(entry, header.bytes())) {
      return Place{entry.position, announced_base_offset(header.bytes())};
    }
    forget(entry);
  }
  return first;
}

StatusOr<std::uint64_t> Segment::position_before_time(WallTime at, const Deadline& deadline) {
  for (;;) {
    const SegmentIndex::TimeEntry time = index_.time_before(at.milliseconds());
    if (time.timestamp < 0) {
      return 0;
    }
    ASSIGN_OR_RETURN(const bool agrees, holds(time, deadline));
    if (agrees) {
      ASSIGN_OR_RETURN(const Place place, place_before(base_ + time.relative_offset, deadline));
      return place.position;
    }
    index_.forget(time);
    times_written_ = 0;
  }
}

void Segment::note(const RecordBatchView& batch, std::uint64_t position, std::uint32_t interval) {
  if (position == 0) {
    first_timestamp_ = batch.max_timestamp();
  }
  if (batch.max_timestamp() > max_timestamp_) {
    max_timestamp_ = batch.max_timestamp();
    offset_of_max_ = batch.last_offset();
  }
  if (position == 0 || position - indexed_to_ < interval) {
    return;
  }
  indexed_to_ = position;
  index_.add(SegmentIndex::Entry{relative(batch.last_offset()), static_cast<std::uint32_t>(position)});
  if (max_timestamp_.milliseconds() >= 0) {
    index_.add(SegmentIndex::TimeEntry{max_timestamp_.milliseconds(), relative(offset_of_max_)});
  }
}

Status Segment::append(std::span<const TailBatch> batches, std::uint32_t index_interval_bytes,
                       const Deadline& deadline) {
  CHECK(loaded_);
  CHECK(damage_.empty());
  ASSIGN_OR_RETURN(const FileRef log, host_.files().open(path(".log"), deadline));
  FileBatch write;
  FileWrite& all = write.writes.emplace_back();
  all.offset = bytes_;
  std::uint64_t position = bytes_;
  for (const TailBatch& batch : batches) {
    all.parts.push_back(batch.bytes);
    position += batch.bytes.size();
  }
  dirty_ = true;
  RETURN_IF_ERROR(log->file->run(std::move(write), deadline));
  position = bytes_;
  for (const TailBatch& batch : batches) {
    RecordBatchView view;
    CHECK(RecordBatchView::parse(batch.bytes.bytes(), view) == BatchDefect::kNone);
    note(view, position, index_interval_bytes);
    position += batch.bytes.size();
  }
  bytes_ = position;
  data_end_ = batches.back().last.next();
  return ok();
}

void Segment::note_rewritten(std::span<const Slice> batches, std::uint32_t index_interval_bytes) {
  CHECK(!loaded_);
  for (const Slice& bytes : batches) {
    RecordBatchView batch;
    CHECK(RecordBatchView::parse(bytes.bytes(), batch) == BatchDefect::kNone);
    CHECK_EQ(batch.base_offset(), bytes_ == 0 ? base_ : data_end_);
    note(batch, bytes_, index_interval_bytes);
    bytes_ += bytes.size();
    data_end_ = batch.next_offset();
  }
}

Status Segment::write_index(const Deadline& deadline) {
  struct Part {
    const char* ending;
    Slice bytes;
    std::uint64_t offset;
  };
  const Part parts[] = {{".index", index_.encode_entries(entries_written_), entries_written_ * 8},
                        {".timeindex", index_.encode_times(times_written_), times_written_ * 12}};
  for (const Part& part : parts) {
    if (part.bytes.empty()) {
      continue;
    }
    // The first entry makes the file, or takes the place of what an earlier life has left in it.
    ASSIGN_OR_RETURN(const FileRef file, part.offset == 0 ? host_.files().create(path(part.ending), deadline)
                                                          : host_.files().open(path(part.ending), deadline));
    FileBatch write;
    write.writes.push_back({.offset = part.offset, .parts = {part.bytes}});
    RETURN_IF_ERROR(file->file->run(std::move(write), deadline));
  }
  entries_written_ = index_.entries().size();
  times_written_ = index_.times().size();
  return ok();
}

Status Segment::sync(const Deadline& deadline) {
  if (!dirty_) {
    return ok();
  }
  ASSIGN_OR_RETURN(const FileRef log, host_.files().open(path(".log"), deadline));
  RETURN_IF_ERROR(write_index(deadline));
  // What is written while the sync runs makes it dirty again.
  dirty_ = false;
  FileBatch batch;
  batch.sync = true;
  Status synced = log->file->run(std::move(batch), deadline);
  dirty_ = dirty_ || !synced.ok();
  return synced;
}

namespace {

// What of a chunk answers a read.
struct Scan {
  bool in_row = true;      // false: the next batch is not the one that belongs there
  bool full = false;       // the limits leave no room for the next one
  std::size_t begin = 0;   // of what is given
  std::size_t end = 0;     // of what is given; equal: nothing
  std::size_t passed = 0;  // good batches
  Offset next;             // behind what is given
  BatchDefect stop = BatchDefect::kNone;
};

// `row`: the base offset that the next batch must have.
Scan scan_chunk(const Slice& chunk, const Segment::Wanted& wanted, Offset& row) {
  Scan scan;
  scan.next = wanted.from;
  BatchWalk walk(chunk.bytes(), BatchWalk::Checksums::kCheck);
  RecordBatchView batch;
  while (walk.next(batch)) {
    scan.in_row = batch.base_offset() == row && batch.next_offset() <= wanted.segment_end;
    if (!scan.in_row) {
      break;
    }
    const std::size_t size = walk.position() - scan.begin;
    if (batch.last_offset() < wanted.from) {
      scan.begin = scan.end = walk.position();
    } else if (batch.next_offset() > wanted.below ||
               (size > wanted.max_bytes && !(wanted.at_least_one && scan.end == scan.begin))) {
      scan.full = true;
      break;
    } else {
      scan.end = walk.position();
      scan.next = batch.next_offset();
    }
    row = batch.next_offset();
    scan.passed = walk.position();
  }
  scan.stop = walk.stop();
  return scan;
}

}  // namespace

StatusOr<Segment::Read> Segment::read(const Wanted& wanted, Damage& damage, const Deadline& deadline) {
  CHECK(loaded_);
  const std::uint64_t bytes = bytes_;
  const Offset from = wanted.from;
  const std::uint32_t asked = from <= base_ ? 0 : relative(from);
  SegmentIndex::Entry entry = index_.entry_before(asked);
  bool believed = false;  // the entry
  Place at{entry.position, base_};
  std::size_t want = wanted.max_bytes + kReadSlackBytes;
  while (at.position < bytes) {
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(want, bytes - at.position));
    ASSIGN_OR_RETURN(const Slice chunk, read_bytes(at.position, size, deadline));
    if (!believed && !holds(entry, chunk.bytes())) {
      forget(entry);
      entry = index_.entry_before(asked);
      at = {entry.position, base_};
      continue;
    }
    at.base = !believed && entry.position > 0 ? announced_base_offset(chunk.bytes()) : at.base;
    believed = true;
    const Scan scan = scan_chunk(chunk, wanted, at.base);
    if (scan.full || scan.end > scan.begin) {
      return Read{.bytes = chunk.sub(scan.begin, scan.end - scan.begin), .end = scan.next};
    }
    at.position += scan.passed;
    const bool all_read = chunk.size() == size;
    if (scan.in_row && all_read && scan.stop == BatchDefect::kNone && scan.passed > 0) {
      continue;
    }
    if (scan.in_row && all_read && scan.stop == BatchDefect::kTruncated && at.position - scan.passed + size < bytes) {
      // The batch that is wanted begins in this chunk and does not end in it.
      want =
          std::max<std::size_t>(RecordBatchView::announced_bytes(chunk.bytes().subspan(scan.passed)).value_or(0), want);
      if (!wanted.at_least_one && want > wanted.max_bytes + kReadSlackBytes) {
        return Read{.bytes = {}, .end = from};
      }
      continue;
    }
    ASSIGN_OR_RETURN(const std::optional<Place> next, resume_behind(at, bytes, wanted.segment_end, index_, deadline));
    if (!next.has_value() || next->base > from) {
      damage = {at.base, next.has_value() ? next->base : wanted.segment_end};
      return absl::DataLossError(fmt::format("{} at {}: {}", path(".log"), at.position,
                                             scan.in_row ? batch_defect_text(scan.stop) : "out of the row"));
    }
    at = *next;
  }
  damage = {at.base, wanted.segment_end};
  return absl::DataLossError(fmt::format("{} ends at {}, before offset {}", path(".log"), at.position, from.value()));
}

}  // namespace chronik::log
