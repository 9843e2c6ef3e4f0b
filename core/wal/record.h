// A record of the write-ahead log, and how it lies in a file. docs/formats/wal.md draws it.
//
//   0        4        8     16      24           32    36     37      38  40         56          60  64
//   | crc32c | length | lsn | flush | generation | use | type | flags | 0 | topic id | partition | 0 | payload …, zeros
//
// Integers are little-endian. The checksum covers everything behind itself up to the end of the payload. Records begin
// at multiples of 8; a flush begins at a multiple of kBlockBytes and is padded to one, so a block that was synced is
// never written again while its file is in use.
//
// A record belongs where it lies only if generation and use agree with the file's header: what an earlier use of the
// same slot left behind never does (rule R3). `use` is drawn at random for each use of a slot, so not even a generation
// number that a crashed recovery used before can bring an old record back, nor can bytes that a client sent look like a
// record.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/base/ids.h"
#include "core/base/slice.h"
#include "core/base/uuid.h"

namespace chronik::wal {

inline constexpr std::size_t kBlockBytes = 4096;
inline constexpr std::size_t kRecordHeaderBytes = 64;
inline constexpr std::size_t kRecordAlignment = 8;

// What a record says. The numbers are on disk: never reuse one. Payloads of all but kCheckpoint and
// kSummary are core/log's.
enum class RecordType : std::uint8_t {
  kCheckpoint = 1,  // one part of the state after all records with smaller LSNs; only at a file's beginning
  kAppend = 2,      // a record batch, as it will lie in the segment
  kCreateLog = 3,
  kDeleteLog = 4,
  kTruncate = 5,    // log end goes back (rule R4)
  kLogStart = 6,    // log start goes forward (rule R16)
  kEpochStart = 7,  // a leader epoch begins
  kRoll = 8,        // a new segment begins
  kState = 9,       // anything else about one log that must survive (high watermark, damage)
  kSummary = 10,    // where logs ended behind the flush before; only at a flush's beginning, and takes no LSN
};

// Whose record it is. Logs are keyed by topic id, never by name (rule R12). Zero and -1 where a record is nobody's.
struct LogKey {
  TopicId topic;
  PartitionId partition;
  friend constexpr auto operator<=>(const LogKey&, const LogKey&) = default;
};

inline constexpr std::uint8_t kFlagEndsFlush = 1;   // the last record of its flush
inline constexpr std::uint8_t kFlagLastPart = 2;    // of a checkpoint's copy
inline constexpr std::uint8_t kFlagSecondCopy = 4;  // of a checkpoint

struct RecordHeader {
  std::uint32_t length = 0;  // of the payload
  Lsn lsn;                   // of a checkpoint's part, and of a summary: that of the first record behind it
  FlushNumber flush;
  Generation generation;
  std::uint32_t use = 0;
  RecordType type = RecordType::kAppend;
  std::uint8_t flags = 0;
  LogKey key;  // of a checkpoint's part: partition counts the parts from 0
  friend bool operator==(const RecordHeader&, const RecordHeader&) = default;
};

// Bytes that a record with such a payload takes in a file.
constexpr std::size_t record_bytes(std::size_t payload_bytes) {
  return kRecordHeaderBytes + (payload_bytes + kRecordAlignment - 1) / kRecordAlignment * kRecordAlignment;
}
constexpr std::uint64_t round_up_to_block(std::uint64_t bytes) {
  return (bytes + kBlockBytes - 1) / kBlockBytes * kBlockBytes;
}

// Writes kRecordHeaderBytes at `to`, the checksum over header and payload included.
void encode_record_header(std::uint8_t* to, const RecordHeader& header, ByteSpan payload);

// Reads the fields of a header without looking at the checksum. `from` holds kRecordHeaderBytes.
RecordHeader decode_record_header(const std::uint8_t* from);

// Two fields alone, for passing over many bytes quickly.
Generation record_generation(const std::uint8_t* from);
std::uint32_t record_use(const std::uint8_t* from);

// Whether the checksum agrees: `record` is the header and its whole payload, without the zeros behind it.
bool record_is_whole(ByteSpan record);

}  // namespace chronik::wal
