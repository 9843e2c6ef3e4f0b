// Retention and deletion of logs of many segments, on a slow disk, and of records that are stamped with a time to come.
#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "tests/core/log/log_harness.h"
#include "tests/core/log/log_reading.h"

namespace chronik::log {
namespace {

using testing::LogNode;
using testing::read_all;
using testing::segment_sizes;

constexpr std::uint64_t kRetentionDiskBytes = 256 << 20;
constexpr int kManySegments = 2'000;
constexpr Offset kManyEnd{3 * kManySegments};

StoredLogsOptions impatient_options() {
  StoredLogsOptions options = testing::small_options();
  options.file_timeout = Duration::seconds(1);
  options.retention_interval = Duration::seconds(10);
  return options;
}

LogConfig tiny_segments() {
  LogConfig config = testing::small_segments();
  config.segment_bytes = 100;
  return config;
}

// An old log of so many segments, of a batch each.
void leave_many_segments(sim::DiskModel& model) {
  {
    LogNode node(model, 1, impatient_options());
    node.config = tiny_segments();
    node.run([](LogNode& n) {
      ASSERT_TRUE(n.open().ok());
      for (int i = 0; i < kManySegments; ++i) {
        n.append(0, "old", 3);
      }
      n.log(0).note_high_watermark(n.log(0).log_end());
      ASSERT_TRUE(n.logs->stop(fiber::within(Duration::seconds(600), Expiry::kPeer)).ok());
      ASSERT_GE(segment_sizes(n, 0).size(), static_cast<std::size_t>(kManySegments));
    });
  }
  model.process_kill();
}

// Each operation of this kind is quick enough; all of them together take longer than file_timeout.
void be_slow(LogNode& n, const std::string& kind) {
  n.disk.before = [kind](const std::string& operation) {
    if (operation.starts_with(kind + " logs/")) {
      static_cast<void>(fiber::sleep(Duration::milliseconds(2)));
    }
  };
}

std::size_t files_of(LogNode& n, int partition) {
  const auto names = n.disk.list_directory("logs/" + testing::key_of(partition).to_string(), n.soon());
  return names.ok() ? names->size() : 0;
}

TEST(Retention, OfThousandsOfSegmentsMovesTheStartOnceAndLetsDrainsInBetween) {
  sim::DiskModel model(kRetentionDiskBytes);
  leave_many_segments(model);
  LogNode node(model, 2, impatient_options());
  node.config = tiny_segments();
  node.epoch = 2;
  node.run([](LogNode& n) {
    ASSERT_TRUE(n.open().ok());
    be_slow(n, "unlink");
    PartitionLog& log = n.log(0);
    while (log.log_start() == Offset(0)) {
      ASSERT_TRUE(fiber::sleep(Duration::milliseconds(1)).ok());
    }
    EXPECT_EQ(log.log_start(), kManyEnd);
    const std::int64_t now_ms = n.clock.wall().milliseconds();
    for (int i = 0; i < 20; ++i) {
      n.append(0, std::string(1'000, 'x'), 1, now_ms);
    }
    ASSERT_TRUE(fiber::sleep(Duration::seconds(1)).ok());
    EXPECT_LT(n.logs->tail_bytes(), n.options.tail_bytes_max);
    EXPECT_GT(files_of(n, 0), static_cast<std::size_t>(kManySegments / 2)) << "the drain has waited for all of them";
    ASSERT_TRUE(fiber::sleep(Duration::seconds(60)).ok());
    EXPECT_LT(files_of(n, 0), 100u);
    EXPECT_EQ(log.log_start(), kManyEnd);
    EXPECT_EQ(read_all(n, 0, kManyEnd).size(), 20u);
  });
  EXPECT_FALSE(node.process.ended) << node.process.exit_reason;
}

TEST(Retention, ARemovedLogOfThousandsOfSegmentsGoes) {
  sim::DiskModel model(kRetentionDiskBytes);
  leave_many_segments(model);
  LogNode node(model, 2, impatient_options());
  node.run([](LogNode& n) {
    ASSERT_TRUE(n.open().ok());
    be_slow(n, "unlink");
    ASSERT_TRUE(n.logs->remove(testing::key_of(0), n.soon()).ok());
    ASSERT_TRUE(fiber::sleep(Duration::seconds(60)).ok());
    EXPECT_EQ(files_of(n, 0), 0u);
  });
  EXPECT_FALSE(node.process.ended) << node.process.exit_reason;
}

TEST(Retention, WhoDrainsWaitsWhileThousandsOfSegmentsAreOpened) {
  sim::DiskModel model(kRetentionDiskBytes);
  leave_many_segments(model);
  LogNode node(model, 2, impatient_options());
  node.config.deletes = false;
  node.epoch = 2;
  node.run([](LogNode& n) {
    ASSERT_TRUE(n.open().ok());
    be_slow(n, "open");
    while (n.logs->tail_bytes() <= n.options.tail_bytes_max) {
      n.append(0, std::string(1'000, 'x'), 1);
    }
    ASSERT_TRUE(fiber::sleep(Duration::seconds(60)).ok());
    EXPECT_LT(n.logs->tail_bytes(), n.options.tail_bytes_max);
    EXPECT_EQ(read_all(n, 0, Offset(0)).at(0), "old0");
    EXPECT_TRUE(n.log(0).damaged().empty());
  });
  EXPECT_FALSE(node.process.ended) << node.process.exit_reason;
}

// Stamped in nanoseconds, say. It would have been too old, and so would each of those behind it for its segment.
TEST(Retention, WhatIsStampedWithATimeToComeStaysAndFillsItsSegment) {
  sim::DiskModel model(kRetentionDiskBytes);
  LogNode node(model, 1, impatient_options());
  node.config.segment_age = Duration::seconds(3'600);
  node.config.retention_age = Duration::seconds(3'600);
  node.run([](LogNode& n) {
    ASSERT_TRUE(n.open().ok());
    const std::int64_t now_ms = n.clock.wall().milliseconds();
    n.append(0, "early", 3, now_ms * 1'000'000);
    for (int i = 0; i < 5; ++i) {
      n.append(0, "now", 3, now_ms);
    }
    n.log(0).note_high_watermark(n.log(0).log_end());
    ASSERT_TRUE(fiber::sleep(Duration::seconds(60)).ok());
    EXPECT_EQ(n.logs->tail_bytes(), 0u);
    EXPECT_EQ(segment_sizes(n, 0).size(), 1u);
    EXPECT_EQ(n.log(0).log_start(), Offset(0));
    EXPECT_EQ(read_all(n, 0, Offset(0)).size(), 18u);
  });
}

}  // namespace
}  // namespace chronik::log
