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

TEST(StoredLogs, ALargeTailIsDrainedAloneAndTheSmallOnesStay) {
  sim::DiskModel model(kDiskBytes);
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
    const auto largest = n.log(0).max_timestamp(n.soon());
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
      ASSERT_TRUE(n.log(0).truncate(Offset(60), n.soon()).ok());
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

TEST(StoredLogs, ATruncationWhoseRecordRottedIsKnownByWhatWasAppendedBehindIt) {
  for (const bool drained : {false, true}) {
    sim::DiskModel model(kDiskBytes);
    {
      LogNode node(model, 1);
      node.run([drained](LogNode& n) {
        ASSERT_TRUE(n.open().ok());
        for (int i = 0; i < (drained ? 200 : 20); ++i) {
          n.append(0, "old", 3);
        }
        ASSERT_TRUE(n.logs->wait_durable(n.soon()).ok());
        std::string flush;
        n.disk.on_event = [&flush](std::string_view event) {
          if (flush.empty() && event.starts_with("write wal/")) {
            flush = event.substr(6);
          }
        };
        ASSERT_TRUE(n.log(0).truncate(Offset(30), n.soon()).ok());
        n.epoch = 2;
        for (int i = 0; i < 5; ++i) {
          n.append(0, "new", 3);
          ASSERT_TRUE(n.logs->wait_durable(n.soon()).ok());
        }
        const std::size_t space = flush.find(' ');
        ASSERT_NE(space, std::string::npos);
        testing::overwrite(n, flush.substr(0, space), std::stoull(flush.substr(space + 1)) + 8, Slice::copy_of("rot"));
      });
    }
    model.process_kill();
    LogNode again(model, 2);
    again.run([](LogNode& n) {
      ASSERT_TRUE(n.open().ok());
      EXPECT_EQ(n.log(0).log_end().value(), 45);
      const auto seen = read_all(n, 0, Offset(0));
      ASSERT_EQ(seen.size(), 45u);
      EXPECT_EQ(seen.at(29), "old2");
      EXPECT_EQ(seen.at(30), "new0");
      EXPECT_TRUE(n.log(0).damaged().empty());
    });
  }
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
      ASSERT_TRUE(fiber::sleep(Duration::milliseconds(1)).ok());  // the first is written now, the others wait
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
    const Status cut = n.log(0).truncate(Offset(30), n.soon());
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

// Rule R6: a log that grows by a few records in each life, none of which comes to drain anything.
TEST(StoredLogs, ARowOfLivesThatDrainNothingKeepsTheWalWithinItsFiles) {
  sim::DiskModel model(kDiskBytes);
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

TEST(StoredLogs, AReplayHoldsNoMoreThanTailsMayAndAFlush) {
  sim::DiskModel model(kDiskBytes);
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
      ASSERT_TRUE(n.log(0).truncate(Offset(900), n.soon()).ok());
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

TEST(StoredLogs, WritersThatOutrunTheDrainerWaitAndAreNeverRefused) {
  StoredLogsOptions options = testing::small_options();
  options.wal.files_max = 3;
  options.tail_bytes_max = 64 << 20;  // only the log's want of files makes it drain
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    sim::DiskModel model(kDiskBytes);
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

TEST(StoredLogs, ADiskTooFullForSegmentsRefusesWhatWaitsAndTheDrainGoesOnByItselfLater) {
  StoredLogsOptions options = testing::small_options();
  options.tail_bytes_max = 64 << 20;
  sim::DiskModel model(kDiskBytes);
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

// Truncates to the beginning of some batch. Whether that counts when the node dies meanwhile is open.
void cut_somewhere(LogNode& n, int partition, sim::Draws& draws, std::set<std::int64_t>& bases,
                   std::map<std::int64_t, std::string>& acknowledged) {
  PartitionLog& log = n.log(partition);
  const auto first = bases.lower_bound(log.log_start().value());
  if (first == bases.end()) {
    return;
  }
  const auto choices = static_cast<std::uint64_t>(std::distance(first, bases.end()));
  const std::int64_t to = *std::next(first, static_cast<std::ptrdiff_t>(draws.below(choices)));
  acknowledged.erase(acknowledged.lower_bound(to), acknowledged.end());
  bases.erase(bases.lower_bound(to), bases.end());
  ASSERT_TRUE(log.truncate(Offset(to), n.soon()).ok());
}

// Appends, waits, log starts, drains and perhaps truncations, stopped at a drawn point; then the next incarnation must
// have everything that was acknowledged and not cut away, at its offset, and nothing else in its place.
void live_and_die(std::uint64_t seed, bool truncating) {
  sim::DiskModel model(kDiskBytes);
  const sim::Draws root(seed, "logs", 0);
  std::map<int, std::map<std::int64_t, std::string>> acknowledged;
  std::map<int, std::int64_t> starts;
  std::map<int, std::set<std::int64_t>> bases;  // of batches
  for (std::uint64_t life = 0; life < 5; ++life) {
    sim::Draws draws = root.child("life", life);
    {
      LogNode node(model, seed * 10 + life);
      node.disk.crash_at(life == 4 ? 0 : 20 + draws.below(600));
      node.disk.set_crash_draws(draws.child("crash", 0));
      node.epoch = static_cast<std::int32_t>(life + 1);
      node.run([&](LogNode& n) {
        ASSERT_TRUE(n.open().ok());
        for (const auto& [partition, values] : acknowledged) {
          const Offset start = n.log(partition).log_start();
          EXPECT_GE(start.value(), starts[partition]) << "log start went back";
          const auto seen = read_all(n, partition, start);
          for (const auto& [offset, value] : values) {
            if (offset >= start.value()) {
              ASSERT_TRUE(seen.contains(offset)) << "seed " << seed << " life " << life << ": lost " << offset;
              EXPECT_EQ(seen.at(offset), value) << "seed " << seed << " life " << life << " offset " << offset;
            }
          }
          if (!seen.empty()) {
            EXPECT_EQ(seen.rbegin()->first + 1, n.log(partition).log_end().value());
            EXPECT_EQ(seen.size(), static_cast<std::size_t>(n.log(partition).log_end() - Offset(seen.begin()->first)));
          }
          EXPECT_TRUE(n.log(partition).damaged().empty()) << "seed " << seed << " life " << life;
        }
        for (auto& [partition, of] : bases) {
          of.erase(of.lower_bound(n.log(partition).log_end().value()), of.end());
        }
        for (int step = 0; step < 150; ++step) {
          const int partition = static_cast<int>(draws.below(3));
          const int count = static_cast<int>(1 + draws.below(4));
          const std::string prefix = std::to_string(life) + "." + std::to_string(step) + "/";
          if (truncating && draws.below(20) == 0) {
            cut_somewhere(n, partition, draws, bases[partition], acknowledged[partition]);
          }
          const Appended appended = n.append(partition, prefix, count);
          bases[partition].insert(appended.base_offset.value());
          if (draws.below(4) == 0) {
            ASSERT_TRUE(n.logs->wait_durable(n.soon()).ok());
            for (int i = 0; i < count; ++i) {
              acknowledged[partition][appended.base_offset.value() + i] = prefix + std::to_string(i);
            }
          }
          if (draws.below(40) == 0) {
            const Offset to(n.log(partition).durable_end().value() / 2);
            if (n.log(partition).advance_log_start(to, n.soon()).ok()) {
              starts[partition] = std::max(starts[partition], to.value());
            }
          }
        }
      });
      EXPECT_FALSE(node.process.ended) << node.process.exit_reason;
    }
    if (draws.below(2) == 0) {
      model.process_kill();
    } else {
      model.power_loss(draws.child("power", 0), {.kept = 1, .dropped = 1, .torn = 1});
    }
  }
}

TEST(StoredLogs, EverythingAcknowledgedSurvivesWhateverTheMomentOfDeath) {
  for (std::uint64_t seed = 1; seed <= 60 && !::testing::Test::HasFailure(); ++seed) {
    live_and_die(seed, false);
  }
}

TEST(StoredLogs, WhatWasCutAwayStaysAwayAndWhatFollowsSurvivesWhateverTheMomentOfDeath) {
  for (std::uint64_t seed = 1; seed <= 40 && !::testing::Test::HasFailure(); ++seed) {
    live_and_die(seed, true);
  }
}

}  // namespace
}  // namespace chronik::log
