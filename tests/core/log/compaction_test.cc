// What compaction makes of batches: which records are left, and where.
#include "core/log/compaction.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "core/protocol/record_batch_builder.h"
#include "core/protocol/record_batch_compress.h"
#include "core/protocol/record_batch_records.h"

namespace chronik::log {
namespace {

using protocol::Codec;
using protocol::RecordBatchView;

constexpr HashKey kHashKey{.first = 1, .second = 2};
constexpr std::int64_t kNowMs = 1'000'000;
constexpr Duration kTombstonesLast = Duration::milliseconds(500);

struct KeyValue {
  std::optional<std::string> key;
  std::optional<std::string> value;
};

RecordBatchView view_of(const Slice& batch) {
  RecordBatchView view;
  CHECK(RecordBatchView::parse(batch.bytes(), view) == protocol::BatchDefect::kNone);
  return view;
}

Slice batch_at(std::int64_t base, const std::vector<KeyValue>& records, Codec codec = Codec::kNone,
               std::int32_t epoch = 1, std::int64_t producer = -1) {
  protocol::Codecs codecs;
  protocol::RecordBatchBuilder builder;
  for (std::size_t i = 0; i < records.size(); ++i) {
    protocol::RecordInput record;
    record.timestamp = WallTime::from_milliseconds(base + static_cast<std::int64_t>(i));
    record.key = records[i].key.has_value() ? std::optional(as_bytes(*records[i].key)) : std::nullopt;
    record.value = records[i].value.has_value() ? std::optional(as_bytes(*records[i].value)) : std::nullopt;
    builder.append(record);
  }
  protocol::BatchFields fields;
  fields.base_offset = Offset(base);
  fields.partition_leader_epoch = LeaderEpoch(epoch);
  if (producer >= 0) {
    fields.producer_id = ProducerId(producer);
    fields.producer_epoch = ProducerEpoch(0);
    fields.base_sequence = static_cast<std::int32_t>(base);
  }
  return builder.build(fields, codec, codecs);
}

// offset → (key, value, timestamp)
using Records =
    std::map<std::int64_t, std::tuple<std::optional<std::string>, std::optional<std::string>, std::int64_t>>;

void read_into(const Slice& batch, Records& records) {
  protocol::Codecs codecs;
  const RecordBatchView view = view_of(batch);
  ASSERT_TRUE(view.checksum_matches());
  if (is_empty_batch(view)) {
    ASSERT_EQ(view.size_bytes(), protocol::kBatchHeaderBytes);
    return;
  }
  const auto plain = protocol::decompressed_records(batch, 1 << 24, codecs);
  ASSERT_TRUE(plain.ok());
  protocol::RecordIterator iterator(plain->bytes(), view.record_count());
  protocol::RecordView record;
  std::int64_t newest = -1;
  while (iterator.next(record)) {
    const auto text = [](const std::optional<ByteSpan>& bytes) {
      return bytes.has_value() ? std::optional(std::string(as_text(*bytes))) : std::nullopt;
    };
    const std::int64_t time = record.timestamp(view).milliseconds();
    newest = std::max(newest, time);
    records[record.offset(view).value()] = {text(record.key()), text(record.value()), time};
  }
  EXPECT_EQ(iterator.defect(), protocol::BatchDefect::kNone);
  EXPECT_EQ(view.max_timestamp().milliseconds(), newest);
}

struct Cleaning {
  KeyOffsets latest{1 << 20, 10'000, kHashKey};
  Offset known_to{0};
  protocol::Codecs codecs;

  void know(const std::vector<Slice>& batches) {
    for (const Slice& batch : batches) {
      ASSERT_TRUE(note_keys(batch, latest, codecs).ok());
      known_to = view_of(batch).next_offset();
    }
  }
  CleaningRules rules(std::int64_t now_ms = kNowMs) {
    return {.latest = latest,
            .known_to = known_to,
            .now = WallTime::from_milliseconds(now_ms),
            .tombstones_last = kTombstonesLast};
  }
  CleanedBatch clean(const Slice& batch, std::int64_t now_ms = kNowMs) {
    const auto cleaned = clean_batch(batch, rules(now_ms), codecs);
    CHECK_OK(cleaned.status());
    return *cleaned;
  }
  std::vector<Slice> clean_all(const std::vector<Slice>& batches, std::int64_t kept_producer = -2) {
    CleanedRow row;
    for (const Slice& batch : batches) {
      const CleanedBatch cleaned = clean(batch);
      if (cleaned.kind == CleanedBatch::Kind::kEmpty) {
        row.add_empty(view_of(batch), view_of(batch).producer_id().value() == kept_producer);
      } else {
        row.add(cleaned.bytes);
      }
    }
    return row.take(true);
  }
};

TEST(KeyedHash, IsSipHashOf128Bits) {
  // Vectors of the paper's authors: key 00 01 … 0f, inputs 00 01 …: none, a part of a word, a word and a part.
  const HashKey key{.first = 0x0706050403020100, .second = 0x0f0e0d0c0b0a0908};
  const std::uint8_t input[] = {0, 1, 2, 3, 4, 5, 6, 7, 8};
  const auto expect = [&](std::size_t size, std::uint64_t first, std::uint64_t second) {
    EXPECT_EQ(keyed_hash(key, ByteSpan(input, size)), (Hash128{.first = first, .second = second})) << size;
  };
  expect(0, 0xe6a825ba047f81a3, 0x930255c71472f66d);
  expect(1, 0x44af996bd8c187da, 0x45fc229b11597634);
  expect(9, 0xabbad90a06994426, 0xed716dbb028b7fc4);
}

TEST(KeyOffsets, KnowsTheLatestOfEachKeyAndWhenItIsFull) {
  KeyOffsets latest(1'000 * 24, 1'000'000, kHashKey);
  std::int64_t put = 0;
  for (; latest.has_room(1); ++put) {
    latest.put(as_bytes(std::to_string(put)), Offset(put));
    latest.put(as_bytes(std::to_string(put)), Offset(put + 5));
    latest.put(as_bytes(std::to_string(put)), Offset(put + 1));
  }
  EXPECT_EQ(put, 750);
  EXPECT_EQ(latest.size(), 750u);
  for (std::int64_t i = 0; i < put; ++i) {
    EXPECT_EQ(latest.find(as_bytes(std::to_string(i))), Offset(i + 5));
  }
  EXPECT_EQ(latest.find(as_bytes("other")), Offset::none());
}

TEST(Compaction, ALaterRecordOfTheKeyTakesAnEarlierOnesPlaceInEveryCodec) {
  for (const Codec codec : {Codec::kNone, Codec::kGzip, Codec::kSnappy, Codec::kLz4, Codec::kZstd}) {
    const std::vector<Slice> log{batch_at(0, {{"a", "1"}, {"b", "2"}, {"a", "3"}, {"c", "4"}}, codec),
                                 batch_at(4, {{"b", "5"}, {"d", "6"}}, codec)};
    Cleaning cleaning;
    cleaning.know(log);
    const CleanedBatch first = cleaning.clean(log[0]);
    ASSERT_EQ(first.kind, CleanedBatch::Kind::kRewritten) << protocol::codec_name(codec);
    EXPECT_EQ(first.removed, 2);
    const RecordBatchView view = view_of(first.bytes);
    EXPECT_EQ(view.base_offset(), Offset(0));
    EXPECT_EQ(view.last_offset(), Offset(3));
    EXPECT_EQ(view.record_count(), 2);
    EXPECT_EQ(view.attributes().codec(), codec);
    Records left;
    read_into(first.bytes, left);
    EXPECT_EQ(left, (Records{{2, {"a", "3", 2}}, {3, {"c", "4", 3}}}));
    EXPECT_EQ(cleaning.clean(log[1]).kind, CleanedBatch::Kind::kAsItWas);
  }
}

TEST(Compaction, WhatIsNotKnownAndWhatHasNoKeyStays) {
  const std::vector<Slice> log{batch_at(0, {{std::nullopt, "1"}, {"a", "2"}}), batch_at(2, {{"a", "3"}})};
  Cleaning cleaning;
  cleaning.know({log[0]});
  EXPECT_EQ(cleaning.clean(log[0]).kind, CleanedBatch::Kind::kAsItWas) << "the later one is not known";
  cleaning.know({log[1]});
  Records left;
  read_into(cleaning.clean(log[0]).bytes, left);
  EXPECT_EQ(left, (Records{{0, {std::nullopt, "1", 0}}}));
}

TEST(Compaction, ATombstoneStaysForItsTimeFromWhenItWasFirstCleaned) {
  for (const Codec codec : {Codec::kNone, Codec::kZstd}) {
    const std::vector<Slice> log{batch_at(0, {{"a", "1"}, {"b", "2"}, {"a", std::nullopt}}, codec)};
    Cleaning cleaning;
    cleaning.know(log);
    const CleanedBatch first = cleaning.clean(log[0]);
    ASSERT_EQ(first.kind, CleanedBatch::Kind::kRewritten);
    const RecordBatchView view = view_of(first.bytes);
    EXPECT_TRUE(view.attributes().has_delete_horizon());
    EXPECT_EQ(view.base_timestamp().milliseconds(), kNowMs + 500);
    Records left;
    read_into(first.bytes, left);
    EXPECT_EQ(left, (Records{{1, {"b", "2", 1}}, {2, {"a", std::nullopt, 2}}})) << "times stay what they were";
    EXPECT_EQ(cleaning.clean(first.bytes, kNowMs + 499).kind, CleanedBatch::Kind::kAsItWas);
    const CleanedBatch later = cleaning.clean(first.bytes, kNowMs + 500);
    ASSERT_EQ(later.kind, CleanedBatch::Kind::kRewritten);
    Records still;
    read_into(later.bytes, still);
    EXPECT_EQ(still, (Records{{1, {"b", "2", 1}}}));
  }
}

TEST(Compaction, EmptyBatchesOfAnEpochBecomeOneFiller) {
  const std::vector<Slice> log{batch_at(0, {{"a", "1"}}, Codec::kNone, 1), batch_at(1, {{"a", "2"}}, Codec::kNone, 1),
                               batch_at(2, {{"a", "3"}}, Codec::kNone, 2),
                               batch_at(3, {{"a", "4"}, {"a", "5"}}, Codec::kNone, 2),
                               batch_at(5, {{"a", "6"}}, Codec::kNone, 2)};
  Cleaning cleaning;
  cleaning.know(log);
  const std::vector<Slice> cleaned = cleaning.clean_all(log);
  ASSERT_EQ(cleaned.size(), 3u);
  EXPECT_EQ(cleaned[0], filler(LeaderEpoch(1), Offset(0), Offset(1)));
  EXPECT_EQ(cleaned[1], filler(LeaderEpoch(2), Offset(2), Offset(4)));
  EXPECT_EQ(cleaned[2], log[4]);
  EXPECT_TRUE(view_of(cleaned[0]).checksum_matches());
  EXPECT_EQ(filler_from(view_of(cleaned[1]), Offset(3)), filler(LeaderEpoch(2), Offset(3), Offset(4)));
  EXPECT_EQ(cleaning.clean_all(cleaned), cleaned) << "once more changes nothing";
}

TEST(Compaction, AProducersLastBatchKeepsItsHeader) {
  const std::vector<Slice> log{batch_at(0, {{"a", "1"}}, Codec::kGzip, 1, 7),
                               batch_at(1, {{"a", "2"}, {"a", "3"}}, Codec::kGzip, 1, 8),
                               batch_at(3, {{"a", "4"}}, Codec::kGzip, 1, 9)};
  Cleaning cleaning;
  cleaning.know(log);
  const std::vector<Slice> cleaned = cleaning.clean_all(log, 8);
  ASSERT_EQ(cleaned.size(), 3u);
  const RecordBatchView kept = view_of(cleaned[1]);
  EXPECT_TRUE(kept.checksum_matches());
  EXPECT_EQ(kept.record_count(), 0);
  EXPECT_EQ(kept.producer_id(), ProducerId(8));
  EXPECT_EQ(kept.base_sequence(), 1);
  EXPECT_EQ(kept.last_sequence(), 2);
  EXPECT_EQ(kept.last_offset(), Offset(2));
  EXPECT_EQ(view_of(cleaned[0]).producer_id(), ProducerId::none());
}

TEST(Compaction, ABatchThatCannotBeReadIsNotTouched) {
  Slice batch = batch_at(0, {{"a", "1"}, {"a", "2"}}, Codec::kZstd);
  batch.mutable_data()[protocol::kBatchHeaderBytes + 5] ^= 0x55;
  Cleaning cleaning;
  EXPECT_FALSE(note_keys(batch, cleaning.latest, cleaning.codecs).ok());
  cleaning.known_to = Offset(2);
  EXPECT_FALSE(clean_batch(batch, cleaning.rules(), cleaning.codecs).ok());
}

// ---- any log ----

Slice any_batch(std::int64_t base, std::int32_t epoch) {
  const auto count = *rc::gen::inRange(1, 6);
  std::vector<KeyValue> records;
  for (int i = 0; i < count; ++i) {
    const auto key = *rc::gen::inRange(0, 9);
    const bool tombstone = *rc::gen::inRange(0, 4) == 0;
    records.push_back({.key = key == 8 ? std::nullopt : std::optional("key" + std::to_string(key)),
                       .value = tombstone ? std::nullopt : std::optional("v" + std::to_string(base + i))});
  }
  const auto codec = static_cast<Codec>(*rc::gen::inRange(0, 5));
  const auto producer = *rc::gen::inRange(-1, 3);
  return batch_at(base, records, codec, epoch, producer);
}

void check_any_log() {
  std::vector<Slice> log;
  std::int64_t end = 0;
  std::int32_t epoch = 1;
  const auto batches = *rc::gen::inRange(1, 25);
  for (int i = 0; i < batches; ++i) {
    epoch += *rc::gen::inRange(0, 6) == 0 ? 1 : 0;
    log.push_back(any_batch(end, epoch));
    end = view_of(log.back()).next_offset().value();
  }
  Cleaning cleaning;
  const auto known = *rc::gen::inRange<std::size_t>(0, log.size() + 1);
  cleaning.know({log.begin(), log.begin() + static_cast<std::ptrdiff_t>(known)});
  const auto kept_producer = *rc::gen::inRange(0, 3);
  const std::vector<Slice> cleaned = cleaning.clean_all(log, kept_producer);

  Records before;
  Records after;
  std::map<std::int64_t, std::int32_t> epoch_at;
  for (const Slice& batch : log) {
    read_into(batch, before);
    epoch_at[view_of(batch).base_offset().value()] = view_of(batch).partition_leader_epoch().value();
  }
  Offset next(0);
  for (const Slice& batch : cleaned) {
    const RecordBatchView view = view_of(batch);
    RC_ASSERT(view.base_offset() == next);
    next = view.next_offset();
    RC_ASSERT(epoch_at.at(view.base_offset().value()) == view.partition_leader_epoch().value());
    read_into(batch, after);
  }
  RC_ASSERT(next == Offset(end));

  std::map<std::string, std::int64_t> last;
  Records expected;
  for (const auto& [offset, record] : before) {
    if (Offset(offset) < cleaning.known_to && std::get<0>(record).has_value()) {
      last[*std::get<0>(record)] = offset;
    }
  }
  for (const auto& [offset, record] : before) {
    const auto& key = std::get<0>(record);
    if (Offset(offset) >= cleaning.known_to || !key.has_value() || last.at(*key) == offset) {
      expected[offset] = record;
    }
  }
  RC_ASSERT(after == expected);
}

TEST(CompactionOfAnyLog, KeepsTheLastOfEachKeyAtItsOffsetAndEveryOffsetCovered) {
  EXPECT_TRUE(rc::check(&check_any_log));
}

}  // namespace
}  // namespace chronik::log
