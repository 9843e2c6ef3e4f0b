// Readers beside the drainer, beside a truncation, beside each other: each at every point of the other's work.
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <utility>

#include "tests/core/log/log_harness.h"
#include "tests/core/log/log_reading.h"

namespace chronik::log {
namespace {

using testing::LogNode;
using testing::overwrite;
using testing::read_all;
using testing::segment_path;
using testing::segment_sizes;

constexpr std::uint64_t kBesideDiskBytes = 64 << 20;
constexpr int kSteps = 60;                             // of one fiber, before the other begins
constexpr Duration kHold = Duration::milliseconds(2);  // longer than the drainer takes
constexpr int kFilledBatches = 400;                    // of the first life
constexpr int kFilledRecords = 3;                      // of each
constexpr int kLarge = 1'000;                          // records of a batch that makes the drainer work at once
const Offset kFilled(kFilledBatches* kFilledRecords);
constexpr std::int64_t kFirstTime = 10'000;

void step(int count) {
  for (int i = 0; i < count; ++i) {
    fiber::yield_to_ready();
  }
}

// A life that leaves segments and ends well.
void fill(sim::DiskModel& model) {
  {
    LogNode node(model, 1);
    node.run([](LogNode& n) {
      ASSERT_TRUE(n.open().ok());
      for (int i = 0; i < kFilledBatches; ++i) {
        n.append(0, "value", kFilledRecords, kFirstTime + 10 * i);
      }
      ASSERT_TRUE(n.logs->stop(fiber::within(Duration::seconds(30), Expiry::kPeer)).ok());
    });
  }
  model.process_kill();
}

void leave_behind(LogNode& n, const std::string& path) {
  auto file = n.disk.open(path, OpenMode::kCreate, DiskLane::kBulk, n.soon());
  ASSERT_TRUE(file.ok()) << file.status().ToString();
  FileBatch write;
  write.writes.push_back({.offset = 0, .parts = {Slice::copy_of("of a life before")}});
  ASSERT_TRUE((*file)->run(std::move(write), n.soon()).ok());
}

// Reads one batch from `at` on.
void read_beside(LogNode& n, Offset at, bool* ended) {
  n.world.spawn("reader", [&n, at, ended] {
    PartitionLog& log = n.log(0);
    static_cast<void>(log.read(at, {.max_bytes = 1, .below = log.log_end()}, n.soon()));
    *ended = true;
  });
}

// The first operation of this kind takes its time.
std::function<void(const std::string&)> hold_first(std::string kind, Duration time = kHold) {
  return [kind = std::move(kind), time, held = false](const std::string& operation) mutable {
    if (!held && operation.starts_with(kind)) {
      held = true;
      CHECK_OK(fiber::sleep(time));
    }
  };
}

void wait_for(const bool& ended) {
  while (!ended) {
    ASSERT_TRUE(fiber::sleep(Duration::milliseconds(1)).ok());
  }
}

void expect_all_after_a_loss_of_power(sim::DiskModel& model, std::size_t records) {
  model.power_loss(sim::Draws(1, "power", 0), sim::kNothingSurvives);
  LogNode node(model, 3);
  node.run([records](LogNode& n) {
    ASSERT_TRUE(n.open().ok());
    EXPECT_EQ(read_all(n, 0, Offset(0)).size(), records);
    EXPECT_TRUE(n.log(0).damaged().empty());
  });
}

TEST(ConcurrentReaders, AReaderThatOpensALogDoesNotUnlinkWhatTheDrainerMakes) {
  sim::DiskModel model(kBesideDiskBytes);
  fill(model);
  {
    LogNode node(model, 2);
    node.run([](LogNode& n) {
      for (const char* ending : {".index", ".log", ".timeindex"}) {
        leave_behind(n, segment_path(0, kFilled, ending));
      }
      ASSERT_TRUE(n.open().ok());
      bool ended = false;
      n.disk.before = hold_first("unlink " + segment_path(0, kFilled));
      read_beside(n, Offset(0), &ended);
      n.append(0, "large", kLarge);
      wait_for(ended);
      ASSERT_TRUE(n.logs->stop(fiber::within(Duration::seconds(30), Expiry::kPeer)).ok());
    });
    EXPECT_FALSE(node.process.ended) << node.process.exit_reason;
  }
  expect_all_after_a_loss_of_power(model, kFilledBatches * kFilledRecords + kLarge);
}

TEST(ConcurrentReaders, AReaderThatLoadsASegmentDoesNotCutWhatTheDrainerWrites) {
  sim::DiskModel model(kBesideDiskBytes);
  fill(model);
  {
    LogNode node(model, 2);
    node.run([](LogNode& n) {
      const auto sizes = segment_sizes(n, 0);
      const std::string active = segment_path(0, Offset(sizes.rbegin()->first));
      overwrite(n, active, sizes.rbegin()->second, Slice::copy_of(std::string(5'000, 'x')));
      ASSERT_TRUE(n.open().ok());
      n.config.segment_bytes = 1 << 20;
      n.disk.before = hold_first("truncate " + active);
      bool ended = false;
      read_beside(n, kFilled - 1, &ended);
      n.append(0, "large", kLarge);
      wait_for(ended);
      ASSERT_TRUE(n.logs->stop(fiber::within(Duration::seconds(30), Expiry::kPeer)).ok());
    });
    EXPECT_FALSE(node.process.ended) << node.process.exit_reason;
  }
  expect_all_after_a_loss_of_power(model, kFilledBatches * kFilledRecords + kLarge);
}

TEST(ConcurrentReaders, ATruncationUnderAReadIsNoDamage) {
  sim::DiskModel model(kBesideDiskBytes);
  fill(model);
  LogNode node(model, 2);
  node.run([](LogNode& n) {
    ASSERT_TRUE(n.open().ok());
    bool ended = false;
    const Offset to = kFilled - 60;
    static_cast<void>(n.log(0).read(to, {.max_bytes = 1, .below = n.log(0).log_end()}, n.soon()));
    // The bytes are gone, and whoever cuts them has not heard of it.
    n.disk.before = hold_first("read logs/");
    n.disk.after = hold_first("truncate logs/", kHold + kHold);
    read_beside(n, to + 10, &ended);
    fiber::yield_to_ready();
    ASSERT_TRUE(n.log(0)
                    .truncate(
                        to, [] { return true; }, n.soon())
                    .ok());
    wait_for(ended);
    n.epoch = 2;
    for (int i = 0; i < 60; ++i) {
      n.append(0, "new", 1);
    }
    ASSERT_TRUE(n.logs->wait_durable(n.soon()).ok());
    EXPECT_TRUE(n.log(0).damaged().empty());
    EXPECT_EQ(read_all(n, 0, Offset(0)).size(), static_cast<std::size_t>(kFilledBatches * kFilledRecords));
  });
}

TEST(ConcurrentReaders, WhatIsDrainedUnderAReadIsNoDamage) {
  sim::DiskModel model(kBesideDiskBytes);
  fill(model);
  StoredLogsOptions options = testing::small_options();
  options.open_files_max = 1;  // so that each use of a file has to open it
  LogNode node(model, 2, options);
  node.run([](LogNode& n) {
    ASSERT_TRUE(n.open().ok());
    n.config.segment_bytes = 1 << 20;
    n.append(0, "large", kLarge);
    ASSERT_TRUE(n.logs->wait_durable(n.soon()).ok());
    ASSERT_TRUE(fiber::sleep(Duration::seconds(1)).ok());
    const ReadLimits all{.max_bytes = 100'000, .below = Offset(99'999)};
    ASSERT_TRUE(n.log(0).read(kFilled, all, n.soon()).ok());
    ASSERT_TRUE(n.log(0).read(Offset(0), all, n.soon()).ok());
    n.append(0, "large", kLarge);
    n.disk.before = hold_first("open logs/");
    const auto read = n.log(0).read(kFilled, all, n.soon());
    EXPECT_TRUE(read.ok()) << read.status().ToString();
    EXPECT_TRUE(n.log(0).damaged().empty());
  });
}

TEST(ConcurrentReaders, ATimeIsFoundThoughItsBatchGoesIntoASegmentMeanwhile) {
  for (int delay = 0; delay < kSteps && !::testing::Test::HasFailure(); ++delay) {
    sim::DiskModel model(kBesideDiskBytes);
    fill(model);
    LogNode node(model, 2);
    node.run([delay](LogNode& n) {
      ASSERT_TRUE(n.open().ok());
      bool ended = false;
      constexpr std::int64_t kLate = 1'000'000;
      n.append(0, "large", kLarge, kLate);
      n.world.spawn("reader", [&] {
        CHECK_OK(n.logs->wait_durable(n.soon()));
        step(delay);
        const auto found = n.log(0).find_timestamp(WallTime::from_milliseconds(kLate), n.log(0).log_end(), n.soon());
        EXPECT_TRUE(found.ok()) << found.status().ToString();
        EXPECT_TRUE(found.ok() && found->has_value()) << "delay " << delay;
        ended = true;
      });
      ASSERT_TRUE(n.logs->wait_durable(n.soon()).ok());
      wait_for(ended);
    });
  }
}

TEST(ConcurrentReaders, TheLargestTimestampIsThatOfWhatIsDurable) {
  sim::DiskModel model(kBesideDiskBytes);
  LogNode node(model, 1);
  node.run([](LogNode& n) {
    ASSERT_TRUE(n.open().ok());
    n.append(0, "durable", kFilledRecords, kFirstTime);
    ASSERT_TRUE(n.logs->wait_durable(n.soon()).ok());
    n.append(0, "queued", kFilledRecords, 2 * kFirstTime);
    const auto largest = n.log(0).max_timestamp(n.log(0).log_end(), n.soon());
    ASSERT_TRUE(largest.ok());
    ASSERT_TRUE(largest->has_value());
    EXPECT_EQ((*largest)->offset.value(), kFilledRecords - 1);
  });
}

}  // namespace
}  // namespace chronik::log
