// The records of a batch, once decompressed: parsed where they lie, nothing copied.
//
//   record: length varint | attributes i8 | timestamp delta varlong | offset delta varint | key length varint, key
//           | value length varint, value | header count varint, headers       (lengths -1: null; varints are zig-zag)
//   header: key length varint, key | value length varint, value               (the key is not null)
//
// Total: any bytes give records or a defect. One grammar (parse_record) serves both a batch in memory and a stream of
// decompressed chunks, of which only counts, deltas and lengths are looked at.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "core/base/slice.h"
#include "core/base/varint.h"
#include "core/protocol/record_batch.h"

namespace chronik::protocol {

struct RecordHeaderView {
  ByteSpan key;
  std::optional<ByteSpan> value;
};

struct RecordView {
  std::int8_t attributes = 0;
  std::int64_t timestamp_delta = 0;
  std::int32_t offset_delta = 0;
  std::int32_t header_count = 0;
  bool has_key = false;
  bool has_value = false;
  // Of a stream these three are empty: its records are skipped, not kept.
  ByteSpan key_bytes;
  ByteSpan value_bytes;
  ByteSpan header_bytes;

  std::optional<ByteSpan> key() const { return has_key ? std::optional(key_bytes) : std::nullopt; }
  std::optional<ByteSpan> value() const { return has_value ? std::optional(value_bytes) : std::nullopt; }
  // By wrapping arithmetic: deltas are the sender's.
  WallTime timestamp(const RecordBatchView& batch) const;
  Offset offset(const RecordBatchView& batch) const;
};

// The headers of one record that was parsed from memory.
class RecordHeaderIterator {
 public:
  explicit RecordHeaderIterator(const RecordView& record) : rest_(record.header_bytes), left_(record.header_count) {}
  // False after the last header.
  bool next(RecordHeaderView& header);

 private:
  ByteSpan rest_;
  std::int32_t left_;
};

// Bytes in memory, as parse_record() reads them.
class SpanSource {
 public:
  static constexpr bool kKeepsBytes = true;
  explicit SpanSource(ByteSpan bytes) : rest_(bytes) {}
  // What can be looked at without moving: at least kLookaheadBytes of it, or all that is left.
  ByteSpan peek() const { return rest_; }
  // Moves on by n bytes that peek() showed.
  void consume(std::size_t n) { rest_ = rest_.subspan(n); }
  // Moves on by any n bytes. False where there are fewer.
  bool skip(std::size_t n, ByteSpan& skipped) {
    if (n > rest_.size()) {
      return false;
    }
    skipped = rest_.first(n);
    rest_ = rest_.subspan(n);
    return true;
  }

 private:
  ByteSpan rest_;
};

inline constexpr std::size_t kLookaheadBytes = kVarint64BytesMax;

namespace record_detail {

// Reads the parts of one record, never beyond the length it announced.
template <typename Source>
class RecordReader {
 public:
  RecordReader(Source& source, std::size_t length) : source_(source), left_(length) {}

  std::size_t left() const { return left_; }
  BatchDefect defect() const { return defect_; }

  bool byte(std::int8_t& value) {
    const ByteSpan seen = peek();
    if (seen.empty()) {
      return fail();
    }
    value = static_cast<std::int8_t>(seen[0]);
    consume(1);
    return true;
  }
  bool varint(std::int32_t& value) {
    std::uint64_t raw = 0;
    if (!number<32>(raw)) {
      return false;
    }
    value = zigzag_decode(static_cast<std::uint32_t>(raw));
    return true;
  }
  bool varlong(std::int64_t& value) {
    std::uint64_t raw = 0;
    if (!number<64>(raw)) {
      return false;
    }
    value = zigzag_decode(raw);
    return true;
  }
  // A length and as many bytes; a negative length is null.
  bool nullable(bool& present, ByteSpan& bytes) {
    std::int32_t length = 0;
    if (!varint(length)) {
      return false;
    }
    present = length >= 0;
    if (!present) {
      return true;
    }
    const auto n = static_cast<std::size_t>(length);
    if (n > left_) {
      defect_ = BatchDefect::kRecordMalformed;
      return false;
    }
    if (!source_.skip(n, bytes)) {
      defect_ = BatchDefect::kRecordTruncated;
      return false;
    }
    left_ -= n;
    return true;
  }

 private:
  ByteSpan peek() const {
    const ByteSpan seen = source_.peek();
    return seen.first(std::min(seen.size(), left_));
  }
  void consume(std::size_t n) {
    source_.consume(n);
    left_ -= n;
  }
  template <int bits>
  bool number(std::uint64_t& value) {
    const ByteSpan seen = peek();
    if (!seen.empty() && seen[0] < 0x80) {  // nearly all are one byte
      value = seen[0];
      consume(1);
      return true;
    }
    const std::size_t n = varint_read<bits>(seen, value);
    if (n == 0) {
      return fail();
    }
    consume(n);
    return true;
  }
  // The source ends, or the record does while the source goes on.
  bool fail() {
    const ByteSpan seen = source_.peek();
    defect_ =
        seen.size() < std::min(left_, kLookaheadBytes) ? BatchDefect::kRecordTruncated : BatchDefect::kRecordMalformed;
    return false;
  }

  Source& source_;
  std::size_t left_;
  BatchDefect defect_ = BatchDefect::kNone;
};

template <typename Source>
bool skip_headers(RecordReader<Source>& reader, std::int32_t count) {
  for (std::int32_t i = 0; i < count; ++i) {
    bool has_key = false;
    bool has_value = false;
    ByteSpan ignored;
    if (!reader.nullable(has_key, ignored) || !has_key || !reader.nullable(has_value, ignored)) {
      return false;
    }
  }
  return true;
}

}  // namespace record_detail

// Reads the record at the start of `source`, which is left behind it.
template <typename Source>
BatchDefect parse_record(Source& source, RecordView& record) {
  std::uint64_t raw = 0;
  const ByteSpan start = source.peek();
  const std::size_t n = varint_read<32>(start, raw);
  if (n == 0) {
    return start.size() < kVarint32BytesMax ? BatchDefect::kRecordTruncated : BatchDefect::kRecordMalformed;
  }
  const std::int32_t length = zigzag_decode(static_cast<std::uint32_t>(raw));
  if (length < 0) {
    return BatchDefect::kRecordMalformed;
  }
  source.consume(n);
  record_detail::RecordReader<Source> reader(source, static_cast<std::size_t>(length));
  if (!reader.byte(record.attributes) || !reader.varlong(record.timestamp_delta) ||
      !reader.varint(record.offset_delta) || !reader.nullable(record.has_key, record.key_bytes) ||
      !reader.nullable(record.has_value, record.value_bytes) || !reader.varint(record.header_count)) {
    return reader.defect();
  }
  // A header has two bytes at least, so the count is bounded by the bytes there are.
  if (record.header_count < 0 || static_cast<std::size_t>(record.header_count) > reader.left() / 2) {
    return BatchDefect::kRecordMalformed;
  }
  const ByteSpan at_headers = source.peek();
  const std::size_t header_bytes = reader.left();
  if (!record_detail::skip_headers(reader, record.header_count)) {
    return reader.defect() == BatchDefect::kNone ? BatchDefect::kRecordMalformed : reader.defect();
  }
  if (reader.left() != 0) {
    return BatchDefect::kRecordMalformed;
  }
  if constexpr (Source::kKeepsBytes) {
    record.header_bytes = at_headers.first(header_bytes);
  }
  return BatchDefect::kNone;
}

// Iterates over `count` records in memory.
class RecordIterator {
 public:
  RecordIterator(ByteSpan records, std::int32_t count) : source_(records), left_(count) {}
  // For a batch that is not compressed.
  explicit RecordIterator(const RecordBatchView& batch) : RecordIterator(batch.records(), batch.record_count()) {}

  // False after the last record and at a defect.
  bool next(RecordView& record) {
    if (left_ <= 0 || defect_ != BatchDefect::kNone) {
      finish();
      return false;
    }
    --left_;
    record = RecordView{};
    defect_ = parse_record(source_, record);
    return defect_ == BatchDefect::kNone;
  }
  // After next() said false: kNone where every byte belonged to a record.
  BatchDefect defect() const { return defect_; }

 private:
  void finish() {
    if (defect_ == BatchDefect::kNone && !source_.peek().empty()) {
      defect_ = BatchDefect::kRecordsRemain;
    }
  }
  SpanSource source_;
  std::int32_t left_;
  BatchDefect defect_ = BatchDefect::kNone;
};

}  // namespace chronik::protocol
