// A truncation is durable before it cuts (R4), and a recovery that drains amid its replay may die and begin again.
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "core/log/batch_at.h"
#include "tests/core/log/log_harness.h"
#include "tests/core/log/log_reading.h"

namespace chronik::log {
namespace {

using testing::LogNode;
using testing::read_all;
using testing::segment_sizes;

constexpr std::uint64_t kTruncationDiskBytes = 64 << 20;

// `batches` of three records to each of two logs, all of it in segments.
void leave_segments(sim::DiskModel& model, int batches) {
  {
    LogNode node(model, 1);
    node.run([batches](LogNode& n) {
      ASSERT_TRUE(n.open().ok());
      for (int i = 0; i < 2 * batches; ++i) {
        n.append(i % 2, "old", 3);
      }
      n.log(1).note_high_watermark(n.log(1).log_end());
      ASSERT_TRUE(n.logs->stop(fiber::within(Duration::seconds(30), Expiry::kPeer)).ok());
    });
  }
  model.process_kill();
}

TEST(Truncation, ThePlaceToCutIsTheBaseOfABatchInSegmentsAndInTheTail) {
  sim::DiskModel model(kTruncationDiskBytes);
  leave_segments(model, 300);
  LogNode node(model, 2);
  node.run([](LogNode& n) {
    ASSERT_TRUE(n.open().ok());
    n.append(0, "new", 3);
    ASSERT_EQ(n.log(0).log_end(), Offset(903));
    const std::vector<std::pair<std::int64_t, std::int64_t>> base_of{{0, 0},     {2, 0},     {3, 3},     {451, 450},
                                                                     {899, 897}, {900, 900}, {902, 900}, {903, 903}};
    for (const auto& [offset, base] : base_of) {
      EXPECT_EQ(base_of_batch_at(n.log(0), Offset(offset), n.soon()), Offset(base)) << offset;
    }
    ASSERT_TRUE(n.log(0).advance_log_start(Offset(451), n.soon()).ok());
    EXPECT_EQ(base_of_batch_at(n.log(0), Offset(451), n.soon()), Offset(450));  // also where the log begins within it
    EXPECT_EQ(base_of_batch_at(n.log(0), Offset(450), n.soon()), Offset(450));  // nothing can be read there
  });
}

TEST(Truncation, WhoOpensALogBeforeItsTruncationIsDurableCutsNothing) {
  sim::DiskModel model(kTruncationDiskBytes);
  leave_segments(model, 300);
  LogNode node(model, 2);
  node.run([](LogNode& n) {
    ASSERT_TRUE(n.open().ok());
    const auto before = segment_sizes(n, 0);
    ASSERT_GT(before.size(), 4u);
    n.disk.hang_syncs = true;
    const Status cut = n.log(0).truncate(
        Offset(60), [] { return true; }, fiber::within(Duration::milliseconds(100), Expiry::kPeer));
    EXPECT_TRUE(absl::IsDeadlineExceeded(cut)) << cut.ToString();
    ASSERT_TRUE(n.log(0).read(Offset(0), {.max_bytes = 600, .below = Offset(60)}, n.soon()).ok());
    EXPECT_EQ(segment_sizes(n, 0), before);
  });
}

TEST(Truncation, WhoGaveUpWaitingLeavesItToWhoeverComesNextAndThatOneWaits) {
  sim::DiskModel model(kTruncationDiskBytes);
  leave_segments(model, 300);
  StoredLogsOptions options = testing::small_options();
  options.retention_interval = Duration::milliseconds(10);
  LogNode node(model, 2, options);
  node.run([](LogNode& n) {
    ASSERT_TRUE(n.open().ok());
    const auto before = segment_sizes(n, 0);
    n.disk.sync_time = Duration::milliseconds(200);
    const Status cut = n.log(0).truncate(
        Offset(60), [] { return true; }, fiber::within(Duration::milliseconds(1), Expiry::kPeer));
    EXPECT_TRUE(absl::IsDeadlineExceeded(cut)) << cut.ToString();
    ASSERT_TRUE(fiber::sleep(Duration::milliseconds(100)).ok());
    EXPECT_EQ(segment_sizes(n, 0), before);
    ASSERT_TRUE(fiber::sleep(Duration::seconds(1)).ok());
    EXPECT_LT(segment_sizes(n, 0).size(), before.size());
    EXPECT_EQ(read_all(n, 0, Offset(0)).size(), 60u);
  });
}

// What the checkpoint promises is cut and deleted by records behind it: a life that replays them changes files, dies,
// and leaves the next one to find less than its checkpoint says.
TEST(Truncation, ARecoveryThatDiedAfterItHadCutIsBegunAgainWithoutDamage) {
  constexpr int kCutBatches = 300;
  sim::DiskModel model(kTruncationDiskBytes);
  leave_segments(model, kCutBatches);
  StoredLogsOptions options = testing::small_options();
  options.wal.files_max = 16;
  options.tail_bytes_max = 1 << 20;
  options.retention_interval = Duration::milliseconds(10);
  {
    LogNode node(model, 2, options);
    node.run([](LogNode& n) {
      ASSERT_TRUE(n.open().ok());
      n.epoch = 2;
      for (int i = 0; i < kCutBatches; ++i) {
        n.append(i % 2, "lost", 3);
      }
      ASSERT_TRUE(n.log(0)
                      .truncate(
                          Offset(600), [] { return true; }, n.soon())
                      .ok());
      n.log(1).note_high_watermark(n.log(1).log_end());
      ASSERT_TRUE(n.log(1).advance_log_start(Offset(500), n.soon()).ok());
      ASSERT_TRUE(fiber::sleep(Duration::seconds(1)).ok());  // its segments go
      n.epoch = 3;
      for (int i = 0; i < kCutBatches; ++i) {
        n.append(0, "new", 3);
      }
      ASSERT_TRUE(n.logs->wait_durable(n.soon()).ok());
    });
  }
  model.process_kill();
  options.tail_bytes_max = testing::small_options().tail_bytes_max;
  bool died = true;
  std::uint64_t point = 1;
  for (; died && !::testing::Test::HasFailure(); point += 3) {
    sim::DiskModel copy = model.clone();
    for (const std::uint64_t crash : {point / 2 + 1, point}) {
      {
        LogNode node(copy, 2 + crash, options);
        node.disk.crash_at(crash);
        node.run([](LogNode& n) { static_cast<void>(n.open()); });
        died = node.disk.stopped();
        EXPECT_FALSE(node.process.ended) << node.process.exit_reason;
      }
      if (crash % 2 == 0) {
        copy.process_kill();
      } else {
        copy.power_loss(sim::Draws(point, "power", crash), {.kept = 1, .dropped = 1, .torn = 1});
      }
    }
    LogNode last(copy, 1, options);
    last.run([point](LogNode& n) {
      ASSERT_TRUE(n.open().ok());
      EXPECT_TRUE(n.log(0).damaged().empty()) << "point " << point;
      EXPECT_TRUE(n.log(1).damaged().empty()) << "point " << point;
      const auto cut = read_all(n, 0, Offset(0));
      ASSERT_EQ(cut.size(), 600u + 3 * kCutBatches) << "point " << point;
      EXPECT_EQ(cut.at(599), "old2");
      EXPECT_EQ(cut.at(600), "new0");
      EXPECT_GE(n.log(1).log_start().value(), 500);
      EXPECT_EQ(n.log(1).log_end().value(), 3 * kCutBatches + 3 * kCutBatches / 2);
      read_all(n, 1, n.log(1).log_start());
    });
    EXPECT_FALSE(last.process.ended) << last.process.exit_reason;
  }
  EXPECT_GT(point, 100u);  // it was a recovery worth dying in
}

}  // namespace
}  // namespace chronik::log
