// Where segments end, and what they do when a part of one cannot be read.
#include <gtest/gtest.h>

#include <string>

#include "tests/core/log/log_harness.h"
#include "tests/core/log/log_reading.h"

namespace chronik::log {
namespace {

using testing::LogNode;
using testing::overwrite;
using testing::read_file;
using testing::segment_path;
using testing::segment_sizes;

constexpr std::uint64_t kSegmentsDiskBytes = 64 << 20;
constexpr std::uint64_t kBlock = 4'096;
constexpr std::int64_t kDay = 24LL * 3600 * 1000;

Status drain_and_stop(LogNode& n) { return n.logs->stop(fiber::within(Duration::seconds(30), Expiry::kPeer)); }

TEST(Segments, ADrainDoesNotPassSegmentBytes) {
  sim::DiskModel model(kSegmentsDiskBytes);
  StoredLogsOptions options = testing::small_options();
  options.tail_bytes_max = 1 << 20;  // all of it is drained at once
  LogNode node(model, 1, options);
  node.run([](LogNode& n) {
    ASSERT_TRUE(n.open().ok());
    for (int i = 0; i < 40; ++i) {
      n.append(0, "value", i == 20 ? 1'000 : 30);
    }
    ASSERT_TRUE(n.logs->wait_durable(n.soon()).ok());
    ASSERT_TRUE(drain_and_stop(n).ok());
    const auto sizes = segment_sizes(n, 0);
    EXPECT_GT(sizes.size(), 4u);
    const std::uint64_t most = testing::small_segments().segment_bytes;
    for (const auto& [base, size] : sizes) {
      const bool alone = base == 20 * 30;  // a batch that is larger than a segment may be
      EXPECT_EQ(size > most, alone) << base << " has " << size << " bytes";
    }
    EXPECT_TRUE(sizes.contains(20 * 30));
    EXPECT_TRUE(sizes.contains(20 * 30 + 1'000));
  });
}

TEST(Segments, ARestartDoesNotBeginASegment) {
  sim::DiskModel model(kSegmentsDiskBytes);
  for (std::uint64_t life = 1; life <= 5; ++life) {
    LogNode node(model, life);
    node.run([](LogNode& n) {
      ASSERT_TRUE(n.open().ok());
      n.append(0, "value", 3);
      ASSERT_TRUE(drain_and_stop(n).ok());
      EXPECT_EQ(segment_sizes(n, 0).size(), 1u);
    });
  }
}

TEST(Segments, ASegmentEndsAtItsAgeByTheTimesOfItsBatches) {
  sim::DiskModel model(kSegmentsDiskBytes);
  for (const std::uint64_t life : {1u, 2u}) {
    LogNode node(model, life);
    node.run([life](LogNode& n) {
      ASSERT_TRUE(n.open().ok());
      n.config.segment_age = Duration::seconds(24 * 3600);
      if (life == 1) {
        for (const std::int64_t time : {kDay, kDay + 5, 2 * kDay - 5, 2 * kDay + 1, 3 * kDay}) {
          n.append(0, "value", 3, time);
        }
        ASSERT_TRUE(n.logs->wait_durable(n.soon()).ok());
        ASSERT_TRUE(drain_and_stop(n).ok());
        EXPECT_EQ(segment_sizes(n, 0).size(), 2u);
        EXPECT_TRUE(segment_sizes(n, 0).contains(9));
        return;
      }
      n.append(0, "value", 3, 3 * kDay + 5);  // also where the segment's first batch is of a life before
      ASSERT_TRUE(drain_and_stop(n).ok());
      EXPECT_EQ(segment_sizes(n, 0).size(), 3u);
      EXPECT_TRUE(segment_sizes(n, 0).contains(15));
    });
  }
}

// ---- damage ----

constexpr int kPaddedBatches = 120;
constexpr int kPaddedRecords = 3;
constexpr std::int64_t kEnd = kPaddedBatches * kPaddedRecords;

// Segments of some blocks each.
LogConfig several_blocks() {
  LogConfig config;
  config.segment_bytes = 4 * kBlock;
  config.index_interval_bytes = 1'024;
  return config;
}

void append_padded(LogNode& n, int batches) {
  const std::string padding(300, 'p');
  n.config = several_blocks();
  for (int i = 0; i < batches; ++i) {
    n.append(0, padding, kPaddedRecords, 1'000 + 10 * i);
  }
  ASSERT_TRUE(n.logs->wait_durable(n.soon()).ok());
}

void fill_blocks(sim::DiskModel& model) {
  {
    LogNode node(model, 1);
    node.run([](LogNode& n) {
      ASSERT_TRUE(n.open().ok());
      append_padded(n, kPaddedBatches);
      ASSERT_TRUE(drain_and_stop(n).ok());
      ASSERT_GT(segment_sizes(n, 0).size(), 3u);
    });
  }
  model.process_kill();  // the indexes, which nothing syncs, are there
}

struct Found {
  std::int64_t readable = 0;
  std::int64_t damaged = 0;
};
// Asks for each offset; a batch that is given holds it.
Found ask_each(LogNode& n) {
  Found found;
  PartitionLog& log = n.log(0);
  for (Offset at(0); at < log.durable_end(); at = at.next()) {
    const auto read = log.read(at, {.max_bytes = 1, .below = log.durable_end()}, n.soon());
    if (read.ok()) {
      EXPECT_EQ(read->end.value(), (at.value() / kPaddedRecords + 1) * kPaddedRecords) << at.value();
      ++found.readable;
    } else {
      EXPECT_TRUE(absl::IsDataLoss(read.status())) << at.value() << ": " << read.status().ToString();
      ++found.damaged;
    }
  }
  return found;
}

// Makes the last block of some segment unreadable; which one says `from_last`.
void spoil(sim::DiskModel& model, int from_last, std::uint64_t block) {
  LogNode node(model, 99);
  std::string path;
  node.run([&](LogNode& n) {
    ASSERT_TRUE(n.open().ok());
    auto sizes = segment_sizes(n, 0);
    auto at = sizes.rbegin();
    std::advance(at, from_last);
    path = segment_path(0, Offset(at->first));
    ASSERT_GT(at->second, block * kBlock);
  });
  const auto file = model.open(path, OpenMode::kRead);
  ASSERT_TRUE(file.ok());
  model.make_unreadable({.file = *file, .block = block});
  model.close(*file);
}

void expect_to_live_on(sim::DiskModel& model) {
  for (const std::uint64_t life : {2u, 3u}) {
    LogNode node(model, life);
    node.run([life](LogNode& n) {
      ASSERT_TRUE(n.open().ok());
      append_padded(n, kPaddedBatches);
      ASSERT_TRUE(fiber::sleep(Duration::seconds(1)).ok());
      const std::int64_t end = kEnd * static_cast<std::int64_t>(life);
      EXPECT_EQ(n.log(0).durable_end().value(), end);
      const Found found = ask_each(n);
      EXPECT_EQ(found.readable + found.damaged, end);
      EXPECT_GT(found.damaged, 0);
      EXPECT_LE(found.damaged, 8 * kPaddedRecords) << "of a block that holds five batches";
      ASSERT_FALSE(n.log(0).damaged().empty());
      EXPECT_LE(n.log(0).damaged().size(), 2u) << "ranges that touch are one";
      // Retention looks at each segment.
      ASSERT_TRUE(fiber::sleep(Duration::seconds(700)).ok());
      EXPECT_TRUE(drain_and_stop(n).ok());
    });
    EXPECT_FALSE(node.process.ended) << life << ": " << node.process.exit_reason;
  }
}

TEST(DamagedSegments, AnUnreadableBlockInTheActiveSegmentIsReportedAndAppendsGoOn) {
  sim::DiskModel model(kSegmentsDiskBytes);
  fill_blocks(model);
  spoil(model, 0, 0);
  expect_to_live_on(model);
}

TEST(DamagedSegments, AnUnreadableBlockInASealedSegmentCostsTheBatchesInItAndNoMore) {
  for (const std::uint64_t block : {0u, 1u, 2u}) {
    sim::DiskModel model(kSegmentsDiskBytes);
    fill_blocks(model);
    spoil(model, 2, block);
    expect_to_live_on(model);
  }
}

TEST(DamagedSegments, ARottenHeaderCostsItsBatch) {
  for (const int field : {0, 8, 16, 23}) {  // base offset, length, magic, last offset
    for (const int batch : {0, 1, 7}) {
      sim::DiskModel model(kSegmentsDiskBytes);
      fill_blocks(model);
      LogNode node(model, 2);
      node.run([field, batch](LogNode& n) {
        const auto sizes = segment_sizes(n, 0);
        for (const std::int64_t base : {sizes.begin()->first, sizes.rbegin()->first}) {
          const std::string path = segment_path(0, Offset(base));
          const Slice bytes = read_file(n, path);
          std::size_t at = 0;
          for (int i = 0; i < batch && at < bytes.size(); ++i) {
            at += *protocol::RecordBatchView::announced_bytes(bytes.bytes().subspan(at));
          }
          ASSERT_LT(at, bytes.size());
          const std::size_t rotten = at + static_cast<std::size_t>(field) + (field == 0 ? 7 : field == 16 ? 0 : 3);
          Slice byte = Slice::copy_of(bytes.bytes().subspan(rotten, 1));
          byte.mutable_data()[0] = static_cast<std::uint8_t>(byte.data()[0] ^ 2);
          overwrite(n, path, rotten, std::move(byte));
        }
        ASSERT_TRUE(n.open().ok());
        append_padded(n, kPaddedBatches);
        const Found found = ask_each(n);
        EXPECT_EQ(found.readable + found.damaged, 2 * kEnd);
        EXPECT_GE(found.damaged, 2 * kPaddedRecords);
        EXPECT_LE(found.damaged, 8 * kPaddedRecords) << "field " << field << " batch " << batch;
      });
      EXPECT_FALSE(node.process.ended) << node.process.exit_reason;
    }
  }
}

TEST(DamagedSegments, ASegmentFileThatIsGoneIsDamageAndNotPassedOver) {
  for (const bool last : {false, true}) {
    sim::DiskModel model(kSegmentsDiskBytes);
    fill_blocks(model);
    LogNode node(model, 2);
    node.run([last](LogNode& n) {
      const auto sizes = segment_sizes(n, 0);
      auto gone = last ? std::prev(sizes.end()) : std::next(sizes.begin());
      const std::int64_t lost = (last ? kEnd : std::next(gone)->first) - gone->first;
      ASSERT_TRUE(n.disk.unlink(segment_path(0, Offset(gone->first)), n.soon()).ok());
      ASSERT_TRUE(n.open().ok());
      append_padded(n, kPaddedBatches);
      const Found found = ask_each(n);
      EXPECT_EQ(found.damaged, lost);
      EXPECT_EQ(found.readable, 2 * kEnd - lost);
    });
    EXPECT_FALSE(node.process.ended) << node.process.exit_reason;
  }
}

TEST(DamagedSegments, ATruncationTakesTheDamageBehindItAlong) {
  sim::DiskModel model(kSegmentsDiskBytes);
  fill_blocks(model);
  spoil(model, 0, 0);
  LogNode node(model, 2);
  node.run([](LogNode& n) {
    ASSERT_TRUE(n.open().ok());
    ASSERT_GT(ask_each(n).damaged, 0);
    const Offset to = n.log(0).damaged().front().from;
    ASSERT_TRUE(n.log(0)
                    .truncate(
                        to, [] { return true; }, n.soon())
                    .ok());
    n.epoch = 2;
    append_padded(n, kPaddedBatches);
    ASSERT_TRUE(fiber::sleep(Duration::seconds(1)).ok());
    EXPECT_TRUE(n.log(0).damaged().empty());
    EXPECT_EQ(ask_each(n).damaged, 0);
  });
  EXPECT_FALSE(node.process.ended) << node.process.exit_reason;
}

}  // namespace
}  // namespace chronik::log
