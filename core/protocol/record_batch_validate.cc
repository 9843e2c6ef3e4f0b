#include "core/protocol/record_batch_validate.h"

#include <fmt/core.h>

#include <utility>

#include "core/base/check.h"
#include "core/base/wrapping.h"
#include "core/protocol/record_batch_records.h"
#include "core/protocol/record_batch_stream.h"

namespace chronik::protocol {
namespace {

constexpr std::int16_t kProduceVersionOfZstd = 7;

// Saturating: bounds may be "for ever".
std::int64_t clamped_add(std::int64_t a, std::int64_t b) {
  std::int64_t sum = 0;
  if (__builtin_add_overflow(a, b, &sum)) {
    return b < 0 ? std::numeric_limits<std::int64_t>::min() : std::numeric_limits<std::int64_t>::max();
  }
  return sum;
}

bool refuse(ProduceVerdict& verdict, ErrorCode error, std::string message) {
  verdict.error = error;
  verdict.message = std::move(message);
  return false;
}

bool refuse(ProduceVerdict& verdict, BatchDefect defect) {
  switch (defect) {
    case BatchDefect::kNone: return true;
    case BatchDefect::kLength:
    case BatchDefect::kChecksum: return refuse(verdict, ErrorCode::kCorruptMessage, batch_defect_text(defect));
    case BatchDefect::kUnknownCodec:
      return refuse(verdict, ErrorCode::kUnsupportedCompressionType, batch_defect_text(defect));
    case BatchDefect::kDecompressedTooBig:
      return refuse(verdict, ErrorCode::kMessageTooLarge, batch_defect_text(defect));
    case BatchDefect::kTruncated:
    case BatchDefect::kMagic:
    case BatchDefect::kRecordTruncated:
    case BatchDefect::kRecordMalformed:
    case BatchDefect::kRecordsRemain:
    case BatchDefect::kDecompression: return refuse(verdict, ErrorCode::kInvalidRecord, batch_defect_text(defect));
  }
  UNREACHABLE("batch defect");
}

// Exactly one whole batch of format 2.
bool check_shape(ByteSpan records, ProduceVerdict& verdict) {
  if (records.empty()) {
    return refuse(verdict, ErrorCode::kInvalidRecord, "there is no record batch");
  }
  const BatchDefect defect = RecordBatchView::parse(records, verdict.batch);
  if (defect == BatchDefect::kMagic) {
    const std::uint8_t magic = records[kBatchMagicAt];
    const bool was_one = magic < static_cast<std::uint8_t>(kBatchMagic);
    return refuse(verdict, was_one ? ErrorCode::kInvalidRecord : ErrorCode::kCorruptMessage,
                  fmt::format("record batches have magic 2, this one has {}", magic));
  }
  if (defect != BatchDefect::kNone) {
    return refuse(verdict, defect);
  }
  if (verdict.batch.size_bytes() != records.size()) {
    return refuse(verdict, ErrorCode::kInvalidRecord,
                  fmt::format("{} bytes follow the one batch that a partition may have",
                              records.size() - verdict.batch.size_bytes()));
  }
  return true;
}

bool check_envelope(const ProduceChecks& checks, ProduceVerdict& verdict) {
  const RecordBatchView& batch = verdict.batch;
  const std::optional<Codec> codec = batch.attributes().codec();
  if (!codec.has_value()) {
    return refuse(verdict, BatchDefect::kUnknownCodec);
  }
  verdict.codec = *codec;
  if (*codec == Codec::kZstd && checks.produce_version < kProduceVersionOfZstd) {
    return refuse(verdict, ErrorCode::kUnsupportedCompressionType,
                  fmt::format("zstd needs Produce {}, this is {}", kProduceVersionOfZstd, checks.produce_version));
  }
  if (batch.base_offset() != Offset(0)) {
    return refuse(verdict, ErrorCode::kInvalidRecord,
                  fmt::format("the base offset is {} instead of 0", batch.base_offset().value()));
  }
  if (batch.size_bytes() > checks.message_bytes_max) {
    return refuse(
        verdict, ErrorCode::kMessageTooLarge,
        fmt::format("{} bytes are more than max.message.bytes, {}", batch.size_bytes(), checks.message_bytes_max));
  }
  if (!batch.checksum_matches()) {
    return refuse(verdict, ErrorCode::kCorruptMessage,
                  fmt::format("the checksum is {:#010x}, the batch says {:#010x}", batch.computed_crc(), batch.crc()));
  }
  return true;
}

bool check_header(ProduceVerdict& verdict) {
  const RecordBatchView& batch = verdict.batch;
  const BatchAttributes attributes = batch.attributes();
  const std::int32_t count = batch.record_count();
  if (count <= 0 || batch.last_offset_delta() != count - 1) {
    return refuse(verdict, ErrorCode::kInvalidRecord,
                  fmt::format("{} records do not fit a last offset delta of {}", count, batch.last_offset_delta()));
  }
  if (attributes.is_control()) {
    return refuse(verdict, ErrorCode::kInvalidRecord, "clients may not write control batches");
  }
  if (attributes.has_delete_horizon()) {
    return refuse(verdict, ErrorCode::kInvalidRecord, "only compaction sets a delete horizon");
  }
  if (batch.has_producer() && batch.base_sequence() < 0) {
    return refuse(
        verdict, ErrorCode::kInvalidRecord,
        fmt::format("producer {} sent the sequence number {}", batch.producer_id().value(), batch.base_sequence()));
  }
  if (attributes.is_transactional() && !batch.has_producer()) {
    return refuse(verdict, ErrorCode::kInvalidRecord, "a transactional batch needs a producer id");
  }
  if (attributes.timestamp_type() == TimestampType::kLogAppendTime) {
    return refuse(verdict, ErrorCode::kInvalidTimestamp, "only the broker sets LogAppendTime");
  }
  return true;
}

// Looks at one record after another.
class RecordChecks {
 public:
  RecordChecks(const ProduceChecks& checks, ProduceVerdict& verdict)
      : verdict_(verdict),
        base_timestamp_(verdict.batch.base_timestamp().milliseconds()),
        compressed_(verdict.codec != Codec::kNone),
        compacted_(checks.compacted) {
    if (checks.timestamp_type == TimestampType::kCreateTime) {
      earliest_ = clamped_add(checks.now.milliseconds(), -checks.timestamp_before_ms_max);
      latest_ = clamped_add(checks.now.milliseconds(), checks.timestamp_after_ms_max);
    }
  }

  void see(const RecordView& record) {
    const std::int64_t timestamp = wrapping_add(base_timestamp_, record.timestamp_delta);
    if (index_ == 0 || timestamp > max_timestamp_) {
      max_timestamp_ = timestamp;
      max_timestamp_index_ = index_;
    }
    const bool in_time = (timestamp >= earliest_ && timestamp <= latest_) || timestamp == kNoTimestamp;
    const bool good_inside = !compressed_ || (record.attributes & BatchAttributes::kCodecMask) == 0;
    if (record.offset_delta != index_ || (compacted_ && !record.has_key) || !in_time || !good_inside) [[unlikely]] {
      refuse_record(record, timestamp, in_time, good_inside);
    }
    ++index_;
  }

  bool finish() {
    verdict_.max_timestamp = WallTime::from_milliseconds(max_timestamp_);
    verdict_.max_timestamp_offset_delta = max_timestamp_index_;
    if (refused_ == 0) {
      return true;
    }
    const ErrorCode error = only_times_ ? ErrorCode::kInvalidTimestamp : ErrorCode::kInvalidRecord;
    return refuse(verdict_, error,
                  fmt::format("{} of {} records refused, the first, {}, because {}", refused_, index_,
                              verdict_.record_errors.front().batch_index, verdict_.record_errors.front().message));
  }

 private:
  [[gnu::noinline]] void refuse_record(const RecordView& record, std::int64_t timestamp, bool in_time,
                                       bool good_inside) {
    ++refused_;
    const bool good_offset = record.offset_delta == index_;
    const bool good_key = !compacted_ || record.has_key;
    only_times_ = only_times_ && good_inside && good_offset && good_key;
    if (verdict_.record_errors.size() == ProduceVerdict::kRecordErrorsMax) {
      return;
    }
    std::string message;
    if (!good_inside) {
      message = "a record inside a compressed batch says that it is compressed";
    } else if (!good_offset) {
      message = fmt::format("its offset delta is {} instead of {}", record.offset_delta, index_);
    } else if (!good_key) {
      message = "a compacted topic needs a key";
    } else {
      CHECK(!in_time);
      message = fmt::format("its timestamp {} is outside {} to {}", timestamp, earliest_, latest_);
    }
    verdict_.record_errors.push_back({index_, std::move(message)});
  }

  ProduceVerdict& verdict_;
  std::int64_t base_timestamp_;
  bool compressed_;
  bool compacted_;
  bool only_times_ = true;
  std::int64_t earliest_ = std::numeric_limits<std::int64_t>::min();
  std::int64_t latest_ = std::numeric_limits<std::int64_t>::max();
  std::int64_t max_timestamp_ = 0;
  std::int32_t max_timestamp_index_ = 0;
  std::int32_t index_ = 0;
  std::int32_t refused_ = 0;
};

template <typename Records>
bool check_records(Records& records, const ProduceChecks& checks, ProduceVerdict& verdict) {
  RecordChecks each(checks, verdict);
  RecordView record;
  while (records.next(record)) {
    each.see(record);
  }
  if (records.defect() != BatchDefect::kNone) {
    verdict.record_errors.clear();
    return refuse(verdict, records.defect());
  }
  return each.finish();
}

}  // namespace

ProduceVerdict validate_produced_batches(ByteSpan records, const ProduceChecks& checks, Codecs& codecs) {
  ProduceVerdict verdict;
  if (!check_shape(records, verdict) || !check_envelope(checks, verdict) || !check_header(verdict)) {
    return verdict;
  }
  const RecordBatchView& batch = verdict.batch;
  if (verdict.codec == Codec::kNone) {
    RecordIterator plain(batch);
    check_records(plain, checks, verdict);
  } else {
    RecordStream stream(verdict.codec, batch.records(), batch.record_count(), checks.decompressed_bytes_max, codecs);
    check_records(stream, checks, verdict);
  }
  return verdict;
}

}  // namespace chronik::protocol
