// Room in the log: who is refused, and how whoever waits for it is woken.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/wal/flush_summary.h"
#include "tests/core/wal/wal_harness.h"

namespace chronik::wal {
namespace {

using testing::Node;
using testing::small_options;

struct RoomTest : ::testing::Test {
  sim::DiskModel model{64 << 20};
};

TEST_F(RoomTest, AFullQueueRefusesAndSaysWhenThereIsRoomAgain) {
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

TEST_F(RoomTest, AFullDiskRefusesDataButNotControlRecordsAndTakesDataAgainWhenThereIsRoom) {
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

TEST_F(RoomTest, WhoIsRefusedAgainAndAgainAsksTheDiskNowAndThen) {
  Node node(model, 1, small_options());
  node.run([&](Node& n) {
    ASSERT_TRUE(n.open().ok());
    model.set_free(0);
    n.wal->note_disk_full();
    EXPECT_TRUE(fiber::sleep(Duration::seconds(2)).ok());  // it has been asked since
    const std::uint64_t before = n.wal->metrics().refused.value();
    const Deadline end = fiber::within(Duration::seconds(10), Expiry::kNormal);
    const auto refusals = [&] { return n.wal->metrics().refused.value() - before; };
    while (n.reserve(100, Urgency::kControl) == Room::kDiskFull && refusals() < 1000 &&
           n.wal->wait_for_room(end).ok()) {
    }
    const std::uint64_t refused = refusals();
    EXPECT_GE(refused, 10u) << "it hears of room soon";
    EXPECT_LE(refused, 110u);
    model.set_free(10 << 20);
    EXPECT_TRUE(n.wal->wait_for_room(n.soon()).ok());
    EXPECT_EQ(n.reserve(100, Urgency::kControl), Room::kGranted);
  });
  EXPECT_FALSE(node.process.ended);
}

TEST_F(RoomTest, WithoutDrainingDataIsRefusedWhenAllFilesAreFullAndTakenAgainAfterDraining) {
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

TEST_F(RoomTest, ControlRecordsAreRefusedOnlyWhenTheirReserveIsUsedUpToo) {
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

TEST_F(RoomTest, ADrainThatEndsWhileTheLastSlotIsFilledMakesRoomOnceThatIsFilled) {
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

TEST_F(RoomTest, ADiskThatIsTooFullToDrainToIsSaidToBeFullAndAskedAgain) {
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

TEST_F(RoomTest, AFileThatCannotBeCreatedIsAFullDiskAndIsTriedAgainAfterTheNextDrain) {
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

TEST_F(RoomTest, WhoWaitsForRoomIsToldThatTheLogIsClosed) {
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

TEST_F(RoomTest, WhatSummariesWillTakeIsCountedBeforeRecordsAreTaken) {
  WalOptions options = small_options();
  options.batch_bytes_max = options.rotation_bytes;
  options.control_reserve_bytes = 4096;
  Node node(model, 1, options);
  node.run([](Node& n) {
    ASSERT_TRUE(n.open().ok());
    while (n.reserve(28'000) == Room::kGranted) {
      ASSERT_TRUE(n.append_and_wait(std::string(28'000, 'x')).ok());
    }
    // What is left takes records of many logs, together: the next flush speaks of them all.
    int logs = 0;
    while (n.reserve(0) == Room::kGranted) {
      n.append_to(testing::log_of(logs++), "");
    }
    const std::uint64_t summary = static_cast<std::uint64_t>(logs) * kSummaryEntryBytes;
    ASSERT_GT(summary, n.options.control_reserve_bytes);
    ASSERT_TRUE(n.wal->wait_durable(n.wal->next_lsn() - 1, n.soon()).ok());
    EXPECT_EQ(n.reserve(0, Urgency::kControl), Room::kGranted) << "the reserve was promised to these (R14)";
  });
}

}  // namespace
}  // namespace chronik::wal
