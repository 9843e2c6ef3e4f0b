#include "core/protocol/record_batch_builder.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "core/base/check.h"
#include "core/base/varint.h"
#include "core/base/wrapping.h"

namespace chronik::protocol {
namespace {

std::size_t nullable_bytes(const std::optional<ByteSpan>& bytes) {
  const auto length = bytes.has_value() ? static_cast<std::int32_t>(bytes->size()) : -1;
  return varint_size(zigzag_encode(length)) + (bytes.has_value() ? bytes->size() : 0);
}

std::uint8_t* write_varint(std::uint8_t* at, std::int32_t n) { return at + varint_write(at, zigzag_encode(n)); }

std::uint8_t* write_nullable(std::uint8_t* at, const std::optional<ByteSpan>& bytes) {
  if (!bytes.has_value()) {
    return write_varint(at, -1);
  }
  at = write_varint(at, static_cast<std::int32_t>(bytes->size()));
  if (!bytes->empty()) {
    std::memcpy(at, bytes->data(), bytes->size());
  }
  return at + bytes->size();
}

// Of everything behind the record's own length.
std::size_t body_bytes(const RecordInput& record, std::int64_t timestamp_delta, std::int32_t offset_delta) {
  std::size_t size = 1 + varint_size(zigzag_encode(timestamp_delta)) + varint_size(zigzag_encode(offset_delta)) +
                     nullable_bytes(record.key) + nullable_bytes(record.value) +
                     varint_size(zigzag_encode(static_cast<std::int32_t>(record.headers.size())));
  for (const RecordHeaderView& header : record.headers) {
    size += nullable_bytes(header.key) + nullable_bytes(header.value);
  }
  return size;
}

std::int16_t attribute_bits(const BatchFields& fields, Codec codec) {
  int bits = static_cast<int>(codec);
  bits |= fields.timestamp_type == TimestampType::kLogAppendTime ? BatchAttributes::kLogAppendTimeBit : 0;
  bits |= fields.transactional ? BatchAttributes::kTransactionalBit : 0;
  bits |= fields.control ? BatchAttributes::kControlBit : 0;
  return static_cast<std::int16_t>(bits);
}

}  // namespace

std::size_t RecordBatchBuilder::record_bytes_max(const RecordInput& record) {
  return kVarint32BytesMax +
         body_bytes(record, std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int32_t>::max());
}

std::uint8_t* RecordBatchBuilder::room_for(std::size_t bytes) {
  const std::size_t used = size_bytes();
  CHECK_LE(bytes, kRecordBytesMax);
  CHECK_LE(record_bytes_ + bytes, kRecordBytesMax);
  if (used + bytes > buffer_.size()) {
    const std::size_t doubled = std::max(2 * buffer_.size(), kBatchHeaderBytes + expected_bytes_);
    Slice larger = Slice::allocate(std::max(used + bytes, doubled));
    if (record_bytes_ != 0) {
      std::memcpy(larger.mutable_data() + kBatchHeaderBytes, buffer_.data() + kBatchHeaderBytes, record_bytes_);
    }
    buffer_ = std::move(larger);
  }
  return buffer_.mutable_data() + used;
}

std::int32_t RecordBatchBuilder::append(const RecordInput& record) {
  const std::int32_t delta = last_offset_delta_ + 1;
  append_at(delta, record);
  return delta;
}

void RecordBatchBuilder::append_at(std::int32_t offset_delta, const RecordInput& record) {
  CHECK_GE(offset_delta, 0);
  CHECK_LT(offset_delta, std::numeric_limits<std::int32_t>::max());
  const std::int64_t timestamp = record.timestamp.milliseconds();
  if (record_count_ == 0) {
    base_timestamp_ = max_timestamp_ = timestamp;
  }
  // Wraps as the reader's addition does.
  const std::int64_t timestamp_delta = wrapping_subtract(timestamp, base_timestamp_);
  const std::size_t body = body_bytes(record, timestamp_delta, offset_delta);
  std::uint8_t* const start = room_for(kVarint32BytesMax + body);
  std::uint8_t* at = write_varint(start, static_cast<std::int32_t>(body));
  const std::uint8_t* const body_start = at;
  *at++ = 0;  // the attributes of a record have no meaning yet
  at += varint_write(at, zigzag_encode(timestamp_delta));
  at = write_varint(at, offset_delta);
  at = write_nullable(at, record.key);
  at = write_nullable(at, record.value);
  at = write_varint(at, static_cast<std::int32_t>(record.headers.size()));
  for (const RecordHeaderView& header : record.headers) {
    at = write_nullable(at, header.key);
    at = write_nullable(at, header.value);
  }
  CHECK_EQ(static_cast<std::size_t>(at - body_start), body);
  record_bytes_ += static_cast<std::size_t>(at - start);
  ++record_count_;
  last_offset_delta_ = std::max(last_offset_delta_, offset_delta);
  max_timestamp_ = std::max(max_timestamp_, timestamp);
}

Slice RecordBatchBuilder::build(const BatchFields& fields) {
  CHECK_GT(record_count_, 0);
  Slice batch = std::exchange(buffer_, Slice()).sub(0, size_bytes());
  write_header(batch, fields, Codec::kNone);
  clear();
  return batch;
}

Slice RecordBatchBuilder::build(const BatchFields& fields, Codec codec, Codecs& codecs, SnappyFraming framing) {
  CHECK_GT(record_count_, 0);
  const ByteSpan records = buffer_.bytes().subspan(kBatchHeaderBytes, record_bytes_);
  const ByteSpan compressed = codecs.compress(codec, records, framing);
  Slice batch = Slice::allocate(kBatchHeaderBytes + compressed.size());
  std::copy_n(compressed.data(), compressed.size(), batch.mutable_data() + kBatchHeaderBytes);
  write_header(batch, fields, codec);
  clear();
  return batch;
}

void RecordBatchBuilder::write_header(Slice& batch, const BatchFields& fields, Codec codec) const {
  std::uint8_t* const to = batch.mutable_data();
  store_big(to + kBatchBaseOffsetAt, fields.base_offset.value());
  store_big(to + kBatchLengthAt, static_cast<std::int32_t>(batch.size() - kBatchUncountedBytes));
  store_big(to + kBatchLeaderEpochAt, fields.partition_leader_epoch.value());
  store_big(to + kBatchMagicAt, kBatchMagic);
  store_big(to + kBatchAttributesAt, attribute_bits(fields, codec));
  store_big(to + kBatchLastOffsetDeltaAt, last_offset_delta_);
  store_big(to + kBatchBaseTimestampAt, base_timestamp_);
  store_big(to + kBatchMaxTimestampAt, max_timestamp_);
  store_big(to + kBatchProducerIdAt, fields.producer_id.value());
  store_big(to + kBatchProducerEpochAt, fields.producer_epoch.value());
  store_big(to + kBatchBaseSequenceAt, fields.base_sequence);
  store_big(to + kBatchRecordCountAt, record_count_);
  seal_checksum(batch.mutable_bytes());
}

void RecordBatchBuilder::clear() {
  record_bytes_ = 0;
  record_count_ = 0;
  last_offset_delta_ = -1;
}

}  // namespace chronik::protocol
