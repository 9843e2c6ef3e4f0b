#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/wal/file_header.h"
#include "core/wal/flush_summary.h"
#include "tests/core/wal/wal_harness.h"

namespace chronik::wal {
namespace {

using testing::Node;
using testing::small_options;

// Every flush behind the first begins with the summary of the one before, here of one log.
constexpr std::uint64_t kSummary = record_bytes(kSummaryEntryBytes);

// What a test has written by hand, and what a disk's rot has left of it.
struct RecoveryTest : ::testing::Test {
  // Opens, appends `count` records of `size` bytes, one flush each or all in one, and `more` after them, and dies.
  void live(std::uint64_t incarnation, int count, std::size_t size, bool together = false, int more = 0) {
    Node node(model, incarnation);
    node.run([&](Node& n) {
      ASSERT_TRUE(n.open().ok());
      for (int i = 0; i < count + more; ++i) {
        const Lsn lsn = n.append(text(n.wal->next_lsn(), size));
        if (!together || i + 1 >= count) {
          ASSERT_TRUE(n.wal->wait_durable(lsn, n.soon()).ok());
        }
      }
      ASSERT_TRUE(n.wal->wait_durable(n.wal->next_lsn() - 1, n.soon()).ok());
      current_path = slot_path_of(n.wal->generation());
    });
    node.kill();
    model.process_kill();
  }
  static std::string text(Lsn lsn, std::size_t size) {
    std::string text = fmt::format("record {} ", lsn);
    text.resize(size, static_cast<char>('a' + lsn.value() % 26));
    return text;
  }
  // The slot whose first header has this generation.
  std::string slot_path_of(Generation generation) {
    const auto names = model.list_directory("wal/0");
    CHECK_OK(names.status());
    for (const std::string& name : *names) {
      std::string path = "wal/0/" + name;
      const std::string block = model.written_bytes(path, 0, kBlockBytes).value_or("");
      const auto header = decode_file_header(as_bytes(block));
      if (header.has_value() && header->generation == generation) {
        return path;
      }
    }
    return "";
  }
  FileHeader header_of(const std::string& path) {
    const std::string block = model.written_bytes(path, 0, kBlockBytes).value_or("");
    return decode_file_header(as_bytes(block)).value();
  }
  void overwrite(const std::string& path, std::uint64_t offset, std::string_view bytes) {
    const auto file = model.open(path, OpenMode::kReadWrite);
    CHECK_OK(file.status());
    CHECK_OK(model.write(*file, offset, bytes));
    model.close(*file);
  }
  // Opens once more, checks that what is there are records 1 … `last` but for `missing`, and dies.
  void expect_recovered(std::uint64_t incarnation, std::int64_t last, std::vector<std::int64_t> missing = {}) {
    Node node(model, incarnation);
    node.run([&](Node& n) {
      const Status opened = n.open();
      ASSERT_TRUE(opened.ok()) << opened.ToString();
      EXPECT_EQ(n.wal->next_lsn(), Lsn(last + 1));
      EXPECT_EQ(n.wal->durable(), Lsn(last));
    });
    for (std::int64_t lsn = 1; lsn <= last; ++lsn) {
      const bool lost = std::find(missing.begin(), missing.end(), lsn) != missing.end();
      EXPECT_EQ(node.client.records.contains(lsn), !lost) << lsn;
    }
    EXPECT_EQ(node.client.records.size(), static_cast<std::size_t>(last) - missing.size());
    EXPECT_EQ(node.client.wrong, "");
    damage = node.client.damage;
    log_ends.clear();
    for (const Offset end : node.client.log_ends) {
      log_ends.push_back(end.value());
    }
    in_doubt.clear();
    for (const ReplayedRecord& record : node.client.replayed) {
      EXPECT_EQ(record.payload.text().substr(0, 7), "record ");
      if (record.in_doubt) {
        in_doubt.push_back(record.lsn.value());
      }
    }
    current_path = slot_path_of(node.wal == nullptr ? Generation(0) : node.wal->generation());
    node.kill();
    model.process_kill();
  }

  sim::DiskModel model{64 << 20};
  std::string current_path;
  std::vector<DamagedRange> damage;
  std::vector<std::int64_t> in_doubt;
  std::vector<std::int64_t> log_ends;
};

TEST_F(RecoveryTest, WhatWasWrittenIsReplayedInOrder) {
  live(1, 30, 500);
  expect_recovered(2, 30);
  EXPECT_TRUE(damage.empty());
}

TEST_F(RecoveryTest, OnlyTheLastFlushIsInDoubtAndItIsWrittenAnew) {
  live(1, 10, 500);
  expect_recovered(2, 10);
  EXPECT_EQ(in_doubt, std::vector<std::int64_t>{10});
  const FileHeader header = header_of(current_path);
  EXPECT_EQ(header.kind, FileKind::kRecovery);
  EXPECT_EQ(header.cut, Lsn(9));
  EXPECT_EQ(header.first_flush_last, Lsn(10));
  // It lies in the new file, durable, and the old one does not matter for it any more.
  overwrite("wal/0/slot-000000.wal", kHeaderBytes + 2 * kBlockBytes + 9 * kBlockBytes, std::string(600, 'z'));
  model.power_loss(sim::Draws(1, "power", 1), sim::kNothingSurvives);
  expect_recovered(3, 10);
  EXPECT_TRUE(damage.empty());
}

TEST_F(RecoveryTest, RecoveringAgainAndAgainGivesTheSameAndTakesNoMoreFiles) {
  live(1, 10, 500);
  for (std::uint64_t i = 2; i < 30; ++i) {
    expect_recovered(i, 10);
    EXPECT_TRUE(damage.empty());
    EXPECT_LE(model.list_directory("wal/0")->size(), 3u);
  }
}

TEST_F(RecoveryTest, ReplayGoesOverSeveralFilesAndStartsWhereTheCheckpointSays) {
  {
    Node node(model, 1);
    node.run([](Node& n) {
      ASSERT_TRUE(n.open().ok());
      for (int i = 0; i < 30; ++i) {
        ASSERT_TRUE(n.append_and_wait(text(n.wal->next_lsn(), 5000)).ok());
        if (i == 9) {
          n.drain();
        }
      }
      EXPECT_GE(n.wal->files_in_use(), 2u);
    });
  }
  model.process_kill();
  Node node(model, 2);
  node.run([](Node& n) {
    ASSERT_TRUE(n.open().ok());
    EXPECT_EQ(n.wal->next_lsn(), Lsn(31));
  });
  ASSERT_FALSE(node.client.replayed.empty());
  EXPECT_EQ(node.client.replayed.front().lsn, Lsn(11));
  EXPECT_EQ(node.client.replayed.back().lsn, Lsn(30));
  EXPECT_EQ(node.client.replayed.size(), 20u);
}

TEST_F(RecoveryTest, ATornRecordEndsTheLogAndLaterOnesOfItsFlushNeverComeBack) {
  live(1, 5, 500);
  live(2, 5, 500, true);  // one flush: records 6 to 10, each 64 + 504 bytes
  const FileHeader header = header_of(current_path);
  const std::uint64_t flush = header.records_at() + kBlockBytes;                    // record 5 was rewritten before it
  overwrite(current_path, flush + kSummary + 2 * record_bytes(500) + 100, "torn");  // record 8
  expect_recovered(3, 7);
  EXPECT_TRUE(damage.empty());
  // A record of the same length at the same LSN: those behind the torn one are whole, and would fit.
  live(4, 1, 500);
  expect_recovered(5, 8);
}

TEST_F(RecoveryTest, DamageInTheMiddleIsReportedAndNothingBehindItIsCut) {
  live(1, 20, 500);
  const std::uint64_t records = header_of(current_path).records_at();
  const std::uint64_t seventh = records + 6 * kBlockBytes + kSummary;
  overwrite(current_path, seventh + 80, "rotten");
  expect_recovered(2, 20, {7});
  ASSERT_EQ(damage.size(), 1u);
  EXPECT_EQ(damage[0].first, Lsn(7));
  EXPECT_EQ(damage[0].last, Lsn(7));
  EXPECT_EQ(damage[0].generation, Generation(1));
  EXPECT_EQ(damage[0].position, seventh);
  expect_recovered(3, 20, {7});  // and reported again
  EXPECT_EQ(damage.size(), 1u);
}

// A disk that wrote a flush to an earlier place: it must not end the log there, nor stand for what belongs there.
TEST_F(RecoveryTest, AFlushInTheWrongPlaceCostsTheOneThereAndItself) {
  live(1, 20, 500);
  const std::uint64_t records = header_of(current_path).records_at();
  const std::string misplaced = *model.written_bytes(current_path, records + 16 * kBlockBytes, kBlockBytes);
  overwrite(current_path, records + 6 * kBlockBytes, misplaced);
  overwrite(current_path, records + 16 * kBlockBytes, std::string(kBlockBytes, '\0'));
  expect_recovered(2, 20, {7, 17});
  EXPECT_EQ(damage.size(), 2u);
}

TEST_F(RecoveryTest, EachFlushThatALaterOneFollowsSaysWhereLogsEnded) {
  live(1, 10, 500);
  expect_recovered(2, 10);
  const std::vector<std::int64_t> told = {1, 2, 3, 4, 5, 6, 7, 8, 9};  // that of the last one would come with the next
  EXPECT_EQ(log_ends, told);
  live(3, 3, 500);
  expect_recovered(4, 13);
  EXPECT_EQ(log_ends, (std::vector<std::int64_t>{10, 11, 12}));  // the checkpoint of the recovery knows the others
}

TEST_F(RecoveryTest, ASummaryThatRotsCostsNoRecord) {
  live(1, 10, 500);
  overwrite(current_path, header_of(current_path).records_at() + 6 * kBlockBytes + 80, "rotten");
  expect_recovered(2, 10);
  ASSERT_EQ(damage.size(), 1u);
  EXPECT_GT(damage[0].first, damage[0].last);
  EXPECT_EQ(log_ends, (std::vector<std::int64_t>{1, 2, 3, 4, 5, 7, 8, 9}));
}

TEST_F(RecoveryTest, ASummaryLongerThanOptionsOfTodayWouldMakeItIsInTheFilesBound) {
  {
    Node node(model, 1);
    node.run([](Node& n) {
      ASSERT_TRUE(n.open().ok());
      for (int i = 0; i < 500; ++i) {
        n.append_to(testing::log_of(i), "");
      }
      ASSERT_TRUE(n.wal->wait_durable(Lsn(500), n.soon()).ok());
    });
  }
  model.process_kill();
  WalOptions options = small_options();
  options.batch_records_max = 10;
  Node node(model, 2, options);
  node.run([this](Node& n) {
    ASSERT_TRUE(n.open().ok());
    for (int i = 0; i < 10; ++i) {
      n.append(std::string(3000, 'x'));
    }
    ASSERT_TRUE(n.wal->wait_durable(Lsn(510), n.soon()).ok());
    const auto longest = n.wal->metrics().commit_bytes.max();
    EXPECT_GT(longest, 10 * 3000 + 500 * kSummaryEntryBytes);
    EXPECT_LE(longest, header_of(slot_path_of(n.wal->generation())).flush_bytes_max);
  });
}

TEST_F(RecoveryTest, ALogOfTheFirstFormatIsReadAndOneOfALaterIsRefused) {
  live(1, 10, 500);
  const auto rewrite_header = [this](std::uint32_t version) {
    FileHeader header = header_of(current_path);
    header.version = version;
    std::string block(kBlockBytes, '\0');
    encode_file_header(reinterpret_cast<std::uint8_t*>(block.data()), header);
    overwrite(current_path, 0, block);
    overwrite(current_path, kBlockBytes, block);
  };
  rewrite_header(1);
  expect_recovered(2, 10);
  EXPECT_EQ(header_of(current_path).version, 2u);
  rewrite_header(3);
  Node node(model, 3);
  node.run([](Node& n) {
    const Status opened = n.open();
    EXPECT_TRUE(absl::IsFailedPrecondition(opened)) << opened.ToString();
  });
}

TEST_F(RecoveryTest, DamageWithinAFlushCostsOneRecord) {
  live(1, 1, 500);
  live(2, 20, 500, true, 2);
  // The flush of 20 lies a block behind the record that was rewritten.
  const std::string path = slot_path_of(Generation(2));
  overwrite(path, header_of(path).records_at() + kBlockBytes + kSummary + 5 * record_bytes(500) + 70, "rotten");
  expect_recovered(3, 23, {7});
}

TEST_F(RecoveryTest, ALostLengthIsFoundBehind) {
  live(1, 1, 500);
  live(2, 20, 500, true, 2);
  const std::string path = slot_path_of(Generation(2));
  overwrite(path, header_of(path).records_at() + kBlockBytes + kSummary + 5 * record_bytes(500),
            std::string(2000, '\xff'));
  expect_recovered(3, 23, {7, 8, 9, 10});
  ASSERT_EQ(damage.size(), 1u);
  EXPECT_EQ(damage[0].first, Lsn(7));
  EXPECT_EQ(damage[0].last, Lsn(10));
}

TEST_F(RecoveryTest, AnUnreadableBlockIsDamageLikeAnyOther) {
  live(1, 20, 500);
  const auto file = model.open(current_path, OpenMode::kRead);
  ASSERT_TRUE(file.ok());
  model.make_unreadable({.file = *file, .block = header_of(current_path).records_at() / kBlockBytes + 3});
  model.close(*file);
  expect_recovered(2, 20, {4});
}

TEST_F(RecoveryTest, DamageOfTheLastRecordsBeforeALaterFileIsDamageNotAnEnd) {
  live(1, 5, 500);
  live(2, 5, 500);
  live(3, 5, 500);  // counts record 9 in the second file
  const std::string path = slot_path_of(Generation(2));
  overwrite(path, header_of(path).records_at() + 4 * kBlockBytes + kSummary + 70,
            "rotten");  // record 9: 5 was rewritten, 6 7 8 9
  expect_recovered(4, 15, {9});
}

TEST_F(RecoveryTest, OneRottenHeaderIsNoLoss) {
  live(1, 10, 500);
  overwrite(current_path, 100, "rotten");
  overwrite(current_path, 50, "rotten");
  expect_recovered(2, 10);
  live(3, 3, 500);
  overwrite(current_path, kBlockBytes + 10, "rotten");
  expect_recovered(4, 13);
}

TEST_F(RecoveryTest, BothHeadersRottenIsNotTakenForAnEarlierEnd) {
  live(1, 10, 500);
  live(2, 10, 500);
  overwrite(current_path, 40, "rotten");
  overwrite(current_path, kBlockBytes + 40, "rotten");
  Node node(model, 3);
  node.run([](Node& n) { EXPECT_TRUE(absl::IsDataLoss(n.open())); });
}

TEST_F(RecoveryTest, OneRottenCheckpointIsReadFromItsCopyAndReported) {
  live(1, 10, 500);
  live(2, 10, 500);
  const FileHeader header = header_of(current_path);
  overwrite(current_path, header.checkpoint_at(0) + 70, "rotten");
  expect_recovered(3, 20);
  ASSERT_EQ(damage.size(), 1u);
  EXPECT_GT(damage[0].first, damage[0].last);
}

TEST_F(RecoveryTest, WithoutAnyCheckpointAnOlderOneServesWhereItsFilesAreStillThere) {
  live(1, 10, 500);
  live(2, 10, 500);
  const FileHeader header = header_of(current_path);
  overwrite(current_path, header.checkpoint_at(0) + 70, "rotten");
  overwrite(current_path, header.checkpoint_at(1) + 70, "rotten");
  expect_recovered(3, 20);
}

TEST_F(RecoveryTest, ARecordOfAnEarlierUseOfTheSlotIsNeverTaken) {
  // Two uses of the same slot whose flushes begin at the same places, with the same LSNs within the file.
  live(1, 3, 500);
  sim::DiskModel before = model.clone();
  const std::string path = current_path;
  const std::string stale = *model.written_bytes(path, 0, 1 << 20);
  const FileHeader header = header_of(path);
  // Behind the end: a record of this file's own flush numbering and LSN, but of another use of the slot.
  RecordHeader old;
  old.length = 10;
  old.lsn = Lsn(4);
  old.flush = header.first_flush + 4;
  old.generation = header.generation;
  old.use = header.use + 1;
  old.flags = kFlagEndsFlush;
  old.key = testing::kKey;
  std::string record(kRecordHeaderBytes + 16, '\0');
  std::copy_n("record old", 10, record.begin() + kRecordHeaderBytes);
  encode_record_header(reinterpret_cast<std::uint8_t*>(record.data()), old,
                       as_bytes(std::string_view(record).substr(kRecordHeaderBytes, 10)));
  overwrite(path, header.records_at() + 3 * kBlockBytes, record);
  expect_recovered(2, 3);
  EXPECT_TRUE(damage.empty());
  // The same bytes with this use's number would have counted.
  model = std::move(before);
  old.use = header.use;
  encode_record_header(reinterpret_cast<std::uint8_t*>(record.data()), old,
                       as_bytes(std::string_view(record).substr(kRecordHeaderBytes, 10)));
  overwrite(path, header.records_at() + 3 * kBlockBytes, record);
  expect_recovered(3, 4);
}

TEST_F(RecoveryTest, AnotherShardCountIsRefused) {
  live(1, 3, 500);
  WalOptions options = small_options();
  options.shard_count = 2;
  Node node(model, 2, options);
  node.run([](Node& n) { EXPECT_TRUE(absl::IsFailedPrecondition(n.open())); });
}

TEST_F(RecoveryTest, AnErrorOfTheClientEndsTheOpeningAndChangesNothing) {
  live(1, 10, 500);
  {
    Node node(model, 2);
    node.client.refuse = absl::InternalError("no room");
    node.run([](Node& n) { EXPECT_TRUE(absl::IsInternal(n.open())); });
  }
  expect_recovered(3, 10);
}

TEST_F(RecoveryTest, ALargeFlushInDoubtIsRewrittenInPieces) {
  WalOptions options = small_options();
  options.rotation_bytes = 16 << 20;
  options.batch_bytes_max = 8 << 20;
  options.queue_bytes_max = 8 << 20;
  options.record_bytes_max = 1 << 20;
  {
    Node node(model, 1, options);
    node.run([](Node& n) {
      ASSERT_TRUE(n.open().ok());
      for (int i = 0; i < 12; ++i) {
        n.append(text(n.wal->next_lsn(), 500'001));
      }
      ASSERT_TRUE(n.wal->wait_durable(Lsn(12), n.soon()).ok());
      EXPECT_EQ(n.wal->metrics().fsyncs.value(), 1u);
    });
  }
  for (std::uint64_t incarnation = 2; incarnation < 4; ++incarnation) {
    model.process_kill();
    Node node(model, incarnation, options);
    node.run([](Node& n) {
      ASSERT_TRUE(n.open().ok());
      EXPECT_EQ(n.wal->durable(), Lsn(12));
      EXPECT_EQ(n.client.records.size(), 12u);
      EXPECT_EQ(n.client.records[12], text(Lsn(12), 500'001));
    });
  }
}

TEST_F(RecoveryTest, ACheckpointOfManyPartsLargerThanAFileWorks) {
  for (std::uint64_t incarnation = 1; incarnation < 4; ++incarnation) {
    Node node(model, incarnation);
    node.client.checkpoint_parts = 40;
    node.client.checkpoint_part_bytes = 5000;
    node.run([](Node& n) {
      ASSERT_TRUE(n.open().ok());
      for (int i = 0; i < 50; ++i) {
        ASSERT_TRUE(n.append_and_wait(text(n.wal->next_lsn(), 5000)).ok());
        n.drain();
      }
    });
    EXPECT_EQ(node.client.wrong, "");
    node.kill();
    model.process_kill();
  }
}

TEST_F(RecoveryTest, ALogThatRecoveriesFilledTakesRecordsAgainOnceItIsDrained) {
  for (std::uint64_t incarnation = 1; incarnation < small_options().files_max - 1; ++incarnation) {
    live(incarnation, 3, 100);
  }
  Node node(model, 100);
  node.run([](Node& n) {
    ASSERT_TRUE(n.open().ok());
    EXPECT_EQ(n.client.drained_by_recovery, 0u);
    EXPECT_EQ(n.wal->files_in_use(), small_options().files_max - 1);
    EXPECT_EQ(n.reserve(30'000), Room::kGranted);  // in the file that the recovery began
    for (int i = 0; i < 5 && n.reserve(30'000) == Room::kGranted; ++i) {
      ASSERT_TRUE(n.append_and_wait(std::string(30'000, 'x')).ok());
    }
    EXPECT_EQ(n.reserve(30'000), Room::kLogFull);
    EXPECT_FALSE(n.client.pressed.empty());
    n.drain();
    while (n.reserve(30'000) != Room::kGranted) {
      ASSERT_TRUE(n.wal->wait_for_room(n.soon()).ok());
    }
    EXPECT_TRUE(n.append_and_wait(std::string(30'000, 'y')).ok());
    EXPECT_EQ(n.wal->files_in_use(), 1u);
  });
  EXPECT_EQ(node.client.wrong, "");
}

TEST_F(RecoveryTest, ARecoveryThatWouldLeaveNoFileFreeDrainsWhatIsCertainAndNothingElse) {
  for (std::uint64_t incarnation = 1; incarnation < small_options().files_max; ++incarnation) {
    live(incarnation, 3, 100);
  }
  Node node(model, 100);
  node.run([](Node& n) {
    ASSERT_TRUE(n.open().ok());
    EXPECT_EQ(n.client.drained_by_recovery, 1u);
    EXPECT_EQ(n.client.drained, Lsn(9));  // the last of nine is in doubt
    EXPECT_EQ(n.wal->oldest_lsn(), Lsn(9));
    EXPECT_EQ(n.wal->files_in_use(), 1u);
  });
  EXPECT_EQ(node.client.wrong, "");
}

}  // namespace
}  // namespace chronik::wal
