#include "core/log/stored_logs.h"

#include <gtest/gtest.h>

#include <iterator>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/core/log/log_harness.h"
#include "tests/core/log/log_reading.h"

namespace chronik::log {
namespace {
using testing::LogNode;
using testing::read_all;

constexpr std::uint64_t kDiskBytes = 64 << 20;

TEST(StoredLogs, WhatWasAppendedIsReadBackFromEveryOffset) {
  sim::DiskModel model(kDiskBytes);
  LogNode node(model, 1);
  node.run([](LogNode& n) {
    ASSERT_TRUE(n.open().ok());
    for (int i = 0; i < 100; ++i) {
      const Appended appended = n.append(0, "b" + std::to_string(i) + "-", 3);
      EXPECT_EQ(appended.base_offset.value(), 3 * i);
    }
    ASSERT_TRUE(n.logs->wait_durable(n.soon()).ok());
    EXPECT_EQ(n.log(0).durable_end().value(), 300);
    for (std::int64_t from = 0; from < 300; from += 7) {
      const auto seen = read_all(n, 0, Offset(from));
      ASSERT_TRUE(seen.contains(from));
      EXPECT_EQ(seen.at(from), "b" + std::to_string(from / 3) + "-" + std::to_string(from % 3));
      EXPECT_EQ(seen.rbegin()->first, 299);
    }
    // The tail is bounded: most of it has gone to segments by now.
    EXPECT_LE(n.logs->tail_bytes(), n.options.tail_bytes_max + 4'096);
  });
}

// Also when whoever moved it has gone, a follower has to say that it begins there.
TEST(StoredLogs, WhoListensIsToldThatTheLogIsThereAndWhereItBegins) {
  class Ear final : public PartitionLog::Listener {
   public:
    explicit Ear(PartitionLog& log) : log_(log) { log.set_listener(this); }
    ~Ear() override { log_.set_listener(nullptr); }
    void on_durable(Offset durable_end) override { told.emplace_back(durable_end.value(), log_.log_start().value()); }
    std::vector<std::pair<std::int64_t, std::int64_t>> told;

   private:
    PartitionLog& log_;
  };
  sim::DiskModel model(kDiskBytes);
  LogNode node(model, 1);
  node.run([](LogNode& n) {
    ASSERT_TRUE(n.open().ok());
    PartitionLog& log = n.log(0);
    Ear ear(log);
    EXPECT_EQ(log.durable_end(), Offset::none()) << "a death may take it back";
    ASSERT_TRUE(n.logs->wait_durable(n.soon()).ok());
    n.append(0, "a", 10);
    ASSERT_TRUE(n.logs->wait_durable(n.soon()).ok());
    EXPECT_TRUE(absl::IsDeadlineExceeded(
        log.advance_log_start(Offset(4), fiber::within(Duration::nanoseconds(1), Expiry::kNormal))));
    ASSERT_TRUE(n.logs->wait_durable(n.soon()).ok());
    EXPECT_EQ(ear.told, (std::vector<std::pair<std::int64_t, std::int64_t>>{{0, 0}, {10, 0}, {10, 4}}));
  });
}

TEST(StoredLogs, AStopIsQuickAndLeavesNothingToReplay) {
  sim::DiskModel model(kDiskBytes);
  {
    LogNode node(model, 1);
    node.run([](LogNode& n) {
      ASSERT_TRUE(n.open().ok());
      n.append(0, "a", 10);
      ASSERT_TRUE(n.logs->wait_durable(n.soon()).ok());
      ASSERT_TRUE(fiber::sleep(Duration::seconds(1)).ok());  // the log is idle when it is stopped
      const MonotonicTime before = n.world.now;
      EXPECT_TRUE(n.logs->stop(fiber::within(Duration::seconds(30), Expiry::kPeer)).ok());
      EXPECT_LT(n.world.now - before, Duration::seconds(1));
    });
  }
  model.process_kill();
  LogNode node(model, 2);
  node.run([](LogNode& n) {
    ASSERT_TRUE(n.open().ok());
    EXPECT_EQ(n.recovery.bytes_replayed, 0u);
    EXPECT_EQ(read_all(n, 0, Offset(0)).size(), 10u);
  });
}

TEST(StoredLogs, AnOffsetOutsideTheLogIsOutOfRange) {
  sim::DiskModel model(kDiskBytes);
  LogNode node(model, 1);
  node.run([](LogNode& n) {
    ASSERT_TRUE(n.open().ok());
    n.append(0, "a", 10);
    ASSERT_TRUE(n.log(0).advance_log_start(Offset(4), n.soon()).ok());
    const ReadLimits limits{.max_bytes = 1'000, .below = Offset(10)};
    EXPECT_TRUE(absl::IsOutOfRange(n.log(0).read(Offset(3), limits, n.soon()).status()));
    EXPECT_TRUE(absl::IsOutOfRange(n.log(0).read(Offset(11), limits, n.soon()).status()));
    EXPECT_TRUE(n.log(0).read(Offset(10), limits, n.soon()).ok());
  });
}

TEST(StoredLogs, TheFirstBatchIsGivenWholeHoweverSmallTheLimit) {
  sim::DiskModel model(kDiskBytes);
  LogNode node(model, 1);
  node.run([](LogNode& n) {
    ASSERT_TRUE(n.open().ok());
    n.append(0, "large", 20);
    ASSERT_TRUE(n.logs->wait_durable(n.soon()).ok());
    const auto one = n.log(0).read(Offset(0), {.max_bytes = 1, .below = Offset(20)}, n.soon());
    ASSERT_TRUE(one.ok());
    EXPECT_EQ(one->end.value(), 20);
    const auto none = n.log(0).read(Offset(0), {.max_bytes = 1, .below = Offset(20), .min_one_batch = false}, n.soon());
    ASSERT_TRUE(none.ok());
    EXPECT_EQ(none->bytes, 0u);
  });
}

TEST(StoredLogs, ATimestampIsFoundInSegmentsAndInTheTail) {
  sim::DiskModel model(kDiskBytes);
  LogNode node(model, 1);
  node.run([](LogNode& n) {
    ASSERT_TRUE(n.open().ok());
    for (int i = 0; i < 200; ++i) {
      n.append(0, "t", 2, 10'000 + 10 * i);
    }
    ASSERT_TRUE(n.logs->wait_durable(n.soon()).ok());
    for (const int i : {0, 1, 50, 150, 199}) {
      const auto found = n.log(0).find_timestamp(WallTime::from_milliseconds(10'000 + 10 * i), Offset(400), n.soon());
      ASSERT_TRUE(found.ok());
      ASSERT_TRUE(found->has_value());
      EXPECT_EQ((*found)->offset.value(), 2 * i);
    }
    const auto late = n.log(0).find_timestamp(WallTime::from_milliseconds(99'999), Offset(400), n.soon());
    ASSERT_TRUE(late.ok());
    EXPECT_FALSE(late->has_value());
    const auto largest = n.log(0).max_timestamp(n.log(0).log_end(), n.soon());
    ASSERT_TRUE(largest.ok());
    ASSERT_TRUE(largest->has_value());
    EXPECT_EQ((*largest)->offset.value(), 399);
  });
}

TEST(StoredLogs, TruncationTakesTailAndSegmentsBackAndTheNextEpochGoesOnThere) {
  sim::DiskModel model(kDiskBytes);
  {
    LogNode node(model, 1);
    node.run([](LogNode& n) {
      ASSERT_TRUE(n.open().ok());
      for (int i = 0; i < 100; ++i) {
        n.append(0, "old", 3);
      }
      ASSERT_TRUE(n.logs->wait_durable(n.soon()).ok());
      ASSERT_TRUE(n.log(0)
                      .truncate(
                          Offset(60), [] { return true; }, n.soon())
                      .ok());
      EXPECT_EQ(n.log(0).log_end().value(), 60);
      n.epoch = 2;
      for (int i = 0; i < 100; ++i) {
        n.append(0, "new", 3);
      }
      ASSERT_TRUE(n.logs->wait_durable(n.soon()).ok());
      EXPECT_EQ(n.log(0).end_of_epoch(LeaderEpoch(1)).end.value(), 60);
    });
  }
  model.process_kill();
  LogNode again(model, 2);
  again.run([](LogNode& n) {
    ASSERT_TRUE(n.open().ok());
    const auto seen = read_all(n, 0, Offset(0));
    ASSERT_EQ(seen.size(), 360u);
    EXPECT_EQ(seen.at(59), "old2");
    EXPECT_EQ(seen.at(60), "new0");
    EXPECT_EQ(n.log(0).end_of_epoch(LeaderEpoch(1)).end.value(), 60);
  });
}

TEST(StoredLogs, ALogStartIsSeenOnceItIsDurableThoughALaterOneIsUnderWay) {
  sim::DiskModel model(kDiskBytes);
  LogNode node(model, 1);
  node.run([](LogNode& n) {
    ASSERT_TRUE(n.open().ok());
    for (int i = 0; i < 20; ++i) {
      n.append(0, "value", 3);
    }
    ASSERT_TRUE(n.logs->wait_durable(n.soon()).ok());
    n.disk.sync_time = Duration::milliseconds(20);
    std::vector<std::int64_t> seen;
    for (std::uint64_t i = 1; i <= 3; ++i) {
      n.world.scope.spawn({"starter", i}, [&n, &seen, to = Offset(static_cast<std::int64_t>(10 * i))] {
        EXPECT_TRUE(n.log(0).advance_log_start(to, n.soon()).ok());
        seen.push_back(n.log(0).log_start().value());
        EXPECT_TRUE(
            absl::IsOutOfRange(n.log(0).read(to - 1, {.max_bytes = 1, .below = Offset(60)}, n.soon()).status()));
      });
      // The first is written now, though its commit was delayed; the others wait.
      ASSERT_TRUE(fiber::sleep(Duration::milliseconds(3)).ok());
    }
    EXPECT_EQ(n.log(0).log_start(), Offset(0));
    ASSERT_TRUE(fiber::sleep(Duration::milliseconds(100)).ok());
    EXPECT_EQ(seen, (std::vector<std::int64_t>{10, 30, 30}));
  });
}

TEST(StoredLogs, ALogStartThatATruncationHasOvertakenIsNoCrash) {
  sim::DiskModel model(kDiskBytes);
  LogNode node(model, 1);
  node.run([](LogNode& n) {
    ASSERT_TRUE(n.open().ok());
    for (int i = 0; i < 20; ++i) {
      n.append(0, "value", 3);
    }
    ASSERT_TRUE(n.logs->wait_durable(n.soon()).ok());
    // Whoever is given a log start to advance to waits for room; meanwhile the log is cut.
    for (int i = 0; i < 20; ++i) {
      n.append(1, std::string(15'000, 'x'), 1);
    }
    bool advanced = false;
    n.world.spawn("starter", [&] {
      const Status status = n.log(0).advance_log_start(Offset(60), n.soon());
      EXPECT_TRUE(status.ok() || absl::IsAborted(status)) << status.ToString();
      advanced = true;
    });
    const Status cut = n.log(0).truncate(
        Offset(30), [] { return true; }, n.soon());
    EXPECT_TRUE(cut.ok() || absl::IsOutOfRange(cut)) << cut.ToString();
    while (!advanced) {
      ASSERT_TRUE(fiber::sleep(Duration::milliseconds(1)).ok());
    }
    EXPECT_LE(n.log(0).log_start(), n.log(0).log_end());
  });
}

TEST(StoredLogs, ARemovedLogIsGoneWithItsFilesAlsoAfterACrash) {
  sim::DiskModel model(kDiskBytes);
  {
    LogNode node(model, 1);
    node.run([](LogNode& n) {
      ASSERT_TRUE(n.open().ok());
      for (int i = 0; i < 100; ++i) {
        n.append(0, "x", 3);
        n.append(1, "y", 3);
      }
      ASSERT_TRUE(n.logs->wait_durable(n.soon()).ok());
      ASSERT_TRUE(n.logs->remove(testing::key_of(0), n.soon()).ok());
      EXPECT_FALSE(n.logs->find(testing::key_of(0)));
    });
  }
  model.power_loss(sim::Draws(1, "power", 0), sim::kNothingSurvives);
  LogNode again(model, 2);
  again.run([](LogNode& n) {
    ASSERT_TRUE(n.open().ok());
    EXPECT_EQ(n.logs->keys().size(), 1u);
    EXPECT_EQ(read_all(n, 1, Offset(0)).size(), 300u);
    const auto left = n.disk.list_directory("logs", n.soon());
    ASSERT_TRUE(left.ok());
    EXPECT_EQ(left->size(), 1u);
  });
}

TEST(StoredLogs, TheFilesOfARemovedLogGoThoughWhoRemovedItHasNotWaited) {
  sim::DiskModel model(kDiskBytes);
  LogNode node(model, 1);
  node.run([](LogNode& n) {
    ASSERT_TRUE(n.open().ok());
    for (int i = 0; i < 200; ++i) {
      n.append(0, "x", 3);
    }
    ASSERT_TRUE(n.logs->wait_durable(n.soon()).ok());
    ASSERT_TRUE(fiber::sleep(Duration::seconds(1)).ok());
    const auto before = n.disk.list_directory("logs", n.soon());
    ASSERT_TRUE(before.ok());
    ASSERT_EQ(before->size(), 1u);
    n.disk.sync_time = Duration::milliseconds(100);
    EXPECT_TRUE(absl::IsDeadlineExceeded(
        n.logs->remove(testing::key_of(0), fiber::within(Duration::milliseconds(1), Expiry::kPeer))));
    ASSERT_TRUE(fiber::sleep(Duration::seconds(1)).ok());
    const auto left = n.disk.list_directory("logs", n.soon());
    ASSERT_TRUE(left.ok());
    EXPECT_TRUE(left->empty());
  });
}

TEST(StoredLogs, ASegmentsRottenBatchIsNeverServed) {
  sim::DiskModel model(kDiskBytes);
  LogNode node(model, 1);
  node.run([](LogNode& n) {
    ASSERT_TRUE(n.open().ok());
    for (int i = 0; i < 200; ++i) {
      n.append(0, "value", 3);
    }
    ASSERT_TRUE(n.logs->wait_durable(n.soon()).ok());
    const std::string path = "logs/" + testing::key_of(0).to_string() + "/00000000000000000000.log";
    auto file = n.disk.open(path, OpenMode::kReadWrite, DiskLane::kBulk, n.soon());
    ASSERT_TRUE(file.ok());
    FileBatch rot;
    rot.writes.push_back({.offset = 700, .parts = {Slice::copy_of("rot")}});
    ASSERT_TRUE((*file)->run(std::move(rot), n.soon()).ok());
    Status status;
    const auto seen = read_all(n, 0, Offset(0), &status);
    EXPECT_TRUE(absl::IsDataLoss(status)) << status.ToString();
    for (const auto& [offset, value] : seen) {
      EXPECT_EQ(value, "value" + std::to_string(offset % 3));
    }
  });
}

TEST(StoredLogs, AnAnswerEndsBeforeADamagedRangeAndWhoAsksForThatLearnsOfIt) {
  sim::DiskModel model(kDiskBytes);
  {
    LogNode node(model, 1);
    node.run([](LogNode& n) {
      ASSERT_TRUE(n.open().ok());
      for (const char* prefix : {"before", "middle", "behind", "last"}) {
        n.append(0, prefix, 3);
        ASSERT_TRUE(n.logs->wait_durable(n.soon()).ok());
      }
      auto file = n.disk.open("wal/0/slot-000000.wal", OpenMode::kReadWrite, DiskLane::kBulk, n.soon());
      ASSERT_TRUE(file.ok());
      const auto bytes = (*file)->read(0, 64 * 1024, n.soon());
      ASSERT_TRUE(bytes.ok());
      const std::size_t at = bytes->text().find("middle");
      ASSERT_NE(at, std::string_view::npos);
      FileBatch rot;
      rot.writes.push_back({.offset = at, .parts = {Slice::copy_of("rotten")}});
      ASSERT_TRUE((*file)->run(std::move(rot), n.soon()).ok());
    });
  }
  model.process_kill();
  LogNode again(model, 2);
  again.run([](LogNode& n) {
    ASSERT_TRUE(n.open().ok());
    Status status;
    EXPECT_EQ(read_all(n, 0, Offset(0), &status).size(), 3u);
    EXPECT_TRUE(absl::IsDataLoss(status)) << status.ToString();
    EXPECT_EQ(read_all(n, 0, Offset(6)).size(), 6u);
    // Drained into segments, it is the same.
    for (int i = 0; i < 300; ++i) {
      n.append(0, "more", 3);
    }
    ASSERT_TRUE(n.logs->wait_durable(n.soon()).ok());
    status = ok();
    EXPECT_EQ(read_all(n, 0, Offset(0), &status).size(), 3u);
    EXPECT_TRUE(absl::IsDataLoss(status)) << status.ToString();
  });
}

// As a replica's is that is moved away and back again.
TEST(StoredLogs, ALogMadeAnewUnderItsOldKeyHasNothingOfTheOldOne) {
  sim::DiskModel model(kDiskBytes);
  for (const std::uint64_t life : {1u, 2u, 3u}) {
    {
      LogNode node(model, life);
      node.run([life](LogNode& n) {
        ASSERT_TRUE(n.open().ok());
        if (life == 1) {
          n.append(1, "other", 3);  // undrained, so that every replay begins here
          n.append(0, "old", 3);
          ASSERT_TRUE(n.logs->remove(testing::key_of(0), n.soon()).ok());
          EXPECT_EQ(n.logs->create(testing::key_of(0), "topic", n.config).status().code(),
                    absl::StatusCode::kResourceExhausted)
              << "its files have yet to go";
        }
        EXPECT_EQ(n.log(0).log_end(), Offset(0));
        ASSERT_TRUE(n.logs->wait_durable(n.soon()).ok());
        n.append(1, "more", 3);  // so that the new log is not in doubt, and the next recovery's checkpoint knows it
        ASSERT_TRUE(n.logs->wait_durable(n.soon()).ok());
        EXPECT_EQ(read_all(n, 1, Offset(0)).size(), 3u + 3u * life);
      });
    }
    model.process_kill();
  }
  LogNode node(model, 4);
  node.run([](LogNode& n) {
    ASSERT_TRUE(n.open().ok());
    EXPECT_EQ(n.append(0, "new", 3).base_offset, Offset(0));
    ASSERT_TRUE(n.logs->wait_durable(n.soon()).ok());
    EXPECT_EQ(read_all(n, 0, Offset(0)).at(0), "new0");
  });
}

}  // namespace
}  // namespace chronik::log
