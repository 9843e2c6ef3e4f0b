// Logs that are compacted: what is left, what is never touched, and who notices.
#include <gtest/gtest.h>

#include <string>

#include "core/log/batch_at.h"
#include "tests/core/log/cleaning_harness.h"

namespace chronik::log {
namespace {

using testing::append_keyed;
using testing::cleaning_options;
using testing::commit;
using testing::compacted;
using testing::final_of;
using testing::kCleanedDiskBytes;
using testing::Keyed;
using testing::KeyedLog;
using testing::let_it_clean;
using testing::LogNode;
using testing::read_keyed;
using testing::segment_path;
using testing::segment_sizes;
using testing::stop_orderly;

// Batches of two records whose keys come again and again.
KeyedLog fill(LogNode& n, int batches, int keys, int from = 0) {
  KeyedLog all;
  for (int i = from; i < from + batches; ++i) {
    const std::vector<Keyed> records{{"key" + std::to_string(i % keys), "value" + std::to_string(i)},
                                     {"key" + std::to_string(i * 7 % keys), "other" + std::to_string(i)}};
    const Appended appended = append_keyed(n, 0, records, static_cast<protocol::Codec>(i % 5));
    all[appended.base_offset.value()] = records[0];
    all[appended.last_offset.value()] = records[1];
  }
  return all;
}

TEST(Cleaning, ACompactedLogHasTheLastOfEachKeyAtItsOffset) {
  sim::DiskModel model(kCleanedDiskBytes);
  LogNode node(model, 1, cleaning_options());
  node.config = compacted();
  node.run([](LogNode& n) {
    ASSERT_TRUE(n.open().ok());
    const KeyedLog all = fill(n, 400, 10);
    commit(n, 0);
    let_it_clean(n);
    const KeyedLog left = read_keyed(n, 0, Offset(0));
    EXPECT_LT(left.size(), all.size() / 4);
    EXPECT_EQ(final_of(left), final_of(all));
    for (const auto& [offset, record] : left) {
      EXPECT_EQ(record, all.at(offset));
    }
    EXPECT_LT(segment_sizes(n, 0).size(), 8u) << "small neighbours are put together";
    EXPECT_GT(n.logs->cleaner_metrics().removed_records.value(), 300u);
    EXPECT_TRUE(n.log(0).damaged().empty());
    // And once more, on top of what is cleaned.
    KeyedLog more = all;
    more.merge(fill(n, 200, 10, 400));
    commit(n, 0);
    let_it_clean(n);
    EXPECT_EQ(final_of(read_keyed(n, 0, Offset(0))), final_of(more));
    ASSERT_TRUE(stop_orderly(n).ok());
  });
  LogNode again(model, 2, cleaning_options());
  again.config = compacted();
  again.run([](LogNode& n) {
    ASSERT_TRUE(n.open().ok());
    EXPECT_EQ(final_of(read_keyed(n, 0, Offset(0))).size(), 10u);
    EXPECT_TRUE(n.log(0).damaged().empty());
  });
}

TEST(Cleaning, AnyOffsetCanBeReadFromAndSearchedByTime) {
  sim::DiskModel model(kCleanedDiskBytes);
  LogNode node(model, 1, cleaning_options());
  node.config = compacted();
  node.run([](LogNode& n) {
    ASSERT_TRUE(n.open().ok());
    for (int i = 0; i < 30; ++i) {
      fill(n, 10, 10, i * 10);
      CHECK_OK(fiber::sleep(Duration::milliseconds(5)));
    }
    commit(n, 0);
    let_it_clean(n);
    const KeyedLog left = read_keyed(n, 0, Offset(0));
    PartitionLog& log = n.log(0);
    for (std::int64_t from = 0; from < log.log_end().value(); ++from) {
      const KeyedLog seen = read_keyed(n, 0, Offset(from));
      EXPECT_TRUE(std::equal(seen.begin(), seen.end(), left.lower_bound(from), left.end())) << from;
      EXPECT_LE(base_of_batch_at(log, Offset(from), n.soon()), Offset(from));
    }
    const auto first = log.find_timestamp(WallTime::from_milliseconds(0), log.durable_end(), n.soon());
    ASSERT_TRUE(first.ok());
    ASSERT_TRUE(first->has_value());
    EXPECT_EQ((*first)->offset.value(), left.begin()->first);
    const auto last = log.max_timestamp(log.durable_end(), n.soon());
    ASSERT_TRUE(last.ok());
    EXPECT_TRUE(last->has_value());
    ASSERT_TRUE(log.advance_log_start(Offset(251), n.soon()).ok());
    EXPECT_EQ(read_keyed(n, 0, Offset(251)).size(),
              static_cast<std::size_t>(std::distance(left.lower_bound(251), left.end())));
  });
}

// Of most segments an empty batch is left, and two of those are too much for one segment.
TEST(Cleaning, AnAnswerHoldsARecordWhereThereIsOne) {
  sim::DiskModel model(kCleanedDiskBytes);
  LogNode node(model, 1, cleaning_options());
  node.config = compacted();
  node.config.segment_bytes = 100;
  node.run([](LogNode& n) {
    ASSERT_TRUE(n.open().ok());
    fill(n, 60, 1);
    commit(n, 0);
    let_it_clean(n);
    EXPECT_GT(segment_sizes(n, 0).size(), 50u);
    PartitionLog& log = n.log(0);
    const std::int64_t record = read_keyed(n, 0, Offset(0)).begin()->first;
    ASSERT_GT(record, 100);
    const auto read_at = [&](std::int64_t from, std::size_t bytes) {
      const StatusOr<ReadResult> read =
          log.read(Offset(from), {.max_bytes = bytes, .below = log.durable_end()}, n.soon());
      CHECK_OK(read.status());
      return read->end.value();
    };
    EXPECT_EQ(read_at(0, 1 << 20), record + 1);
    EXPECT_EQ(read_at(7, 1 << 20), record + 1);
    EXPECT_EQ(read_at(0, 3 * 61), 6) << "three of them fit";
    EXPECT_EQ(read_at(0, 1), 2) << "the first is given where it does not fit";
  });
}

TEST(Cleaning, NothingAboveTheHighWatermarkAndNothingYoungIsTouched) {
  for (const bool young : {false, true}) {
    sim::DiskModel model(kCleanedDiskBytes);
    LogNode node(model, 1, cleaning_options());
    node.config = compacted();
    node.config.compaction_lag_min = Duration::seconds(young ? 3600 : 0);
    node.run([young](LogNode& n) {
      ASSERT_TRUE(n.open().ok());
      const KeyedLog all = fill(n, 300, 5);
      ASSERT_TRUE(n.logs->wait_durable(n.soon()).ok());
      constexpr std::int64_t kCommitted = 200;
      n.log(0).note_high_watermark(young ? n.log(0).durable_end() : Offset(kCommitted));
      let_it_clean(n, Duration::seconds(10));
      const KeyedLog left = read_keyed(n, 0, Offset(0));
      if (young) {
        EXPECT_EQ(left, all);
        return;
      }
      KeyedLog committed(all.begin(), all.lower_bound(kCommitted));
      KeyedLog committed_left(left.begin(), left.lower_bound(kCommitted));
      EXPECT_LT(committed_left.size(), committed.size());
      EXPECT_EQ(final_of(committed_left), final_of(committed));
      EXPECT_TRUE(std::equal(all.lower_bound(kCommitted), all.end(), left.lower_bound(kCommitted), left.end()));
    });
  }
}

TEST(Cleaning, ATombstoneHidesItsKeyAndGoesWhenItsTimeIsOver) {
  sim::DiskModel model(kCleanedDiskBytes);
  LogNode node(model, 1, cleaning_options());
  node.config = compacted();
  node.config.tombstones_last = Duration::seconds(100);
  node.run([](LogNode& n) {
    ASSERT_TRUE(n.open().ok());
    append_keyed(n, 0, {{"gone", "value"}, {"stays", "value"}});
    append_keyed(n, 0, {{"gone", std::nullopt}});
    fill(n, 100, 5);
    commit(n, 0);
    let_it_clean(n);
    KeyedLog left = read_keyed(n, 0, Offset(0));
    EXPECT_EQ(left.count(0), 0u);
    EXPECT_EQ(left.at(2), (Keyed{"gone", std::nullopt}));
    CHECK_OK(fiber::sleep(Duration::seconds(60)));
    fill(n, 100, 5, 100);
    commit(n, 0);
    let_it_clean(n);
    EXPECT_EQ(read_keyed(n, 0, Offset(0)).count(2), 1u) << "its time is not over";
    CHECK_OK(fiber::sleep(Duration::seconds(60)));
    fill(n, 100, 5, 200);
    commit(n, 0);
    let_it_clean(n);
    left = read_keyed(n, 0, Offset(0));
    EXPECT_EQ(left.count(2), 0u);
    EXPECT_EQ(left.at(1), (Keyed{"stays", "value"}));
  });
}

TEST(Cleaning, ProducersBatchesThatARetryIsKnownByKeepTheirHeaders) {
  sim::DiskModel model(kCleanedDiskBytes);
  LogNode node(model, 1, cleaning_options());
  node.config = compacted();
  node.run([](LogNode& n) {
    ASSERT_TRUE(n.open().ok());
    for (int i = 0; i < 8; ++i) {
      append_keyed(n, 0, {{"key0", "idempotent"}}, protocol::Codec::kNone, 77, i);
    }
    fill(n, 200, 1);
    commit(n, 0);
    let_it_clean(n);
    const auto read = n.log(0).read(Offset(0), {.max_bytes = 2'000, .below = n.log(0).durable_end()}, n.soon());
    ASSERT_TRUE(read.ok());
    std::vector<std::int32_t> sequences;
    protocol::BatchWalk walk(read->parts.at(0).bytes(), protocol::BatchWalk::Checksums::kCheck);
    protocol::RecordBatchView batch;
    while (walk.next(batch)) {
      if (batch.producer_id() == ProducerId(77)) {
        EXPECT_EQ(batch.record_count(), 0);
        sequences.push_back(batch.base_sequence());
      }
    }
    EXPECT_EQ(sequences, (std::vector<std::int32_t>{3, 4, 5, 6, 7}));
  });
}

TEST(Cleaning, ASmallMemoryForKeysCleansInSteps) {
  sim::DiskModel model(kCleanedDiskBytes);
  StoredLogsOptions options = cleaning_options();
  options.cleaner.dedupe_bytes_max = 40 * 24;  // thirty keys
  LogNode node(model, 1, options);
  node.config = compacted();
  node.run([](LogNode& n) {
    ASSERT_TRUE(n.open().ok());
    const KeyedLog all = fill(n, 300, 25);
    commit(n, 0);
    let_it_clean(n, Duration::seconds(60));
    const KeyedLog left = read_keyed(n, 0, Offset(0));
    EXPECT_EQ(final_of(left), final_of(all));
    EXPECT_LT(left.size(), all.size() / 4);
    EXPECT_EQ(n.logs->cleaner_metrics().uncleanable_logs.value(), 0);
  });
}

TEST(Cleaning, ReadsAndWritesNoFasterThanItMay) {
  sim::DiskModel model(kCleanedDiskBytes);
  StoredLogsOptions options = cleaning_options();
  options.cleaner.bytes_per_second = 2'000;
  LogNode node(model, 1, options);
  node.config = compacted();
  node.run([](LogNode& n) {
    ASSERT_TRUE(n.open().ok());
    const KeyedLog all = fill(n, 200, 10);
    commit(n, 0);
    const CleanerMetrics& metrics = n.logs->cleaner_metrics();
    for (int second = 1; second <= 60; ++second) {
      CHECK_OK(fiber::sleep(Duration::seconds(1)));
      const std::uint64_t bytes = metrics.read_bytes.value() + metrics.written_bytes.value();
      EXPECT_LE(bytes, static_cast<std::uint64_t>(second) * 2'000 + 4'000) << "a piece more at most";
    }
    EXPECT_GT(metrics.passes.value(), 0u);
    EXPECT_EQ(final_of(read_keyed(n, 0, Offset(0))), final_of(all));
  });
}

TEST(Cleaning, AFullDiskStopsItAndItGoesOnWhenThereIsRoom) {
  sim::DiskModel model(kCleanedDiskBytes);
  StoredLogsOptions options = cleaning_options();
  LogNode node(model, 1, options);
  node.config = compacted();
  node.config.compacts = false;
  node.run([&model](LogNode& n) {
    ASSERT_TRUE(n.open().ok());
    const KeyedLog all = fill(n, 200, 10);
    commit(n, 0);
    CHECK_OK(fiber::sleep(Duration::seconds(2)));
    model.set_free(1'000);
    n.config.compacts = true;
    n.log(0);
    CHECK_OK(fiber::sleep(Duration::seconds(5)));
    EXPECT_EQ(n.logs->cleaner_metrics().removed_records.value(), 0u);
    EXPECT_FALSE(n.process.ended) << n.process.exit_reason;
    model.set_capacity(kCleanedDiskBytes);
    let_it_clean(n);
    EXPECT_GT(n.logs->cleaner_metrics().removed_records.value(), 0u);
    EXPECT_EQ(final_of(read_keyed(n, 0, Offset(0))), final_of(all));
  });
}

TEST(Cleaning, ATimeToComeHoldsNothingBackWhereThereIsNoLag) {
  for (const bool lags : {false, true}) {
    sim::DiskModel model(kCleanedDiskBytes);
    LogNode node(model, 1, cleaning_options());
    node.config = compacted();
    node.config.compaction_lag_min = Duration::milliseconds(lags ? 1 : 0);
    node.run([lags](LogNode& n) {
      ASSERT_TRUE(n.open().ok());
      for (int i = 0; i < 300; ++i) {
        append_keyed(n, 0, {Keyed{"key" + std::to_string(i % 5), "v" + std::to_string(i)}}, protocol::Codec::kNone, -1,
                     0, Duration::seconds(3600));
      }
      commit(n, 0);
      let_it_clean(n, Duration::seconds(10));
      EXPECT_EQ(read_keyed(n, 0, Offset(0)).size() < 100, !lags);
    });
  }
}

TEST(Cleaning, ABrokenSegmentStopsItAndLosesNothing) {
  sim::DiskModel model(kCleanedDiskBytes);
  LogNode node(model, 1, cleaning_options());
  node.config = compacted();
  node.config.compacts = false;
  node.run([](LogNode& n) {
    ASSERT_TRUE(n.open().ok());
    const KeyedLog all = fill(n, 300, 10);
    commit(n, 0);
    CHECK_OK(fiber::sleep(Duration::seconds(2)));
    const auto sizes = segment_sizes(n, 0);
    const std::int64_t broken = std::next(sizes.begin(), 5)->first;
    const std::int64_t behind = std::next(sizes.begin(), 6)->first;
    testing::overwrite(n, segment_path(0, Offset(broken)), 80, Slice::copy_of(std::string_view("rot")));
    n.config.compacts = true;
    n.log(0);
    CHECK_OK(fiber::sleep(Duration::seconds(10)));
    ASSERT_FALSE(n.log(0).damaged().empty());
    EXPECT_GE(n.log(0).damaged().front().from, Offset(broken));
    EXPECT_EQ(n.logs->cleaner_metrics().uncleanable_logs.value(), 1);
    const KeyedLog left = read_keyed(n, 0, Offset(behind));
    EXPECT_TRUE(std::equal(all.lower_bound(behind), all.end(), left.begin(), left.end()));
  });
}

TEST(Cleaning, WhoReadsWhileSegmentsAreReplacedSeesEveryKey) {
  sim::DiskModel model(kCleanedDiskBytes);
  LogNode node(model, 1, cleaning_options());
  node.config = compacted();
  node.run([](LogNode& n) {
    ASSERT_TRUE(n.open().ok());
    KeyedLog all;
    for (int round = 0; round < 60; ++round) {
      all.merge(fill(n, 20, 10, round * 20));
      commit(n, 0);
      const auto before = final_of(all);
      std::vector<std::string> wrong;
      const auto seen = final_of(read_keyed(n, 0, Offset(0), &wrong));
      EXPECT_TRUE(wrong.empty()) << wrong.front();
      EXPECT_EQ(seen, before);
      const auto time = n.log(0).find_timestamp(WallTime::from_milliseconds(0), n.log(0).durable_end(), n.soon());
      EXPECT_TRUE(time.ok() && time->has_value());
      CHECK_OK(fiber::sleep(Duration::milliseconds(round % 7 * 10)));
    }
    EXPECT_GT(n.logs->cleaner_metrics().passes.value(), 3u);
    EXPECT_TRUE(n.log(0).damaged().empty());
  });
}

}  // namespace
}  // namespace chronik::log
