#include "core/protocol/record_batch_validate.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/protocol/record_batch_builder.h"
#include "core/protocol/record_batch_compress.h"

namespace chronik::protocol {
namespace {

constexpr std::int64_t kNow = 1'700'000'000'000;

ProduceChecks checks() { return {.now = WallTime::from_milliseconds(kNow)}; }

RecordInput record(std::int64_t timestamp = kNow, std::optional<ByteSpan> key = as_bytes("key")) {
  return {
      .timestamp = WallTime::from_milliseconds(timestamp), .key = key, .value = as_bytes("some value"), .headers = {}};
}

// A batch of three good records, and what can be wrong with one.
class Validation : public testing::TestWithParam<Codec> {
 protected:
  Slice good(const BatchFields& fields = {}) {
    RecordBatchBuilder builder;
    for (int i = 0; i < 3; ++i) {
      builder.append(record(kNow + i));
    }
    return builder.build(fields, GetParam(), codecs_);
  }
  Slice of(std::vector<RecordInput> records) {
    RecordBatchBuilder builder;
    for (const RecordInput& input : records) {
      builder.append(input);
    }
    return builder.build({}, GetParam(), codecs_);
  }
  // The good batch with one field of its header written over and a right checksum.
  template <typename T>
  Slice with(std::size_t at, T value) {
    Slice batch = good();
    store_big(batch.mutable_data() + at, value);
    seal_checksum(batch.mutable_bytes());
    return batch;
  }
  Slice with_attributes(std::int16_t bits) {
    return with(kBatchAttributesAt, static_cast<std::int16_t>(bits | static_cast<int>(GetParam())));
  }
  ProduceVerdict verdict(const Slice& batch, const ProduceChecks& with_checks = checks()) {
    return validate_produced_batches(batch.bytes(), with_checks, codecs_);
  }
  ErrorCode error(const Slice& batch, const ProduceChecks& with_checks = checks()) {
    const ProduceVerdict result = verdict(batch, with_checks);
    EXPECT_EQ(result.ok(), result.message.empty()) << result.message;
    return result.error;
  }

  Codecs codecs_;
};

INSTANTIATE_TEST_SUITE_P(EveryCodec, Validation,
                         testing::Values(Codec::kNone, Codec::kGzip, Codec::kSnappy, Codec::kLz4, Codec::kZstd),
                         [](const auto& codec) { return codec_name(codec.param); });

class CompressedValidation : public Validation {};
INSTANTIATE_TEST_SUITE_P(EveryCodec, CompressedValidation,
                         testing::Values(Codec::kGzip, Codec::kSnappy, Codec::kLz4, Codec::kZstd),
                         [](const auto& codec) { return codec_name(codec.param); });

TEST_P(Validation, AGoodBatchPassesAndIsDescribed) {
  const Slice batch = good({.producer_id = ProducerId(9), .producer_epoch = ProducerEpoch(1), .base_sequence = 0});
  const ProduceVerdict result = verdict(batch);
  ASSERT_TRUE(result.ok()) << result.message;
  EXPECT_EQ(result.batch.size_bytes(), batch.size());
  EXPECT_EQ(result.batch.record_count(), 3);
  EXPECT_EQ(result.batch.producer_id(), ProducerId(9));
  EXPECT_EQ(result.codec, GetParam());
  EXPECT_EQ(result.max_timestamp.milliseconds(), kNow + 2);
  EXPECT_EQ(result.max_timestamp_offset_delta, 2);
}

TEST_P(Validation, TheFirstRecordOfTheMaximumIsNamedWhateverTheHeaderSays) {
  Slice batch = of({record(kNow), record(kNow + 9), record(kNow + 9), record(kNow - 5)});
  set_max_timestamp(batch.mutable_bytes(), TimestampType::kCreateTime, WallTime::from_milliseconds(1));
  const ProduceVerdict result = verdict(batch);
  ASSERT_TRUE(result.ok()) << result.message;
  EXPECT_EQ(result.max_timestamp.milliseconds(), kNow + 9);
  EXPECT_EQ(result.max_timestamp_offset_delta, 1);
}

TEST_P(Validation, NothingOrAPieceOfABatchIsNoBatch) {
  EXPECT_EQ(error(Slice()), ErrorCode::kInvalidRecord);
  const Slice batch = good();
  for (std::size_t size = 0; size < batch.size(); ++size) {
    EXPECT_EQ(error(batch.sub(0, size)), ErrorCode::kInvalidRecord) << size;
  }
}

TEST_P(Validation, ASecondBatchIsRefused) {
  const Slice batch = good();
  std::string twice(batch.text());
  twice += batch.text();
  EXPECT_EQ(error(Slice::copy_of(twice)), ErrorCode::kInvalidRecord);
}

TEST_P(Validation, EveryFlippedBitOfWhatTheChecksumCoversIsCorruption) {
  const Slice batch = good();
  for (std::size_t bit = 8 * kBatchCrcAt; bit < 8 * batch.size(); ++bit) {
    const Slice changed = Slice::copy_of(batch.bytes());
    std::uint8_t& byte = changed.mutable_data()[bit / 8];
    byte = static_cast<std::uint8_t>(byte ^ (1 << (bit % 8)));
    const ErrorCode code = error(changed);
    // An unknown codec is seen before the checksum is.
    EXPECT_TRUE(code == ErrorCode::kCorruptMessage || code == ErrorCode::kUnsupportedCompressionType) << bit;
  }
}

TEST_P(Validation, OldMagicIsInvalidAndUnknownMagicIsCorrupt) {
  EXPECT_EQ(error(with(kBatchMagicAt, std::int8_t{2})), ErrorCode::kNone);
  for (const auto& [magic, code] : std::vector<std::pair<int, ErrorCode>>{{0, ErrorCode::kInvalidRecord},
                                                                          {1, ErrorCode::kInvalidRecord},
                                                                          {3, ErrorCode::kCorruptMessage},
                                                                          {-1, ErrorCode::kCorruptMessage}}) {
    const Slice batch = good();
    store_big(batch.mutable_data() + kBatchMagicAt, static_cast<std::int8_t>(magic));
    EXPECT_EQ(error(batch), code) << magic;
  }
}

TEST_P(Validation, ALengthBelowAHeaderIsCorrupt) {
  const Slice batch = good();
  store_big(batch.mutable_data() + kBatchLengthAt, std::int32_t{48});
  EXPECT_EQ(error(batch), ErrorCode::kCorruptMessage);
}

TEST_P(Validation, TheBaseOffsetMustBeZero) {
  EXPECT_EQ(error(good({.base_offset = Offset(1)})), ErrorCode::kInvalidRecord);
  EXPECT_EQ(error(good({.base_offset = Offset(-1)})), ErrorCode::kInvalidRecord);
}

TEST_P(Validation, ABatchAboveTheTopicsLimitIsTooLargeAndAtTheLimitIsNot) {
  const Slice batch = good();
  ProduceChecks tight = checks();
  tight.message_bytes_max = batch.size();
  EXPECT_EQ(error(batch, tight), ErrorCode::kNone);
  tight.message_bytes_max = batch.size() - 1;
  EXPECT_EQ(error(batch, tight), ErrorCode::kMessageTooLarge);
}

TEST_P(Validation, CountsThatDisagreeAreRefused) {
  for (const std::int32_t count :
       {0, -1, 2, 4, std::numeric_limits<std::int32_t>::min(), std::numeric_limits<std::int32_t>::max()}) {
    EXPECT_EQ(error(with(kBatchRecordCountAt, count)), ErrorCode::kInvalidRecord) << count;
    EXPECT_EQ(error(with(kBatchLastOffsetDeltaAt, count)), count == 2 ? ErrorCode::kNone : ErrorCode::kInvalidRecord)
        << count;
  }
}

TEST_P(Validation, CountsThatAgreeWithEachOtherButNotWithTheRecordsAreRefused) {
  for (const std::int32_t count : {1, 2, 4, 1000, std::numeric_limits<std::int32_t>::max()}) {
    const Slice batch = good();
    store_big(batch.mutable_data() + kBatchRecordCountAt, count);
    store_big(batch.mutable_data() + kBatchLastOffsetDeltaAt, count - 1);
    seal_checksum(batch.mutable_bytes());
    EXPECT_EQ(error(batch), ErrorCode::kInvalidRecord) << count;
  }
}

TEST_P(Validation, ControlAndDeleteHorizonAndProducerlessTransactionsAreRefused) {
  EXPECT_EQ(error(with_attributes(BatchAttributes::kControlBit)), ErrorCode::kInvalidRecord);
  EXPECT_EQ(error(with_attributes(BatchAttributes::kDeleteHorizonBit)), ErrorCode::kInvalidRecord);
  EXPECT_EQ(error(with_attributes(BatchAttributes::kTransactionalBit)), ErrorCode::kInvalidRecord);
  EXPECT_EQ(error(good({.producer_id = ProducerId(1),
                        .producer_epoch = ProducerEpoch(0),
                        .base_sequence = 0,
                        .transactional = true})),
            ErrorCode::kNone);
}

TEST_P(Validation, AProducerNeedsASequence) {
  EXPECT_EQ(error(good({.producer_id = ProducerId(0), .producer_epoch = ProducerEpoch(0), .base_sequence = -1})),
            ErrorCode::kInvalidRecord);
  EXPECT_EQ(error(good({.producer_id = ProducerId(0), .producer_epoch = ProducerEpoch(0), .base_sequence = 0})),
            ErrorCode::kNone);
}

TEST_P(Validation, OnlyTheBrokerSetsLogAppendTime) {
  ProduceChecks append_time = checks();
  append_time.timestamp_type = TimestampType::kLogAppendTime;
  EXPECT_EQ(error(with_attributes(BatchAttributes::kLogAppendTimeBit)), ErrorCode::kInvalidTimestamp);
  EXPECT_EQ(error(with_attributes(BatchAttributes::kLogAppendTimeBit), append_time), ErrorCode::kInvalidTimestamp);
}

TEST_P(Validation, TimestampsOutsideTheBoundsAreRefusedRecordByRecord) {
  ProduceChecks bounded = checks();
  bounded.timestamp_before_ms_max = 100;
  bounded.timestamp_after_ms_max = 10;
  EXPECT_EQ(error(of({record(kNow - 100), record(kNow + 10), record(kNoTimestamp)}), bounded), ErrorCode::kNone);
  const ProduceVerdict result = verdict(of({record(kNow - 101), record(kNow), record(kNow + 11)}), bounded);
  EXPECT_EQ(result.error, ErrorCode::kInvalidTimestamp);
  ASSERT_EQ(result.record_errors.size(), 2u);
  EXPECT_EQ(result.record_errors[0].batch_index, 0);
  EXPECT_EQ(result.record_errors[1].batch_index, 2);
  bounded.timestamp_type = TimestampType::kLogAppendTime;
  EXPECT_EQ(error(of({record(kNow - 101), record(kNow + 11)}), bounded), ErrorCode::kNone)
      << "they are overwritten anyway";
}

TEST_P(Validation, TimesThatOverflowAreOutsideTheBoundsNotUndefined) {
  ProduceChecks bounded = checks();
  bounded.timestamp_before_ms_max = 0;
  EXPECT_EQ(
      error(of({record(std::numeric_limits<std::int64_t>::min()), record(std::numeric_limits<std::int64_t>::max())}),
            bounded),
      ErrorCode::kInvalidTimestamp);
  bounded.timestamp_before_ms_max = bounded.timestamp_after_ms_max = std::numeric_limits<std::int64_t>::max();
  EXPECT_EQ(error(of({record(std::numeric_limits<std::int64_t>::max())}), bounded), ErrorCode::kNone);
}

TEST_P(Validation, ACompactedTopicNeedsKeysAndNamesTheRecordsWithout) {
  ProduceChecks compacted = checks();
  compacted.compacted = true;
  EXPECT_EQ(error(good(), compacted), ErrorCode::kNone);
  EXPECT_EQ(error(of({record(kNow, as_bytes(""))}), compacted), ErrorCode::kNone) << "an empty key is a key";
  const ProduceVerdict result =
      verdict(of({record(), record(kNow, std::nullopt), record(), record(kNow, std::nullopt)}), compacted);
  EXPECT_EQ(result.error, ErrorCode::kInvalidRecord);
  ASSERT_EQ(result.record_errors.size(), 2u);
  EXPECT_EQ(result.record_errors[0].batch_index, 1);
  EXPECT_EQ(result.record_errors[1].batch_index, 3);
  EXPECT_FALSE(result.record_errors[0].message.empty());
}

TEST_P(Validation, TheListOfRefusedRecordsIsBounded) {
  ProduceChecks compacted = checks();
  compacted.compacted = true;
  const ProduceVerdict result = verdict(of(std::vector<RecordInput>(5000, record(kNow, std::nullopt))), compacted);
  EXPECT_EQ(result.record_errors.size(), ProduceVerdict::kRecordErrorsMax);
  EXPECT_NE(result.message.find("5000 of 5000"), std::string::npos) << result.message;
}

TEST_P(Validation, OffsetDeltasMustCountFromZero) {
  RecordBatchBuilder builder;
  builder.append_at(1, record());
  builder.append_at(0, record());
  const ProduceVerdict result = verdict(builder.build({}, GetParam(), codecs_));
  EXPECT_EQ(result.error, ErrorCode::kInvalidRecord);
  EXPECT_EQ(result.record_errors.size(), 2u);
}

TEST_P(Validation, ACodecThatDoesNotExistIsNotSupported) {
  for (std::int16_t codec = kCodecs; codec <= BatchAttributes::kCodecMask; ++codec) {
    EXPECT_EQ(error(with(kBatchAttributesAt, codec)), ErrorCode::kUnsupportedCompressionType);
  }
}

TEST_P(CompressedValidation, AnInnerRecordMayNotSayThatItIsCompressed) {
  RecordBatchBuilder builder;
  builder.append(record());
  const Slice plain = builder.build({});
  plain.mutable_data()[kBatchHeaderBytes + 1] = 1;  // the record's attributes
  const StatusOr<Slice> batch = recompress(plain, GetParam(), 1 << 20, codecs_);
  ASSERT_TRUE(batch.ok());
  const ProduceVerdict result = verdict(*batch);
  EXPECT_EQ(result.error, ErrorCode::kInvalidRecord);
  EXPECT_EQ(result.record_errors.size(), 1u);
}

TEST_P(CompressedValidation, BytesThatDoNotDecompressAreAnInvalidRecord) {
  const Slice batch = good();
  batch.mutable_data()[kBatchHeaderBytes] ^= 0xff;
  seal_checksum(batch.mutable_bytes());
  const ProduceVerdict result = verdict(batch);
  EXPECT_EQ(result.error, ErrorCode::kInvalidRecord);
  EXPECT_EQ(result.message, batch_defect_text(BatchDefect::kDecompression));
}

TEST_P(CompressedValidation, ABombIsTooLargeAfterBoundedWork) {
  const std::vector<std::uint8_t> zeros(std::size_t{16} << 20);
  const Slice batch = of({{.timestamp = WallTime::from_milliseconds(kNow), .key = {}, .value = zeros, .headers = {}}});
  ProduceChecks bounded = checks();
  bounded.decompressed_bytes_max = std::size_t{17} << 20;
  EXPECT_EQ(error(batch, bounded), ErrorCode::kNone);
  bounded.decompressed_bytes_max = std::size_t{1} << 20;
  EXPECT_EQ(error(batch, bounded), ErrorCode::kMessageTooLarge);
}

TEST_P(Validation, RecordsLongerThanAChunkAreWalkedThrough) {
  std::string large(200'000, 'x');
  for (std::size_t i = 0; i < large.size(); i += 3) {
    large[i] = static_cast<char>(i * 31 / 7);
  }
  const RecordHeaderView header{.key = as_bytes(large), .value = as_bytes(large)};
  RecordInput input = record();
  input.value = as_bytes(large);
  input.headers = std::span(&header, 1);
  EXPECT_EQ(error(of({input, record(), input, record(), input}),
                  {.message_bytes_max = 4'000'000, .now = WallTime::from_milliseconds(kNow)}),
            ErrorCode::kNone);
}

TEST(ValidationOfZstd, NeedsProduce7) {
  Codecs codecs;
  RecordBatchBuilder builder;
  builder.append(record());
  const Slice batch = builder.build({}, Codec::kZstd, codecs);
  ProduceChecks old = checks();
  old.produce_version = 6;
  EXPECT_EQ(validate_produced_batches(batch.bytes(), old, codecs).error, ErrorCode::kUnsupportedCompressionType);
  old.produce_version = 7;
  EXPECT_EQ(validate_produced_batches(batch.bytes(), old, codecs).error, ErrorCode::kNone);
}

TEST(ValidationOfSnappy, AcceptsBothFramings) {
  Codecs codecs;
  for (const SnappyFraming framing : {SnappyFraming::kRaw, SnappyFraming::kXerial}) {
    RecordBatchBuilder builder;
    builder.append(record());
    const Slice batch = builder.build({}, Codec::kSnappy, codecs, framing);
    EXPECT_EQ(validate_produced_batches(batch.bytes(), checks(), codecs).error, ErrorCode::kNone);
  }
}

TEST(DecompressedBytesMax, FollowsTheTopicsLimitBetweenItsBounds) {
  EXPECT_EQ(default_decompressed_bytes_max(1000), std::size_t{64} << 20);
  EXPECT_EQ(default_decompressed_bytes_max(std::size_t{2} << 20), std::size_t{128} << 20);
  EXPECT_EQ(default_decompressed_bytes_max(std::size_t{100} << 20), std::size_t{256} << 20);
  EXPECT_EQ(default_decompressed_bytes_max(std::size_t{1} << 30), std::size_t{1} << 30);
}

}  // namespace
}  // namespace chronik::protocol
