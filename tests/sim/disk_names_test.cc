// Names on the disk's model: what a loss of power makes of files, renames and directories.
#include "tests/sim/model_test.h"

namespace chronik::sim::disk_names_test {
namespace {

TEST_F(ModelTest, AFileWhoseDirectoryWasNotSyncedMayBeGoneWithAllThatWasSynced) {
  const InodeId file = create("a");
  write(file, 0, "bytes");
  sync(file);
  EXPECT_FALSE(disk.would_survive("a", 0, 5));
  EXPECT_EQ(outcomes("a"), (Outcomes{"none", "bytes"}));
  sync_directory("");
  EXPECT_EQ(outcomes("a"), Outcomes{"bytes"});
}

TEST_F(ModelTest, ARenameWithoutDirectorySyncLeavesEitherNameAndNeverBothOrNone) {
  durable_file("a", "new");
  durable_file("b", "old");
  ASSERT_TRUE(disk.rename("a", "b").ok());
  std::set<std::string> found;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    found.insert(after_power_loss("a", seed) + "," + after_power_loss("b", seed));
  }
  EXPECT_EQ(found, (Outcomes{"new,old", "none,new"}));
  sync_directory("");
  EXPECT_EQ(outcomes("b"), Outcomes{"new"});
  EXPECT_EQ(outcomes("a"), Outcomes{"none"});
}

TEST_F(ModelTest, AnUnlinkedFileMayComeBackUntilItsDirectoryIsSynced) {
  const InodeId file = durable_file("a", "bytes");
  disk.close(file);
  ASSERT_TRUE(disk.unlink("a").ok());
  EXPECT_FALSE(disk.open("a", OpenMode::kRead).ok());
  EXPECT_EQ(outcomes("a"), (Outcomes{"none", "bytes"}));
  sync_directory("");
  EXPECT_EQ(outcomes("a"), Outcomes{"none"});
}

TEST_F(ModelTest, AFileThatTookAnUnlinkedOnesNameIsNotMixedUpWithIt) {
  disk.close(durable_file("a", "first"));
  ASSERT_TRUE(disk.unlink("a").ok());
  const InodeId second = create("a");
  write(second, 0, "second");
  sync(second);
  EXPECT_EQ(outcomes("a"), (Outcomes{"none", "first", "second"}));
}

TEST_F(ModelTest, ARenameAcrossDirectoriesIsDurableWithTheTargets) {
  ASSERT_TRUE(disk.create_directory("x").ok());
  ASSERT_TRUE(disk.create_directory("y").ok());
  const InodeId file = durable_file("x/f", "bytes");
  sync(file);
  sync_directory("x");
  ASSERT_TRUE(disk.rename("x/f", "y/g").ok());
  sync_directory("x");
  EXPECT_EQ(outcomes("x/f"), (Outcomes{"bytes", "none"}));
  sync_directory("y");
  EXPECT_EQ(outcomes("x/f"), Outcomes{"none"});
  EXPECT_EQ(outcomes("y/g"), Outcomes{"bytes"});
}

TEST_F(ModelTest, ANewDirectoryThatItsParentDoesNotKnowDurablyIsGoneWithItsFiles) {
  ASSERT_TRUE(disk.create_directory("d").ok());
  const InodeId file = create("d/f");
  write(file, 0, "bytes");
  sync(file);
  sync_directory("d");
  EXPECT_FALSE(disk.would_survive("d/f", 0, 5));
  EXPECT_EQ(outcomes("d/f"), (Outcomes{"none", "bytes"}));
  sync_directory("");
  EXPECT_TRUE(disk.would_survive("d/f", 0, 5));
  EXPECT_EQ(outcomes("d/f"), Outcomes{"bytes"});
}

TEST_F(ModelTest, ADirectoryRemovedDurablyTakesItsPendingChangesAlong) {
  ASSERT_TRUE(disk.create_directory("d").ok());
  disk.close(create("d/f"));
  ASSERT_TRUE(absl::IsFailedPrecondition(disk.remove_directory("d")));
  ASSERT_TRUE(disk.rename("d/f", "g").ok());
  disk.close(create("d/h"));
  ASSERT_TRUE(disk.unlink("d/h").ok());
  ASSERT_TRUE(disk.remove_directory("d").ok());
  sync_directory("");
  EXPECT_EQ(disk.pending_name_changes(), 0u);
  EXPECT_EQ(disk.list_directory("").value(), std::vector<std::string>{"g"});
  EXPECT_EQ(outcomes("g"), Outcomes{""});
}

TEST_F(ModelTest, AFailedDirectorySyncLeavesNamesOpenUntilALaterOneSucceeds) {
  std::set<std::string> found;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    DiskModel copy = disk.clone();
    ASSERT_TRUE(copy.open("a", OpenMode::kCreate).ok());
    copy.end_sync(copy.begin_sync_directory("").value(), SyncOutcome::kFailed, draws_of(seed));
    EXPECT_TRUE(copy.list_directory("")->size() == 1);
    DiskModel synced = copy.clone();
    synced.end_sync(synced.begin_sync_directory("").value(), SyncOutcome::kDone, draws_of(seed));
    synced.process_kill();
    synced.power_loss(draws_of(seed), kNothingSurvives);
    EXPECT_TRUE(synced.list_directory("")->size() == 1);
    copy.process_kill();
    copy.power_loss(draws_of(seed), kNothingSurvives);
    found.insert(copy.list_directory("")->empty() ? "lost" : "kept");
  }
  EXPECT_EQ(found, (Outcomes{"kept", "lost"}));
}

TEST_F(ModelTest, ALengthThatAFailedSyncLostComesBackAsFarAsItsBlocksAreWrittenAnew) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    DiskModel copy = disk.clone();
    const InodeId file = copy.open("a", OpenMode::kCreate).value();
    copy.end_sync(copy.begin_sync_directory("").value(), SyncOutcome::kDone, draws_of(seed));
    ASSERT_TRUE(copy.fill(file, 0, 4 * 4096, SyncOutcome::kFailed).ok());
    copy.end_sync(copy.begin_sync(file), SyncOutcome::kFailed, draws_of(seed));
    ASSERT_TRUE(copy.write(file, 0, std::string(4096, 'x')).ok());
    copy.end_sync(copy.begin_sync(file), SyncOutcome::kDone, draws_of(seed));
    EXPECT_TRUE(copy.would_survive("a", 0, 4096));
    copy.process_kill();
    copy.power_loss(draws_of(seed), kNothingSurvives);
    EXPECT_EQ(copy.durable_bytes("a", 0, 4096).value(), std::string(4096, 'x'));
  }
}

TEST_F(ModelTest, SyncingAllMakesFilesAndNamesDurable) {
  ASSERT_TRUE(disk.create_directory("d").ok());
  const InodeId a = create("d/a");
  const InodeId b = create("b");
  write(a, 0, "in a");
  write(b, 0, "in b");
  const SyncTicket ticket = disk.begin_sync_all();
  write(b, 0, "late");
  disk.end_sync(ticket, SyncOutcome::kDone, draws_of(1));
  EXPECT_EQ(after_power_loss("d/a", 1, kNothingSurvives), "in a");
  EXPECT_EQ(after_power_loss("b", 1, kNothingSurvives), "in b");
}

TEST_F(ModelTest, PathsThatLeaveTheDataDirectoryAreRefused) {
  for (const char* path : {"..", "../a", "a/../b", "/a", "a//b", ".", "./a", "a/", ".lock"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(disk.open(path, OpenMode::kCreate).status())) << path;
    EXPECT_TRUE(absl::IsInvalidArgument(disk.create_directory(path))) << path;
    EXPECT_TRUE(absl::IsInvalidArgument(disk.list_directory(path).status())) << path;
  }
  EXPECT_TRUE(absl::IsNotFound(disk.open("no/such", OpenMode::kCreate).status()));
}

TEST_F(ModelTest, ADirectoryDoesNotGoIntoItself) {
  ASSERT_TRUE(disk.create_directory("d").ok());
  EXPECT_FALSE(disk.rename("d", "d/e").ok());
  EXPECT_TRUE(disk.rename("d", "e").ok());
  EXPECT_EQ(disk.list_directory("").value(), std::vector<std::string>{"e/"});
}

TEST_F(ModelTest, ADirectoryReplacesAnEmptyOneOnly) {
  ASSERT_TRUE(disk.create_directory("d").ok());
  ASSERT_TRUE(disk.create_directory("e").ok());
  disk.close(create("e/f"));
  EXPECT_TRUE(absl::IsFailedPrecondition(disk.rename("d", "e")));
  EXPECT_TRUE(absl::IsFailedPrecondition(disk.rename("e/f", "d")));
  EXPECT_TRUE(disk.rename("e", "d").ok());
  EXPECT_EQ(disk.list_directory("d").value(), std::vector<std::string>{"f"});
  sync_directory("");
  sync_directory("d");
  EXPECT_EQ(outcomes("d/f"), Outcomes{""});
}

TEST_F(ModelTest, AnOpenFileOutlivesItsName) {
  const InodeId file = durable_file("a", "bytes");
  ASSERT_TRUE(disk.unlink("a").ok());
  sync_directory("");
  EXPECT_EQ(read(file, 0, 10), "bytes");
  const std::uint64_t before = disk.free_bytes();
  disk.close(file);
  EXPECT_EQ(disk.free_bytes(), before + 4096);
}

}  // namespace
}  // namespace chronik::sim::disk_names_test
