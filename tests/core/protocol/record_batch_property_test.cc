#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <array>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/protocol/record_batch_builder.h"
#include "core/protocol/record_batch_compress.h"
#include "core/protocol/record_batch_records.h"
#include "core/protocol/record_batch_stream.h"
#include "core/protocol/record_batch_validate.h"
#include "core/protocol/record_batch_walk.h"

namespace chronik::protocol {
namespace {

constexpr std::size_t kLimit = std::size_t{8} << 20;
constexpr std::array<Codec, 5> kAllCodecs{Codec::kNone, Codec::kGzip, Codec::kSnappy, Codec::kLz4, Codec::kZstd};

using Text = std::optional<std::string>;

// A record that owns its bytes.
struct OwnRecord {
  std::int64_t timestamp = 0;
  Text key;
  Text value;
  std::vector<std::pair<std::string, Text>> headers;
  bool operator==(const OwnRecord&) const = default;
};

Text any_text() {
  return *rc::gen::oneOf(rc::gen::just(Text()), rc::gen::map(rc::gen::arbitrary<std::string>(),
                                                             [](std::string s) { return Text(std::move(s)); }));
}

OwnRecord any_record() {
  OwnRecord record{
      .timestamp = *rc::gen::arbitrary<std::int64_t>(), .key = any_text(), .value = any_text(), .headers = {}};
  const auto count = *rc::gen::inRange(0, 4);
  for (int i = 0; i < count; ++i) {
    std::string key = *rc::gen::arbitrary<std::string>();
    record.headers.emplace_back(std::move(key), any_text());
  }
  return record;
}

std::vector<OwnRecord> any_records() {
  std::vector<OwnRecord> records;
  const auto count = *rc::gen::inRange(1, 20);
  for (int i = 0; i < count; ++i) {
    records.push_back(any_record());
  }
  return records;
}

std::optional<ByteSpan> span_of(const Text& text) {
  return text.has_value() ? std::optional(as_bytes(*text)) : std::nullopt;
}
Text text_of(const std::optional<ByteSpan>& span) { return span.has_value() ? Text(as_text(*span)) : std::nullopt; }

RecordBatchBuilder builder_of(const std::vector<OwnRecord>& records) {
  RecordBatchBuilder builder;
  for (const OwnRecord& record : records) {
    std::vector<RecordHeaderView> headers;
    for (const auto& [key, value] : record.headers) {
      headers.push_back({.key = as_bytes(key), .value = span_of(value)});
    }
    builder.append({.timestamp = WallTime::from_milliseconds(record.timestamp),
                    .key = span_of(record.key),
                    .value = span_of(record.value),
                    .headers = headers});
  }
  return builder;
}

std::vector<OwnRecord> read_back(const RecordBatchView& batch, ByteSpan plain_records) {
  std::vector<OwnRecord> records;
  RecordIterator iterator(plain_records, batch.record_count());
  RecordView view;
  while (iterator.next(view)) {
    RC_ASSERT(view.offset(batch) == batch.base_offset() + static_cast<std::int64_t>(records.size()));
    OwnRecord record{.timestamp = view.timestamp(batch).milliseconds(),
                     .key = text_of(view.key()),
                     .value = text_of(view.value()),
                     .headers = {}};
    RecordHeaderIterator headers(view);
    RecordHeaderView header;
    while (headers.next(header)) {
      record.headers.emplace_back(std::string(as_text(header.key)), text_of(header.value));
    }
    records.push_back(std::move(record));
  }
  RC_ASSERT(iterator.defect() == BatchDefect::kNone);
  return records;
}

ProduceChecks any_time_checks() {
  const std::int64_t for_ever = std::numeric_limits<std::int64_t>::max();
  return {
      .timestamp_before_ms_max = for_ever, .timestamp_after_ms_max = for_ever, .now = WallTime::from_milliseconds(0)};
}

// A handful of real batches, one per codec, made once.
std::vector<Slice> sample_batches(Codecs& codecs) {
  std::vector<Slice> batches;
  const std::vector<OwnRecord> records{
      {.timestamp = 1000, .key = "k", .value = "value", .headers = {{"h", "x"}, {"n", std::nullopt}}},
      {.timestamp = 1300, .key = std::nullopt, .value = std::string(40, 'v'), .headers = {}},
      {.timestamp = 900, .key = "", .value = std::nullopt, .headers = {}}};
  for (const Codec codec : kAllCodecs) {
    batches.push_back(builder_of(records).build({}, codec, codecs));
  }
  batches.push_back(builder_of(records).build({}, Codec::kSnappy, codecs, SnappyFraming::kRaw));
  return batches;
}

// Everything that reads a batch, on bytes that may be anything.
void read_every_way(ByteSpan bytes, Codecs& codecs) {
  BatchWalk walk(bytes, BatchWalk::Checksums::kTrust);
  RecordBatchView batch;
  while (walk.next(batch)) {
    RecordIterator records(batch);
    RecordView record;
    while (records.next(record)) {
      RecordHeaderIterator headers(record);
      RecordHeaderView header;
      std::int32_t seen = 0;
      while (headers.next(header)) {
        ++seen;
      }
      ASSERT_EQ(seen, record.header_count);
    }
    const StatusOr<Slice> again = recompress(Slice::copy_of(batch.bytes()), Codec::kLz4, kLimit, codecs);
    if (again.ok()) {
      RecordBatchView view;
      ASSERT_EQ(RecordBatchView::parse(again->bytes(), view), BatchDefect::kNone);
      ASSERT_TRUE(view.checksum_matches());
    }
  }
  const ProduceVerdict verdict = validate_produced_batches(bytes, any_time_checks(), codecs);
  ASSERT_EQ(verdict.ok(), verdict.message.empty());
}

TEST(RecordBatchProperty, WhatIsBuiltIsReadBackInEveryCodec) {
  Codecs codecs;
  EXPECT_TRUE(rc::check([&codecs] {
    const std::vector<OwnRecord> records = any_records();
    const Codec codec = *rc::gen::elementOf(kAllCodecs);
    const auto framing = *rc::gen::element(SnappyFraming::kRaw, SnappyFraming::kXerial);
    const BatchFields fields{.base_offset = Offset(*rc::gen::inRange<std::int64_t>(0, 1'000'000'000'000)),
                             .partition_leader_epoch = LeaderEpoch(3)};
    RecordBatchBuilder builder = builder_of(records);
    const Slice batch = builder.build(fields, codec, codecs, framing);
    RecordBatchView view;
    RC_ASSERT(RecordBatchView::parse(batch.bytes(), view) == BatchDefect::kNone);
    RC_ASSERT(view.checksum_matches());
    const StatusOr<Slice> plain = decompressed_records(batch, kLimit, codecs);
    RC_ASSERT(plain.ok());
    RC_ASSERT(read_back(view, plain->bytes()) == records);
  }));
}

TEST(RecordBatchProperty, RecompressionKeepsEveryRecordAndEveryOtherField) {
  Codecs codecs;
  EXPECT_TRUE(rc::check([&codecs] {
    const std::vector<OwnRecord> records = any_records();
    const Slice plain = builder_of(records).build(
        {.producer_id = ProducerId(7), .producer_epoch = ProducerEpoch(1), .base_sequence = 5});
    const StatusOr<Slice> there = recompress(plain, *rc::gen::elementOf(kAllCodecs), kLimit, codecs);
    RC_ASSERT(there.ok());
    const StatusOr<Slice> elsewhere = recompress(*there, *rc::gen::elementOf(kAllCodecs), kLimit, codecs);
    RC_ASSERT(elsewhere.ok());
    const StatusOr<Slice> back = recompress(*elsewhere, Codec::kNone, kLimit, codecs);
    RC_ASSERT(back.ok());
    RC_ASSERT(*back == plain);
  }));
}

TEST(RecordBatchProperty, WhatIsBuiltIsAcceptedByValidation) {
  Codecs codecs;
  EXPECT_TRUE(rc::check([&codecs] {
    const std::vector<OwnRecord> records = any_records();
    const Slice batch = builder_of(records).build({}, *rc::gen::elementOf(kAllCodecs), codecs);
    const ProduceVerdict verdict = validate_produced_batches(batch.bytes(), any_time_checks(), codecs);
    RC_ASSERT(verdict.ok());
    std::size_t first = 0;
    for (std::size_t i = 1; i < records.size(); ++i) {
      first = records[i].timestamp > records[first].timestamp ? i : first;
    }
    RC_ASSERT(verdict.max_timestamp.milliseconds() == records[first].timestamp);
    RC_ASSERT(verdict.max_timestamp_offset_delta == static_cast<std::int32_t>(first));
  }));
}

// The same grammar over memory and over a stream with a chunk so small that everything crosses its edge.
TEST(RecordBatchProperty, AStreamAndMemoryAgreeAboutAnyBytes) {
  Codecs codecs;
  EXPECT_TRUE(rc::check([&codecs] {
    const Slice batch = builder_of(any_records()).build({});
    std::vector<std::uint8_t> bytes(batch.bytes().begin() + kBatchHeaderBytes, batch.bytes().end());
    const auto changes = *rc::gen::inRange(0, 3);
    for (int i = 0; i < changes; ++i) {
      bytes[*rc::gen::inRange<std::size_t>(0, bytes.size())] = *rc::gen::arbitrary<std::uint8_t>();
    }
    bytes.resize(*rc::gen::inRange<std::size_t>(bytes.size() / 2, bytes.size() + 1));

    const ByteSpan compressed = codecs.compress(Codec::kSnappy, bytes);
    Decompressor& stream = codecs.decompressor(Codec::kSnappy);
    stream.start(compressed, kLimit);
    std::array<std::uint8_t, kLookaheadBytes + 3> chunk{};
    StreamSource streamed(stream, chunk, kLimit);
    SpanSource in_memory(bytes);
    for (;;) {
      RecordView a;
      RecordView b;
      const BatchDefect defect = parse_record(in_memory, a);
      RC_ASSERT(parse_record(streamed, b) == defect);
      if (defect != BatchDefect::kNone) {
        break;
      }
      RC_ASSERT(a.timestamp_delta == b.timestamp_delta);
      RC_ASSERT(a.offset_delta == b.offset_delta);
      RC_ASSERT(a.has_key == b.has_key);
      RC_ASSERT(a.header_count == b.header_count);
      RC_ASSERT(in_memory.peek().empty() == streamed.peek().empty());
    }
    RC_ASSERT(streamed.defect() == BatchDefect::kNone);
    stream.finish();
  }));
}

TEST(RecordBatchProperty, EveryTruncationIsReadWithoutAFault) {
  Codecs codecs;
  for (const Slice& batch : sample_batches(codecs)) {
    for (std::size_t size = 0; size < batch.size(); ++size) {
      // Once as it is, once with a header that agrees with what is left.
      read_every_way(batch.bytes().first(size), codecs);
      if (size >= kBatchHeaderBytes) {
        const Slice cut = Slice::copy_of(batch.bytes().first(size));
        store_big(cut.mutable_data() + kBatchLengthAt, static_cast<std::int32_t>(size - kBatchUncountedBytes));
        seal_checksum(cut.mutable_bytes());
        read_every_way(cut.bytes(), codecs);
        EXPECT_FALSE(validate_produced_batches(cut.bytes(), any_time_checks(), codecs).ok()) << size;
      }
    }
  }
}

TEST(RecordBatchProperty, EverySingleByteChangeIsReadWithoutAFaultEvenUnderARightChecksum) {
  Codecs codecs;
  for (const Slice& batch : sample_batches(codecs)) {
    for (std::size_t at = 0; at < batch.size(); ++at) {
      for (int delta = 1; delta < 256; delta += at < kBatchHeaderBytes ? 17 : 3) {
        const Slice changed = Slice::copy_of(batch.bytes());
        std::uint8_t& byte = changed.mutable_data()[at];
        byte = static_cast<std::uint8_t>(byte + delta);
        RecordBatchView view;
        if (RecordBatchView::parse(changed.bytes(), view) == BatchDefect::kNone) {
          seal_checksum(changed.mutable_bytes());
        }
        read_every_way(changed.bytes(), codecs);
      }
    }
  }
}

TEST(RecordBatchProperty, AnyBytesAreReadWithoutAFault) {
  Codecs codecs;
  EXPECT_TRUE(rc::check([&codecs] {
    const auto bytes = *rc::gen::arbitrary<std::vector<std::uint8_t>>();
    read_every_way(bytes, codecs);
    RecordIterator records(bytes, *rc::gen::arbitrary<std::int32_t>());
    RecordView record;
    while (records.next(record)) {
    }
    for (const Codec codec : {Codec::kGzip, Codec::kSnappy, Codec::kLz4, Codec::kZstd}) {
      const StatusOr<Slice> plain = codecs.decompress(codec, bytes, 100'000);
      if (plain.ok()) {
        RC_ASSERT(plain->size() <= 100'000u);
      }
    }
  }));
}

}  // namespace
}  // namespace chronik::protocol
