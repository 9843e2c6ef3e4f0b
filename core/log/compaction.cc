#include "core/log/compaction.h"

#include <absl/functional/function_ref.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "core/base/check.h"
#include "core/base/varint.h"
#include "core/base/wrapping.h"
#include "core/protocol/record_batch_compress.h"
#include "core/protocol/record_batch_records.h"

namespace chronik::log {

using protocol::BatchAttributes;
using protocol::BatchDefect;
using protocol::Codec;
using protocol::RecordBatchView;
using protocol::RecordView;

namespace {

// What a produced batch may come to in decompression (core/protocol/record_batch_validate.h), and some more.
constexpr std::size_t kRecordsBytesMax = std::size_t{1} << 30;

// One record, and the bytes that it is, length and all.
struct WholeRecord {
  RecordView view;
  ByteSpan bytes;
};

using VisitRecord = absl::FunctionRef<void(const WholeRecord& record)>;

Status visit_records(ByteSpan records, std::int32_t count, VisitRecord visit) {
  protocol::SpanSource source(records);
  for (std::int32_t i = 0; i < count; ++i) {
    const ByteSpan from = source.peek();
    WholeRecord record;
    if (const BatchDefect defect = protocol::parse_record(source, record.view); defect != BatchDefect::kNone) {
      return absl::DataLossError(protocol::batch_defect_text(defect));
    }
    record.bytes = from.first(from.size() - source.peek().size());
    visit(record);
  }
  return source.peek().empty() ? ok() : absl::DataLossError(batch_defect_text(BatchDefect::kRecordsRemain));
}

bool may_be_cleaned(const RecordBatchView& batch) {
  const BatchAttributes attributes = batch.attributes();
  return !attributes.is_control() && !attributes.is_transactional();
}

std::int64_t time_of_removal(const CleaningRules& rules) {
  std::int64_t at = 0;
  const bool too_late = rules.tombstones_last == Duration::infinite() ||
                        __builtin_add_overflow(rules.now.milliseconds(), rules.tombstones_last.milliseconds(), &at);
  return too_late ? std::numeric_limits<std::int64_t>::max() : at;
}

// The records that are left of a batch, gathered.
struct Kept {
  std::vector<WholeRecord> records;
  std::size_t bytes = 0;
  std::int64_t max_timestamp = protocol::kNoTimestamp;
  bool has_tombstone = false;
};

bool survives(const RecordView& record, const RecordBatchView& batch, const CleaningRules& rules) {
  if (!record.has_key) {
    return true;
  }
  const Offset latest = rules.latest.find(record.key_bytes);
  if (latest != Offset::none() && latest > record.offset(batch)) {
    return false;
  }
  const bool over = batch.attributes().has_delete_horizon() && batch.base_timestamp() <= rules.now;
  return record.has_value || !over;
}

// A record whose timestamp counts from another base.
std::size_t write_moved(const WholeRecord& record, std::int64_t timestamp_delta, std::uint8_t* to) {
  std::uint64_t ignored = 0;
  const std::size_t length_bytes = varint_read<32>(record.bytes, ignored);
  const std::size_t delta_bytes = varint_read<64>(record.bytes.subspan(length_bytes + 1), ignored);
  CHECK_GT(delta_bytes, 0u);
  const ByteSpan rest = record.bytes.subspan(length_bytes + 1 + delta_bytes);
  const std::size_t body = 1 + varint_size(zigzag_encode(timestamp_delta)) + rest.size();
  std::uint8_t* at = to + varint_write(to, zigzag_encode(static_cast<std::int32_t>(body)));
  *at++ = record.bytes[length_bytes];
  at += varint_write(at, zigzag_encode(timestamp_delta));
  std::memcpy(at, rest.data(), rest.size());
  return static_cast<std::size_t>(at - to) + rest.size();
}

// The header of `batch` with other records behind it, compressed as they were. `horizon`: from when on its tombstones
// may go, which begins with this; none: it was said before, or there are none.
constexpr std::int64_t kNoHorizon = -1;
Slice rebuild(const RecordBatchView& batch, const Kept& kept, std::int64_t horizon, protocol::Codecs& codecs) {
  const std::int64_t base = batch.base_timestamp().milliseconds();
  // A moved record grows by what its length and its delta may grow by.
  Slice plain = Slice::allocate(kept.bytes + kept.records.size() * (kVarint32BytesMax + kVarint64BytesMax));
  std::size_t size = 0;
  for (const WholeRecord& record : kept.records) {
    std::uint8_t* const to = plain.mutable_data() + size;
    if (horizon != kNoHorizon) {
      const std::int64_t timestamp = wrapping_add(base, record.view.timestamp_delta);
      size += write_moved(record, wrapping_subtract(timestamp, horizon), to);
    } else {
      std::memcpy(to, record.bytes.data(), record.bytes.size());
      size += record.bytes.size();
    }
  }
  const Codec codec = batch.attributes().codec().value_or(Codec::kNone);
  ByteSpan records = plain.bytes().first(size);
  if (codec != Codec::kNone) {
    records = codecs.compress(codec, records);
  }
  Slice result = Slice::allocate(protocol::kBatchHeaderBytes + records.size());
  std::uint8_t* const to = result.mutable_data();
  std::memcpy(to, batch.bytes().data(), protocol::kBatchHeaderBytes);
  std::memcpy(to + protocol::kBatchHeaderBytes, records.data(), records.size());
  store_big(to + protocol::kBatchLengthAt, static_cast<std::int32_t>(result.size() - protocol::kBatchUncountedBytes));
  store_big(to + protocol::kBatchRecordCountAt, static_cast<std::int32_t>(kept.records.size()));
  if (batch.attributes().timestamp_type() == protocol::TimestampType::kCreateTime) {
    store_big(to + protocol::kBatchMaxTimestampAt, kept.max_timestamp);
  }
  if (horizon != kNoHorizon) {
    const int bits = batch.attributes().bits() | BatchAttributes::kDeleteHorizonBit;
    store_big(to + protocol::kBatchAttributesAt, static_cast<std::int16_t>(bits));
    store_big(to + protocol::kBatchBaseTimestampAt, horizon);
  }
  protocol::seal_checksum(result.mutable_bytes());
  return result;
}

// The header of an empty batch, without time and producer.
Slice empty_header(LeaderEpoch epoch, Offset base, Offset last) {
  CHECK_LE(base, last);
  CHECK_LT(last - base, std::int64_t{std::numeric_limits<std::int32_t>::max()});
  Slice header = Slice::allocate(protocol::kBatchHeaderBytes);
  std::uint8_t* const to = header.mutable_data();
  std::memset(to, 0, header.size());
  store_big(to + protocol::kBatchBaseOffsetAt, base.value());
  store_big(to + protocol::kBatchLengthAt, static_cast<std::int32_t>(header.size() - protocol::kBatchUncountedBytes));
  store_big(to + protocol::kBatchLeaderEpochAt, epoch.value());
  store_big(to + protocol::kBatchMagicAt, protocol::kBatchMagic);
  store_big(to + protocol::kBatchLastOffsetDeltaAt, static_cast<std::int32_t>(last - base));
  // No record has its time: whoever searches by time finds nothing here.
  store_big(to + protocol::kBatchBaseTimestampAt, protocol::kNoTimestamp);
  store_big(to + protocol::kBatchMaxTimestampAt, protocol::kNoTimestamp);
  store_big(to + protocol::kBatchProducerIdAt, std::int64_t{-1});
  store_big(to + protocol::kBatchProducerEpochAt, std::int16_t{-1});
  store_big(to + protocol::kBatchBaseSequenceAt, std::int32_t{-1});
  return header;
}

}  // namespace

Status note_keys(const Slice& bytes, KeyOffsets& latest, protocol::Codecs& codecs) {
  RecordBatchView batch;
  CHECK(RecordBatchView::parse(bytes.bytes(), batch) == BatchDefect::kNone);
  if (is_empty_batch(batch) || !may_be_cleaned(batch)) {
    return ok();
  }
  ASSIGN_OR_RETURN(const Slice records, protocol::decompressed_records(bytes, kRecordsBytesMax, codecs));
  return visit_records(records.bytes(), batch.record_count(), [&](const WholeRecord& record) {
    if (record.view.has_key) {
      latest.put(record.view.key_bytes, record.view.offset(batch));
    }
  });
}

StatusOr<CleanedBatch> clean_batch(const Slice& bytes, const CleaningRules& rules, protocol::Codecs& codecs) {
  RecordBatchView batch;
  CHECK(RecordBatchView::parse(bytes.bytes(), batch) == BatchDefect::kNone);
  if (is_empty_batch(batch)) {
    return CleanedBatch{.kind = CleanedBatch::Kind::kEmpty};
  }
  CleanedBatch as_it_was{.bytes = bytes};
  if (!may_be_cleaned(batch) || batch.next_offset() > rules.known_to) {
    return as_it_was;
  }
  ASSIGN_OR_RETURN(const Slice records, protocol::decompressed_records(bytes, kRecordsBytesMax, codecs));
  Kept kept;
  RETURN_IF_ERROR(visit_records(records.bytes(), batch.record_count(), [&](const WholeRecord& record) {
    if (!survives(record.view, batch, rules)) {
      return;
    }
    kept.records.push_back(record);
    kept.bytes += record.bytes.size();
    kept.max_timestamp = std::max(kept.max_timestamp, record.view.timestamp(batch).milliseconds());
    kept.has_tombstone |= record.view.has_key && !record.view.has_value;
  }));
  const auto removed = static_cast<std::int32_t>(static_cast<std::size_t>(batch.record_count()) - kept.records.size());
  if (kept.records.empty()) {
    return CleanedBatch{.kind = CleanedBatch::Kind::kEmpty, .bytes = {}, .removed = removed};
  }
  const bool begins = kept.has_tombstone && !batch.attributes().has_delete_horizon();
  if (removed == 0 && !begins) {
    return as_it_was;
  }
  const std::int64_t horizon = begins ? time_of_removal(rules) : kNoHorizon;
  return CleanedBatch{
      .kind = CleanedBatch::Kind::kRewritten, .bytes = rebuild(batch, kept, horizon, codecs), .removed = removed};
}

Slice filler(LeaderEpoch epoch, Offset base, Offset last) {
  Slice header = empty_header(epoch, base, last);
  protocol::seal_checksum(header.mutable_bytes());
  return header;
}

Slice filler_from(const RecordBatchView& filler_batch, Offset from) {
  CHECK(is_empty_batch(filler_batch));
  CHECK_LT(filler_batch.base_offset(), from);
  return filler(filler_batch.partition_leader_epoch(), from, filler_batch.last_offset());
}

// ---- CleanedRow ----

void CleanedRow::close_gap() {
  if (gap_.has_value()) {
    ready_.push_back(filler(gap_->epoch, gap_->base, gap_->last));
    gap_.reset();
  }
}

void CleanedRow::add(Slice batch) {
  close_gap();
  ready_.push_back(std::move(batch));
}

void CleanedRow::add_empty(const RecordBatchView& batch, bool keep_producer) {
  const LeaderEpoch epoch = batch.partition_leader_epoch();
  if (keep_producer) {
    Slice header = empty_header(epoch, batch.base_offset(), batch.last_offset());
    const std::size_t producer_bytes = protocol::kBatchRecordCountAt - protocol::kBatchProducerIdAt;
    std::memcpy(header.mutable_data() + protocol::kBatchProducerIdAt,
                batch.bytes().data() + protocol::kBatchProducerIdAt, producer_bytes);
    protocol::seal_checksum(header.mutable_bytes());
    return add(std::move(header));
  }
  const bool joins = gap_.has_value() && gap_->epoch == epoch &&
                     batch.last_offset() - gap_->base < std::numeric_limits<std::int32_t>::max();
  if (!joins) {
    close_gap();
    gap_ = Gap{.epoch = epoch, .base = batch.base_offset(), .last = batch.last_offset()};
  }
  gap_->last = batch.last_offset();
}

std::vector<Slice> CleanedRow::take(bool ended) {
  if (ended) {
    close_gap();
  }
  return std::exchange(ready_, {});
}

}  // namespace chronik::log
