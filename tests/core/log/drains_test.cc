// When tails are drained, and what that keeps within bounds.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>

#include "tests/core/log/log_harness.h"
#include "tests/core/log/log_reading.h"

namespace chronik::log {
namespace {

using testing::LogNode;
using testing::read_all;

constexpr std::uint64_t kDrainsDiskBytes = 64 << 20;

TEST(Drains, ALargeTailIsDrainedAloneAndTheSmallOnesStay) {
  sim::DiskModel model(kDrainsDiskBytes);
  StoredLogsOptions options = testing::small_options();
  options.tail_bytes_max = 1 << 20;
  options.drain_bytes = 8 * 1024;
  LogNode node(model, 1, options);
  node.run([](LogNode& n) {
    ASSERT_TRUE(n.open().ok());
    n.append(1, "small", 1);
    while (n.logs->tail_bytes() < n.options.drain_bytes) {
      n.append(0, std::string(500, 'x'), 1);
    }
    ASSERT_TRUE(n.logs->wait_durable(n.soon()).ok());
    ASSERT_TRUE(fiber::sleep(Duration::seconds(1)).ok());
    // But for what was not durable yet when the drain began.
    EXPECT_LT(n.logs->tail_bytes(), n.options.drain_bytes * 3 / 4);
    EXPECT_GT(n.logs->tail_bytes(), 0u);
    const std::int64_t end = n.log(0).log_end().value();
    EXPECT_EQ(static_cast<std::int64_t>(read_all(n, 0, Offset(0)).size()), end);
    EXPECT_EQ(read_all(n, 1, Offset(0)).size(), 1u);
  });
}

TEST(Drains, WhatIsOldIsDrainedThoughItIsLittle) {
  sim::DiskModel model(kDrainsDiskBytes);
  LogNode node(model, 1, testing::small_options());
  node.run([](LogNode& n) {
    ASSERT_TRUE(n.open().ok());
    for (int i = 0; i < 11; ++i) {
      n.append(0, "now and then ", 1);
      ASSERT_TRUE(fiber::sleep(n.options.tail_age_max / 4).ok());
    }
    EXPECT_LE(n.logs->tail_bytes(), 8 * testing::batch_of("now and then ", 1).size());
    EXPECT_GT(n.logs->tail_bytes(), 0u);
    ASSERT_TRUE(fiber::sleep(n.options.tail_age_max * 2).ok());
    EXPECT_EQ(n.logs->tail_bytes(), 0u);
    EXPECT_EQ(read_all(n, 0, Offset(0)).size(), 11u);
  });
}

// Rule R6: a log that grows by a few records in each life, none of which comes to drain anything.
TEST(Drains, ARowOfLivesThatDrainNothingKeepsTheWalWithinItsFiles) {
  sim::DiskModel model(kDrainsDiskBytes);
  StoredLogsOptions options = testing::small_options();
  options.tail_bytes_max = 1 << 20;
  for (int life = 0; life < 50; ++life) {
    {
      LogNode node(model, static_cast<std::uint64_t>(life), options);
      node.epoch = life + 1;
      node.run([life](LogNode& n) {
        ASSERT_TRUE(n.open().ok());
        EXPECT_LE(n.recovery.records_replayed, 20u);
        n.append(life % 3, std::to_string(life) + "/", 2);
        ASSERT_TRUE(n.logs->wait_durable(n.soon()).ok());
      });
    }
    const auto files = model.list_directory("wal/0");
    ASSERT_TRUE(files.ok());
    ASSERT_LE(files->size(), options.wal.files_max) << "life " << life;
    if (life % 2 == 0) {
      model.process_kill();
    } else {
      model.power_loss(sim::Draws(static_cast<std::uint64_t>(life), "power", 0), sim::kNothingSurvives);
    }
  }
  LogNode last(model, 100, options);
  last.run([](LogNode& n) {
    ASSERT_TRUE(n.open().ok());
    for (int partition = 0; partition < 3; ++partition) {
      const auto seen = read_all(n, partition, Offset(0));
      EXPECT_EQ(static_cast<std::int64_t>(seen.size()), n.log(partition).log_end().value());
      EXPECT_EQ(seen.size(), partition == 2 ? 32u : 34u);
      EXPECT_EQ(seen.at(3), std::to_string(partition + 3) + "/1");
    }
  });
}

TEST(Drains, AReplayHoldsNoMoreThanTailsMayAndAFlush) {
  sim::DiskModel model(kDrainsDiskBytes);
  StoredLogsOptions options = testing::small_options();
  options.wal.files_max = 16;
  options.tail_bytes_max = 1 << 20;
  {
    LogNode node(model, 1, options);
    node.run([](LogNode& n) {
      ASSERT_TRUE(n.open().ok());
      for (int i = 0; i < 1'500; ++i) {
        n.append(i % 2, "value", 3);
      }
      ASSERT_TRUE(n.log(0)
                      .truncate(
                          Offset(900), [] { return true; }, n.soon())
                      .ok());
      n.epoch = 2;
      for (int i = 0; i < 300; ++i) {
        n.append(0, "new", 3);
      }
      ASSERT_TRUE(n.logs->wait_durable(n.soon()).ok());
      ASSERT_GT(n.logs->tail_bytes(), 100'000u);
    });
  }
  options.tail_bytes_max = testing::small_options().tail_bytes_max;
  for (std::uint64_t life = 2; life < 5; ++life) {
    model.process_kill();
    LogNode again(model, life, options);
    again.run([](LogNode& n) {
      ASSERT_TRUE(n.open().ok());
      EXPECT_LE(n.logs->tail_bytes(), n.options.tail_bytes_max + n.options.wal.batch_bytes_max);
      const auto seen = read_all(n, 0, Offset(0));
      ASSERT_EQ(seen.size(), 1'800u);
      EXPECT_EQ(seen.at(899), "value2");
      EXPECT_EQ(seen.at(900), "new0");
      EXPECT_EQ(read_all(n, 1, Offset(0)).size(), 2'250u);
      EXPECT_TRUE(n.log(0).damaged().empty());
    });
  }
}

TEST(Drains, WritersThatOutrunTheDrainerWaitAndAreNeverRefused) {
  StoredLogsOptions options = testing::small_options();
  options.wal.files_max = 3;
  options.tail_bytes_max = 64 << 20;  // only the log's want of files makes it drain
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    sim::DiskModel model(kDrainsDiskBytes);
    LogNode node(model, seed, options);
    int ended = 0;
    node.run([&](LogNode& n) {
      ASSERT_TRUE(n.open().ok());
      for (int writer = 0; writer < 4; ++writer) {
        n.log(writer);
        n.world.scope.spawn({"writer", static_cast<std::uint64_t>(writer)}, [&n, &ended, seed, writer] {
          sim::Draws draws(seed, "writer", static_cast<std::uint64_t>(writer));
          for (int i = 0; i < 150; ++i) {
            Slice batch = testing::batch_of(std::string(static_cast<std::size_t>(draws.magnitude(1, 8'000)), 'x'), 2);
            const Status room = n.logs->make_room(batch.size(), fiber::within(Duration::seconds(30), Expiry::kPeer));
            ASSERT_TRUE(room.ok()) << "seed " << seed << ": " << room.ToString();
            n.log(writer).append(std::move(batch), testing::summary_of(2), LeaderEpoch(1));
            if (draws.below(3) == 0) {
              ASSERT_TRUE(fiber::sleep(Duration::microseconds(static_cast<std::int64_t>(draws.below(300)))).ok());
            }
          }
          ++ended;
        });
      }
      for (int second = 0; second < 1'000 && ended < 4; ++second) {
        ASSERT_TRUE(fiber::sleep(Duration::seconds(1)).ok());
      }
      EXPECT_EQ(ended, 4) << "seed " << seed;
      EXPECT_LE(n.logs->tail_bytes(), options.wal.files_max * options.wal.rotation_bytes);
    });
  }
}

TEST(Drains, WhatIsInNoSegmentYetIsBoundedWhateverTheFilesOfTheLogCouldHold) {
  StoredLogsOptions options = testing::small_options();
  options.wal.files_max = 64;
  options.undrained_bytes_max = 64 * 1024;
  sim::DiskModel model(kDrainsDiskBytes);
  LogNode node(model, 1, options);
  node.run([&options](LogNode& n) {
    ASSERT_TRUE(n.open().ok());
    // Segments are slow, the log is not.
    n.disk.on_run = [](std::string_view path, const FileBatch&) {
      return path.starts_with("logs/") ? fiber::sleep(Duration::milliseconds(50)) : ok();
    };
    const std::string value(4'000, 'x');
    PartitionLog& log = n.log(0);
    std::uint64_t most = 0;
    for (int i = 0; i < 200; ++i) {
      Slice batch = testing::batch_of(value, 1);
      ASSERT_TRUE(n.logs->make_room(batch.size(), fiber::within(Duration::seconds(30), Expiry::kPeer)).ok());
      log.append(std::move(batch), testing::summary_of(1), LeaderEpoch(1));
      most = std::max(most, n.logs->tail_bytes());
    }
    EXPECT_LE(most, options.undrained_bytes_max + 2 * value.size());
    EXPECT_GT(most, options.undrained_bytes_max) << "the drainer was not outrun";
    n.disk.on_run = nullptr;
  });
}

TEST(Drains, ARoundThatIsOutrunLetsGoOfTheLogsFilesAsItGoes) {
  constexpr std::size_t kValueBytes = 16'000;
  StoredLogsOptions options = testing::small_options();
  options.wal.rotation_bytes = 1 << 20;
  options.wal.files_max = 8;
  options.undrained_bytes_max = 64 << 20;  // the files are what there is too little of
  sim::DiskModel model(kDrainsDiskBytes);
  LogNode node(model, 1, options);
  node.run([&](LogNode& n) {
    ASSERT_TRUE(n.open().ok());
    LogConfig config;
    config.segment_bytes = 32 << 20;
    for (int log = 0; log < 2; ++log) {
      n.logs->configure({n.log(log).key().topic, n.log(log).key().partition}, config);
    }
    n.disk.on_run = [](std::string_view path, const FileBatch& batch) {
      const bool records = path.starts_with("logs/") && !batch.writes.empty() && batch.writes[0].parts.size() > 1;
      return records ? fiber::sleep(Duration::milliseconds(50)) : ok();
    };
    Duration longest = Duration::zero();
    for (int i = 0; i < 1'200; ++i) {
      Slice batch = testing::batch_of(std::string(kValueBytes, 'x'), 1);
      const MonotonicTime before = n.world.now;
      ASSERT_TRUE(n.logs->make_room(batch.size(), fiber::within(Duration::seconds(60), Expiry::kPeer)).ok());
      longest = std::max(longest, n.world.now - before);
      n.log(i % 2).append(std::move(batch), testing::summary_of(1), LeaderEpoch(1));
    }
    EXPECT_LT(longest, Duration::milliseconds(350));
    n.disk.on_run = nullptr;
  });
}

TEST(Drains, ADiskTooFullForSegmentsRefusesWhatWaitsAndTheDrainGoesOnByItselfLater) {
  StoredLogsOptions options = testing::small_options();
  options.tail_bytes_max = 64 << 20;
  sim::DiskModel model(kDrainsDiskBytes);
  LogNode node(model, 1, options);
  node.run([](LogNode& n) {
    ASSERT_TRUE(n.open().ok());
    bool full = true;
    n.disk.on_run = [&full](std::string_view path, const FileBatch&) {
      return full && path.starts_with("logs/") ? absl::ResourceExhaustedError("no space left on the disk") : ok();
    };
    const std::string value(4'000, 'x');
    PartitionLog& log = n.log(0);
    Status room;
    const MonotonicTime before = n.world.now;
    for (int i = 0; i < 1'000 && room.ok(); ++i) {
      Slice batch = testing::batch_of(value, 1);
      room = n.logs->make_room(batch.size(), fiber::within(Duration::seconds(1'000), Expiry::kPeer));
      if (room.ok()) {
        log.append(std::move(batch), testing::summary_of(1), LeaderEpoch(1));
      }
    }
    EXPECT_TRUE(absl::IsResourceExhausted(room)) << room.ToString();
    EXPECT_LT(n.world.now - before, Duration::seconds(10));
    full = false;
    // Nobody asks for anything meanwhile.
    ASSERT_TRUE(fiber::sleep(Duration::seconds(10)).ok());
    EXPECT_LT(n.logs->tail_bytes(), 200'000u);
    EXPECT_TRUE(n.logs->make_room(value.size(), fiber::within(Duration::milliseconds(10), Expiry::kPeer)).ok());
    n.disk.on_run = nullptr;
  });
  EXPECT_FALSE(node.process.ended) << node.process.exit_reason;
}

}  // namespace
}  // namespace chronik::log
