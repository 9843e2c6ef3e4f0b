#include "core/protocol/record_batch.h"

#include <limits>

#include "core/base/check.h"
#include "core/base/crc32c.h"
#include "core/base/wrapping.h"

namespace chronik::protocol {
namespace {

constexpr std::int32_t kLengthMin = static_cast<std::int32_t>(kBatchHeaderBytes - kBatchUncountedBytes);

// The whole of the batch that `bytes` begins with.
MutableByteSpan checked(MutableByteSpan bytes) {
  RecordBatchView view;
  const BatchDefect defect = RecordBatchView::parse(bytes, view);
  CHECK_EQ(defect, BatchDefect::kNone);
  return bytes.first(view.size_bytes());
}

}  // namespace

const char* codec_name(Codec codec) {
  switch (codec) {
    case Codec::kNone: return "none";
    case Codec::kGzip: return "gzip";
    case Codec::kSnappy: return "snappy";
    case Codec::kLz4: return "lz4";
    case Codec::kZstd: return "zstd";
  }
  UNREACHABLE("codec");
}

const char* batch_defect_text(BatchDefect defect) {
  switch (defect) {
    case BatchDefect::kNone: return "nothing wrong";
    case BatchDefect::kTruncated: return "the bytes end before the batch does";
    case BatchDefect::kLength: return "the length field is smaller than a batch header";
    case BatchDefect::kMagic: return "the format version is not 2";
    case BatchDefect::kChecksum: return "the checksum does not match";
    case BatchDefect::kRecordTruncated: return "the records end in the middle of one";
    case BatchDefect::kRecordMalformed: return "the fields of a record contradict its length";
    case BatchDefect::kRecordsRemain: return "bytes follow the last record that was announced";
    case BatchDefect::kUnknownCodec: return "the attributes name a compression codec that does not exist";
    case BatchDefect::kDecompression: return "the compressed records cannot be decompressed";
    case BatchDefect::kDecompressedTooBig: return "the records are larger than allowed once decompressed";
  }
  UNREACHABLE("batch defect");
}

std::optional<std::size_t> RecordBatchView::announced_bytes(ByteSpan bytes) {
  if (bytes.size() < kBatchUncountedBytes) {
    return std::nullopt;
  }
  const auto length = load_big<std::int32_t>(bytes.data() + kBatchLengthAt);
  if (length < kLengthMin) {
    return std::nullopt;
  }
  return kBatchUncountedBytes + static_cast<std::size_t>(length);
}

BatchDefect RecordBatchView::parse(ByteSpan bytes, RecordBatchView& view) {
  if (bytes.size() < kBatchUncountedBytes) {
    return BatchDefect::kTruncated;
  }
  // The magic decides first: an older format has a smaller header, and is not "a bad length".
  if (bytes.size() > kBatchMagicAt && static_cast<std::int8_t>(bytes[kBatchMagicAt]) != kBatchMagic) {
    return BatchDefect::kMagic;
  }
  const std::optional<std::size_t> size = announced_bytes(bytes);
  if (!size.has_value()) {
    return BatchDefect::kLength;
  }
  if (*size > bytes.size()) {
    return BatchDefect::kTruncated;
  }
  view.bytes_ = bytes.first(*size);
  return BatchDefect::kNone;
}

Offset RecordBatchView::last_offset() const { return Offset(wrapping_add(base_offset().value(), last_offset_delta())); }

Offset RecordBatchView::next_offset() const { return Offset(wrapping_add(last_offset().value(), 1)); }

std::int32_t RecordBatchView::last_sequence() const {
  if (base_sequence() < 0) {
    return -1;
  }
  constexpr std::int64_t kSequences = std::int64_t{std::numeric_limits<std::int32_t>::max()} + 1;
  const std::int64_t sum = std::int64_t{base_sequence()} + last_offset_delta();
  return static_cast<std::int32_t>((sum + kSequences) % kSequences);
}

std::uint32_t RecordBatchView::computed_crc() const { return crc32c(bytes_.subspan(kBatchAttributesAt)); }

void set_base_offset(MutableByteSpan batch, Offset offset) {
  store_big(checked(batch).data() + kBatchBaseOffsetAt, offset.value());
}

void set_partition_leader_epoch(MutableByteSpan batch, LeaderEpoch epoch) {
  store_big(checked(batch).data() + kBatchLeaderEpochAt, epoch.value());
}

void set_max_timestamp(MutableByteSpan batch, TimestampType type, WallTime max_timestamp) {
  RecordBatchView view;
  CHECK_EQ(RecordBatchView::parse(batch, view), BatchDefect::kNone);
  if (view.attributes().timestamp_type() == type && view.max_timestamp() == max_timestamp) {
    return;
  }
  const auto time_bit =
      static_cast<std::int16_t>(type == TimestampType::kLogAppendTime ? BatchAttributes::kLogAppendTimeBit : 0);
  const auto others = static_cast<std::int16_t>(view.attributes().bits() & ~BatchAttributes::kLogAppendTimeBit);
  store_big(batch.data() + kBatchAttributesAt, static_cast<std::int16_t>(others | time_bit));
  store_big(batch.data() + kBatchMaxTimestampAt, max_timestamp.milliseconds());
  seal_checksum(batch);
}

void seal_checksum(MutableByteSpan batch) {
  const MutableByteSpan whole = checked(batch);
  store_big(whole.data() + kBatchCrcAt, crc32c(whole.subspan(kBatchAttributesAt)));
}

}  // namespace chronik::protocol
