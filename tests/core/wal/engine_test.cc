#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

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

TEST_F(WalTest, AFullQueueRefusesAndSaysWhenThereIsRoomAgain) {
  WalOptions options = small_options();
  options.queue_records_max = 5;
  Node node(model, 1, options);
  node.run([](Node& n) {
    ASSERT_TRUE(n.open().ok());
    for (int i = 0; i < 5; ++i) {
      n.append("x");
    }
    EXPECT_EQ(n.reserve(1), Room::kQueueFull);
    EXPECT_EQ(n.reserve(1, Urgency::kControl), Room::kGranted);
    EXPECT_TRUE(n.wal->wait_for_room(n.soon()).ok());
    EXPECT_EQ(n.reserve(1), Room::kGranted);
  });
}

TEST_F(WalTest, AFullDiskRefusesDataButNotControlRecordsAndTakesDataAgainWhenThereIsRoom) {
  WalOptions options = small_options();
  options.fill_after_bytes = 1 << 20;  // never
  model.set_free(300 * 1024);
  Node node(model, 1, options);
  node.run([&](Node& n) {
    ASSERT_TRUE(n.open().ok());
    EXPECT_TRUE(n.append_and_wait(std::string(20'000, 'x')).ok());
    model.set_free(50 * 1024);                                      // others use it up
    EXPECT_TRUE(n.append_and_wait(std::string(20'000, 'x')).ok());  // so much that the disk is asked again
    EXPECT_TRUE(fiber::sleep(Duration::milliseconds(10)).ok());
    EXPECT_EQ(n.reserve(100), Room::kDiskFull);
    EXPECT_EQ(n.reserve(100, Urgency::kControl), Room::kGranted);
    const Lsn lsn = n.append("drop a log", Urgency::kControl);
    EXPECT_TRUE(n.wal->wait_durable(lsn, n.soon()).ok());
    EXPECT_TRUE(fiber::sleep(Duration::milliseconds(10)).ok());
    model.set_free(10 << 20);
    EXPECT_EQ(n.reserve(100), Room::kDiskFull);  // not known yet, but now it is asked for
    EXPECT_TRUE(n.wal->wait_for_room(n.soon()).ok());
    EXPECT_EQ(n.reserve(100), Room::kGranted);
    EXPECT_TRUE(n.append_and_wait("x").ok());
  });
  EXPECT_FALSE(node.process.ended);
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

TEST_F(WalTest, WithoutDrainingDataIsRefusedWhenAllFilesAreFullAndTakenAgainAfterDraining) {
  Node node(model, 1);
  node.run([](Node& n) {
    ASSERT_TRUE(n.open().ok());
    std::uint64_t bytes = 0;
    while (n.reserve(5000) == Room::kGranted) {
      EXPECT_TRUE(n.append_and_wait(std::string(5000, 'x')).ok());
      bytes += 5000;
      ASSERT_LT(bytes, 10u << 20);
    }
    EXPECT_EQ(n.reserve(5000), Room::kLogFull);
    EXPECT_GT(bytes, 100'000u);
    EXPECT_LE(bytes, 4u * 128 * 1024);
    ASSERT_FALSE(n.client.pressed.empty());
    EXPECT_LT(n.client.pressed.back(), n.wal->next_lsn());
    // Control records still get in.
    EXPECT_EQ(n.reserve(1000, Urgency::kControl), Room::kGranted);
    EXPECT_TRUE(n.wal->wait_durable(n.append("truncate", Urgency::kControl), n.soon()).ok());
    // Draining what was asked for is enough.
    n.client.drained = n.client.pressed.back().next();
    n.wal->release_up_to(n.client.drained);
    EXPECT_TRUE(n.wal->wait_for_room(n.soon()).ok());
    EXPECT_TRUE(fiber::sleep(Duration::milliseconds(10)).ok());
    EXPECT_EQ(n.reserve(5000), Room::kGranted);
    EXPECT_TRUE(n.append_and_wait(std::string(5000, 'x')).ok());
  });
  EXPECT_EQ(node.client.wrong, "");
}

TEST_F(WalTest, ControlRecordsAreRefusedOnlyWhenTheirReserveIsUsedUpToo) {
  Node node(model, 1);
  node.run([](Node& n) {
    ASSERT_TRUE(n.open().ok());
    while (n.reserve(5000) == Room::kGranted) {
      EXPECT_TRUE(n.append_and_wait(std::string(5000, 'x')).ok());
    }
    int taken = 0;
    while (n.reserve(1000, Urgency::kControl) == Room::kGranted) {
      EXPECT_TRUE(n.wal->wait_durable(n.append(std::string(1000, 'c'), Urgency::kControl), n.soon()).ok());
      ASSERT_LT(++taken, 100);
    }
    EXPECT_GE(taken, 1);
    n.drain();
    EXPECT_TRUE(fiber::sleep(Duration::milliseconds(10)).ok());
    EXPECT_EQ(n.reserve(1000, Urgency::kControl), Room::kGranted);
    EXPECT_EQ(n.reserve(1000), Room::kGranted);
    EXPECT_EQ(n.wal->files_in_use(), 1u);
  });
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

// Who sleeps until there is room is woken when there is, or when it is known that there is none.

// Appends until the log is full.
void fill_up(Node& n) {
  for (int i = 0; i < 10'000; ++i) {
    const Room room = n.reserve(5000);
    if (room == Room::kLogFull) {
      return;
    }
    if (room == Room::kGranted) {
      ASSERT_TRUE(n.append_and_wait(std::string(5000, 'x')).ok());
    } else {
      ASSERT_TRUE(n.wal->wait_for_room(n.soon()).ok());
    }
  }
  FAIL() << "the log has no end";
}

// What try_reserve() says at last to a fiber that sleeps while the log is full.
void wait_while_full(Node& n, std::vector<Room>& heard) {
  n.world.scope.spawn({"waiter", 0}, [&n, &heard] {
    Room room = n.reserve(5000);
    while (room == Room::kLogFull) {
      ASSERT_TRUE(n.wal->wait_for_room(n.soon()).ok());
      room = n.reserve(5000);
    }
    heard.push_back(room);
  });
}

TEST_F(WalTest, ADrainThatEndsWhileTheLastSlotIsFilledMakesRoomOnceThatIsFilled) {
  WalOptions options = small_options();
  options.files_max = 3;
  Node node(model, 1, options);
  std::vector<Room> heard;
  node.run([&heard](Node& n) {
    ASSERT_TRUE(n.open().ok());
    n.disk.fill_time = Duration::seconds(20);
    ASSERT_NO_FATAL_FAILURE(fill_up(n));
    EXPECT_EQ(n.wal->files_in_use(), 2u);
    wait_while_full(n, heard);
    ASSERT_TRUE(fiber::sleep(Duration::seconds(1)).ok());
    n.client.pressed.clear();
    n.drain();
    ASSERT_TRUE(fiber::sleep(Duration::seconds(1)).ok());
    EXPECT_TRUE(heard.empty());
    ASSERT_TRUE(fiber::sleep(Duration::seconds(60)).ok());
    EXPECT_EQ(heard, std::vector{Room::kGranted});
  });
}

TEST_F(WalTest, ADiskThatIsTooFullToDrainToIsSaidToBeFullAndAskedAgain) {
  Node node(model, 1);
  std::vector<Room> heard;
  node.run([&heard](Node& n) {
    ASSERT_TRUE(n.open().ok());
    ASSERT_NO_FATAL_FAILURE(fill_up(n));
    wait_while_full(n, heard);
    ASSERT_TRUE(fiber::sleep(Duration::seconds(10)).ok());
    EXPECT_TRUE(heard.empty());
    n.wal->note_disk_full();
    ASSERT_TRUE(fiber::sleep(Duration::milliseconds(1)).ok());
    EXPECT_EQ(heard, std::vector{Room::kDiskFull});
    EXPECT_EQ(n.reserve(100, Urgency::kControl), Room::kDiskFull);
    ASSERT_TRUE(fiber::sleep(Duration::seconds(2)).ok());
    EXPECT_EQ(n.reserve(5000), Room::kLogFull);  // the disk says that it has room
    wait_while_full(n, heard);
    n.drain();
    ASSERT_TRUE(fiber::sleep(Duration::seconds(1)).ok());
    EXPECT_EQ(heard, (std::vector{Room::kDiskFull, Room::kGranted}));
  });
}

TEST_F(WalTest, AFileThatCannotBeCreatedIsAFullDiskAndIsTriedAgainAfterTheNextDrain) {
  WalOptions options = small_options();
  options.fill_after_bytes = 1 << 20;  // never
  Node node(model, 1, options);
  std::vector<Room> heard;
  node.run([&heard](Node& n) {
    ASSERT_TRUE(n.open().ok());
    int tries = 0;
    n.disk.on_create = [&tries](std::string_view) {
      ++tries;
      return absl::ResourceExhaustedError("no space left on the disk");
    };
    ASSERT_NO_FATAL_FAILURE(fill_up(n));
    EXPECT_GE(tries, 1);
    EXPECT_EQ(n.wal->files_in_use(), 1u);
    EXPECT_LE(n.wal->metrics().bytes_written.value(), n.options.files_max * n.options.rotation_bytes);
    wait_while_full(n, heard);
    n.drain();
    ASSERT_TRUE(fiber::sleep(Duration::milliseconds(10)).ok());
    EXPECT_EQ(heard, std::vector{Room::kDiskFull});
    n.disk.on_create = nullptr;
    ASSERT_TRUE(fiber::sleep(Duration::seconds(2)).ok());
    wait_while_full(n, heard);
    n.drain();
    ASSERT_TRUE(fiber::sleep(Duration::seconds(1)).ok());
    EXPECT_EQ(heard, (std::vector{Room::kDiskFull, Room::kGranted}));
    EXPECT_EQ(n.wal->metrics().rotations.value(), 1u);
  });
}

TEST_F(WalTest, WhoWaitsForRoomIsToldThatTheLogIsClosed) {
  Node node(model, 1);
  node.run([](Node& n) {
    ASSERT_TRUE(n.open().ok());
    ASSERT_NO_FATAL_FAILURE(fill_up(n));
    Status waited;
    n.world.scope.spawn({"waiter", 0}, [&] {
      while (waited.ok()) {
        waited = n.wal->wait_for_room(n.soon());
      }
    });
    ASSERT_TRUE(fiber::sleep(Duration::seconds(1)).ok());
    EXPECT_TRUE(n.wal->close(n.soon()).ok());
    fiber::yield_to_ready();
    EXPECT_TRUE(absl::IsCancelled(waited)) << waited.ToString();
  });
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
