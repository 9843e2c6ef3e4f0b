// One record batch, format version 2, where it lies: a checked view that copies nothing, and the few changes a broker
// makes.
//
//   0  base offset i64 | 8  length i32 | 12 leader epoch i32 | 16 magic i8 = 2 | 17 CRC-32C u32
//   21 attributes i16 | 23 last offset delta i32 | 27 base timestamp i64 | 35 max timestamp i64
//   43 producer id i64 | 51 producer epoch i16 | 53 base sequence i32 | 57 record count i32 | 61 records
//
// The length counts from byte 12; the checksum covers everything from byte 21. So base offset and leader epoch can be
// rewritten without touching it. All integers are big-endian. The records are compressed as one piece where the
// attributes name a codec.
//
// Lifetime: a view borrows its bytes. Invariants of a view that parse() accepted: at least a header long, magic 2, its
// length field agrees with its bytes. Nothing else is promised: every field may hold any value, and every accessor is
// total.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "core/base/endian.h"
#include "core/base/ids.h"
#include "core/base/slice.h"
#include "core/base/time.h"

namespace chronik::protocol {

inline constexpr std::size_t kBatchBaseOffsetAt = 0;
inline constexpr std::size_t kBatchLengthAt = 8;
inline constexpr std::size_t kBatchLeaderEpochAt = 12;
inline constexpr std::size_t kBatchMagicAt = 16;
inline constexpr std::size_t kBatchCrcAt = 17;
inline constexpr std::size_t kBatchAttributesAt = 21;
inline constexpr std::size_t kBatchLastOffsetDeltaAt = 23;
inline constexpr std::size_t kBatchBaseTimestampAt = 27;
inline constexpr std::size_t kBatchMaxTimestampAt = 35;
inline constexpr std::size_t kBatchProducerIdAt = 43;
inline constexpr std::size_t kBatchProducerEpochAt = 51;
inline constexpr std::size_t kBatchBaseSequenceAt = 53;
inline constexpr std::size_t kBatchRecordCountAt = 57;
inline constexpr std::size_t kBatchHeaderBytes = 61;
// What the length field does not count: base offset and the field itself.
inline constexpr std::size_t kBatchUncountedBytes = 12;
inline constexpr std::int8_t kBatchMagic = 2;
// A record of format 2 is never shorter: length, attributes, two deltas, two lengths, header count.
inline constexpr std::size_t kRecordBytesMin = 7;
inline constexpr std::int64_t kNoTimestamp = -1;

static_assert(kBatchRecordCountAt + sizeof(std::int32_t) == kBatchHeaderBytes);

enum class Codec : std::uint8_t { kNone = 0, kGzip = 1, kSnappy = 2, kLz4 = 3, kZstd = 4 };
inline constexpr std::uint8_t kCodecs = 5;
const char* codec_name(Codec codec);

enum class TimestampType : std::uint8_t { kCreateTime = 0, kLogAppendTime = 1 };

// What is wrong with the bytes of a batch.
enum class BatchDefect : std::uint8_t {
  kNone,
  kTruncated,           // the bytes end before the batch does: a torn tail, or the last batch of a fetch answer
  kLength,              // its length field is smaller than a header
  kMagic,               // not format 2
  kChecksum,            // the CRC-32C differs
  kRecordTruncated,     // the records end in the middle of one
  kRecordMalformed,     // the fields of a record do not fill its length, or a number in it is impossible
  kRecordsRemain,       // bytes follow the last record
  kUnknownCodec,        // attributes name a codec that does not exist
  kDecompression,       // the compressed bytes are not what the codec produces
  kDecompressedTooBig,  // more bytes come out than allowed
};
const char* batch_defect_text(BatchDefect defect);

// The attributes of a batch: bits 0-2 codec, 3 timestamp type, 4 transactional, 5 control, 6 delete horizon.
class BatchAttributes {
 public:
  static constexpr std::int16_t kCodecMask = 0x07;
  static constexpr std::int16_t kLogAppendTimeBit = 0x08;
  static constexpr std::int16_t kTransactionalBit = 0x10;
  static constexpr std::int16_t kControlBit = 0x20;
  static constexpr std::int16_t kDeleteHorizonBit = 0x40;

  constexpr explicit BatchAttributes(std::int16_t bits) : bits_(bits) {}
  constexpr std::int16_t bits() const { return bits_; }
  // Nothing where the bits name no codec.
  constexpr std::optional<Codec> codec() const {
    const auto id = static_cast<std::uint8_t>(bits_ & kCodecMask);
    return id < kCodecs ? std::optional<Codec>(static_cast<Codec>(id)) : std::nullopt;
  }
  constexpr TimestampType timestamp_type() const {
    return (bits_ & kLogAppendTimeBit) != 0 ? TimestampType::kLogAppendTime : TimestampType::kCreateTime;
  }
  constexpr bool is_transactional() const { return (bits_ & kTransactionalBit) != 0; }
  constexpr bool is_control() const { return (bits_ & kControlBit) != 0; }
  constexpr bool has_delete_horizon() const { return (bits_ & kDeleteHorizonBit) != 0; }
  friend constexpr bool operator==(BatchAttributes, BatchAttributes) = default;

 private:
  std::int16_t bits_;
};

class RecordBatchView {
 public:
  // Looks at the batch at the start of `bytes`. On kNone, `view` is that batch and no byte more; else it is not
  // changed. The checksum is not looked at: that is checksum_matches().
  static BatchDefect parse(ByteSpan bytes, RecordBatchView& view);
  // How many bytes the batch at the start of `bytes` says it has: what a reader must have to parse it. Nothing where
  // `bytes` holds less than the length field, or the field is impossible.
  static std::optional<std::size_t> announced_bytes(ByteSpan bytes);

  RecordBatchView() = default;  // of nothing: only to be assigned to

  ByteSpan bytes() const { return bytes_; }
  std::size_t size_bytes() const { return bytes_.size(); }
  Offset base_offset() const { return Offset(get<std::int64_t>(kBatchBaseOffsetAt)); }
  LeaderEpoch partition_leader_epoch() const { return LeaderEpoch(get<std::int32_t>(kBatchLeaderEpochAt)); }
  std::uint32_t crc() const { return get<std::uint32_t>(kBatchCrcAt); }
  BatchAttributes attributes() const { return BatchAttributes(get<std::int16_t>(kBatchAttributesAt)); }
  std::int32_t last_offset_delta() const { return get<std::int32_t>(kBatchLastOffsetDeltaAt); }
  WallTime base_timestamp() const { return WallTime::from_milliseconds(get<std::int64_t>(kBatchBaseTimestampAt)); }
  WallTime max_timestamp() const { return WallTime::from_milliseconds(get<std::int64_t>(kBatchMaxTimestampAt)); }
  ProducerId producer_id() const { return ProducerId(get<std::int64_t>(kBatchProducerIdAt)); }
  ProducerEpoch producer_epoch() const { return ProducerEpoch(get<std::int16_t>(kBatchProducerEpochAt)); }
  std::int32_t base_sequence() const { return get<std::int32_t>(kBatchBaseSequenceAt); }
  std::int32_t record_count() const { return get<std::int32_t>(kBatchRecordCountAt); }

  // Of the last record; wraps around where the fields are nonsense.
  Offset last_offset() const;
  // Of what follows the batch in its partition.
  Offset next_offset() const;
  // Sequence number of the last record: they wrap from 2^31 - 1 to 0. -1 where the batch has none.
  std::int32_t last_sequence() const;
  bool has_producer() const { return producer_id().value() >= 0; }
  // What follows the header: the records, or one compressed piece of them.
  ByteSpan records() const { return bytes_.subspan(kBatchHeaderBytes); }

  std::uint32_t computed_crc() const;
  bool checksum_matches() const { return computed_crc() == crc(); }

 private:
  template <std::integral T>
  T get(std::size_t at) const {
    CHECK_LE(kBatchHeaderBytes, bytes_.size());
    return load_big<T>(bytes_.data() + at);
  }
  ByteSpan bytes_;
};

// Changes in place, for whoever owns the bytes. `batch` begins with a batch that parse() accepted.
void set_base_offset(MutableByteSpan batch, Offset offset);
void set_partition_leader_epoch(MutableByteSpan batch, LeaderEpoch epoch);
// Makes header say `type` and `max_timestamp`, with the checksum that follows from it. Touches nothing where it says so
// already. For LogAppendTime: the append's time. For CreateTime: the true maximum over the records.
void set_max_timestamp(MutableByteSpan batch, TimestampType type, WallTime max_timestamp);
// Writes the checksum of what the batch holds now.
void seal_checksum(MutableByteSpan batch);

}  // namespace chronik::protocol
