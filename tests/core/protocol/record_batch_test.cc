#include "core/protocol/record_batch.h"

#include <gtest/gtest.h>

#include <array>
#include <limits>
#include <string>
#include <vector>

#include "core/protocol/record_batch_builder.h"
#include "core/protocol/record_batch_records.h"
#include "core/protocol/record_batch_walk.h"

namespace chronik::protocol {
namespace {

// Written by hand from the format; the checksum comes from a bitwise CRC-32C of its own.
// clang-format off
constexpr auto kGolden = std::to_array<std::uint8_t>({
    0, 0, 0, 0, 0, 0, 0x01, 0x00,                                        // base offset 256
    0, 0, 0, 0x45,                                                       // length 69
    0, 0, 0, 7,                                                          // leader epoch
    2,                                                                   // magic
    0xa1, 0x71, 0x34, 0x04,                                              // checksum
    0, 0,                                                                // attributes: none
    0, 0, 0, 1,                                                          // last offset delta
    0, 0, 0x01, 0x8b, 0xcf, 0xe5, 0x68, 0x00,                            // base timestamp
    0, 0, 0x01, 0x8b, 0xcf, 0xe5, 0x68, 0x03,                            // max timestamp
    0, 0, 0, 0, 0, 0, 0x0f, 0xa1,                                        // producer id 4001
    0, 5,                                                                // producer epoch
    0, 0, 0, 0x2a,                                                       // base sequence 42
    0, 0, 0, 2,                                                          // records
    0x18, 0, 0, 0, 0x02, 'k', 0x04, 'v', '1', 0x02, 0x02, 'h', 0x01,     // k = v1, header h = null
    0x0c, 0, 0x06, 0x02, 0x01, 0x00, 0x00,                               // 3 ms later: null key, empty value
});
// clang-format on

RecordBatchView parsed(ByteSpan bytes) {
  RecordBatchView view;
  EXPECT_EQ(RecordBatchView::parse(bytes, view), BatchDefect::kNone);
  return view;
}

Slice batch_of(int records, Offset base_offset = Offset(0)) {
  RecordBatchBuilder builder;
  for (int i = 0; i < records; ++i) {
    builder.append({.timestamp = WallTime::from_milliseconds(1000 + i),
                    .key = as_bytes("key"),
                    .value = as_bytes("value"),
                    .headers = {}});
  }
  return builder.build({.base_offset = base_offset});
}

TEST(RecordBatchView, ReadsEveryFieldOfHandWrittenBytes) {
  const RecordBatchView view = parsed(kGolden);
  EXPECT_EQ(view.size_bytes(), kGolden.size());
  EXPECT_EQ(view.base_offset(), Offset(256));
  EXPECT_EQ(view.last_offset(), Offset(257));
  EXPECT_EQ(view.next_offset(), Offset(258));
  EXPECT_EQ(view.partition_leader_epoch(), LeaderEpoch(7));
  EXPECT_EQ(view.attributes().bits(), 0);
  EXPECT_EQ(view.attributes().codec(), Codec::kNone);
  EXPECT_EQ(view.last_offset_delta(), 1);
  EXPECT_EQ(view.base_timestamp().milliseconds(), 1'700'000'000'000);
  EXPECT_EQ(view.max_timestamp().milliseconds(), 1'700'000'000'003);
  EXPECT_EQ(view.producer_id(), ProducerId(4001));
  EXPECT_EQ(view.producer_epoch(), ProducerEpoch(5));
  EXPECT_EQ(view.base_sequence(), 42);
  EXPECT_EQ(view.last_sequence(), 43);
  EXPECT_EQ(view.record_count(), 2);
  EXPECT_TRUE(view.checksum_matches());
}

TEST(RecordBatchView, IteratesTheRecordsOfHandWrittenBytes) {
  const RecordBatchView view = parsed(kGolden);
  RecordIterator records(view);
  RecordView record;
  ASSERT_TRUE(records.next(record));
  EXPECT_EQ(record.offset(view), Offset(256));
  EXPECT_EQ(record.timestamp(view).milliseconds(), 1'700'000'000'000);
  EXPECT_EQ(as_text(record.key().value()), "k");
  EXPECT_EQ(as_text(record.value().value()), "v1");
  RecordHeaderIterator headers(record);
  RecordHeaderView header;
  ASSERT_TRUE(headers.next(header));
  EXPECT_EQ(as_text(header.key), "h");
  EXPECT_FALSE(header.value.has_value());
  EXPECT_FALSE(headers.next(header));
  ASSERT_TRUE(records.next(record));
  EXPECT_EQ(record.offset(view), Offset(257));
  EXPECT_EQ(record.timestamp(view).milliseconds(), 1'700'000'000'003);
  EXPECT_FALSE(record.key().has_value());
  EXPECT_TRUE(record.value().value().empty());
  EXPECT_EQ(record.header_count, 0);
  EXPECT_FALSE(records.next(record));
  EXPECT_EQ(records.defect(), BatchDefect::kNone);
}

TEST(RecordBatchBuilder, WritesTheHandWrittenBytes) {
  RecordBatchBuilder builder;
  const std::array<RecordHeaderView, 1> headers{RecordHeaderView{.key = as_bytes("h"), .value = std::nullopt}};
  builder.append({.timestamp = WallTime::from_milliseconds(1'700'000'000'000),
                  .key = as_bytes("k"),
                  .value = as_bytes("v1"),
                  .headers = headers});
  builder.append({.timestamp = WallTime::from_milliseconds(1'700'000'000'003),
                  .key = std::nullopt,
                  .value = as_bytes(""),
                  .headers = {}});
  const std::size_t announced = builder.size_bytes();
  const Slice batch = builder.build({.base_offset = Offset(256),
                                     .partition_leader_epoch = LeaderEpoch(7),
                                     .producer_id = ProducerId(4001),
                                     .producer_epoch = ProducerEpoch(5),
                                     .base_sequence = 42});
  EXPECT_EQ(announced, batch.size());
  EXPECT_EQ(std::vector<std::uint8_t>(batch.bytes().begin(), batch.bytes().end()),
            std::vector<std::uint8_t>(kGolden.begin(), kGolden.end()));
  EXPECT_TRUE(builder.empty());
}

TEST(RecordBatchView, EveryTruncationIsSaidToBeOne) {
  for (std::size_t size = 0; size < kGolden.size(); ++size) {
    RecordBatchView view;
    EXPECT_EQ(RecordBatchView::parse(ByteSpan(kGolden).first(size), view), BatchDefect::kTruncated) << size;
  }
}

TEST(RecordBatchView, AnotherMagicOrAnImpossibleLengthIsRefused) {
  auto bytes = kGolden;
  RecordBatchView view;
  bytes[kBatchMagicAt] = 1;
  EXPECT_EQ(RecordBatchView::parse(bytes, view), BatchDefect::kMagic);
  bytes[kBatchMagicAt] = 2;
  for (const std::int32_t length : {48, 0, -1, std::numeric_limits<std::int32_t>::min()}) {
    store_big(bytes.data() + kBatchLengthAt, length);
    EXPECT_EQ(RecordBatchView::parse(bytes, view), BatchDefect::kLength) << length;
  }
  store_big(bytes.data() + kBatchLengthAt, std::numeric_limits<std::int32_t>::max());
  EXPECT_EQ(RecordBatchView::parse(bytes, view), BatchDefect::kTruncated);
}

TEST(RecordBatchView, EveryFlippedBitBehindTheChecksumIsDetected) {
  for (std::size_t bit = 8 * kBatchCrcAt; bit < 8 * kGolden.size(); ++bit) {
    auto bytes = kGolden;
    bytes[bit / 8] = static_cast<std::uint8_t>(bytes[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(parsed(bytes).checksum_matches()) << bit;
  }
}

TEST(RecordBatchView, AccessorsOfNonsenseDoNotOverflow) {
  auto bytes = kGolden;
  for (std::size_t i = kBatchAttributesAt; i < kBatchHeaderBytes; ++i) {
    bytes[i] = 0x80;
  }
  store_big(bytes.data(), std::numeric_limits<std::int64_t>::min());
  const RecordBatchView view = parsed(bytes);
  EXPECT_GT(view.last_offset().value(), 0) << "wrapped around";
  EXPECT_EQ(view.last_sequence(), -1);
  EXPECT_FALSE(view.has_producer());
  RecordIterator records(view);
  RecordView record;
  EXPECT_FALSE(records.next(record)) << "a negative count";
}

TEST(RecordBatchView, SequencesWrapToZero) {
  auto bytes = kGolden;
  store_big(bytes.data() + kBatchBaseSequenceAt, std::numeric_limits<std::int32_t>::max());
  EXPECT_EQ(parsed(bytes).last_sequence(), 0);
}

TEST(RecordBatchRewrite, OffsetAndEpochLeaveTheChecksumAlone) {
  auto bytes = kGolden;
  set_base_offset(bytes, Offset(1'000'000'000'000));
  set_partition_leader_epoch(bytes, LeaderEpoch(9));
  const RecordBatchView view = parsed(bytes);
  EXPECT_EQ(view.base_offset(), Offset(1'000'000'000'000));
  EXPECT_EQ(view.partition_leader_epoch(), LeaderEpoch(9));
  EXPECT_TRUE(view.checksum_matches());
  EXPECT_EQ(view.crc(), parsed(kGolden).crc());
}

TEST(RecordBatchRewrite, LogAppendTimeStampsAttributesTimestampAndChecksum) {
  auto bytes = kGolden;
  set_max_timestamp(bytes, TimestampType::kLogAppendTime, WallTime::from_milliseconds(77));
  const RecordBatchView view = parsed(bytes);
  EXPECT_EQ(view.attributes().timestamp_type(), TimestampType::kLogAppendTime);
  EXPECT_EQ(view.max_timestamp().milliseconds(), 77);
  EXPECT_TRUE(view.checksum_matches());
  EXPECT_NE(view.crc(), parsed(kGolden).crc());
  RecordIterator records(view);
  RecordView record;
  ASSERT_TRUE(records.next(record));
  EXPECT_EQ(record.timestamp(view).milliseconds(), 77) << "the batch's time is every record's";
  set_max_timestamp(bytes, TimestampType::kCreateTime, WallTime::from_milliseconds(1'700'000'000'003));
  EXPECT_EQ(bytes, kGolden);
}

TEST(BatchWalk, EndsAfterTheLastOfManyBatches) {
  std::vector<std::uint8_t> range;
  for (int i = 0; i < 5; ++i) {
    const Slice batch = batch_of(i + 1, Offset(10 * i));
    range.insert(range.end(), batch.bytes().begin(), batch.bytes().end());
  }
  BatchWalk walk(range, BatchWalk::Checksums::kCheck);
  RecordBatchView batch;
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(walk.next(batch));
    EXPECT_EQ(batch.base_offset(), Offset(10 * i));
    EXPECT_EQ(batch.record_count(), i + 1);
  }
  EXPECT_FALSE(walk.next(batch));
  EXPECT_EQ(walk.stop(), BatchDefect::kNone);
  EXPECT_EQ(walk.position(), range.size());
}

TEST(BatchWalk, ATornTailStopsItOnABatchBoundary) {
  const Slice first = batch_of(2);
  const Slice second = batch_of(3);
  std::vector<std::uint8_t> whole(first.bytes().begin(), first.bytes().end());
  whole.insert(whole.end(), second.bytes().begin(), second.bytes().end());
  for (std::size_t size = first.size() + 1; size < whole.size(); ++size) {
    BatchWalk walk(ByteSpan(whole).first(size), BatchWalk::Checksums::kCheck);
    RecordBatchView batch;
    ASSERT_TRUE(walk.next(batch));
    EXPECT_FALSE(walk.next(batch));
    EXPECT_EQ(walk.stop(), BatchDefect::kTruncated);
    EXPECT_EQ(walk.position(), first.size());
    EXPECT_FALSE(walk.next(batch)) << "stays stopped";
  }
}

TEST(BatchWalk, ACorruptBatchStopsItOnlyWhereChecksumsAreChecked) {
  std::vector<std::uint8_t> range(kGolden.begin(), kGolden.end());
  range.back() ^= 1;
  RecordBatchView batch;
  BatchWalk checking(range, BatchWalk::Checksums::kCheck);
  EXPECT_FALSE(checking.next(batch));
  EXPECT_EQ(checking.stop(), BatchDefect::kChecksum);
  EXPECT_EQ(checking.position(), 0u);
  BatchWalk trusting(range, BatchWalk::Checksums::kTrust);
  EXPECT_TRUE(trusting.next(batch));
}

TEST(RecordIterator, ARecordThatLiesAboutItsLengthIsADefect) {
  const std::vector<std::uint8_t> good(kGolden.begin() + kBatchHeaderBytes, kGolden.end());
  const auto defect_of = [](const std::vector<std::uint8_t>& bytes, std::int32_t count) {
    RecordIterator records(bytes, count);
    RecordView record;
    while (records.next(record)) {
    }
    return records.defect();
  };
  EXPECT_EQ(defect_of(good, 2), BatchDefect::kNone);
  EXPECT_EQ(defect_of(good, 1), BatchDefect::kRecordsRemain);
  EXPECT_EQ(defect_of(good, 3), BatchDefect::kRecordTruncated);
  const auto changed = [&good](std::size_t at, std::uint8_t byte) {
    std::vector<std::uint8_t> bytes = good;
    bytes[at] = byte;
    return bytes;
  };
  EXPECT_EQ(defect_of(changed(0, 0x16), 2), BatchDefect::kRecordMalformed) << "one byte too short for its header";
  EXPECT_EQ(defect_of(changed(0, 0x1a), 2), BatchDefect::kRecordMalformed) << "one byte too long";
  EXPECT_EQ(defect_of(changed(0, 0x01), 2), BatchDefect::kRecordMalformed) << "a negative length";
  EXPECT_EQ(defect_of(changed(4, 0x7e), 2), BatchDefect::kRecordMalformed) << "a key longer than the record";
  EXPECT_EQ(defect_of(changed(9, 0x01), 2), BatchDefect::kRecordMalformed) << "a negative count of headers";
  EXPECT_EQ(defect_of(changed(9, 0x7e), 2), BatchDefect::kRecordMalformed) << "more headers than bytes";
  EXPECT_EQ(defect_of(changed(10, 0x01), 2), BatchDefect::kRecordMalformed) << "a header without a key";
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_EQ(defect_of(std::vector<std::uint8_t>(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size)), 2),
              BatchDefect::kRecordTruncated);
  }
}

TEST(RecordBatchBuilder, KeepsGapsThatCompactionLeaves) {
  RecordBatchBuilder builder;
  const RecordInput record{
      .timestamp = WallTime::from_milliseconds(5), .key = std::nullopt, .value = std::nullopt, .headers = {}};
  builder.append_at(3, record);
  builder.append_at(9, record);
  EXPECT_EQ(builder.append(record), 10);
  const Slice batch = builder.build({});
  const RecordBatchView view = parsed(batch.bytes());
  EXPECT_EQ(view.last_offset_delta(), 10);
  EXPECT_EQ(view.record_count(), 3);
}

}  // namespace
}  // namespace chronik::protocol
