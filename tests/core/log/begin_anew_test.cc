// A replica that has missed too much begins anew at its leader's log start (R16): durably, whenever it dies meanwhile.
#include <gtest/gtest.h>

#include "tests/core/log/log_harness.h"
#include "tests/core/log/log_reading.h"

namespace chronik::log {
namespace {

using testing::LogNode;
using testing::read_all;

constexpr std::uint64_t kAnewDiskBytes = 64 << 20;
constexpr Offset kAnew{5000};
const auto kStill = [] { return true; };

// An old log of 900 records, most of it in segments.
void leave_old_log(sim::DiskModel& model) {
  {
    LogNode node(model, 1);
    node.run([](LogNode& n) {
      ASSERT_TRUE(n.open().ok());
      for (int i = 0; i < 600; ++i) {
        n.append(i % 2, "old", 3);
      }
      ASSERT_TRUE(n.logs->stop(fiber::within(Duration::seconds(30), Expiry::kPeer)).ok());
    });
  }
  model.process_kill();
}

TEST(BeginAnew, NothingIsLeftAndWhatComesNextComesBehindAGap) {
  sim::DiskModel model(kAnewDiskBytes);
  leave_old_log(model);
  {
    LogNode node(model, 2);
    node.run([](LogNode& n) {
      ASSERT_TRUE(n.open().ok());
      ASSERT_TRUE(n.log(0).begin_anew(kAnew, kStill, n.soon()).ok());
      EXPECT_EQ(n.log(0).log_start(), kAnew);
      EXPECT_EQ(n.log(0).log_end(), kAnew);
      EXPECT_EQ(n.log(0).durable_end(), kAnew);
      EXPECT_EQ(n.log(0).last_epoch(), LeaderEpoch::none());
      EXPECT_TRUE(n.log(0).damaged().empty());
      EXPECT_TRUE(absl::IsOutOfRange(n.log(0).read(Offset(10), {.max_bytes = 100, .below = kAnew}, n.soon()).status()));
      n.epoch = 2;
      for (int i = 0; i < 300; ++i) {
        n.append(0, "new", 3);
      }
      ASSERT_TRUE(n.logs->wait_durable(n.soon()).ok());
      EXPECT_EQ(read_all(n, 0, kAnew).size(), 900u);
    });
  }
  model.power_loss(sim::Draws(1, "power", 1), {.kept = 1, .dropped = 1, .torn = 1});
  LogNode node(model, 3);
  node.run([](LogNode& n) {
    ASSERT_TRUE(n.open().ok());
    EXPECT_EQ(n.log(0).log_start(), kAnew);
    EXPECT_EQ(n.log(0).log_end(), kAnew + 900);
    EXPECT_TRUE(n.log(0).damaged().empty());
    EXPECT_EQ(read_all(n, 0, kAnew).size(), 900u);
    EXPECT_EQ(read_all(n, 1, Offset(0)).size(), 900u) << "the other log is as it was";
  });
}

// A replica that reported less than it has durably would never be taken into the ISR.
TEST(BeginAnew, WhoIsCalledOffMeanwhileLeavesALogThatIsDurableToItsEndAllTheSame) {
  sim::DiskModel model(kAnewDiskBytes);
  LogNode node(model, 1);
  node.run([](LogNode& n) {
    ASSERT_TRUE(n.open().ok());
    PartitionLog& log = n.log(0);
    ASSERT_TRUE(n.logs->wait_durable(n.soon()).ok());
    n.disk.sync_time = Duration::milliseconds(50);
    const Status begun = log.begin_anew(kAnew, kStill, fiber::within(Duration::milliseconds(1), Expiry::kPeer));
    EXPECT_TRUE(absl::IsDeadlineExceeded(begun)) << begun;
    EXPECT_EQ(log.log_end(), kAnew);
    EXPECT_EQ(log.durable_end(), Offset(0));
    ASSERT_TRUE(n.logs->wait_durable(n.soon()).ok());
    EXPECT_EQ(log.durable_end(), kAnew);
    EXPECT_EQ(log.log_start(), kAnew);
  });
}

TEST(BeginAnew, NoDrainIsUnderWayMeanwhile) {
  sim::DiskModel model(kAnewDiskBytes);
  LogNode node(model, 1);
  node.run([](LogNode& n) {
    ASSERT_TRUE(n.open().ok());
    PartitionLog& log = n.log(0);
    for (int i = 0; i < 10; ++i) {
      n.append(0, "deleted", 3);
    }
    // Nothing is left to be cut, and yet there is a tail.
    ASSERT_TRUE(log.advance_log_start(log.log_end(), n.soon()).ok());
    bool writing = false;
    n.disk.on_run = [&writing](std::string_view path, const FileBatch&) {
      if (!path.starts_with("logs/")) {
        return ok();
      }
      writing = true;
      return fiber::sleep(Duration::milliseconds(50));
    };
    // As who waits for room in the write-ahead log does, it gives the drainer the time to begin, if it can.
    int asked = 0;
    const auto still_later = [&] {
      const bool last = ++asked == 2;
      for (int i = 0; last && !writing && i < 300; ++i) {
        EXPECT_TRUE(fiber::sleep(Duration::milliseconds(100)).ok());
      }
      return true;
    };
    ASSERT_TRUE(log.begin_anew(kAnew, still_later, n.soon()).ok());
    EXPECT_EQ(asked, 2);
    EXPECT_FALSE(writing);
    n.disk.on_run = nullptr;
    n.epoch = 2;
    for (int i = 0; i < 300; ++i) {
      n.append(0, "new", 3);
    }
    ASSERT_TRUE(n.logs->wait_durable(n.soon()).ok());
    EXPECT_EQ(read_all(n, 0, kAnew).size(), 900u);
    EXPECT_TRUE(log.damaged().empty());
  });
  EXPECT_FALSE(node.process.ended) << node.process.exit_reason;
}

TEST(BeginAnew, NotWhereItIsNotWantedAnyMore) {
  sim::DiskModel model(kAnewDiskBytes);
  leave_old_log(model);
  LogNode node(model, 2);
  node.run([](LogNode& n) {
    ASSERT_TRUE(n.open().ok());
    const Status begun = n.log(0).begin_anew(
        kAnew, [] { return false; }, n.soon());
    EXPECT_TRUE(absl::IsAborted(begun)) << begun;
    EXPECT_EQ(n.log(0).log_end(), Offset(900));
    EXPECT_TRUE(absl::IsAborted(n.log(0).truncate(
        Offset(60), [] { return false; }, n.soon())));
    EXPECT_EQ(read_all(n, 0, Offset(0)).size(), 900u);
  });
}

// Whenever it dies: the old log, an empty one, or the new one.
TEST(BeginAnew, ADeathAtAnyPointLeavesOneOrTheOther) {
  sim::DiskModel model(kAnewDiskBytes);
  leave_old_log(model);
  bool died = true;
  for (std::uint64_t point = 1; died && !::testing::Test::HasFailure(); point += 2) {
    sim::DiskModel copy = model.clone();
    {
      LogNode node(copy, 10 + point);
      node.disk.crash_at(point);
      node.run([](LogNode& n) {
        if (!n.open().ok() || !n.log(0).begin_anew(kAnew, kStill, n.soon()).ok()) {
          return;
        }
        n.epoch = 2;
        for (int i = 0; i < 100; ++i) {
          n.append(0, "new", 3);
        }
        static_cast<void>(n.logs->stop(fiber::within(Duration::seconds(30), Expiry::kPeer)));
      });
      died = node.disk.stopped();
    }
    if (point % 4 == 1) {
      copy.process_kill();
    } else {
      copy.power_loss(sim::Draws(point, "power", 1), {.kept = 1, .dropped = 1, .torn = 1});
    }
    LogNode node(copy, 1000 + point);
    node.run([](LogNode& n) {
      ASSERT_TRUE(n.open().ok());
      PartitionLog& log = n.log(0);
      EXPECT_TRUE(log.damaged().empty());
      const bool old = log.log_start() == Offset(0);
      EXPECT_TRUE(old || log.log_start() == kAnew) << log.log_start().value();
      const std::size_t records = read_all(n, 0, log.log_start()).size();
      EXPECT_EQ(static_cast<std::int64_t>(records), log.log_end() - log.log_start());
      EXPECT_TRUE(!old || log.log_end() == Offset(900) || log.log_end() == Offset(0)) << log.log_end().value();
    });
  }
}

}  // namespace
}  // namespace chronik::log
