#include "core/wal/file_reader.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/base/check.h"
#include "core/base/endian.h"
#include "core/base/log_line.h"

namespace chronik::wal {

namespace {

// Errors that say something about the wait, not about the bytes.
bool ends_the_read(const Status& status) {
  return absl::IsDeadlineExceeded(status) || absl::IsCancelled(status) || absl::IsAborted(status) ||
         absl::IsFailedPrecondition(status);
}

}  // namespace

FileReader::FileReader(File& file, std::uint64_t file_bytes, const FileHeader& header, std::optional<Lsn> limit,
                       std::size_t chunk_bytes)
    : file_(file),
      file_bytes_(file_bytes),
      file_header_(header),
      limit_(limit),
      chunk_bytes_(chunk_bytes),
      position_(header.records_at()),
      flush_begin_(header.records_at()),
      expected_(header.first_lsn),
      flush_(header.first_flush),
      flush_ended_(header.first_flush_last < header.first_lsn) {
  CHECK_EQ(chunk_bytes % kBlockBytes, std::size_t{0});
}

// ---- bytes ----

StatusOr<ByteSpan> FileReader::bytes_at(std::uint64_t position, std::size_t size, const Deadline& deadline) {
  if (position < chunk_at_ || position + size > chunk_at_ + chunk_.size()) {
    RETURN_IF_ERROR(load(position, size, deadline));
  }
  const std::size_t offset = static_cast<std::size_t>(position - chunk_at_);
  return chunk_.bytes().subspan(offset, std::min(size, chunk_.size() - offset));
}

// Fills the chunk from the block that holds `position`, with at least `size` bytes where the file has them.
Status FileReader::load(std::uint64_t position, std::size_t size, const Deadline& deadline) {
  const std::uint64_t begin = std::min(position, file_bytes_) / kBlockBytes * kBlockBytes;
  const std::uint64_t wanted = std::max<std::uint64_t>(chunk_bytes_, round_up_to_block(position + size) - begin);
  const std::size_t n = static_cast<std::size_t>(std::min(wanted, file_bytes_ - begin));
  chunk_at_ = begin;
  StatusOr<Slice> read = file_.read(begin, n, deadline);
  if (read.ok()) {
    chunk_ = *std::move(read);
    return ok();
  }
  if (ends_the_read(read.status())) {
    return read.status();
  }
  // Some block cannot be read. The others can: take them one by one, and let the missing ones be bad records.
  log_warn("wal block unreadable", field("generation", file_header_.generation), field("position", begin),
           field("error", read.status().ToString()));
  chunk_ = Slice::allocate(n);
  std::memset(chunk_.mutable_data(), 0, n);
  for (std::size_t at = 0; at < n; at += kBlockBytes) {
    StatusOr<Slice> block = file_.read(begin + at, std::min(kBlockBytes, n - at), deadline);
    if (block.ok()) {
      std::memcpy(chunk_.mutable_data() + at, block->data(), std::min(block->size(), n - at));
    } else if (ends_the_read(block.status())) {
      return block.status();
    }
  }
  return ok();
}

// The header of the record at `position`, if all of it is there, of this file's generation and use, and unharmed. Its
// bytes are then in the chunk.
StatusOr<std::optional<RecordHeader>> FileReader::whole_record_at(std::uint64_t position, const Deadline& deadline) {
  if (position + kRecordHeaderBytes > file_bytes_) {
    return std::nullopt;
  }
  ASSIGN_OR_RETURN(const ByteSpan head, bytes_at(position, kRecordHeaderBytes, deadline));
  if (head.size() < kRecordHeaderBytes) {
    return std::nullopt;
  }
  const RecordHeader header = decode_record_header(head.data());
  if (header.generation != file_header_.generation || header.use != file_header_.use ||
      header.length > file_bytes_ - position - kRecordHeaderBytes) {
    return std::nullopt;
  }
  const std::size_t size = kRecordHeaderBytes + header.length;
  ASSIGN_OR_RETURN(const ByteSpan record, bytes_at(position, size, deadline));
  if (record.size() < size || !record_is_whole(record)) {
    return std::nullopt;
  }
  return header;
}

// ---- the checkpoint ----

StatusOr<std::optional<std::vector<Slice>>> FileReader::read_checkpoint(const Deadline& deadline) {
  damaged_copies_ = 0;
  for (int copy = 0; copy < 2; ++copy) {
    ASSIGN_OR_RETURN(std::optional<std::vector<Slice>> parts, read_copy(copy, deadline));
    if (parts.has_value()) {
      return parts;
    }
    ++damaged_copies_;
  }
  return std::nullopt;
}

StatusOr<std::optional<std::vector<Slice>>> FileReader::read_copy(int copy, const Deadline& deadline) {
  std::vector<Slice> parts;
  std::uint64_t position = file_header_.checkpoint_at(copy);
  for (;;) {
    ASSIGN_OR_RETURN(const std::optional<RecordHeader> header, whole_record_at(position, deadline));
    if (!header.has_value() || header->type != RecordType::kCheckpoint || header->lsn != file_header_.first_lsn ||
        header->flush != file_header_.first_flush || ((header->flags & kFlagSecondCopy) != 0) != (copy == 1) ||
        header->key.partition.value() != static_cast<std::int32_t>(parts.size())) {
      return std::nullopt;
    }
    ASSIGN_OR_RETURN(const ByteSpan bytes, bytes_at(position, kRecordHeaderBytes + header->length, deadline));
    parts.push_back(Slice::copy_of(bytes.subspan(kRecordHeaderBytes)));
    if ((header->flags & kFlagLastPart) != 0) {
      return parts;
    }
    position += record_bytes(header->length);
  }
}

// ---- records ----

StatusOr<FileReader::Step> FileReader::next(const Deadline& deadline) {
  if (limit_.has_value() && expected_ > *limit_) {
    return Step::kEnd;
  }
  ASSIGN_OR_RETURN(const std::optional<RecordHeader> header, whole_record_at(position_, deadline));
  if (header.has_value() && header->type != RecordType::kCheckpoint && header->lsn == expected_ &&
      header->flush == flush_here()) {
    accept(*header, position_);
    return Step::kRecord;
  }
  return judge_bad_record(deadline);
}

void FileReader::accept(const RecordHeader& header, std::uint64_t position) {
  record_ = header;
  payload_ = chunk_.sub(static_cast<std::size_t>(position + kRecordHeaderBytes - chunk_at_), header.length);
  flush_ = header.flush;
  flush_ended_ = (header.flags & kFlagEndsFlush) != 0;
  expected_ = header.type == RecordType::kSummary ? header.lsn : header.lsn.next();
  position_ = position + record_bytes(header.length);
  if (flush_ended_) {
    position_ = round_up_to_block(position_);
    flush_begin_ = position_;
  }
}

// Looks for records of this file from here on: the next one that is whole, and one of a later flush.
StatusOr<FileReader::Step> FileReader::judge_bad_record(const Deadline& deadline) {
  const FlushNumber bad_flush = flush_here();
  // What is known to have been synced whatever lies behind it here: what a later file counts, and the first flush of a
  // recovery, whose header was written after that flush's sync had returned.
  Lsn synced = limit_.value_or(Lsn(0));
  if (file_header_.kind == FileKind::kRecovery) {
    synced = std::max(synced, file_header_.first_flush_last);
  }
  const bool known_synced = expected_ <= synced;
  const std::uint64_t to = known_synced ? file_bytes_ : flush_begin_ + file_header_.flush_bytes_max + kBlockBytes;
  ASSIGN_OR_RETURN(std::optional<Found> resume, scan(position_, to, bad_flush, deadline));
  bool corrupt = known_synced;
  if (!corrupt && resume.has_value()) {
    corrupt = resume->header.flush > bad_flush;
    if (!corrupt) {
      ASSIGN_OR_RETURN(const std::optional<Found> later, scan(resume->position, to, bad_flush.next(), deadline));
      corrupt = later.has_value();
    }
  }
  if (!corrupt) {
    torn_ = resume.has_value() || !flush_ended_;
    return Step::kEnd;
  }
  if (resume.has_value() && (!limit_.has_value() || resume->header.lsn <= *limit_)) {
    // Known by what it says of itself: where the flush of the resumed record began is not known, but it is not behind
    // it.
    return report_damage(resume->header.lsn - 1, resume->position, resume->header.lsn, resume->header.flush);
  }
  const Lsn last = limit_.value_or(synced);
  return report_damage(last, file_bytes_, last.next(), bad_flush);
}

FileReader::Step FileReader::report_damage(Lsn last, std::uint64_t resume_at, Lsn resume_lsn,
                                           FlushNumber resume_flush) {
  damage_ = {.generation = file_header_.generation, .position = position_, .first = expected_, .last = last};
  position_ = resume_at;
  flush_begin_ = resume_at;
  expected_ = resume_lsn;
  flush_ = resume_flush;
  flush_ended_ = false;
  return Step::kDamage;
}

// The first whole record in [from, to) that comes after what was read, in a flush of at least `flush_min`.
StatusOr<std::optional<FileReader::Found>> FileReader::scan(std::uint64_t from, std::uint64_t to, FlushNumber flush_min,
                                                            const Deadline& deadline) {
  const std::uint64_t end = std::min(to, file_bytes_);
  std::uint64_t position = from / kRecordAlignment * kRecordAlignment;
  while (position + kRecordHeaderBytes <= end) {
    ASSIGN_OR_RETURN(const ByteSpan head, bytes_at(position, kRecordHeaderBytes, deadline));
    CHECK_EQ(head.size(), kRecordHeaderBytes);
    // Up to the end of the chunk nothing has to be asked for: this loop passes over megabytes.
    const std::uint64_t chunk_end = std::min(end, chunk_at_ + chunk_.size());
    const std::uint8_t* at = head.data();
    while (position + kRecordHeaderBytes <= chunk_end && !may_begin_record(at)) {
      position += kRecordAlignment;
      at += kRecordAlignment;
    }
    if (position + kRecordHeaderBytes > chunk_end) {
      continue;
    }
    const RecordHeader header = decode_record_header(at);
    if (header.type != RecordType::kCheckpoint && header.lsn >= expected_ && header.flush >= flush_min) {
      ASSIGN_OR_RETURN(const std::optional<RecordHeader> whole, whole_record_at(position, deadline));
      if (whole.has_value()) {
        const std::uint64_t behind = round_up_to_block(position + record_bytes(whole->length));
        ASSIGN_OR_RETURN(const bool foreign, holds_earlier_record(behind, whole->lsn, deadline));
        if (!foreign) {
          return Found{*whole, position};
        }
        position = behind;
        continue;
      }
    }
    position += kRecordAlignment;
  }
  return std::nullopt;
}

// LSNs rise through a file: what stands before an earlier record was written to the wrong place, from further behind.
StatusOr<bool> FileReader::holds_earlier_record(std::uint64_t position, Lsn lsn, const Deadline& deadline) {
  ASSIGN_OR_RETURN(const std::optional<RecordHeader> next, whole_record_at(position, deadline));
  return next.has_value() && next->type != RecordType::kCheckpoint && next->lsn >= expected_ && next->lsn < lsn;
}

bool FileReader::may_begin_record(const std::uint8_t* at) const {
  return record_generation(at) == file_header_.generation && record_use(at) == file_header_.use;
}

StatusOr<bool> FileReader::holds_later_flush(const Deadline& deadline) {
  ASSIGN_OR_RETURN(const std::optional<Found> later,
                   scan(kHeaderBytes, file_bytes_, file_header_.first_flush.next(), deadline));
  return later.has_value();
}

}  // namespace chronik::wal
