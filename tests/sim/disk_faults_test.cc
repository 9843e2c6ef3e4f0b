// Faults of a disk as a plan names them, and the checker that holds a node's belief against the disk's truth.
#include "sim/disk_faults.h"

#include "core/base/observer.h"
#include "sim/scenario.h"
#include "sim/wal_checker.h"
#include "tests/sim/sim_support.h"

namespace chronik::sim::disk_faults_test {
namespace {

struct DiskFaults : ::testing::Test {
  DiskFaults() {
    PlanMachine planned{.name = "node", .role = "node", .numbers = {{"disk", 1}}};
    machine = &add_planned_machine(small.world, planned);
    teach_disk_faults(small.world, nemesis);
  }

  PlanFault fault(const char* kind, Numbers numbers) {
    return {.id = 1,
            .at = VirtualTime::zero() + Duration::seconds(1),
            .kind = kind,
            .target = "node",
            .other = "-",
            .numbers = std::move(numbers)};
  }
  void at(Duration when, std::function<void()> look) {
    small.world.at(VirtualTime::zero() + when, [look = std::move(look)] { look(); });
  }
  void run() { small.world.run_until(VirtualTime::zero() + Duration::seconds(10)); }

  SmallWorld small;
  Nemesis nemesis{small.world};
  Machine* machine = nullptr;
};

TEST_F(DiskFaults, AFullDiskGetsRoomAgain) {
  const std::uint64_t before = disk_of(*machine).model().free_bytes();
  nemesis.arm({fault("disk-full", {{"free", 5}, {"for_ns", 2'000'000'000}})});
  std::uint64_t within = 0;
  at(Duration::seconds(2), [&] { within = disk_of(*machine).model().free_bytes(); });
  run();
  EXPECT_EQ(within, 5u);
  EXPECT_EQ(disk_of(*machine).model().free_bytes(), before);
  EXPECT_EQ(small.world.faults().at("no room on the disk"), 1u);
}

TEST_F(DiskFaults, ASlowDiskGetsFastAgainAndHealingForgetsStrikes) {
  nemesis.arm({fault("disk-slow", {{"stall_ppm", 1000}, {"stall_ns", 7}, {"for_ns", 1'000'000'000}}),
               fault("disk", {{"step", 3}, {"effect", 2}, {"nth", 9}})});
  std::uint32_t within = 0;
  at(Duration::milliseconds(1500), [&] { within = disk_of(*machine).knobs().stalls.value; });
  run();
  EXPECT_EQ(within, 1000u);
  EXPECT_EQ(disk_of(*machine).knobs().stalls.value, 0u);
  EXPECT_EQ(disk_of(*machine).strikes_left(), 1u);
  nemesis.heal();
  EXPECT_EQ(disk_of(*machine).strikes_left(), 0u);
}

// A program that writes a file and says that the write is a durable flush.
struct Claim {
  bool sync = true;
  bool twice = false;
  LeaderEpoch second_epoch{1};
};

std::string judged(const Claim& claim) {
  SmallWorld small;
  PlanMachine planned{.name = "node", .role = "node", .numbers = {{"disk", 1}}};
  Machine& machine = add_planned_machine(small.world, planned);
  small.world.checkers().add(std::make_unique<WalChecker>(small.world, machine, WalChecker::Excuses{}));
  const auto body = [claim](ProcessContext& process) {
    chronik::Disk& disk = process.ports.disk;
    const PartitionRef partition{TopicId{}, PartitionId(0)};
    const std::string name = "wal-" + std::to_string(process.incarnation);
    auto file = disk.open(name, OpenMode::kCreate, DiskLane::kLog, patience());
    ASSERT_TRUE(file.ok());
    ASSERT_TRUE(disk.sync_directory("", patience()).ok());
    Observer* o = observer();
    ASSERT_NE(o, nullptr);
    o->on_wal_file(Generation(1), name, false);
    o->on_partition_opened(partition, Offset(0), Offset(process.incarnation == 1 ? 0 : 1), Offset(0));
    o->on_batch_appended(partition, {.epoch = process.incarnation == 1 ? LeaderEpoch(1) : claim.second_epoch,
                                     .base = Offset(process.incarnation == 1 ? 0 : 1),
                                     .last = Offset(process.incarnation == 1 ? 0 : 1),
                                     .records = 1});
    o->on_wal_flush(FlushNumber(1), Lsn(1), Lsn(1), FlushOutcome::kSubmitted);
    if (claim.twice) {
      o->on_wal_flush(FlushNumber(2), Lsn(2), Lsn(2), FlushOutcome::kSubmitted);
    }
    FileBatch batch;
    batch.writes.push_back({.offset = 0, .parts = {Slice::copy_of("record")}});
    batch.sync = claim.sync;
    ASSERT_TRUE((*file)->run(std::move(batch), patience()).ok());
    if (process.incarnation == 1) {
      o->on_wal_flush(FlushNumber(1), Lsn(1), Lsn(1), FlushOutcome::kDurable);
    }
  };
  machine.install(body);
  machine.start();
  small.world.run_until(VirtualTime::zero() + Duration::seconds(5));
  if (small.checker().empty()) {
    machine.start();
    small.world.run_until(VirtualTime::zero() + Duration::seconds(10));
  }
  return small.checker();
}

TEST(WalCheckerTest, JudgesBeliefAgainstTheDisk) {
  EXPECT_EQ(judged({.second_epoch = LeaderEpoch(2)}), "");
  EXPECT_EQ(judged({.sync = false}), "WAL") << "called durable without a sync";
  EXPECT_EQ(judged({.twice = true}), "WAL") << "a flush before the sync of the one before";
  EXPECT_EQ(judged({.second_epoch = LeaderEpoch(1)}), "EPOCH") << "an epoch of the incarnation before";
}

// What a program does that writes a flush to a file while syncs fail.
struct Flusher {
  chronik::Disk& disk;
  File& file;
  SimulatedDisk& device;

  void fail_next(DiskStep step) { device.strike({.step = step, .effect = DiskEffect::kIoError}); }
  Status write(bool sync) {
    FileBatch batch;
    batch.writes.push_back({.offset = 0, .parts = {Slice::copy_of(std::string(std::size_t{20} * kBlockBytes, 'x'))}});
    batch.sync = sync;
    return file.run(std::move(batch), patience());
  }
  Status sync() { return file.run({.sync = true}, patience()); }
  void say(FlushOutcome outcome) { observer()->on_wal_flush(FlushNumber(1), Lsn(1), Lsn(1), outcome); }
};

std::string judged_failing(const std::function<void(Flusher&)>& program) {
  SmallWorld small;
  PlanMachine planned{.name = "node", .role = "node", .numbers = {{"disk", 1}}};
  Machine& machine = add_planned_machine(small.world, planned);
  small.world.checkers().add(std::make_unique<WalChecker>(small.world, machine, WalChecker::Excuses{}));
  machine.install([&](ProcessContext& process) {
    chronik::Disk& disk = process.ports.disk;
    auto file = disk.open("wal", OpenMode::kCreate, DiskLane::kLog, patience());
    ASSERT_TRUE(file.ok());
    ASSERT_TRUE(disk.sync_directory("", patience()).ok());
    observer()->on_wal_file(Generation(1), "wal", false);
    Flusher flusher{disk, **file, disk_of(machine)};
    program(flusher);
  });
  machine.start();
  small.world.run_until(VirtualTime::zero() + Duration::seconds(5));
  EXPECT_TRUE(small.world.faults().contains("sync-failed"));
  return small.checker();
}

TEST(WalCheckerTest, AFlushThatIsBegunAfterASyncHasFailedMayNotBecomeDurable) {
  EXPECT_EQ(judged_failing([](Flusher& f) {
              f.fail_next(DiskStep::kSyncDirectory);
              EXPECT_FALSE(f.disk.sync_directory("", patience()).ok());
              f.say(FlushOutcome::kSubmitted);
              EXPECT_TRUE(f.write(true).ok());
              f.say(FlushOutcome::kDurable);
            }),
            "FSYNC-ERR");
}

TEST(WalCheckerTest, AFlushWhoseOwnSyncFailedMayNotBecomeDurableByAnother) {
  EXPECT_EQ(judged_failing([](Flusher& f) {
              f.say(FlushOutcome::kSubmitted);
              f.fail_next(DiskStep::kSync);
              EXPECT_FALSE(f.write(true).ok());
              EXPECT_TRUE(f.write(true).ok());
              f.say(FlushOutcome::kDurable);
            }),
            "FSYNC-ERR");
}

TEST(WalCheckerTest, AFlushThatWasOnItsWayIsJudgedByWhatTheDiskKept) {
  EXPECT_EQ(judged_failing([](Flusher& f) {
              f.say(FlushOutcome::kSubmitted);
              EXPECT_TRUE(f.write(true).ok());
              f.fail_next(DiskStep::kSyncDirectory);
              EXPECT_FALSE(f.disk.sync_directory("", patience()).ok());
              f.say(FlushOutcome::kDurable);
            }),
            "")
      << "it was on the disk when another sync failed";
  const auto whole_disk = [](bool anew) {
    return [anew](Flusher& f) {
      f.say(FlushOutcome::kSubmitted);
      EXPECT_TRUE(f.write(false).ok());
      f.fail_next(DiskStep::kSyncAll);
      EXPECT_FALSE(f.disk.sync_all(patience()).ok());
      EXPECT_TRUE(anew ? f.write(true).ok() : f.sync().ok());
      f.say(FlushOutcome::kDurable);
    };
  };
  EXPECT_EQ(judged_failing(whole_disk(true)), "") << "what the sync of the whole disk lost was written anew";
  EXPECT_EQ(judged_failing(whole_disk(false)), "FSYNC-ERR") << "a part of it is lost";
}

}  // namespace
}  // namespace chronik::sim::disk_faults_test
