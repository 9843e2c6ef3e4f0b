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
constexpr std::size_t kWalkChunkBytes = 256 * 1024;
// How much of a chunk a read looks at beyond what it gives: the batches between an index entry and the asked offset.
constexpr std::size_t kReadSlackBytes = 16 * 1024;

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
  for (const char* ending : {".log", ".index", ".timeindex"}) {
    RETURN_IF_ERROR(files_.create(path(ending), deadline).status());
  }
  loaded_ = true;
  dirty_ = true;
  return ok();
}

Status Segment::load(const Deadline& deadline) {
  if (loaded_) {
    return ok();
  }
  ASSIGN_OR_RETURN(const FileRef log, files_.open(path(".log"), deadline));
  ASSIGN_OR_RETURN(const std::uint64_t there, log->file->size(deadline));
  if (there < bytes_) {
    return absl::DataLossError(fmt::format("{} has {} bytes, {} were synced", path(".log"), there, bytes_));
  }
  if (there > bytes_) {
    RETURN_IF_ERROR(log->file->truncate(bytes_, deadline));
    dirty_ = true;
  }
  Slice entries;
  Slice times;
  for (const auto& [ending, content] : {std::pair(".index", &entries), std::pair(".timeindex", &times)}) {
    StatusOr<FileRef> file = files_.open(path(ending), deadline);
    if (absl::IsNotFound(file.status())) {
      file = files_.create(path(ending), deadline);
    }
    RETURN_IF_ERROR(file.status());
    ASSIGN_OR_RETURN(const std::uint64_t size, (*file)->file->size(deadline));
    ASSIGN_OR_RETURN(*content, (*file)->file->read(0, size, deadline));
  }
  index_.decode(entries.bytes(), times.bytes(), bytes_);
  return rebuild_index(deadline);
}

Status Segment::rebuild_index(const Deadline& deadline) {
  if (end_ != Offset::none()) {
    index_.cut(relative(end_));
  }
  entries_written_ = index_.entries().size();
  times_written_ = index_.times().size();
  std::uint64_t from = 0;
  if (!index_.times().empty()) {
    // The two files may have kept more or less of what was written: what lies behind the end of either is looked at.
    const SegmentIndex::TimeEntry last = index_.times().back();
    ASSIGN_OR_RETURN(const bool agrees, holds(last, deadline));
    if (agrees) {
      max_timestamp_ = WallTime::from_milliseconds(last.timestamp);
      offset_of_max_ = base_ + last.relative_offset;
      ASSIGN_OR_RETURN(from, position_before(offset_of_max_, deadline));
    } else {
      index_.clear();
      entries_written_ = 0;
      times_written_ = 0;
    }
  }
  indexed_to_ = from;
  std::uint64_t end = bytes_;
  Status walked = visit(
      from,
      [&](const RecordBatchView& batch, std::uint64_t position) {
        note(batch, position, 4096);
        if (batch.next_offset() == end_) {
          end = position + batch.size_bytes();
        }
        return batch.next_offset() != end_;
      },
      deadline);
  if (walked.ok() && end < bytes_) {
    ASSIGN_OR_RETURN(const FileRef log, files_.open(path(".log"), deadline));
    RETURN_IF_ERROR(log->file->truncate(end, deadline));
    bytes_ = end;
    dirty_ = true;
  }
  loaded_ = walked.ok();
  return walked;
}

// ---- the index, believed as far as the log agrees ----

bool Segment::holds(const SegmentIndex::Entry& entry, ByteSpan at_entry) const {
  return entry.position == 0 || announced_last_offset(at_entry) == base_ + entry.relative_offset;
}

StatusOr<bool> Segment::holds(const SegmentIndex::TimeEntry& time, const Deadline& deadline) {
  const Offset offset = base_ + time.relative_offset;
  ASSIGN_OR_RETURN(const std::uint64_t position, position_before(offset, deadline));
  bool agrees = false;
  const Status looked = visit(
      position,
      [&](const RecordBatchView& batch, std::uint64_t) {
        agrees = batch.last_offset() == offset && batch.max_timestamp().milliseconds() == time.timestamp;
        return batch.last_offset() < offset;
      },
      deadline);
  if (!looked.ok() && !absl::IsDataLoss(looked)) {
    return looked;
  }
  return agrees;
}

void Segment::forget(const SegmentIndex::Entry& wrong) {
  index_.forget(wrong);
  entries_written_ = 0;  // the next sync, if there is one, writes all of them anew
}

StatusOr<std::uint64_t> Segment::position_before(Offset offset, const Deadline& deadline) {
  if (offset <= base_) {
    return 0;
  }
  ASSIGN_OR_RETURN(const FileRef log, files_.open(path(".log"), deadline));
  for (;;) {
    const SegmentIndex::Entry entry = index_.entry_before(relative(offset));
    if (entry.position == 0) {
      return 0;
    }
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(kBatchHeaderBytes, bytes_ - entry.position));
    ASSIGN_OR_RETURN(const Slice header, log->file->read(entry.position, size, deadline));
    if (holds(entry, header.bytes())) {
      return entry.position;
    }
    forget(entry);
  }
}

StatusOr<std::uint64_t> Segment::position_before_time(WallTime at, const Deadline& deadline) {
  for (;;) {
    const SegmentIndex::TimeEntry time = index_.time_before(at.milliseconds());
    if (time.timestamp < 0) {
      return 0;
    }
    ASSIGN_OR_RETURN(const bool agrees, holds(time, deadline));
    if (agrees) {
      return position_before(base_ + time.relative_offset, deadline);
    }
    index_.forget(time);
    times_written_ = 0;
  }
}

void Segment::note(const RecordBatchView& batch, std::uint64_t position, std::uint32_t interval) {
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
  ASSIGN_OR_RETURN(const FileRef log, files_.open(path(".log"), deadline));
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
  return ok();
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
    ASSIGN_OR_RETURN(const FileRef file, files_.open(path(part.ending), deadline));
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
  ASSIGN_OR_RETURN(const FileRef log, files_.open(path(".log"), deadline));
  RETURN_IF_ERROR(write_index(deadline));
  // What is written while the sync runs makes it dirty again.
  dirty_ = false;
  FileBatch batch;
  batch.sync = true;
  const Status synced = log->file->run(std::move(batch), deadline);
  dirty_ = dirty_ || !synced.ok();
  return synced;
}

Status Segment::visit(std::uint64_t position, VisitBatch visit, const Deadline& deadline) {
  ASSIGN_OR_RETURN(const FileRef log, files_.open(path(".log"), deadline));
  std::size_t chunk_bytes = kWalkChunkBytes;
  while (position < bytes_) {
    const std::size_t want = static_cast<std::size_t>(std::min<std::uint64_t>(chunk_bytes, bytes_ - position));
    ASSIGN_OR_RETURN(const Slice chunk, log->file->read(position, want, deadline));
    BatchWalk walk(chunk.bytes(), BatchWalk::Checksums::kTrust);
    RecordBatchView batch;
    std::uint64_t at = position;
    while (walk.next(batch)) {
      if (!visit(batch, at)) {
        return ok();
      }
      at = position + walk.position();
    }
    if (walk.position() == 0) {
      const auto announced = RecordBatchView::announced_bytes(chunk.bytes());
      if (walk.stop() != BatchDefect::kTruncated || chunk.size() < want || chunk_bytes >= bytes_ - position) {
        return absl::DataLossError(fmt::format("{} at {}: {}", path(".log"), position, batch_defect_text(walk.stop())));
      }
      chunk_bytes = std::max(2 * chunk_bytes, announced.value_or(0));  // a batch larger than the chunk
      continue;
    }
    position += walk.position();
  }
  return ok();
}

StatusOr<std::uint64_t> Segment::position_of(Offset offset, const Deadline& deadline) {
  std::uint64_t found = bytes_;
  ASSIGN_OR_RETURN(const std::uint64_t from, position_before(offset, deadline));
  RETURN_IF_ERROR(visit(
      from,
      [&](const RecordBatchView& batch, std::uint64_t position) {
        if (batch.last_offset() < offset) {
          return true;
        }
        found = position;
        return false;
      },
      deadline));
  return found;
}

StatusOr<Segment::Read> Segment::read(Offset from, Offset below, Offset segment_end, std::size_t max_bytes,
                                      bool at_least_one, Damage& damage, const Deadline& deadline) {
  RETURN_IF_ERROR(load(deadline));
  ASSIGN_OR_RETURN(const FileRef log, files_.open(path(".log"), deadline));
  const std::uint32_t asked = from <= base_ ? 0 : relative(from);
  SegmentIndex::Entry entry = index_.entry_before(asked);
  std::uint64_t position = entry.position;
  std::size_t want = max_bytes + kReadSlackBytes;
  for (;;) {
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(want, bytes_ - position));
    ASSIGN_OR_RETURN(const Slice chunk, log->file->read(position, size, deadline));
    if (position == entry.position && !holds(entry, chunk.bytes())) {
      forget(entry);
      entry = index_.entry_before(asked);
      position = entry.position;
      continue;
    }
    BatchWalk walk(chunk.bytes(), BatchWalk::Checksums::kCheck);
    RecordBatchView batch;
    std::size_t begin = 0;
    std::size_t end = 0;
    std::size_t at = 0;
    Read found{.bytes = {}, .end = from};
    bool full = false;
    Offset expected = base_;
    while (!full && walk.next(batch)) {
      const std::size_t next = walk.position();
      if (batch.base_offset() < expected || batch.next_offset() > segment_end) {
        damage = {std::max(from, base_), from.next()};
        return absl::DataLossError(
            fmt::format("{} at {}: base offset {}", path(".log"), position + at, batch.base_offset().value()));
      }
      expected = batch.next_offset();
      if (batch.last_offset() < from) {
        begin = end = next;
      } else if (batch.next_offset() > below || (next - begin > max_bytes && !(at_least_one && end == begin))) {
        full = true;
      } else {
        end = next;
        found.end = batch.next_offset();
      }
      at = next;
    }
    if (end > begin) {
      found.bytes = chunk.sub(begin, end - begin);
      return found;
    }
    if (full || position + at >= bytes_) {
      return found;
    }
    if (walk.stop() == BatchDefect::kTruncated && chunk.size() == size && position + size < bytes_) {
      // The batch that is wanted begins in this chunk and does not end in it.
      position += at;
      want = std::max<std::size_t>(RecordBatchView::announced_bytes(chunk.bytes().subspan(at)).value_or(0), want);
      if (!at_least_one && want > max_bytes + kReadSlackBytes) {
        return found;
      }
      continue;
    }
    if (walk.stop() == BatchDefect::kNone) {
      position += at;
      continue;
    }
    damage = {std::max(from, base_), from.next()};
    return absl::DataLossError(
        fmt::format("{} at {}: {}", path(".log"), position + at, batch_defect_text(walk.stop())));
  }
}

Status Segment::truncate(Offset to, const Deadline& deadline) {
  RETURN_IF_ERROR(load(deadline));
  ASSIGN_OR_RETURN(const std::uint64_t position, position_of(to, deadline));
  ASSIGN_OR_RETURN(const FileRef log, files_.open(path(".log"), deadline));
  RETURN_IF_ERROR(log->file->truncate(position, deadline));
  bytes_ = position;
  index_.clear();
  for (const char* ending : {".index", ".timeindex"}) {
    ASSIGN_OR_RETURN(const FileRef file, files_.open(path(ending), deadline));
    RETURN_IF_ERROR(file->file->truncate(0, deadline));
  }
  max_timestamp_ = WallTime::from_milliseconds(-1);
  offset_of_max_ = Offset::none();
  dirty_ = true;
  return rebuild_index(deadline);
}

}  // namespace chronik::log
