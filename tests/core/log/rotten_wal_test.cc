// A record of the write-ahead log rots after it was acknowledged: what is known of its log without it.
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "core/wal/flush_summary.h"
#include "tests/core/log/log_harness.h"
#include "tests/core/log/log_reading.h"

namespace chronik::log {
namespace {

using testing::batch_of;
using testing::LogNode;
using testing::read_all;

constexpr std::uint64_t kRottenDiskBytes = 64 << 20;
// Every flush of these tests speaks of one log, and the next one begins with that.
constexpr std::uint64_t kSummaryBytes = wal::record_bytes(wal::kSummaryEntryBytes);

// Overwrites the text wherever a file of the write-ahead log holds it.
void rot(LogNode& n, std::string_view text) {
  int found = 0;
  const auto names = n.disk.list_directory("wal/0", n.soon());
  CHECK_OK(names.status());
  for (const std::string& name : *names) {
    const std::string path = "wal/0/" + name;
    const Slice bytes = testing::read_file(n, path);
    for (std::size_t at = bytes.text().find(text); at != std::string_view::npos; at = bytes.text().find(text, at + 1)) {
      testing::overwrite(n, path, at, Slice::copy_of(std::string(text.size(), '#')));
      ++found;
    }
  }
  EXPECT_GT(found, 0) << text;
}

// The record at `at` of this write of the disk: "wal/0/file position+bytes".
void rot_record(LogNode& n, const std::string& flush, std::uint64_t at) {
  const std::size_t space = flush.find(' ');
  ASSERT_NE(space, std::string::npos);
  testing::overwrite(n, flush.substr(0, space), std::stoull(flush.substr(space + 1)) + at + 8, Slice::copy_of("rot"));
}

void append_durably(LogNode& n, int partition, const std::string& prefix) {
  n.append(partition, prefix, 3);
  ASSERT_TRUE(n.logs->wait_durable(n.soon()).ok());
}

// A life of a node: it opens its logs, does this, and is killed.
template <typename Body>
void live(sim::DiskModel& model, std::uint64_t incarnation, Body body) {
  {
    LogNode node(model, incarnation);
    node.run([&](LogNode& n) {
      ASSERT_TRUE(n.open().ok());
      body(n);
    });
  }
  model.process_kill();
}

// The log holds `whole` records, ends at `end`, and what lies between answers an error. So it is after the next
// restart.
void expect_hole(sim::DiskModel& model, std::uint64_t incarnation, std::int64_t whole, std::int64_t end) {
  for (const std::uint64_t life : {incarnation, incarnation + 1}) {
    live(model, life, [&](LogNode& n) {
      EXPECT_EQ(n.log(0).log_end(), Offset(end));
      Status status;
      EXPECT_EQ(read_all(n, 0, Offset(0), &status).size(), static_cast<std::size_t>(whole));
      EXPECT_TRUE(absl::IsDataLoss(status)) << status.ToString();
      ASSERT_EQ(n.log(0).damaged().size(), 1u);
      EXPECT_EQ(n.log(0).damaged()[0].from, Offset(whole));
      EXPECT_EQ(n.log(0).damaged()[0].to, Offset(end));
    });
  }
  live(model, incarnation + 2, [&](LogNode& n) {
    EXPECT_EQ(n.append(0, "behind", 3).base_offset, Offset(end));
    ASSERT_TRUE(n.logs->wait_durable(n.soon()).ok());
    EXPECT_EQ(read_all(n, 0, Offset(end)).size(), 3u);
  });
}

TEST(RottenWal, TheLastRecordOfALogTakesNoOffsetsWithIt) {
  sim::DiskModel model(kRottenDiskBytes);
  live(model, 1, [](LogNode& n) {
    append_durably(n, 0, "first");
    append_durably(n, 0, "doomed");
    append_durably(n, 1, "other");
    rot(n, "doomed");
  });
  expect_hole(model, 2, 3, 6);
}

TEST(RottenWal, NorDoesTheLastOneThatARecoveryWroteAnew) {
  sim::DiskModel model(kRottenDiskBytes);
  live(model, 1, [](LogNode& n) {
    append_durably(n, 0, "first");
    append_durably(n, 0, "doomed");
  });
  live(model, 2, [](LogNode& n) {
    append_durably(n, 1, "other");
    rot(n, "doomed");
  });
  expect_hole(model, 3, 3, 6);
}

TEST(RottenWal, ALogWhoseCreationRottedIsThereAndItsOffsetsAnswerAnError) {
  sim::DiskModel model(kRottenDiskBytes);
  live(model, 1, [](LogNode& n) {
    ASSERT_TRUE(n.logs->create(testing::key_of(0), "doomed", n.config).ok());
    append_durably(n, 0, "first");
    append_durably(n, 1, "other");
    rot(n, "doomed");
  });
  expect_hole(model, 2, 0, 3);
}

TEST(RottenWal, OfSeveralBatchesOfALogInOneFlushTheLastOneCounts) {
  sim::DiskModel model(kRottenDiskBytes);
  live(model, 1, [](LogNode& n) {
    for (const char* prefix : {"one", "two", "doomed"}) {
      n.append(0, prefix, 3);
      n.append(1, prefix, 2);
    }
    ASSERT_TRUE(n.logs->wait_durable(n.soon()).ok());
    append_durably(n, 2, "other");
    rot(n, "doomed");
  });
  expect_hole(model, 2, 6, 9);
}

TEST(RottenWal, ALogThatWasRemovedIsNotBroughtBackByWhatItsFlushSays) {
  sim::DiskModel model(kRottenDiskBytes);
  live(model, 1, [](LogNode& n) {
    append_durably(n, 1, "other");
    n.append(0, "gone", 3);
    ASSERT_TRUE(n.logs->remove(testing::key_of(0), n.soon()).ok());
    append_durably(n, 1, "more");
  });
  live(model, 2, [](LogNode& n) {
    EXPECT_FALSE(n.logs->find(testing::key_of(0)));
    EXPECT_EQ(n.log(1).log_end(), Offset(6));
    EXPECT_TRUE(n.log(1).damaged().empty());
  });
}

TEST(RottenWal, WhatMovesTheLogStartLeavesTheEndWhereItIs) {
  sim::DiskModel model(kRottenDiskBytes);
  live(model, 1, [](LogNode& n) {
    append_durably(n, 0, "first");
    n.append(0, "doomed", 3);
    ASSERT_TRUE(n.log(0).advance_log_start(Offset(2), n.soon()).ok());
    append_durably(n, 1, "other");
    rot(n, "doomed");
  });
  live(model, 2, [](LogNode& n) {
    EXPECT_EQ(n.log(0).log_start(), Offset(2));
    EXPECT_EQ(n.log(0).log_end(), Offset(6));
    ASSERT_EQ(n.log(0).damaged().size(), 1u);
    EXPECT_EQ(n.log(0).damaged()[0].from, Offset(3));
  });
}

// A truncation is known without its record: by the summary of its flush, whatever came behind it; and where that is
// damaged too, by the batch that was appended where the log then ended (rule R4).
TEST(RottenWal, ATruncationIsKnownWithoutItsRecord) {
  struct Case {
    bool drained;
    int behind;  // the partition of the batches that follow
    bool summary_rots;
  };
  for (const Case& c : {Case{false, 0, true}, {true, 0, true}, {false, 1, false}, {true, 1, false}}) {
    SCOPED_TRACE(::testing::Message() << c.drained << c.behind << c.summary_rots);
    sim::DiskModel model(kRottenDiskBytes);
    live(model, 1, [&c](LogNode& n) {
      for (int i = 0; i < (c.drained ? 200 : 20); ++i) {
        n.append(0, "old", 3);
      }
      ASSERT_TRUE(n.logs->wait_durable(n.soon()).ok());
      std::vector<std::string> flushes;
      n.disk.on_event = [&flushes](std::string_view event) {
        if (event.starts_with("write wal/")) {
          flushes.emplace_back(event.substr(6));
        }
      };
      ASSERT_TRUE(n.log(0)
                      .truncate(
                          Offset(30), [] { return true; }, n.soon())
                      .ok());
      n.epoch = 2;
      for (int i = 0; i < 5; ++i) {
        append_durably(n, c.behind, "new");
      }
      n.disk.on_event = nullptr;
      ASSERT_GE(flushes.size(), 2u);
      rot_record(n, flushes[0], kSummaryBytes);
      if (c.summary_rots) {
        rot_record(n, flushes[1], 0);
      }
    });
    const std::int64_t end = c.behind == 0 ? 45 : 30;
    // The first recovery has it from the log, the next one from the first's checkpoint.
    for (const std::uint64_t life : {2u, 3u}) {
      live(model, life, [&](LogNode& n) {
        EXPECT_EQ(n.log(0).log_end(), Offset(end));
        const auto seen = read_all(n, 0, Offset(0));
        ASSERT_EQ(seen.size(), static_cast<std::size_t>(end));
        EXPECT_EQ(seen.at(29), "old2");
        if (c.behind == 0) {
          EXPECT_EQ(seen.at(30), "new0");
        }
        EXPECT_TRUE(n.log(0).damaged().empty());
        if (!c.drained) {
          EXPECT_EQ(n.logs->tail_bytes(), 15 * batch_of("any", 3).size()) << "of 10 old ones and 5 new";
        }
      });
    }
    live(model, 4, [&](LogNode& n) {
      n.epoch = 2;
      EXPECT_EQ(n.append(0, "last", 3).base_offset, Offset(end));
      ASSERT_TRUE(n.logs->wait_durable(n.soon()).ok());
      EXPECT_EQ(read_all(n, 0, Offset(0)).size(), static_cast<std::size_t>(end + 3));
    });
  }
}

// The first batch behind a truncation rots together with its record: the log was cut somewhere above what was committed
// when the last checkpoint was taken, and what lies between is not given as if it were sound. A batch of the epoch that
// was cut off may have begun there, and its number may be larger than that of the batches that follow.
TEST(RottenWal, ATruncationThatRotsWithWhatFollowsItLeavesDamageAndNothingOfWhatItCut) {
  for (const bool summaries_rot : {true, false}) {
    SCOPED_TRACE(summaries_rot);
    sim::DiskModel model(kRottenDiskBytes);
    live(model, 1, [](LogNode& n) {
      for (int i = 0; i < 10; ++i) {
        append_durably(n, 0, "old");
      }
      n.log(0).note_high_watermark(Offset(24));
      ASSERT_TRUE(n.logs->stop(fiber::within(Duration::seconds(30), Expiry::kPeer)).ok());
    });
    live(model, 2, [&](LogNode& n) {
      n.epoch = 3;
      for (int i = 0; i < 10; ++i) {
        append_durably(n, 0, "stale");
      }
      std::vector<std::string> flushes;
      n.disk.on_event = [&flushes](std::string_view event) {
        if (event.starts_with("write wal/")) {
          flushes.emplace_back(event.substr(6));
        }
      };
      ASSERT_TRUE(n.log(0)
                      .truncate(
                          Offset(30), [] { return true; }, n.soon())
                      .ok());
      n.epoch = 2;
      for (int i = 0; i < 5; ++i) {
        append_durably(n, 0, "new");
      }
      n.disk.on_event = nullptr;
      ASSERT_GE(flushes.size(), 3u);
      rot_record(n, flushes[0], kSummaryBytes);
      rot_record(n, flushes[1], 0);
      rot_record(n, flushes[1], kSummaryBytes);
      if (summaries_rot) {
        rot_record(n, flushes[2], 0);
      }
    });
    for (const std::uint64_t life : {3u, 4u}) {
      live(model, life, [](LogNode& n) {
        EXPECT_EQ(n.log(0).log_end(), Offset(45));
        ASSERT_EQ(n.log(0).damaged().size(), 1u);
        EXPECT_EQ(n.log(0).damaged()[0].from, Offset(24));
        EXPECT_EQ(n.log(0).damaged()[0].to, Offset(33));
        EXPECT_EQ(n.log(0).last_epoch(), LeaderEpoch(2));
        Status status;
        EXPECT_EQ(read_all(n, 0, Offset(0), &status).size(), 24u);
        EXPECT_TRUE(absl::IsDataLoss(status)) << status.ToString();
        EXPECT_EQ(read_all(n, 0, Offset(33)).at(33), "new0");
      });
    }
  }
}

}  // namespace
}  // namespace chronik::log
