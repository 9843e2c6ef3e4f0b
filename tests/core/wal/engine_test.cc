#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "core/wal/flush_summary.h"
#include "tests/core/wal/wal_harness.h"

namespace chronik::wal {
namespace {
using testing::Node;
using testing::small_options;

struct WalTest : ::testing::Test {
  sim::DiskModel model{64 << 20};
};

TEST_F(WalTest, AnEmptyDirectoryOpensAndTakesRecords) {
  Node node(model, 1);
  node.run([](Node& n) {
    ASSERT_TRUE(n.open().ok());
    EXPECT_EQ(n.wal->next_lsn(), Lsn(1));
    EXPECT_EQ(n.wal->durable(), Lsn(0));
    EXPECT_EQ(n.append("a"), Lsn(1));
    EXPECT_EQ(n.append("b"), Lsn(2));
    EXPECT_EQ(n.wal->durable(), Lsn(0));
    EXPECT_TRUE(n.wal->wait_durable(Lsn(2), n.soon()).ok());
    EXPECT_EQ(n.wal->durable(), Lsn(2));
    EXPECT_TRUE(n.wal->close(n.soon()).ok());
  });
  EXPECT_EQ(node.client.durable, std::vector<Lsn>{Lsn(2)});
  EXPECT_EQ(node.client.wrong, "");
}

TEST_F(WalTest, WhatArrivesWhileASyncIsUnderWayGoesOutWithTheNextOne) {
  Node node(model, 1);
  std::vector<std::string> events;
  node.run([&](Node& n) {
    ASSERT_TRUE(n.open().ok());
    n.disk.on_event = [&](std::string_view event) { events.emplace_back(event.substr(0, event.find(' '))); };
    EXPECT_TRUE(n.append_and_wait("first").ok());
    EXPECT_TRUE(fiber::sleep(Duration::milliseconds(5)).ok());
    events.clear();
    n.disk.sync_time = Duration::milliseconds(10);
    n.append("second");
    EXPECT_TRUE(fiber::sleep(Duration::milliseconds(2)).ok());
    for (int i = 0; i < 50; ++i) {
      n.append("more");
      EXPECT_TRUE(i % 10 != 0 || fiber::sleep(Duration::milliseconds(1)).ok());
    }
    EXPECT_TRUE(n.wal->wait_durable(Lsn(52), n.soon()).ok());
  });
  EXPECT_EQ(events, (std::vector<std::string>{"write", "synced", "write", "synced"}));
  EXPECT_EQ(node.wal->metrics().commit_batch_size.max(), 50u);
  EXPECT_EQ(node.client.durable, (std::vector<Lsn>{Lsn(1), Lsn(2), Lsn(52)}));
}

TEST_F(WalTest, AppendsOfOneTurnGoTogetherWhoeverMadeThem) {
  Node node(model, 1);
  node.run([](Node& n) { ASSERT_TRUE(n.open().ok()); });
  for (int i = 0; i < 20; ++i) {
    node.world.spawn("writer", [&node] { EXPECT_TRUE(node.append_and_wait("x").ok()); });
  }
  node.world.run();
  EXPECT_EQ(node.wal->metrics().fsyncs.value(), 1u);
  EXPECT_EQ(node.wal->metrics().commit_batch_size.max(), 20u);
}

TEST_F(WalTest, AFlushBeginsOnlyAfterTheSyncOfTheOneBefore) {
  Node node(model, 1);
  bool under_way = false;
  int writes = 0;
  node.run([&](Node& n) {
    ASSERT_TRUE(n.open().ok());
    n.disk.on_event = [&](std::string_view event) {
      if (event.starts_with("write")) {
        EXPECT_FALSE(under_way);
        ++writes;
      }
      under_way = event.starts_with("write");
    };
    for (int i = 0; i < 200; ++i) {
      n.append(std::string(300, 'x'));
      if (i % 7 == 0) {
        EXPECT_TRUE(fiber::sleep(Duration::microseconds(50 * (i % 3))).ok());
      }
    }
    EXPECT_TRUE(n.wal->wait_durable(Lsn(200), n.soon()).ok());
  });
  EXPECT_GT(writes, 5);
}

TEST_F(WalTest, NoBlockThatWasSyncedIsWrittenAgainWhileItsFileIsInUse) {
  Node node(model, 1);
  node.run([&](Node& n) {
    ASSERT_TRUE(n.open().ok());
    std::uint64_t end = 0;
    n.disk.on_event = [&](std::string_view event) {
      unsigned long long at = 0;
      unsigned long long size = 0;
      if (std::sscanf(std::string(event).c_str(), "write %*s %llu+%llu", &at, &size) == 2) {
        EXPECT_EQ(at % kBlockBytes, 0u);
        EXPECT_EQ(size % kBlockBytes, 0u);
        EXPECT_TRUE(at == end || end == 0 || at == 0);
        end = at + size;
      }
    };
    for (int i = 0; i < 100; ++i) {
      EXPECT_TRUE(n.append_and_wait(std::string(static_cast<std::size_t>(i) * 100, 'x')).ok());
      n.drain();
    }
  });
}

TEST_F(WalTest, AFlushIsBoundedInRecordsAndBytes) {
  WalOptions options = small_options();
  options.batch_records_max = 10;
  Node node(model, 1, options);
  node.run([](Node& n) {
    ASSERT_TRUE(n.open().ok());
    for (int i = 0; i < 95; ++i) {
      n.append("x");
    }
    EXPECT_TRUE(n.wal->wait_durable(Lsn(95), n.soon()).ok());
    EXPECT_EQ(n.wal->metrics().commit_batch_size.max(), 10u);
    EXPECT_EQ(n.wal->metrics().fsyncs.value(), 10u);
    for (int i = 0; i < 8; ++i) {
      n.append(std::string(10'000, 'x'));  // three of them fit into batch_bytes_max
    }
    EXPECT_TRUE(n.wal->wait_durable(Lsn(103), n.soon()).ok());
    EXPECT_EQ(n.wal->metrics().fsyncs.value(), 13u);
    EXPECT_LE(n.wal->metrics().commit_bytes.max(), 32u * 1024 + kBlockBytes);
  });
}

// Each record is of another log, so that the next flush has the longest summary that there can be.
TEST_F(WalTest, NoFlushIsLongerThanItsFileSaysWithItsSummary) {
  WalOptions options = small_options();
  options.batch_records_max = 500;
  Node node(model, 1, options);
  node.run([](Node& n) {
    ASSERT_TRUE(n.open().ok());
    for (int i = 0; i < 1000; ++i) {
      n.append_to(testing::log_of(i), "");
    }
    EXPECT_TRUE(n.wal->wait_durable(Lsn(1000), n.soon()).ok());
    EXPECT_EQ(n.wal->metrics().fsyncs.value(), 2u);
    EXPECT_GT(n.wal->metrics().commit_bytes.max(), 500 * (kRecordHeaderBytes + kSummaryEntryBytes));
    EXPECT_LE(n.wal->metrics().commit_bytes.max(), flush_bytes_max(n.options));
  });
}

TEST_F(WalTest, LingerWaitsForMoreBeforeAFlush) {
  WalOptions options = small_options();
  options.linger = Duration::milliseconds(20);
  Node node(model, 1, options);
  node.run([](Node& n) {
    ASSERT_TRUE(n.open().ok());
    for (int i = 0; i < 10; ++i) {
      n.append("x");
      EXPECT_TRUE(fiber::sleep(Duration::milliseconds(1)).ok());
    }
    EXPECT_EQ(n.wal->durable(), Lsn(0));
    EXPECT_TRUE(n.wal->wait_durable(Lsn(10), n.soon()).ok());
    EXPECT_EQ(n.wal->metrics().fsyncs.value(), 1u);
  });
}

TEST_F(WalTest, LingerEndsWhenEnoughRecordsWait) {
  WalOptions options = small_options();
  options.linger = Duration::seconds(20);
  options.linger_records = 3;
  Node node(model, 1, options);
  node.run([](Node& n) {
    ASSERT_TRUE(n.open().ok());
    n.append("1");
    n.append("2");
    EXPECT_TRUE(fiber::sleep(Duration::seconds(1)).ok());
    EXPECT_EQ(n.wal->durable(), Lsn(0));
    n.append("3");
    EXPECT_TRUE(fiber::sleep(Duration::seconds(1)).ok());
    EXPECT_EQ(n.wal->durable(), Lsn(3));
    EXPECT_EQ(n.wal->metrics().fsyncs.value(), 1u);
  });
}

// Flushes of the simulated disk take less than a millisecond, and more than ten microseconds.
std::uint64_t flushes_of_a_pair(Node& n, std::size_t before) {
  for (std::size_t i = 0; i < before; ++i) {
    n.append("before");
  }
  EXPECT_TRUE(n.wal->wait_durable(Lsn(static_cast<std::int64_t>(before)), n.soon()).ok());
  const std::uint64_t flushed = n.wal->metrics().fsyncs.value();
  n.append("1");
  EXPECT_TRUE(fiber::sleep(Duration::microseconds(10)).ok());
  n.append("2");
  EXPECT_TRUE(n.wal->wait_durable(Lsn(static_cast<std::int64_t>(before) + 2), n.soon()).ok());
  return n.wal->metrics().fsyncs.value() - flushed;
}

TEST_F(WalTest, ACommitWaitsForAsManyAsWentWithTheLastOne) {
  Node node(model, 1);
  node.run([](Node& n) {
    ASSERT_TRUE(n.open().ok());
    EXPECT_EQ(flushes_of_a_pair(n, 2), 1u);
  });
}

TEST_F(WalTest, ACommitOfOneDoesNotWaitBehindACommitOfOne) {
  Node node(model, 1);
  node.run([](Node& n) {
    ASSERT_TRUE(n.open().ok());
    EXPECT_EQ(flushes_of_a_pair(n, 1), 2u);
  });
}

TEST_F(WalTest, ACommitWaitsNoLongerThanTheLastOneTook) {
  WalOptions options = small_options();
  options.commit_delay_max = Duration::seconds(10);
  Node node(model, 1, options);
  node.run([](Node& n) {
    ASSERT_TRUE(n.open().ok());
    for (int i = 0; i < 100; ++i) {
      n.append("x");
    }
    const MonotonicTime began = fiber::Scheduler::current().now();
    EXPECT_TRUE(n.wal->wait_durable(Lsn(100), n.soon()).ok());
    const Duration took = fiber::Scheduler::current().now() - began;
    n.append("y");
    EXPECT_TRUE(n.wal->wait_durable(Lsn(101), n.soon()).ok());
    EXPECT_LT(fiber::Scheduler::current().now() - began, took * 10);
    EXPECT_TRUE(fiber::sleep(Duration::seconds(1)).ok());
    // After a rest, at once.
    const MonotonicTime later = fiber::Scheduler::current().now();
    n.append("z");
    EXPECT_TRUE(n.wal->wait_durable(Lsn(102), n.soon()).ok());
    EXPECT_LT(fiber::Scheduler::current().now() - later, took * 5);
  });
}

TEST_F(WalTest, NoCommitIsDelayedWhereThatIsForbidden) {
  WalOptions options = small_options();
  options.commit_delay_max = Duration::zero();
  Node node(model, 1, options);
  node.run([](Node& n) {
    ASSERT_TRUE(n.open().ok());
    EXPECT_EQ(flushes_of_a_pair(n, 2), 2u);
  });
}

TEST_F(WalTest, AWaiterIsWokenOnceItsRecordIsDurableAndNotBefore) {
  Node node(model, 1);
  std::vector<int> woken;
  node.run([&](Node& n) {
    ASSERT_TRUE(n.open().ok());
    n.append("1");
    EXPECT_TRUE(fiber::sleep(Duration::microseconds(20)).ok());  // the first flush is under way
    n.append("2");
    n.append("3");
    for (const int lsn : {3, 1, 2, 1}) {
      n.world.scope.spawn({"waiter", static_cast<std::uint64_t>(lsn)}, [&, lsn] {
        EXPECT_TRUE(n.wal->wait_durable(Lsn(lsn), n.soon()).ok());
        EXPECT_GE(n.wal->durable(), Lsn(lsn));
        woken.push_back(lsn);
      });
    }
    EXPECT_TRUE(n.wal->wait_durable(Lsn(1), n.soon()).ok());
    fiber::yield_to_ready();
    EXPECT_EQ(woken, (std::vector<int>{1, 1}));
    EXPECT_TRUE(n.wal->wait_durable(Lsn(3), n.soon()).ok());
  });
  EXPECT_EQ(woken, (std::vector<int>{1, 1, 2, 3}));
}

TEST_F(WalTest, AWaitThatIsCalledOffLeavesAndTheRecordBecomesDurableAllTheSame) {
  Node node(model, 1);
  node.run([](Node& n) {
    ASSERT_TRUE(n.open().ok());
    n.disk.sync_time = Duration::milliseconds(100);
    const Lsn lsn = n.append("x");
    const Deadline soon(fiber::Scheduler::current().now() + Duration::milliseconds(5), Expiry::kNormal,
                        n.world.scheduler.root_cancel());
    EXPECT_TRUE(absl::IsDeadlineExceeded(n.wal->wait_durable(lsn, soon)));
    EXPECT_TRUE(fiber::sleep(Duration::seconds(1)).ok());
    EXPECT_EQ(n.wal->durable(), lsn);
  });
}

TEST_F(WalTest, AFailedSyncEndsTheProcessAndAnswersNobody) {
  Node node(model, 1);
  bool answered = false;
  int runs = 0;
  node.run([&](Node& n) {
    ASSERT_TRUE(n.open().ok());
    n.disk.on_run = [&](std::string_view, const FileBatch&) {
      ++runs;
      return absl::InternalError("input/output error");
    };
    const Status waited = n.append_and_wait("x");
    answered = waited.ok();
  });
  EXPECT_TRUE(node.process.ended);
  EXPECT_EQ(node.process.exit_status, ExitStatus::kDiskFailed);
  EXPECT_FALSE(answered);
  EXPECT_EQ(runs, 1);
  EXPECT_TRUE(node.client.durable.empty());
}

TEST_F(WalTest, ASyncThatDoesNotReturnInTimeEndsTheProcess) {
  Node node(model, 1);
  node.run([&](Node& n) {
    ASSERT_TRUE(n.open().ok());
    n.disk.hang_syncs = true;
    n.append("x");
    EXPECT_TRUE(fiber::sleep(Duration::seconds(4)).ok());
    EXPECT_FALSE(n.process.ended);
    EXPECT_TRUE(fiber::sleep(Duration::seconds(2)).ok());
  });
  EXPECT_TRUE(node.process.ended);
  EXPECT_EQ(node.wal->durable(), Lsn(0));
}

TEST_F(WalTest, EveryFileBeginsWithACheckpointAndFilesWithoutNeedAreUsedAgain) {
  Node node(model, 1);
  node.run([](Node& n) {
    ASSERT_TRUE(n.open().ok());
    for (int i = 0; i < 400; ++i) {
      EXPECT_TRUE(n.append_and_wait(std::string(5000, static_cast<char>('a' + i % 26))).ok());
      n.drain();
    }
    EXPECT_GT(n.wal->metrics().rotations.value(), 15u);
    EXPECT_LE(n.wal->files_in_use(), 2u);
    const auto names = n.disk.list_directory("wal/0", n.soon());
    ASSERT_TRUE(names.ok());
    EXPECT_LE(names->size(), 4u);
  });
  EXPECT_EQ(node.client.wrong, "");
}

TEST_F(WalTest, TheNextFileIsFilledAheadAndPreferred) {
  int fills = 0;
  Node node(model, 1);
  node.run([&fills](Node& n) {
    ASSERT_TRUE(n.open().ok());
    n.disk.on_fill = [&fills](std::string_view) {
      ++fills;
      return ok();
    };
    EXPECT_TRUE(n.append_and_wait("x").ok());
    EXPECT_TRUE(fiber::sleep(Duration::seconds(1)).ok());
    EXPECT_EQ(fills, 0);  // an idle node fills nothing
    for (int i = 0; i < 10; ++i) {
      EXPECT_TRUE(n.append_and_wait(std::string(5000, 'x')).ok());
    }
    EXPECT_TRUE(fiber::sleep(Duration::seconds(1)).ok());
    EXPECT_EQ(fills, 2);  // steps of half a file
    const Generation before = n.wal->generation();
    EXPECT_TRUE(n.append_and_wait("y").ok());
    EXPECT_TRUE(fiber::sleep(Duration::milliseconds(1)).ok());
    EXPECT_EQ(n.wal->generation(), before.next());  // left early: the first file grew with each flush
  });
}

TEST_F(WalTest, ADiskThatIsTooFullToFillAFileIsNoFailure) {
  Node node(model, 1);
  node.run([](Node& n) {
    ASSERT_TRUE(n.open().ok());
    n.disk.on_fill = [](std::string_view) { return absl::ResourceExhaustedError("no space"); };
    for (int i = 0; i < 100; ++i) {
      EXPECT_TRUE(n.append_and_wait(std::string(5000, 'x')).ok());
      n.drain();
    }
    EXPECT_FALSE(n.process.ended);
    EXPECT_GT(n.wal->metrics().rotations.value(), 3u);
  });
}

// A file of which nothing is filled takes room; where others have what is kept for that, its log goes on in this one.
TEST_F(WalTest, NoFileIsBegunWhereTheReserveIsGone) {
  Node node(model, 1);
  node.run([&](Node& n) {
    ASSERT_TRUE(n.open().ok());
    EXPECT_TRUE(n.append_and_wait("x").ok());
    model.set_free(1'000);
    n.wal->note_disk_full();
    EXPECT_TRUE(fiber::sleep(Duration::seconds(2)).ok());  // it has been asked since
    const Generation before = n.wal->generation();
    EXPECT_TRUE(absl::IsResourceExhausted(n.wal->rotate(n.soon())));
    EXPECT_EQ(n.wal->generation(), before);
    model.set_free(10 << 20);
    EXPECT_TRUE(fiber::sleep(Duration::seconds(2)).ok());
    EXPECT_TRUE(n.wal->rotate(n.soon()).ok());
    EXPECT_EQ(n.wal->generation(), before.next());
  });
  EXPECT_FALSE(node.process.ended);
}

TEST_F(WalTest, ARotationThatIsAskedForIsDurableWhenItReturns) {
  Node node(model, 1);
  node.run([](Node& n) {
    ASSERT_TRUE(n.open().ok());
    EXPECT_TRUE(n.append_and_wait("x").ok());
    n.drain();
    const Generation before = n.wal->generation();
    EXPECT_TRUE(n.wal->rotate(n.soon()).ok());
    EXPECT_EQ(n.wal->generation(), before.next());
    EXPECT_EQ(n.wal->oldest_lsn(), Lsn(2));
    EXPECT_EQ(n.wal->files_in_use(), 1u);
    EXPECT_TRUE(n.wal->close(n.soon()).ok());
  });
  node.kill();
  Node next(model, 2);
  next.run([](Node& n) {
    ASSERT_TRUE(n.open().ok());
    EXPECT_TRUE(n.client.replayed.empty());
    EXPECT_EQ(n.wal->next_lsn(), Lsn(2));
  });
}

TEST_F(WalTest, ARotationWithoutAFreeFileIsRefused) {
  Node node(model, 1);
  node.run([](Node& n) {
    ASSERT_TRUE(n.open().ok());
    EXPECT_TRUE(n.append_and_wait("x").ok());
    Status rotated;
    for (int i = 0; i < 5 && rotated.ok(); ++i) {
      rotated = n.wal->rotate(n.soon());
      EXPECT_TRUE(!rotated.ok() || n.append_and_wait("x").ok());
    }
    EXPECT_TRUE(absl::IsResourceExhausted(rotated));
    n.drain();
    EXPECT_TRUE(n.wal->rotate(n.soon()).ok());
  });
}

TEST_F(WalTest, ClosingWritesWhatIsQueued) {
  Node node(model, 1);
  node.run([](Node& n) {
    ASSERT_TRUE(n.open().ok());
    for (int i = 0; i < 100; ++i) {
      n.append("x");
    }
    EXPECT_TRUE(n.wal->close(n.soon()).ok());
    EXPECT_EQ(n.wal->durable(), Lsn(100));
  });
}

TEST_F(WalTest, OptionsThatCannotWorkAreRefusedByName) {
  WalOptions options = small_options();
  EXPECT_TRUE(validate(options).ok());
  EXPECT_TRUE(validate(WalOptions()).ok());
  options.files_max = 2;
  EXPECT_EQ(validate(options).message(), "wal: files_max is 2, must be at least 3");
  options = small_options();
  options.record_bytes_max = options.rotation_bytes;
  EXPECT_TRUE(absl::IsInvalidArgument(validate(options)));
}
}  // namespace
}  // namespace chronik::wal
