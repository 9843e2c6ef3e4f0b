#include "tests/sim/model_test.h"

namespace chronik::sim::disk_model_test {
namespace {

// ---- bytes and power ----

TEST_F(ModelTest, SyncedBytesSurviveEveryLossOfPower) {
  durable_file("a", std::string(10'000, 'x'));
  EXPECT_EQ(outcomes("a"), Outcomes{std::string(10'000, 'x')});
  EXPECT_TRUE(disk.would_survive("a", 0, 10'000));
}

TEST_F(ModelTest, AnUnsyncedOverwriteIsFoundWholeOldOrTorn) {
  const InodeId file = durable_file("a", std::string(4096, 'o'));
  write(file, 0, std::string(4096, 'n'));
  EXPECT_FALSE(disk.would_survive("a", 0, 4096));
  EXPECT_EQ(read(file, 0, 4096), std::string(4096, 'n'));
  bool torn = false;
  const Outcomes found = outcomes("a");
  for (const std::string& bytes : found) {
    ASSERT_EQ(bytes.size(), 4096u);
    EXPECT_EQ(bytes.find_first_not_of("on"), std::string::npos);
    torn |= bytes.find('o') != std::string::npos && bytes.find('n') != std::string::npos;
  }
  EXPECT_TRUE(found.contains(std::string(4096, 'o')));
  EXPECT_TRUE(found.contains(std::string(4096, 'n')));
  EXPECT_TRUE(torn);
}

TEST_F(ModelTest, BlocksOfOneUnsyncedWriteSurviveEachForItself) {
  const InodeId file = durable_file("a", std::string(3 * 4096, 'o'));
  write(file, 0, std::string(3 * 4096, 'n'));
  std::set<std::string> patterns;
  for (const std::string& bytes : outcomes("a")) {
    patterns.insert({bytes[0], bytes[4096], bytes[2 * 4096]});
  }
  EXPECT_GE(patterns.size(), 6u);
}

TEST_F(ModelTest, ASmallRecordIsTornInItsMiddle) {
  const InodeId file = durable_file("a", "");
  write(file, 0, "0123456789");
  sync(file);
  write(file, 10, "abcdefghij");
  bool torn = false;
  for (const std::string& bytes : outcomes("a", 500)) {
    EXPECT_EQ(bytes.substr(0, 10), "0123456789");
    torn |= bytes.size() == 20 && bytes[10] == 'a' && bytes[19] == '\0';
  }
  EXPECT_TRUE(torn);
}

TEST_F(ModelTest, AnUnsyncedAppendMayLeaveTheLengthWithoutTheBytes) {
  const InodeId file = durable_file("a", "old");
  write(file, 3, "new");
  const Outcomes found = outcomes("a");
  EXPECT_TRUE(found.contains("old"));
  EXPECT_TRUE(found.contains("oldnew"));
  EXPECT_TRUE(found.contains(std::string("old\0\0\0", 6)));
}

TEST_F(ModelTest, AnOlderUnsyncedVersionMayBeTheOneThatSurvives) {
  const InodeId file = durable_file("a", std::string(4096, '0'));
  write(file, 0, std::string(4096, '1'));
  write(file, 0, std::string(4096, '2'));
  const Outcomes found = outcomes("a", 500);
  EXPECT_TRUE(found.contains(std::string(4096, '0')));
  EXPECT_TRUE(found.contains(std::string(4096, '1')));
  EXPECT_TRUE(found.contains(std::string(4096, '2')));
}

TEST_F(ModelTest, ASyncCoversWhatWasWrittenBeforeItWasSubmittedAndItsOwn) {
  const InodeId file = durable_file("a", std::string(3 * 4096, '0'));
  write(file, 0, std::string(4096, 'b'));
  SyncTicket ticket = disk.begin_sync(file);
  write(file, 4096, std::string(4096, 'l'));  // by somebody else, while the sync waits for its turn
  disk.begin_own_writes(ticket);
  write(file, 2 * 4096, std::string(4096, 'm'));
  disk.end_own_writes(ticket);
  disk.end_sync(ticket, SyncOutcome::kDone, draws_of(1));
  EXPECT_TRUE(disk.would_survive("a", 0, 4096));
  EXPECT_FALSE(disk.would_survive("a", 4096, 1));
  EXPECT_TRUE(disk.would_survive("a", 2 * 4096, 4096));
  EXPECT_EQ(after_power_loss("a", 1, kNothingSurvives),
            std::string(4096, 'b') + std::string(4096, '0') + std::string(4096, 'm'));
}

TEST_F(ModelTest, ASyncFindsItsVersionBehindAnyNumberOfLaterOnes) {
  const InodeId file = durable_file("a", std::string(4096, '0'));
  write(file, 0, std::string(4096, 'b'));
  const SyncTicket ticket = disk.begin_sync(file);
  const std::uint64_t memory = disk.memory_bytes();
  for (int i = 0; i < 100; ++i) {
    write(file, 0, std::string(4095, 'l') + std::string(1, static_cast<char>('a' + i % 20)));
  }
  EXPECT_LT(disk.memory_bytes(), memory + 6 * 4096);  // versions in the middle are not kept for ever
  disk.end_sync(ticket, SyncOutcome::kDone, draws_of(1));
  EXPECT_EQ(after_power_loss("a", 1, kNothingSurvives), std::string(4096, 'b'));
}

TEST_F(ModelTest, TruncationIsDurableWithTheNextSyncOnly) {
  const InodeId file = durable_file("a", std::string(9000, 'x'));
  ASSERT_TRUE(disk.truncate(file, 5000).ok());
  EXPECT_EQ(disk.size(file), 5000u);
  EXPECT_EQ(after_power_loss("a", 1, kNothingSurvives), std::string(9000, 'x'));
  EXPECT_EQ(after_power_loss("a", 1, kEverythingSurvives), std::string(5000, 'x'));
  sync(file);
  EXPECT_EQ(outcomes("a"), Outcomes{std::string(5000, 'x')});
  ASSERT_TRUE(disk.truncate(file, 6000).ok());
  EXPECT_EQ(read(file, 4999, 2000), "x" + std::string(1000, '\0'));
}

// ---- failed and lying syncs, damage ----

TEST_F(ModelTest, AfterAFailedSyncALaterOneSucceedsAndSavesNothing) {
  const InodeId file = durable_file("a", std::string(4096, 'o'));
  bool lost = false;
  bool saved = false;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    DiskModel copy = disk.clone();
    ASSERT_TRUE(copy.write(file, 0, std::string(4096, 'n')).ok());
    copy.end_sync(copy.begin_sync(file), SyncOutcome::kFailed, draws_of(seed));
    copy.end_sync(copy.begin_sync(file), SyncOutcome::kDone, draws_of(seed));
    EXPECT_EQ(read(copy, file, 0, 4096), std::string(4096, 'n'));
    copy.process_kill();
    const InodeId next = copy.open("a", OpenMode::kRead).value();  // the next process reads it, too
    EXPECT_EQ(read(copy, next, 0, 4096), std::string(4096, 'n'));
    EXPECT_EQ(copy.damage().front().kind, DamageKind::kFailedSync);
    EXPECT_EQ(copy.damage().front().path, "a");
    const bool survives = copy.would_survive("a", 0, 4096);
    copy.power_loss(draws_of(seed), kEverythingSurvives);
    EXPECT_EQ(copy.durable_bytes("a", 0, 1).value(), survives ? "n" : "o");
    (survives ? saved : lost) = true;
  }
  EXPECT_TRUE(lost);
  EXPECT_TRUE(saved);
}

TEST_F(ModelTest, WritingTheBlockAgainAfterAFailedSyncSavesIt) {
  const InodeId file = durable_file("a", std::string(4096, 'o'));
  write(file, 0, std::string(4096, 'n'));
  sync(file, SyncOutcome::kFailed, 1);
  write(file, 5, "N");
  sync(file);
  EXPECT_EQ(outcomes("a", 20), Outcomes{"nnnnnN" + std::string(4090, 'n')});
}

TEST_F(ModelTest, WhatAFailedSyncHasLostIsNotCountedAgainstWhatIsWrittenLater) {
  const InodeId file = durable_file("a", std::string(std::size_t{20} * 4096, 'o'));
  const WriteSeq lost = disk.next_seq();
  write(file, 0, std::string(std::size_t{20} * 4096, 'l'));
  sync(file, SyncOutcome::kFailed, 1);
  const WriteSeq later = disk.next_seq();
  write(file, 20 * 4096, std::string(4096, 'n'));
  EXPECT_FALSE(disk.would_survive_since("a", later));
  sync(file);
  EXPECT_TRUE(disk.would_survive_since("a", later));
  EXPECT_FALSE(disk.would_survive_since("a", lost));
}

TEST_F(ModelTest, EvictedPagesOfAFailedSyncReadAsThePlatterHoldsThem) {
  const InodeId file = durable_file("a", std::string(4096, 'o'));
  for (std::uint64_t seed = 0;; ++seed) {
    ASSERT_LT(seed, 20u);
    write(file, 0, std::string(4096, 'n'));
    sync(file, SyncOutcome::kFailed, seed);
    if (disk.would_survive("a", 0, 4096)) {
      write(file, 0, std::string(4096, 'o'));
      sync(file);
      continue;
    }
    disk.evict_clean_pages();
    EXPECT_EQ(read(file, 0, 4096), std::string(4096, 'o'));
    return;
  }
}

TEST_F(ModelTest, ALyingSyncLeavesEverythingToChanceAndIsOnRecord) {
  const InodeId file = durable_file("a", "old");
  write(file, 0, "new");
  sync(file, SyncOutcome::kLied);
  EXPECT_FALSE(disk.would_survive("a", 0, 3));
  EXPECT_TRUE(outcomes("a").contains("old"));
  EXPECT_EQ(disk.damage().back().kind, DamageKind::kLyingSync);
  sync(file);  // an honest one writes it all the same
  EXPECT_TRUE(disk.would_survive("a", 0, 3));
}

TEST_F(ModelTest, RotIsReadAgainAndAgainUntilTheBytesAreWrittenAnew) {
  const InodeId file = durable_file("a", "0123456789");
  disk.rot({file, 0}, 2, 3, 0x40);
  const std::string rotten = read(file, 0, 10);
  EXPECT_NE(rotten, "0123456789");
  EXPECT_EQ(read(file, 0, 10), rotten);
  EXPECT_TRUE(disk.damaged("a", 4, 1));
  EXPECT_FALSE(disk.damaged("a", 5, 5));
  EXPECT_EQ(disk.durable_bytes("a", 0, 10).value(), "0123456789");  // below the damage
  EXPECT_EQ(after_power_loss("a", 1), rotten);
  write(file, 2, "ab");
  EXPECT_EQ(read(file, 0, 10), "01ab" + rotten.substr(4));
  EXPECT_EQ(after_power_loss("a", 1, kNothingSurvives), rotten);  // the write was not synced
  sync(file);
  write(file, 4, "c");
  EXPECT_EQ(read(file, 0, 10), "01abc56789");
}

TEST_F(ModelTest, AnUnreadableBlockHealsWhenItIsWrittenWhole) {
  const InodeId file = durable_file("a", std::string(8192, 'x'));
  disk.make_unreadable({file, 1});
  std::vector<std::uint8_t> bytes(8192);
  EXPECT_TRUE(absl::IsInternal(disk.read(file, 0, bytes).status()));
  EXPECT_EQ(read(file, 0, 4096), std::string(4096, 'x'));
  EXPECT_TRUE(absl::IsInternal(disk.write(file, 4100, "y")));
  write(file, 4096, std::string(4096, 'y'));
  EXPECT_EQ(read(file, 4096, 4096), std::string(4096, 'y'));
  disk.make_unreadable({file, 1});
  const std::vector<Slice> parts{Slice::copy_of(std::string(1000, 'a')), Slice::copy_of(std::string(3096, 'b'))};
  EXPECT_TRUE(disk.write(file, FileWrite{.offset = 4096, .parts = parts}).ok()) << "several parts cover it";
  EXPECT_EQ(read(file, 4096, 4096), std::string(1000, 'a') + std::string(3096, 'b'));
}

TEST_F(ModelTest, AMisplacedWriteSpoilsTwoBlocks) {
  const InodeId file = durable_file("a", std::string(4096, 'a') + std::string(4096, 'b'));
  Content before;
  before.fill(0, kBlockBytes, 'a');
  write(file, 0, std::string(4096, 'n'));
  sync(file);
  disk.misplace({file, 0}, before, {file, 1});
  EXPECT_EQ(read(file, 0, 8192), std::string(4096, 'a') + std::string(4096, 'n'));
  EXPECT_EQ(disk.written_bytes("a", 0, 8192).value(), std::string(4096, 'n') + std::string(4096, 'b'));
  EXPECT_EQ(disk.damage().size(), 2u);
}

TEST_F(ModelTest, ADurableBlockToDamageIsPickedByTheDraw) {
  EXPECT_FALSE(disk.pick_durable_block(draws_of(1)).has_value());
  const InodeId a = durable_file("a", std::string(8192, 'a'));
  const InodeId b = durable_file("b", std::string(4096, 'b'));
  write(a, 8192, "not durable");
  std::set<std::pair<InodeId, std::uint64_t>> picked;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    const BlockPlace place = disk.pick_durable_block(draws_of(seed)).value();
    picked.emplace(place.file, place.block);
  }
  EXPECT_EQ(picked, (std::set<std::pair<InodeId, std::uint64_t>>{{a, 0}, {a, 1}, {b, 0}}));
}

// ---- space and memory ----

TEST_F(ModelTest, AFullDiskTakesTheBeginningOfAWriteAndRefusesTheRest) {
  const InodeId file = durable_file("a", std::string(4096, 'x'));
  disk.set_free(4096);
  EXPECT_TRUE(absl::IsResourceExhausted(disk.write(file, 4096, std::string(3 * 4096, 'y'))));
  EXPECT_EQ(disk.size(file), 8192u);
  EXPECT_EQ(disk.free_bytes(), 0u);
  EXPECT_TRUE(disk.write(file, 0, std::string(8192, 'z')).ok());  // overwriting takes no space
  ASSERT_TRUE(disk.truncate(file, 0).ok());
  EXPECT_EQ(disk.free_bytes(), 8192u);
}

TEST_F(ModelTest, FillingTakesSpaceButNoMemory) {
  const InodeId file = create("a");
  const std::uint64_t memory = disk.memory_bytes();
  ASSERT_TRUE(disk.fill(file, 0, 32 * kMiB + 100, SyncOutcome::kDone).ok());
  sync_directory("");
  EXPECT_LT(disk.memory_bytes(), memory + 16 * 1024);
  EXPECT_EQ(disk.free_bytes(), 32 * kMiB - 4096);
  EXPECT_EQ(disk.size(file), 32 * kMiB + 100);
  EXPECT_TRUE(disk.would_survive("a", 0, 32 * kMiB + 100));
  EXPECT_TRUE(absl::IsResourceExhausted(disk.fill(file, 32 * kMiB, 64 * kMiB, SyncOutcome::kDone)));
  write(file, 12'345, "x");
  EXPECT_EQ(read(file, 12'344, 3), std::string("\0x\0", 3));
  EXPECT_EQ(read(file, 12'345 + 64 * 4096, 1), std::string("\0", 1));
}

TEST_F(ModelTest, AHoleTakesNoSpaceAndReadsAsZeros) {
  const InodeId file = create("a");
  write(file, 10 * kMiB, "x");
  EXPECT_EQ(disk.free_bytes(), 64 * kMiB - 4096);
  EXPECT_EQ(read(file, 5 * kMiB, 2), std::string("\0\0", 2));
}

TEST_F(ModelTest, ACloneGoesItsOwnWay) {
  const InodeId file = durable_file("a", "one");
  DiskModel copy = disk.clone();
  EXPECT_EQ(copy.fingerprint(), disk.fingerprint());
  write(file, 0, "two");
  ASSERT_TRUE(copy.write(file, 0, "six").ok());
  ASSERT_TRUE(copy.unlink("a").ok());
  EXPECT_EQ(read(file, 0, 3), "two");
  EXPECT_EQ(read(copy, file, 0, 3), "six");
  EXPECT_TRUE(disk.open("a", OpenMode::kRead).ok());
  EXPECT_NE(copy.fingerprint(), disk.fingerprint());
}

// ---- a killed process ----

TEST_F(ModelTest, AKilledProcessKeepsItsCompletedWritesAndAnySubsetOfTheOneUnderWay) {
  const InodeId file = durable_file("a", std::string(4 * 4096, 'o'));
  FileWrite torn{.offset = 100,
                 .parts = {Slice::copy_of(std::string(5000, 'n')), Slice::copy_of(std::string(8000, 'n'))}};
  std::set<std::string> patterns;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    DiskModel copy = disk.clone();
    ASSERT_TRUE(copy.write(file, 0, "done").ok());
    copy.write_some(file, torn, draws_of(seed));
    copy.process_kill();
    const std::string bytes = read(copy, copy.open("a", OpenMode::kRead).value(), 0, 4 * 4096);
    EXPECT_EQ(bytes.substr(0, 4), "done");
    EXPECT_EQ(bytes.substr(4, 96), std::string(96, 'o'));
    EXPECT_EQ(bytes.substr(13'100), std::string(4 * 4096 - 13'100, 'o'));
    std::string pattern;
    for (const std::size_t at : {100u, 4096u, 8192u, 12288u}) {
      pattern += bytes[at];
    }
    EXPECT_EQ(bytes[5099], bytes[5100]);  // one block, though of two parts
    patterns.insert(pattern);
  }
  EXPECT_TRUE(patterns.contains("oooo"));
  EXPECT_TRUE(patterns.contains("nnnn"));
  EXPECT_GE(patterns.size(), 12u);
}

}  // namespace
}  // namespace chronik::sim::disk_model_test
