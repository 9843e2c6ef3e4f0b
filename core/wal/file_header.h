// The header of a write-ahead log file: which generation of the log the slot holds now, and what came before it.
//
// A file is: header, the same header again, the checkpoint, the checkpoint again, then records, flush by flush. Both
// are kept twice, in blocks of their own, since a single rotten sector there would cost a whole file, or the state of
// all logs.
//
// Two ways to begin a file, and when its header counts:
//   kRotation  the log runs, everything in the previous file is synced: header, checkpoint and first records go out as
//   one
//              flush. If the header survives a crash and the rest does not, nothing was acknowledged from this file,
//              and what the header says of the previous file (all of it was synced) is true whether the rest survives
//              or not.
//   kRecovery  after a start: the header says of the previous files which of their records count (the cut), and that
//              becomes true only once the checkpoint and the records that were in doubt are durable here. So these are
//              written and synced first, then the header, which commits all of it at once.
#pragma once

#include <cstdint>
#include <optional>

#include "core/base/ids.h"
#include "core/base/slice.h"
#include "core/wal/record.h"

namespace chronik::wal {

inline constexpr std::uint32_t kFormatVersion = 2;              // of what is written
inline constexpr std::uint32_t kFormatVersionOldest = 1;        // of what is read: it had no summaries
inline constexpr std::uint64_t kHeaderBytes = 2 * kBlockBytes;  // both copies

enum class FileKind : std::uint8_t { kRotation = 1, kRecovery = 2 };

struct FileHeader {
  std::uint32_t version = kFormatVersion;
  FileKind kind = FileKind::kRotation;
  std::int32_t shard = 0;
  std::int32_t shard_count = 1;
  Generation generation;
  std::uint32_t use = 0;               // see record.h
  Generation previous;                 // the newest older generation that holds records which count; none: -1
  Lsn cut;                             // the last LSN that counts in `previous` and before; 0 where there is none
  Lsn first_lsn;                       // of the first record behind the checkpoint: cut + 1
  FlushNumber first_flush;             // of the checkpoint
  Lsn first_flush_last;                // the last LSN of the first flush; cut where that holds the checkpoint alone
  Lsn replay_from;                     // records below are in segments, and those are synced
  std::uint64_t checkpoint_bytes = 0;  // of one copy, a multiple of kBlockBytes
  std::uint64_t flush_bytes_max = 0;   // no later flush of this file is longer: how far recovery looks for a later one
  friend bool operator==(const FileHeader&, const FileHeader&) = default;

  std::uint64_t checkpoint_at(int copy) const {
    return kHeaderBytes + static_cast<std::uint64_t>(copy) * checkpoint_bytes;
  }
  std::uint64_t records_at() const { return checkpoint_at(2); }
};

// kBlockBytes at `to`.
void encode_file_header(std::uint8_t* to, const FileHeader& header);
// Nothing where the block is not a header: magic, checksum. A header of another format version is returned as it is;
// its other fields mean nothing.
std::optional<FileHeader> decode_file_header(ByteSpan block);

}  // namespace chronik::wal
