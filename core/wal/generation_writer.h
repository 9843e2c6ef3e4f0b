// Writes the file that a recovery begins: checkpoint and the records in doubt first, and when all that is durable the
// header, which commits it (see FileKind::kRecovery). Until commit() has returned nothing has changed for a later
// recovery.
#pragma once

#include <cstdint>
#include <vector>

#include "core/base/status.h"
#include "core/wal/disk_guard.h"
#include "core/wal/file_header.h"
#include "core/wal/flush_builder.h"
#include "core/wal/log_files.h"

namespace chronik::wal {

class GenerationWriter {
 public:
  // header: complete but for checkpoint_bytes and first_flush_last. slot: nothing in it counts.
  GenerationWriter(DiskGuard& disk, Slot& slot, const FileHeader& header, std::uint64_t gather_below_bytes);

  Status write_checkpoint(std::vector<Slice> parts);
  // `log_end`: of the record's log, once it is applied; none: it is gone.
  Status add(RecordType type, const LogKey& key, Lsn lsn, const Slice& payload, Offset log_end);
  // Syncs the content, then the directory, then writes and syncs the header. `next_lsn`: behind the last record.
  Status commit(Lsn next_lsn, std::string_view directory);

  const FileHeader& header() const { return header_; }
  std::uint64_t position() const { return position_; }
  // Of the records that were added.
  FlushSummary take_summary() { return std::move(summary_); }

 private:
  struct Pending {
    RecordType type;
    LogKey key;
    Lsn lsn;
    Slice payload;
  };
  Status write_pending(bool last);

  DiskGuard& disk_;
  Slot& slot_;
  FileHeader header_;
  FlushBuilder builder_;
  std::uint64_t position_ = kHeaderBytes;
  std::vector<Pending> pending_;
  std::uint64_t pending_bytes_ = 0;
  FlushSummary summary_;
};

// Writes the header of a file again, as it is, and syncs it: for one that was read back and may be in memory only.
Status renew_header(DiskGuard& disk, Slot& slot, const FileHeader& header);

}  // namespace chronik::wal
