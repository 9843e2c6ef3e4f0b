#include "core/wal/generation_writer.h"

#include <algorithm>
#include <utility>

#include "core/base/check.h"

namespace chronik::wal {

namespace {

// How much of the records in doubt is held before it is written: they may be many, memory is not.
constexpr std::uint64_t kPendingBytesMax = 1 << 20;

FileBatch one_write(std::uint64_t offset, std::vector<Slice> parts, bool sync) {
  FileBatch batch;
  batch.writes.push_back({.offset = offset, .parts = std::move(parts)});
  batch.sync = sync;
  return batch;
}

}  // namespace

GenerationWriter::GenerationWriter(DiskGuard& disk, Slot& slot, const FileHeader& header,
                                   std::uint64_t gather_below_bytes)
    : disk_(disk), slot_(slot), header_(header), builder_(gather_below_bytes) {
  CHECK(header.kind == FileKind::kRecovery);
}

Status GenerationWriter::write_checkpoint(std::vector<Slice> parts) {
  CHECK_EQ(position_, kHeaderBytes);
  header_.checkpoint_bytes = FlushBuilder::checkpoint_bytes(parts);
  builder_.start(header_.generation, header_.use, header_.first_flush, position_,
                 builder_.checkpoint_staging_bytes(parts));
  builder_.add_checkpoint(header_.first_lsn, parts, false);
  std::vector<Slice> bytes = builder_.finish(true);
  RETURN_IF_ERROR(disk_.run(*slot_.file, one_write(position_, std::move(bytes), false), "write of a checkpoint",
                            DiskGuard::FullDisk::kTolerated));
  position_ += builder_.bytes();
  CHECK_EQ(position_, header_.records_at());
  return ok();
}

Status GenerationWriter::add(RecordType type, const LogKey& key, Lsn lsn, const Slice& payload, Offset log_end) {
  CHECK_GE(lsn, header_.first_lsn);
  // One record is always kept back: the last of all says so in its flags.
  if (pending_bytes_ >= kPendingBytesMax) {
    RETURN_IF_ERROR(write_pending(false));
  }
  // A copy: the payload is part of a read buffer many times its size.
  pending_.push_back({.type = type, .key = key, .lsn = lsn, .payload = Slice::copy_of(payload.bytes())});
  pending_bytes_ += record_bytes(payload.size());
  summary_.note(key, log_end);
  return ok();
}

Status GenerationWriter::write_pending(bool last) {
  std::size_t staging = 0;
  for (const Pending& record : pending_) {
    staging += builder_.staging_bytes(record.payload.size());
  }
  builder_.start(header_.generation, header_.use, header_.first_flush, position_, staging);
  for (std::size_t i = 0; i < pending_.size(); ++i) {
    const Pending& record = pending_[i];
    const std::uint8_t flags = last && i + 1 == pending_.size() ? kFlagEndsFlush : std::uint8_t{0};
    builder_.add_record(record.type, record.key, record.lsn, flags, record.payload);
  }
  std::vector<Slice> bytes = builder_.finish(last);
  RETURN_IF_ERROR(disk_.run(*slot_.file, one_write(position_, std::move(bytes), last), "write of records in doubt",
                            DiskGuard::FullDisk::kTolerated));
  position_ += builder_.bytes();
  pending_.clear();
  pending_bytes_ = 0;
  return ok();
}

Status GenerationWriter::commit(Lsn next_lsn, std::string_view directory) {
  RETURN_IF_ERROR(write_pending(true));
  RETURN_IF_ERROR(disk_.sync_directory(directory));
  CHECK_EQ(position_ % kBlockBytes, std::uint64_t{0});
  header_.first_flush_last = next_lsn - 1;
  // The next flush begins with the summary of this one, which earlier options may have made longer than these would.
  header_.flush_bytes_max += round_up_to_block(record_bytes(summary_.bytes_max()));
  RETURN_IF_ERROR(renew_header(disk_, slot_, header_));
  slot_.bytes = std::max(slot_.bytes, position_);
  return ok();
}

Status renew_header(DiskGuard& disk, Slot& slot, const FileHeader& header) {
  FlushBuilder builder(0);
  builder.start(header.generation, header.use, header.first_flush, 0, kHeaderBytes);
  builder.add_file_header(header);
  return disk.run(*slot.file, one_write(0, builder.finish(true), true), "sync of a file header",
                  DiskGuard::FullDisk::kTolerated);
}

}  // namespace chronik::wal
