// What is damaged goes, with the whole segment that holds it, and is written again from elsewhere (R18).
#include <gtest/gtest.h>

#include <string>

#include "tests/core/log/log_harness.h"
#include "tests/core/log/log_reading.h"

namespace chronik::log {
namespace {

using testing::LogNode;
using testing::read_all;
using testing::segment_path;
using testing::segment_sizes;

constexpr std::uint64_t kRottingDiskBytes = 64 << 20;
constexpr int kRecordsEach = 3;
constexpr int kBatchesEach = 300;
const auto kAnywhere = [](Offset) { return true; };

// A log of 900 records in several segments.
void leave_rotting_log(sim::DiskModel& model) {
  {
    LogNode node(model, 1);
    node.run([](LogNode& n) {
      ASSERT_TRUE(n.open().ok());
      for (int i = 0; i < kBatchesEach; ++i) {
        n.append(0, "value", kRecordsEach);
      }
      ASSERT_TRUE(n.logs->stop(fiber::within(Duration::seconds(30), Expiry::kPeer)).ok());
    });
  }
  model.process_kill();
}

// Of the segment's `nth` batch a byte of its records.
void rot_batch(LogNode& n, Offset base, std::uint64_t nth) {
  const std::uint64_t batch_bytes = testing::batch_of("value", kRecordsEach).size();
  testing::overwrite(n, segment_path(0, base), nth * batch_bytes + batch_bytes - 2, Slice::copy_of("#"));
}

Offset nth_segment(LogNode& n, std::size_t nth) {
  const auto sizes = segment_sizes(n, 0);
  CHECK_GT(sizes.size(), nth + 1);
  return Offset(std::next(sizes.begin(), static_cast<std::ptrdiff_t>(nth))->first);
}

void refill(LogNode& n, Offset from) {
  n.epoch = 2;
  for (std::int64_t at = from.value(); at < std::int64_t{kBatchesEach} * kRecordsEach; at += kRecordsEach) {
    EXPECT_EQ(n.append(0, "value", kRecordsEach).base_offset.value(), at);
  }
}

void expect_whole(LogNode& n) {
  EXPECT_EQ(n.log(0).log_start(), Offset(0));
  EXPECT_EQ(n.log(0).log_end(), Offset(std::int64_t{kBatchesEach} * kRecordsEach));
  EXPECT_EQ(read_all(n, 0, Offset(0)).size(), std::size_t{kBatchesEach} * kRecordsEach);
  EXPECT_TRUE(n.log(0).damaged().empty());
  EXPECT_EQ(n.logs->damaged_partitions().value(), 0);
}

TEST(DiscardDamage, TheLogEndsAtTheDamagedSegmentsBaseAndIsWholeAgainOnceItIsRefilled) {
  sim::DiskModel model(kRottingDiskBytes);
  leave_rotting_log(model);
  {
    LogNode node(model, 2);
    node.run([](LogNode& n) {
      const Offset base = nth_segment(n, 2);
      rot_batch(n, base, 3);
      ASSERT_TRUE(n.open().ok());
      EXPECT_TRUE(absl::IsNotFound(n.log(0).discard_damage(kAnywhere, n.soon()).status())) << "nobody has read it yet";
      Status status;
      EXPECT_EQ(read_all(n, 0, Offset(0), &status).size(), static_cast<std::size_t>(base.value() + 3 * kRecordsEach));
      EXPECT_TRUE(absl::IsDataLoss(status));
      EXPECT_EQ(n.logs->damaged_partitions().value(), 1);
      const auto no = [](Offset) { return false; };
      EXPECT_TRUE(absl::IsAborted(n.log(0).discard_damage(no, n.soon()).status()));
      EXPECT_EQ(n.log(0).log_end(), Offset(std::int64_t{kBatchesEach} * kRecordsEach)) << "refused: nothing is cut";
      const auto to = n.log(0).discard_damage(kAnywhere, n.soon());
      ASSERT_TRUE(to.ok()) << to.status();
      EXPECT_EQ(*to, base);
      EXPECT_EQ(n.log(0).log_end(), base);
      EXPECT_TRUE(segment_sizes(n, 0).rbegin()->first < base.value()) << "never mended in place";
      refill(n, base);
      ASSERT_TRUE(n.logs->wait_durable(n.soon()).ok());
      expect_whole(n);
    });
  }
  model.power_loss(sim::Draws(1, "power", 1), {.kept = 1, .dropped = 1, .torn = 1});
  LogNode node(model, 3);
  node.run([](LogNode& n) {
    ASSERT_TRUE(n.open().ok());
    expect_whole(n);
  });
}

TEST(DiscardDamage, WhereNothingSoundIsBeforeItTheLogBeginsAgain) {
  sim::DiskModel model(kRottingDiskBytes);
  leave_rotting_log(model);
  {
    LogNode node(model, 2);
    node.run([](LogNode& n) {
      rot_batch(n, Offset(0), 3);
      ASSERT_TRUE(n.open().ok());
      ASSERT_TRUE(n.log(0).advance_log_start(Offset(4), n.soon()).ok());  // within a batch
      Status status;
      EXPECT_EQ(read_all(n, 0, Offset(4), &status).size(), 6u);
      const auto to = n.log(0).discard_damage(kAnywhere, n.soon());
      ASSERT_TRUE(to.ok()) << to.status();
      EXPECT_EQ(*to, Offset(0));
      EXPECT_EQ(n.log(0).log_start(), Offset(0));
      EXPECT_EQ(n.log(0).log_end(), Offset(0));
      EXPECT_EQ(n.log(0).last_epoch(), LeaderEpoch::none());
      refill(n, Offset(0));
      ASSERT_TRUE(n.logs->wait_durable(n.soon()).ok());
      expect_whole(n);
    });
  }
  model.power_loss(sim::Draws(1, "power", 1), {.kept = 1, .dropped = 1, .torn = 1});
  LogNode node(model, 3);
  node.run([](LogNode& n) {
    ASSERT_TRUE(n.open().ok());
    expect_whole(n);
    // What is deleted from now on stays so.
    ASSERT_TRUE(n.log(0).advance_log_start(Offset(600), n.soon()).ok());
    EXPECT_EQ(n.log(0).log_start(), Offset(600));
  });
}

TEST(DiscardDamage, ADeathBetweenTheCutAndWhatComesNextLeavesTheLogCut) {
  sim::DiskModel model(kRottingDiskBytes);
  leave_rotting_log(model);
  Offset base;
  {
    LogNode node(model, 2);
    node.run([&base](LogNode& n) {
      base = nth_segment(n, 1);
      rot_batch(n, base, 0);
      ASSERT_TRUE(n.open().ok());
      Status status;
      read_all(n, 0, Offset(0), &status);
      ASSERT_TRUE(n.log(0).discard_damage(kAnywhere, n.soon()).ok());
    });
  }
  model.power_loss(sim::Draws(2, "power", 1), {.kept = 1, .dropped = 1, .torn = 1});
  LogNode node(model, 3);
  node.run([&base](LogNode& n) {
    ASSERT_TRUE(n.open().ok());
    EXPECT_EQ(n.log(0).log_end(), base);
    EXPECT_EQ(read_all(n, 0, Offset(0)).size(), static_cast<std::size_t>(base.value()));
    refill(n, base);
    ASSERT_TRUE(n.logs->wait_durable(n.soon()).ok());
    expect_whole(n);
  });
}

TEST(DiscardDamage, ASegmentThatIsGoneIsDamageToo) {
  sim::DiskModel model(kRottingDiskBytes);
  leave_rotting_log(model);
  LogNode node(model, 2);
  node.run([](LogNode& n) {
    const Offset base = nth_segment(n, 1);
    ASSERT_TRUE(n.disk.unlink(segment_path(0, base), n.soon()).ok());
    ASSERT_TRUE(n.open().ok());
    Status status;
    read_all(n, 0, Offset(0), &status);
    ASSERT_TRUE(absl::IsDataLoss(status));
    const auto to = n.log(0).discard_damage(kAnywhere, n.soon());
    ASSERT_TRUE(to.ok()) << to.status();
    EXPECT_LE(*to, base);
    refill(n, *to);
    ASSERT_TRUE(n.logs->wait_durable(n.soon()).ok());
    expect_whole(n);
  });
}

}  // namespace
}  // namespace chronik::log
