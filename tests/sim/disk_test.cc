#include "sim/disk.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "tests/sim/device_world.h"

namespace chronik::sim::disk_test {
namespace {

using World = DeviceWorld<SimulatedDisk>;
using Outcomes = std::set<std::string>;

FileBatch batch(std::uint64_t offset, std::string_view bytes, bool sync) {
  FileBatch made;
  made.writes.push_back({.offset = offset, .parts = {Slice::copy_of(bytes)}});
  made.sync = sync;
  return made;
}
FileBatch only_sync() {
  FileBatch made;
  made.sync = true;
  return made;
}

std::unique_ptr<File> open(chronik::Disk& disk, std::string_view path, OpenMode mode = OpenMode::kReadWrite) {
  StatusOr<std::unique_ptr<File>> file = disk.open(path, mode, DiskLane::kLog, soon());
  return file.ok() ? *std::move(file) : nullptr;
}
// A file whose name is durable.
std::unique_ptr<File> create(chronik::Disk& disk, std::string_view path) {
  std::unique_ptr<File> file = open(disk, path, OpenMode::kCreate);
  CHECK(file != nullptr);
  CHECK_OK(disk.sync_directory("", soon()));
  return file;
}
// What the next life reads from the file.
std::string find(World& world, std::string_view path) {
  std::string found = "none";
  world.live(Death::kExit, [&](chronik::Disk& disk, fiber::FiberScope&) {
    if (const std::unique_ptr<File> file = open(disk, path, OpenMode::kRead)) {
      const StatusOr<Slice> bytes = file->read(0, 1 << 20, soon());
      found = bytes.ok() ? std::string(bytes->text()) : bytes.status().ToString();
    }
  });
  return found;
}

TEST(SimulatedDisk, WhatWasSyncedIsThereAfterALossOfPower) {
  World world{DiskKnobs{}};
  EXPECT_TRUE(world.live(Death::kPowerLoss, [](chronik::Disk& disk, fiber::FiberScope&) {
    const std::unique_ptr<File> file = create(disk, "a");
    EXPECT_TRUE(file->run(batch(0, "durable", true), soon()).ok());
  }));
  EXPECT_EQ(find(world, "a"), "durable");
}

TEST(SimulatedDisk, AnUnsyncedWriteSurvivesAKilledProcessButPerhapsNotALossOfPower) {
  Outcomes killed;
  Outcomes lost;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    for (const Death how : {Death::kProcessKill, Death::kPowerLoss}) {
      World world(DiskKnobs{}, seed);
      world.live(how, [](chronik::Disk& disk, fiber::FiberScope&) {
        const std::unique_ptr<File> file = create(disk, "a");
        EXPECT_TRUE(file->run(batch(0, "x", false), soon()).ok());
      });
      (how == Death::kPowerLoss ? lost : killed).insert(find(world, "a"));
    }
  }
  EXPECT_EQ(killed, Outcomes{"x"});
  EXPECT_EQ(lost, (Outcomes{"", "x", std::string("\0", 1)}));
}

TEST(SimulatedDisk, AnOverdueWritePoisonsItsFileAndStillHappens) {
  World world{DiskKnobs{}};
  world.device.strike({.step = DiskStep::kSync, .effect = DiskEffect::kHang});
  EXPECT_TRUE(world.live(Death::kExit, [&](chronik::Disk& disk, fiber::FiberScope&) {
    const std::unique_ptr<File> file = create(disk, "a");
    const Deadline short_one = fiber::within(Duration::milliseconds(50), Expiry::kNormal);
    EXPECT_TRUE(absl::IsUnknown(file->run(batch(0, "late", true), short_one)));
    EXPECT_TRUE(absl::IsFailedPrecondition(file->run(batch(0, "more", true), soon())));
    EXPECT_TRUE(absl::IsFailedPrecondition(file->read(0, 4, soon()).status()));
    EXPECT_TRUE(absl::IsFailedPrecondition(file->truncate(0, soon())));
    EXPECT_EQ(world.device.in_flight(), 1u);
    EXPECT_EQ(world.device.model().would_survive("a", 0, 4), false);
    world.device.release_hung();
    EXPECT_TRUE(fiber::sleep(Duration::milliseconds(50)).ok());
    EXPECT_EQ(world.device.in_flight(), 0u);
    EXPECT_TRUE(world.device.model().would_survive("a", 0, 4));
  }));
  EXPECT_EQ(world.works.fired["disk-hang"], 1);
  EXPECT_EQ(find(world, "a"), "late");
}

TEST(SimulatedDisk, AnOverdueReadChangesNothing) {
  World world{DiskKnobs{.cached_read = {0}}};
  world.live(Death::kExit, [&](chronik::Disk& disk, fiber::FiberScope&) {
    const std::unique_ptr<File> file = create(disk, "a");
    EXPECT_TRUE(file->run(batch(0, "abc", true), soon()).ok());
    world.device.strike({.step = DiskStep::kRead, .effect = DiskEffect::kHang});
    const Deadline short_one = fiber::within(Duration::milliseconds(50), Expiry::kNormal);
    EXPECT_TRUE(absl::IsDeadlineExceeded(file->read(0, 3, short_one).status()));
    world.device.release_hung();
    EXPECT_EQ(file->read(1, 100, soon())->text(), "bc");
  });
}

TEST(SimulatedDisk, AFileClosedEarlyStaysOpenForItsLastOperation) {
  World world{DiskKnobs{}};
  world.live(Death::kExit, [&](chronik::Disk& disk, fiber::FiberScope& scope) {
    create(disk, "a");
    std::unique_ptr<File> file = open(disk, "a");
    world.device.strike({.step = DiskStep::kWrite, .effect = DiskEffect::kHang});
    const Deadline short_one = fiber::within(Duration::milliseconds(5), Expiry::kNormal);
    EXPECT_TRUE(absl::IsUnknown(file->run(batch(0, "x", true), short_one)));
    file.reset();
    scope.spawn({"releaser"}, [&] { world.device.release_hung(); });
    EXPECT_TRUE(disk.unlink("a", soon()).ok());
    EXPECT_TRUE(fiber::sleep(Duration::milliseconds(50)).ok());
    EXPECT_EQ(world.device.in_flight(), 0u);
  });
  EXPECT_EQ(world.device.model().free_bytes(), world.device.knobs().capacity_bytes);
}

TEST(SimulatedDisk, TheLogsLaneDoesNotWaitForTheOthers) {
  World world{DiskKnobs{.bytes_per_second = 1'000'000, .bulk_helpers = 2}};
  world.live(Death::kExit, [&](chronik::Disk& disk, fiber::FiberScope& scope) {
    const std::unique_ptr<File> log = create(disk, "log");
    int filled = 0;
    for (std::uint64_t i = 0; i < 4; ++i) {
      scope.spawn({"filler", i}, [&disk, &filled, i] {
        const auto file = disk.open("bulk" + std::to_string(i), OpenMode::kCreate, DiskLane::kBulk, soon());
        EXPECT_TRUE((*file)->fill(0, 1'000'000, soon()).ok());  // a second each
        ++filled;
      });
    }
    EXPECT_TRUE(fiber::sleep(Duration::milliseconds(100)).ok());
    EXPECT_TRUE(log->run(batch(0, "x", true), soon()).ok());
    EXPECT_EQ(filled, 0);
    EXPECT_TRUE(fiber::sleep(Duration::milliseconds(1'200)).ok());
    EXPECT_EQ(filled, 2);  // two helpers, one file after the other
    EXPECT_TRUE(fiber::sleep(Duration::seconds(2)).ok());
    EXPECT_EQ(filled, 4);
  });
}

TEST(SimulatedDisk, TheNthSyncOfANamedFileFails) {
  World world{DiskKnobs{}};
  world.device.strike({.step = DiskStep::kSync, .effect = DiskEffect::kIoError, .nth = 2, .path = "wal"});
  world.live(Death::kExit, [](chronik::Disk& disk, fiber::FiberScope&) {
    const std::unique_ptr<File> other = create(disk, "other");
    const std::unique_ptr<File> wal = create(disk, "wal-1");
    EXPECT_TRUE(wal->run(batch(0, "1", true), soon()).ok());
    EXPECT_TRUE(other->run(batch(0, "1", true), soon()).ok());
    EXPECT_TRUE(other->run(only_sync(), soon()).ok());
    EXPECT_TRUE(absl::IsInternal(wal->run(batch(1, "2", true), soon())));
    EXPECT_TRUE(wal->run(batch(1, "2", true), soon()).ok());
  });
  EXPECT_EQ(world.works.fired["sync-failed"], 1);
  EXPECT_EQ(world.device.strikes_left(), 0u);
  EXPECT_EQ(world.device.model().damage().at(0).path, "wal-1");
}

TEST(SimulatedDisk, AProcessKilledAtAWriteLeavesNothingSomeOrAllOfIt) {
  const std::string before(3 * 4096, 'o');
  const std::string after(3 * 4096, 'n');
  Outcomes during;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    for (const DiskEffect effect : {DiskEffect::kKillBefore, DiskEffect::kKillDuring, DiskEffect::kKillAfter}) {
      World world(DiskKnobs{}, seed);
      world.device.strike({.step = DiskStep::kWrite, .effect = effect, .nth = 2});
      EXPECT_FALSE(world.live(Death::kExit, [&](chronik::Disk& disk, fiber::FiberScope&) {
        const std::unique_ptr<File> file = create(disk, "a");
        EXPECT_TRUE(file->run(batch(0, before, true), soon()).ok());
        EXPECT_FALSE(file->run(batch(0, after, true), soon()).ok()) << "the process is dead";
      }));
      EXPECT_EQ(world.works.fired["process-kill-at-write"], 1);
      const std::string found = find(world, "a");
      if (effect == DiskEffect::kKillDuring) {
        during.insert(found);
      } else {
        EXPECT_EQ(found, effect == DiskEffect::kKillBefore ? before : after);
      }
    }
  }
  EXPECT_TRUE(during.contains(before));
  EXPECT_TRUE(during.contains(after));
  EXPECT_GE(during.size(), 6u);
}

TEST(SimulatedDisk, OperationsUnderWayAtADeathHappenInPartOrNotAtAll) {
  Outcomes found;
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    World world(DiskKnobs{}, seed);
    world.live(Death::kProcessKill, [](chronik::Disk& disk, fiber::FiberScope& scope) {
      create(disk, "a").reset();
      scope.spawn({"writer"}, [&disk] {
        const std::unique_ptr<File> file = open(disk, "a");
        static_cast<void>(file->run(batch(0, std::string(4096, 'x') + std::string(4096, 'y'), true), soon()));
        ADD_FAILURE() << "it died before";
      });
      fiber::yield_to_ready();
      while (!fiber::sleep(Duration::microseconds(1)).ok() || disk.list_directory("", soon())->empty()) {
      }
    });
    std::string outcome = find(world, "a");
    found.insert(outcome.empty() ? "" : std::string{outcome.front(), outcome.back()});
  }
  EXPECT_TRUE(found.contains(""));
  EXPECT_TRUE(found.contains("xy"));
  EXPECT_TRUE(found.contains("xx"));
}

TEST(SimulatedDisk, AFullDiskRefusesAndTakesAgainWhenThereIsRoom) {
  World world{DiskKnobs{}};
  world.live(Death::kExit, [&](chronik::Disk& disk, fiber::FiberScope&) {
    const std::unique_ptr<File> file = create(disk, "a");
    world.device.model().set_free(8192);
    EXPECT_EQ(disk.free_bytes(soon()).value(), 8192u);
    EXPECT_TRUE(absl::IsResourceExhausted(file->run(batch(0, std::string(10'000, 'x'), true), soon())));
    EXPECT_TRUE(absl::IsResourceExhausted(file->fill(0, 1 << 20, soon())));
    world.device.model().set_free(1 << 20);
    EXPECT_TRUE(file->run(batch(0, std::string(10'000, 'x'), true), soon()).ok());
  });
  EXPECT_EQ(world.works.fired["disk-full"], 2);
}

TEST(SimulatedDisk, TooManyOpenFilesAreRefused) {
  World world{DiskKnobs{.open_files_max = 2}};
  world.live(Death::kExit, [](chronik::Disk& disk, fiber::FiberScope&) {
    const std::unique_ptr<File> a = create(disk, "a");
    std::unique_ptr<File> b = create(disk, "b");
    EXPECT_TRUE(absl::IsResourceExhausted(disk.open("a", OpenMode::kRead, DiskLane::kBulk, soon()).status()));
    b.reset();
    EXPECT_TRUE(disk.open("a", OpenMode::kRead, DiskLane::kBulk, soon()).ok());
  });
}

TEST(SimulatedDisk, DrawnFaultsStrikeAsOftenAsTheirOddsSay) {
  World world{DiskKnobs{.cached_read = {0},
                        .read_fails = percent(20),
                        .write_fails = percent(20),
                        .sync_fails = percent(20),
                        .sync_lies = percent(20),
                        .misplaces = percent(20),
                        .stalls = percent(20)}};
  world.live(Death::kExit, [](chronik::Disk& disk, fiber::FiberScope&) {
    std::unique_ptr<File> file = open(disk, "a", OpenMode::kCreate);
    const Deadline long_one = fiber::within(Duration::seconds(100'000), Expiry::kPeer);
    for (std::uint64_t i = 0; i < 200; ++i) {
      static_cast<void>(disk.sync_directory("", long_one));
      static_cast<void>(file->run(batch(i % 10 * 4096, "some bytes", true), long_one));
      static_cast<void>(file->read(0, 100, long_one));
    }
  });
  for (const char* kind :
       {"read-failed", "write-failed", "sync-failed", "sync-lied", "misplaced-write", "disk-stall"}) {
    EXPECT_GT(world.works.fired[kind], 5) << kind;
  }
  EXPECT_TRUE(world.device.rot_somewhere());
  EXPECT_TRUE(world.device.spoil_a_block());
}

TEST(SimulatedDisk, BytesThatChangeWhileTheyAreWrittenAreReported) {
  World world{DiskKnobs{}};
  world.live(Death::kExit, [](chronik::Disk& disk, fiber::FiberScope& scope) {
    const std::unique_ptr<File> file = create(disk, "a");
    const Slice bytes = Slice::copy_of(std::string_view("bytes"));
    scope.spawn({"meddler"}, [&bytes] { bytes.mutable_data()[0] = 'B'; });
    FileBatch write;
    write.writes.push_back({.offset = 0, .parts = {bytes}});
    EXPECT_TRUE(file->run(std::move(write), soon()).ok());
  });
  EXPECT_EQ(world.works.failure, "OWNED-BUFFERS: bytes for a at 0 changed while being written");
}

// A log that acknowledges what was synced, and a device that kills it at every step of every kind.
struct AckedLog {
  std::string acknowledged;

  void run(chronik::Disk& disk, int records) {
    if (!disk.create_directory("d", soon()).ok() || !disk.sync_directory("", soon()).ok()) {
      return;
    }
    const std::unique_ptr<File> file = open(disk, "d/tmp", OpenMode::kCreate);
    if (file == nullptr || !file->fill(0, 20'000, soon()).ok() || !disk.rename("d/tmp", "d/log", soon()).ok() ||
        !disk.sync_directory("d", soon()).ok()) {
      return;
    }
    for (int i = 0; i < records; ++i) {
      const std::string record(1500, static_cast<char>('a' + i));
      if (!file->run(batch(acknowledged.size(), record, true), soon()).ok()) {
        return;
      }
      acknowledged += record;
    }
  }
};

TEST(SimulatedDisk, WhatALogAcknowledgedIsThereAfterADeathAtAnyStep) {
  const std::vector<DiskEffect> deaths{DiskEffect::kKillBefore,      DiskEffect::kKillDuring,
                                       DiskEffect::kKillAfter,       DiskEffect::kPowerLossBefore,
                                       DiskEffect::kPowerLossDuring, DiskEffect::kPowerLossAfter};
  int died = 0;
  for (const DiskStep step : {DiskStep::kCreateDirectory, DiskStep::kSyncDirectory, DiskStep::kOpen, DiskStep::kWrite,
                              DiskStep::kSync, DiskStep::kRename}) {
    for (const DiskEffect death : deaths) {
      bool struck = true;
      for (std::uint64_t nth = 1; struck; ++nth) {
        World world(DiskKnobs{}, nth);
        world.device.strike({.step = step, .effect = death, .nth = nth});
        AckedLog log;
        struck = !world.live(Death::kExit, [&](chronik::Disk& disk, fiber::FiberScope&) { log.run(disk, 8); });
        died += struck ? 1 : 0;
        world.device.forget_strikes();
        const std::string found = log.acknowledged.empty() ? "" : find(world, "d/log");
        ASSERT_TRUE(found.starts_with(log.acknowledged))
            << disk_effect_name(death) << " at step " << static_cast<int>(step) << " number " << nth;
      }
    }
  }
  EXPECT_EQ(died, 6 * (1 + 2 + 1 + 9 + 9 + 1));
}

TEST(SimulatedDisk, TheSameSeedGivesTheSameOperationsTimesAndBytes) {
  const auto run = [](std::uint64_t seed) {
    Draws draws(seed, "knobs", 0);
    World world(draw_disk_knobs(draws), seed);
    for (const Death death : {Death::kProcessKill, Death::kPowerLoss, Death::kPowerLoss}) {
      world.live(death, [&](chronik::Disk& disk, fiber::FiberScope& scope) {
        const std::string name = "f" + std::to_string(world.device.model().next_seq());
        const std::unique_ptr<File> file = open(disk, name, OpenMode::kCreate);
        scope.spawn({"other"}, [&] { static_cast<void>(disk.sync_all(soon())); });
        for (std::uint64_t i = 0; i < 20; ++i) {
          EXPECT_TRUE(file->run(batch(i * 3000, std::string(3000, 'x'), i % 3 == 0), soon()).ok());
        }
      });
    }
    return mix(world.works.hash, world.device.model().fingerprint(),
               static_cast<std::uint64_t>(world.works.now.nanoseconds()));
  };
  EXPECT_EQ(run(1), run(1));
  EXPECT_NE(run(1), run(2));
}

}  // namespace
}  // namespace chronik::sim::disk_test
