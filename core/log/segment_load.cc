// Loading a segment, walking it around damage, cutting it.
#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/base/endian.h"
#include "core/log/segment.h"
#include "core/protocol/record_batch_walk.h"

namespace chronik::log {

using protocol::BatchDefect;
using protocol::BatchWalk;
using protocol::kBatchHeaderBytes;
using protocol::kBatchMagic;
using protocol::RecordBatchView;

namespace {

constexpr std::size_t kWalkChunkBytes = 256 * 1024;
constexpr std::uint64_t kBlockBytes = 4096;  // what a disk refuses to read is at least so much
// Entries of the index that are tried to find a way around damage: of a whole segment that is lost, each costs a read.
constexpr int kResumeTriesMax = 1024;

bool begins_batch(ByteSpan bytes) {
  return bytes.size() >= kBatchHeaderBytes && static_cast<std::int8_t>(bytes[protocol::kBatchMagicAt]) == kBatchMagic;
}

}  // namespace

bool says_damage(const Status& status) { return absl::IsDataLoss(status) || absl::IsInternal(status); }

// ---- loading ----

Status Segment::load(const Ref<Segment>& segment, const Deadline& deadline) {
  if (segment->loaded_) {
    return ok();
  }
  FileHost& host = segment->host_;
  return segment->working_.run(host.scope(), {"segment", 0}, deadline,
                               [segment] { return segment->load_now(segment->host_.file_deadline()); });
}

Status Segment::load_now(const Deadline& deadline) {
  CHECK(end_ != Offset::none());
  ASSIGN_OR_RETURN(const FileRef log, host_.files().open(path(".log"), deadline));
  ASSIGN_OR_RETURN(const std::uint64_t there, log->file->size(deadline));
  if (there > bytes_) {
    RETURN_IF_ERROR(log->file->truncate(bytes_, deadline));
    dirty_ = true;
  }
  bytes_ = std::min(bytes_, there);  // where it is shorter than it was, the walk says what is missing
  RETURN_IF_ERROR(read_index(deadline));
  return rebuild_index(deadline);
}

Status Segment::read_index(const Deadline& deadline) {
  Slice entries;
  Slice times;
  for (const auto& [ending, content] : {std::pair(".index", &entries), std::pair(".timeindex", &times)}) {
    StatusOr<FileRef> file = host_.files().open(path(ending), deadline);
    if (absl::IsNotFound(file.status())) {
      continue;
    }
    RETURN_IF_ERROR(file.status());
    ASSIGN_OR_RETURN(const std::uint64_t size, (*file)->file->size(deadline));
    StatusOr<Slice> read = (*file)->file->read(0, size, deadline);
    if (says_damage(read.status())) {
      // Made anew, in other blocks: writing into a part of one that cannot be read fails, too.
      RETURN_IF_ERROR((*file)->file->truncate(0, deadline));
      continue;
    }
    RETURN_IF_ERROR(read.status());
    *content = *std::move(read);
  }
  index_.decode(entries.bytes(), times.bytes(), bytes_);
  return ok();
}

Status Segment::rebuild_index(const Deadline& deadline) {
  index_.cut(relative(end_));
  entries_written_ = index_.entries().size();
  times_written_ = index_.times().size();
  max_timestamp_ = WallTime::from_milliseconds(-1);
  offset_of_max_ = Offset::none();
  SegmentIndex hints = index_;
  ASSIGN_OR_RETURN(Place at, place_to_begin(hints, deadline));
  indexed_to_ = at.position;
  std::vector<Damage> damage;
  RETURN_IF_ERROR(walk(
      at, end_, hints, damage,
      [this](const RecordBatchView& batch, std::uint64_t position) {
        note(batch, position, 4096);
        return true;
      },
      deadline));
  if (at.base >= end_ && at.position < bytes_) {
    ASSIGN_OR_RETURN(const FileRef log, host_.files().open(path(".log"), deadline));
    RETURN_IF_ERROR(log->file->truncate(at.position, deadline));
    bytes_ = at.position;
    dirty_ = true;
  }
  RETURN_IF_ERROR(read_first_timestamp(deadline));
  data_end_ = at.base;
  damage_ = std::move(damage);
  loaded_ = true;
  return ok();
}

StatusOr<Segment::Place> Segment::place_to_begin(SegmentIndex& hints, const Deadline& deadline) {
  const Place first{0, base_};
  if (index_.times().empty()) {
    return first;
  }
  // The two files may have kept more or less of what was written: what lies behind the end of either is looked at.
  const SegmentIndex::TimeEntry last = index_.times().back();
  ASSIGN_OR_RETURN(const bool agrees, holds(last, deadline));
  if (agrees) {
    max_timestamp_ = WallTime::from_milliseconds(last.timestamp);
    offset_of_max_ = base_ + last.relative_offset;
    return place_before(offset_of_max_, deadline);
  }
  hints = std::exchange(index_, {});
  entries_written_ = 0;
  times_written_ = 0;
  return first;
}

Status Segment::read_first_timestamp(const Deadline& deadline) {
  if (bytes_ == 0 || first_timestamp_.milliseconds() >= 0) {
    return ok();
  }
  ASSIGN_OR_RETURN(const Slice header, read_bytes(0, kBatchHeaderBytes, deadline));
  if (begins_batch(header.bytes())) {
    const auto time = load_big<std::int64_t>(header.data() + protocol::kBatchMaxTimestampAt);
    first_timestamp_ = WallTime::from_milliseconds(time);
  }
  return ok();
}

// ---- walking ----

Status Segment::visit(std::uint64_t position, VisitBatch visit, const Deadline& deadline) {
  std::size_t chunk_bytes = kWalkChunkBytes;
  while (position < bytes_) {
    const std::size_t want = static_cast<std::size_t>(std::min<std::uint64_t>(chunk_bytes, bytes_ - position));
    ASSIGN_OR_RETURN(const Slice chunk, read_bytes(position, want, deadline));
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

Status Segment::walk(Place& at, Offset end, const SegmentIndex& hints, std::vector<Damage>& damage, VisitBatch visitor,
                     const Deadline& deadline) {
  bool stopped = false;
  while (!stopped && at.base < end) {
    Status visited = visit(
        at.position,
        [&](const RecordBatchView& batch, std::uint64_t position) {
          if (batch.base_offset() != at.base || batch.next_offset() <= at.base || batch.next_offset() > end) {
            return false;
          }
          stopped = !visitor(batch, position);
          if (!stopped) {
            at = {position + batch.size_bytes(), batch.next_offset()};
          }
          return !stopped && at.base < end;
        },
        deadline);
    if (!visited.ok() && !says_damage(visited)) {
      return visited;
    }
    if (stopped || at.base >= end) {
      return ok();
    }
    ASSIGN_OR_RETURN(const std::optional<Place> next, resume_behind(at, bytes_, end, hints, deadline));
    damage.push_back({at.base, next.has_value() ? next->base : end});
    if (!next.has_value()) {
      return ok();
    }
    at = *next;
  }
  return ok();
}

StatusOr<std::uint64_t> Segment::position_of(Offset offset, const Deadline& deadline) {
  std::uint64_t found = bytes_;
  ASSIGN_OR_RETURN(const Place from, place_before(offset, deadline));
  RETURN_IF_ERROR(visit(
      from.position,
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

// ---- around damage ----

StatusOr<Slice> Segment::read_bytes(std::uint64_t position, std::size_t size, const Deadline& deadline) {
  ASSIGN_OR_RETURN(const FileRef log, host_.files().open(path(".log"), deadline));
  StatusOr<Slice> all = log->file->read(position, size, deadline);
  if (!absl::IsInternal(all.status())) {
    return all;
  }
  Slice bytes = Slice::allocate(size);
  std::size_t good = 0;
  for (std::size_t end = size; good < size;) {
    const StatusOr<Slice> part = log->file->read(position + good, end - good, deadline);
    if (part.ok()) {
      std::memcpy(bytes.mutable_data() + good, part->data(), part->size());
      good += part->size();
      if (good < end) {
        break;  // the file does
      }
      end = size;
      continue;
    }
    if (!absl::IsInternal(part.status())) {
      return part.status();
    }
    const auto block_end =
        static_cast<std::size_t>((position + good) / kBlockBytes * kBlockBytes + kBlockBytes - position);
    if (end <= block_end) {
      break;
    }
    const auto middle = (position + (good + end) / 2) / kBlockBytes * kBlockBytes;
    end = std::max(block_end, static_cast<std::size_t>(std::max(middle, position) - position));
  }
  return bytes.sub(0, good);
}

StatusOr<std::optional<Segment::Place>> Segment::resume_behind(const Place& at, std::uint64_t bytes, Offset end,
                                                               const SegmentIndex& hints, const Deadline& deadline) {
  if (at.position >= bytes) {
    return std::nullopt;
  }
  // The batch here may be good, and only those before it missing. Or it is bad, and still says where the next begins.
  const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(kBatchHeaderBytes, bytes - at.position));
  ASSIGN_OR_RETURN(const Slice header, read_bytes(at.position, size, deadline));
  for (const std::size_t passed :
       {std::size_t{0}, RecordBatchView::announced_bytes(header.bytes()).value_or(std::size_t{0})}) {
    ASSIGN_OR_RETURN(const std::optional<Place> place,
                     good_batch(at.position + passed, at, bytes, end, nullptr, deadline));
    if (place.has_value()) {
      return place;
    }
  }
  std::uint64_t behind = at.position;
  for (int tries = 0; tries < kResumeTriesMax; ++tries) {
    const SegmentIndex::Entry entry = hints.entry_behind(behind);
    if (entry.position == 0) {
      break;
    }
    ASSIGN_OR_RETURN(const std::optional<Place> place, good_batch(entry.position, at, bytes, end, &entry, deadline));
    if (place.has_value()) {
      return place;
    }
    behind = entry.position;
  }
  return std::nullopt;
}

StatusOr<std::optional<Segment::Place>> Segment::good_batch(std::uint64_t position, const Place& at,
                                                            std::uint64_t bytes, Offset end,
                                                            const SegmentIndex::Entry* entry,
                                                            const Deadline& deadline) {
  if (position >= bytes || bytes - position < kBatchHeaderBytes) {
    return std::nullopt;
  }
  ASSIGN_OR_RETURN(const Slice header, read_bytes(position, kBatchHeaderBytes, deadline));
  const std::uint64_t whole = RecordBatchView::announced_bytes(header.bytes()).value_or(bytes);
  if (!begins_batch(header.bytes()) || whole > bytes - position) {
    return std::nullopt;
  }
  // With the header of its neighbour.
  const auto size = static_cast<std::size_t>(std::min(whole + kBatchHeaderBytes, bytes - position));
  ASSIGN_OR_RETURN(const Slice chunk, read_bytes(position, size, deadline));
  RecordBatchView batch;
  if (RecordBatchView::parse(chunk.bytes(), batch) != BatchDefect::kNone || !batch.checksum_matches() ||
      batch.base_offset() < at.base || batch.next_offset() <= batch.base_offset() || batch.next_offset() > end) {
    return std::nullopt;
  }
  const Place place{position, batch.base_offset()};
  if (entry != nullptr) {
    return holds(*entry, chunk.bytes()) ? std::optional(place) : std::nullopt;
  }
  const ByteSpan neighbour = chunk.bytes().subspan(batch.size_bytes());
  const bool joined = begins_batch(neighbour) ? Offset(load_big<std::int64_t>(neighbour.data())) == batch.next_offset()
                                              : position + whole == bytes && batch.next_offset() == end;
  return joined ? std::optional(place) : std::nullopt;
}

// ---- cutting ----

Status Segment::truncate(const Ref<Segment>& segment, Offset to, const Deadline& deadline) {
  RETURN_IF_ERROR(load(segment, deadline));
  // Who wants to read it waits until it is done.
  segment->loaded_ = false;
  FileHost& host = segment->host_;
  return segment->working_.run(host.scope(), {"segment", 1}, deadline,
                               [segment, to] { return segment->truncate_now(to, segment->host_.file_deadline()); });
}

Status Segment::truncate_now(Offset to, const Deadline& deadline) {
  end_ = to;
  ASSIGN_OR_RETURN(Place at, place_before(to, deadline));
  std::vector<Damage> on_the_way;  // what is left of it is found again
  RETURN_IF_ERROR(walk(
      at, to, index_, on_the_way, [](const RecordBatchView&, std::uint64_t) { return true; }, deadline));
  ASSIGN_OR_RETURN(const FileRef log, host_.files().open(path(".log"), deadline));
  RETURN_IF_ERROR(log->file->truncate(at.position, deadline));
  bytes_ = at.position;
  dirty_ = true;
  if (bytes_ == 0) {
    first_timestamp_ = WallTime::from_milliseconds(-1);
  }
  for (const char* ending : {".index", ".timeindex"}) {
    const StatusOr<FileRef> file = host_.files().open(path(ending), deadline);
    if (!absl::IsNotFound(file.status())) {
      RETURN_IF_ERROR(file.status());
      RETURN_IF_ERROR((*file)->file->truncate(0, deadline));
    }
  }
  Status rebuilt = rebuild_index(deadline);
  entries_written_ = 0;
  times_written_ = 0;
  return rebuilt;
}

}  // namespace chronik::log
