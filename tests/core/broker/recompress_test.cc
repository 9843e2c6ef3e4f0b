// Topics with a codec of their own (compression.type): batches in another one are recompressed when they are produced.
#include <gtest/gtest.h>

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "core/protocol/messages/fetch.h"
#include "core/protocol/messages/incremental_alter_configs.h"
#include "core/protocol/messages/init_producer_id.h"
#include "core/protocol/messages/produce.h"
#include "core/protocol/record_batch_compress.h"
#include "core/protocol/record_batch_walk.h"
#include "tests/core/broker/broker_world.h"

namespace chronik::broker::testing {
namespace {

using protocol::Codec;
using protocol::ErrorCode;
using protocol::RecordBatchView;

constexpr std::array<Codec, 5> kCodecs{Codec::kNone, Codec::kGzip, Codec::kSnappy, Codec::kLz4, Codec::kZstd};
constexpr std::size_t kPlainMax = std::size_t{1} << 24;

std::string compression_type_of(Codec codec) {
  return codec == Codec::kNone ? "uncompressed" : protocol::codec_name(codec);
}

// Keys, nulls, headers, times that go back.
Slice varied_batch(Codec codec, protocol::Codecs& codecs, const protocol::BatchFields& fields = {}) {
  protocol::RecordBatchBuilder builder;
  for (int i = 0; i < 40; ++i) {
    const std::string key = "key " + std::to_string(i % 7);
    const std::string value(static_cast<std::size_t>(i) * 13, static_cast<char>('a' + i % 20));
    const protocol::RecordHeaderView header{.key = as_bytes("trace"), .value = as_bytes("abc")};
    builder.append({.timestamp = WallTime::from_milliseconds(1'700'000'000'000 + (i * 37) % 100),
                    .key = i % 5 == 0 ? std::nullopt : std::optional(as_bytes(key)),
                    .value = i % 11 == 0 ? std::nullopt : std::optional(as_bytes(value)),
                    .headers = {&header, i % 3 == 0 ? 1u : 0u}});
  }
  return builder.build(fields, codec, codecs);
}

// The batches from `from` on.
std::vector<Slice> stored(client::Client& client, const std::string& topic, std::int64_t from) {
  const auto got = client.fetch(topic, PartitionId(0), Offset(from), 1 << 20, patience());
  EXPECT_TRUE(got.ok()) << got.status();
  std::vector<Slice> batches;
  const Slice records = got.ok() ? got->records.value_or(Slice()) : Slice();
  protocol::BatchWalk walk(records.bytes(), protocol::BatchWalk::Checksums::kCheck);
  RecordBatchView batch;
  for (std::size_t at = 0; walk.next(batch); at = walk.position()) {
    batches.push_back(records.sub(at, batch.size_bytes()));
  }
  return batches;
}

// All of the header that a codec does not change.
void expect_same_but_codec(const RecordBatchView& was, const RecordBatchView& is) {
  EXPECT_EQ(is.last_offset_delta(), was.last_offset_delta());
  EXPECT_EQ(is.base_timestamp(), was.base_timestamp());
  EXPECT_EQ(is.max_timestamp(), was.max_timestamp());
  EXPECT_EQ(is.producer_id(), was.producer_id());
  EXPECT_EQ(is.producer_epoch(), was.producer_epoch());
  EXPECT_EQ(is.base_sequence(), was.base_sequence());
  EXPECT_EQ(is.record_count(), was.record_count());
  EXPECT_EQ(is.attributes().bits() & ~protocol::BatchAttributes::kCodecMask,
            was.attributes().bits() & ~protocol::BatchAttributes::kCodecMask);
}

TEST(CompressionType, EveryCodecIsStoredInThatOfTheTopic) {
  BrokerWorld world;
  world.run([](Visit& visit) {
    const auto client = visit.connect();
    protocol::Codecs codecs;
    for (const Codec wanted : kCodecs) {
      const std::string topic = compression_type_of(wanted);
      make_topic(*client, topic, 1, {{"compression.type", compression_type_of(wanted)}});
      std::int64_t next = 0;
      for (const Codec produced : kCodecs) {
        const Slice sent = varied_batch(produced, codecs);
        const Slice kept = Slice::copy_of(sent.bytes());
        const auto answer = produce(*client, topic, 0, sent);
        ASSERT_EQ(answer.error_code, ErrorCode::kNone) << answer.error_message.value_or("");
        EXPECT_EQ(answer.base_offset, Offset(next));
        const std::vector<Slice> batches = stored(*client, topic, next);
        ASSERT_EQ(batches.size(), 1u);
        RecordBatchView was;
        RecordBatchView is;
        ASSERT_EQ(RecordBatchView::parse(kept.bytes(), was), protocol::BatchDefect::kNone);
        ASSERT_EQ(RecordBatchView::parse(batches.front().bytes(), is), protocol::BatchDefect::kNone);
        EXPECT_EQ(is.attributes().codec(), wanted);
        EXPECT_EQ(is.base_offset(), Offset(next));
        expect_same_but_codec(was, is);
        EXPECT_EQ(protocol::decompressed_records(batches.front(), kPlainMax, codecs)->text(),
                  protocol::decompressed_records(kept, kPlainMax, codecs)->text());
        next += was.record_count();
      }
    }
  });
}

TEST(CompressionType, OfTheTopicsOwnCodecIsStoredAsItCame) {
  BrokerWorld world;
  world.run([](Visit& visit) {
    const auto client = visit.connect();
    protocol::Codecs codecs;
    make_topic(*client, "t", 1, {{"compression.type", "snappy"}});
    // In one raw block, as this broker never writes it.
    protocol::RecordBatchBuilder builder;
    builder.append({.timestamp = WallTime::from_milliseconds(1), .key = {}, .value = as_bytes("one"), .headers = {}});
    const Slice sent = builder.build({}, Codec::kSnappy, codecs, protocol::SnappyFraming::kRaw);
    const Slice kept = Slice::copy_of(sent.bytes());
    ASSERT_EQ(produce(*client, "t", 0, sent).error_code, ErrorCode::kNone);
    const std::vector<Slice> batches = stored(*client, "t", 0);
    ASSERT_EQ(batches.size(), 1u);
    EXPECT_EQ(batches.front().text().substr(protocol::kBatchHeaderBytes),
              kept.text().substr(protocol::kBatchHeaderBytes));
  });
}

TEST(CompressionType, AProducersRetryIsKnownAndSequencesAreKept) {
  BrokerWorld world;
  world.run([](Visit& visit) {
    const auto client = visit.connect();
    protocol::Codecs codecs;
    make_topic(*client, "t", 1, {{"compression.type", "zstd"}});
    const auto producer =
        ask<protocol::InitProducerIdResponse>(*client, protocol::InitProducerIdRequest{.transactional_id = {}}, 4);
    protocol::BatchFields fields{.producer_id = producer.producer_id, .producer_epoch = producer.producer_epoch};
    for (const int sequence : {0, 40, 40, 80}) {
      fields.base_sequence = sequence;
      const auto answer = produce(*client, "t", 0, varied_batch(Codec::kLz4, codecs, fields));
      EXPECT_EQ(answer.error_code, ErrorCode::kNone);
      EXPECT_EQ(answer.base_offset, Offset(sequence));
    }
    EXPECT_EQ(stored(*client, "t", 80).size(), 1u);
  });
}

TEST(CompressionType, WithLogAppendTimeItsTimeIsTheBrokers) {
  BrokerWorld world;
  world.run([](Visit& visit) {
    const auto client = visit.connect();
    protocol::Codecs codecs;
    make_topic(*client, "t", 1, {{"compression.type", "gzip"}, {"message.timestamp.type", "LogAppendTime"}});
    const auto answer = produce(*client, "t", 0, varied_batch(Codec::kNone, codecs));
    ASSERT_EQ(answer.error_code, ErrorCode::kNone);
    const std::vector<Slice> batches = stored(*client, "t", 0);
    ASSERT_EQ(batches.size(), 1u);
    RecordBatchView batch;
    ASSERT_EQ(RecordBatchView::parse(batches.front().bytes(), batch), protocol::BatchDefect::kNone);
    EXPECT_EQ(batch.attributes().codec(), Codec::kGzip);
    EXPECT_EQ(batch.attributes().timestamp_type(), protocol::TimestampType::kLogAppendTime);
    EXPECT_EQ(batch.max_timestamp().milliseconds(), answer.log_append_time_ms);
  });
}

TEST(CompressionType, ABatchThatIsTooLargeInTheTopicsCodecIsRefused) {
  BrokerWorld world;
  world.run([](Visit& visit) {
    const auto client = visit.connect();
    protocol::Codecs codecs;
    const auto zeros = [&codecs] {
      protocol::RecordBatchBuilder builder;
      const std::string value(50'000, '0');
      builder.append({.timestamp = WallTime::from_milliseconds(1), .key = {}, .value = as_bytes(value), .headers = {}});
      return builder.build({}, Codec::kZstd, codecs);
    };
    for (const char* type : {"uncompressed", "snappy"}) {
      make_topic(*client, type, 1, {{"compression.type", type}, {"max.message.bytes", "1000"}});
      const auto answer = produce(*client, type, 0, zeros());
      EXPECT_EQ(answer.error_code, ErrorCode::kMessageTooLarge);
      EXPECT_NE(answer.error_message.value_or("").find("more than"), std::string::npos);
      EXPECT_TRUE(read_values(*client, type, 0).empty());
    }
    make_topic(*client, "fits", 1, {{"compression.type", "gzip"}, {"max.message.bytes", "1000"}});
    EXPECT_EQ(produce(*client, "fits", 0, zeros()).error_code, ErrorCode::kNone);
  });
}

TEST(CompressionType, OfTheBrokersIsTheTopicsDefaultAndMayBeAltered) {
  BrokerWorld world;
  world.run([](Visit& visit) {
    const auto client = visit.connect();
    protocol::Codecs codecs;
    make_topic(*client, "t", 1);
    const auto set = [&](const char* value) {
      protocol::IncrementalAlterConfigsRequest request;
      request.resources.push_back({.resource_type = 4,
                                   .resource_name = "",
                                   .configs = {{.name = "compression.type", .config_operation = 0, .value = value}}});
      return ask<protocol::IncrementalAlterConfigsResponse>(*client, request, 1).responses.at(0).error_code;
    };
    const auto codec_at = [&](std::int64_t offset) {
      RecordBatchView batch;
      const std::vector<Slice> batches = stored(*client, "t", offset);
      EXPECT_EQ(batches.size(), 1u);
      EXPECT_EQ(RecordBatchView::parse(batches.at(0).bytes(), batch), protocol::BatchDefect::kNone);
      return batch.attributes().codec();
    };
    EXPECT_EQ(set("brotli"), ErrorCode::kInvalidRequest);
    EXPECT_EQ(set("lz4"), ErrorCode::kNone);
    ASSERT_EQ(produce(*client, "t", 0, varied_batch(Codec::kGzip, codecs)).error_code, ErrorCode::kNone);
    EXPECT_EQ(codec_at(0), Codec::kLz4);
    EXPECT_EQ(set("producer"), ErrorCode::kNone);
    ASSERT_EQ(produce(*client, "t", 0, varied_batch(Codec::kGzip, codecs)).error_code, ErrorCode::kNone);
    EXPECT_EQ(codec_at(40), Codec::kGzip);
  });
}

TEST(CompressionType, ZstdIsNotGivenToClientsThatCannotReadIt) {
  BrokerWorld world;
  world.run([](Visit& visit) {
    const auto client = visit.connect();
    protocol::Codecs codecs;
    make_topic(*client, "t", 1, {{"compression.type", "zstd"}});
    ASSERT_EQ(produce(*client, "t", 0, varied_batch(Codec::kNone, codecs)).error_code, ErrorCode::kNone);
    protocol::FetchRequest request;
    request.max_bytes = 1 << 20;
    request.topics.push_back(
        {.topic = "t",
         .topic_id = {},
         .partitions = {{.partition = PartitionId(0), .fetch_offset = Offset(0), .partition_max_bytes = 1 << 20}}});
    const auto error = [&](std::int16_t version) {
      return ask<protocol::FetchResponse>(*client, request, version).responses.at(0).partitions.at(0).error_code;
    };
    EXPECT_EQ(error(9), ErrorCode::kUnsupportedCompressionType);
    EXPECT_EQ(error(10), ErrorCode::kNone);
  });
}

}  // namespace
}  // namespace chronik::broker::testing
