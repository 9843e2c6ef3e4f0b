// When compaction comes, and how far it has come: kept over a start, and never more than is true.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "core/log/log_state.h"
#include "core/log/stored_log.h"
#include "tests/core/log/cleaning_harness.h"

namespace chronik::log {
namespace {

using testing::append_keyed;
using testing::cleaning_options;
using testing::commit;
using testing::compacted;
using testing::final_of;
using testing::kCleanedDiskBytes;
using testing::Keyed;
using testing::KeyedLog;
using testing::let_it_clean;
using testing::LogNode;
using testing::read_keyed;
using testing::stop_orderly;

void write_keys_over(LogNode& n, int count, int keys, const std::string& value) {
  for (int i = 0; i < count; ++i) {
    append_keyed(n, 0, {Keyed{"key" + std::to_string(i % keys), value + std::to_string(i)}});
  }
  commit(n, 0);
}

// Kafka's defaults, and a topic that is to be compacted soon.
StoredLogsOptions default_pace() {
  StoredLogsOptions options = testing::small_options();
  options.tail_bytes_max = StoredLogsOptions().tail_bytes_max;
  return options;
}
LogConfig soon_compacted() {
  LogConfig config = compacted();
  config.dirty_ratio_min = 1;
  config.segment_age = config.compaction_lag_max = Duration::milliseconds(100);
  return config;
}

TEST(CleaningInTime, WhatIsOverdueIsCompactedWhenTheCleanerNextLooks) {
  sim::DiskModel model(kCleanedDiskBytes);
  LogNode node(model, 1, default_pace());
  node.config = soon_compacted();
  node.run([](LogNode& n) {
    ASSERT_TRUE(n.open().ok());
    for (int round = 0; round < 4; ++round) {
      // 1.1 s apart: each record ends the segment before it, as it would with Kafka.
      for (int i = 0; i < 3; ++i) {
        write_keys_over(n, 1, 1, std::to_string(round) + ".");
        CHECK_OK(fiber::sleep(Duration::milliseconds(1'100)));
      }
      CHECK_OK(fiber::sleep(n.options.cleaner.backoff + Duration::milliseconds(500)));
      // The last one is in the segment that is being written, and what it overtakes before that.
      EXPECT_EQ(read_keyed(n, 0, Offset(0)).size(), 2u) << round;
      EXPECT_EQ(n.logs->cleaner_metrics().passes.value(), static_cast<std::uint64_t>(round) + 1);
    }
  });
}

TEST(CleaningInTime, WithoutALagOfItsOwnNothingIsDrainedForIt) {
  sim::DiskModel model(kCleanedDiskBytes);
  LogNode node(model, 1, cleaning_options());
  node.options.tail_age_max = Duration::seconds(3600);
  node.options.tail_bytes_max = 64 << 20;
  node.config = compacted();
  node.run([](LogNode& n) {
    ASSERT_TRUE(n.open().ok());
    write_keys_over(n, 200, 3, "v");
    CHECK_OK(fiber::sleep(Duration::seconds(10)));
    EXPECT_EQ(read_keyed(n, 0, Offset(0)).size(), 200u);
    n.config.compaction_lag_max = Duration::milliseconds(100);
    n.log(0);  // hears of it
    CHECK_OK(fiber::sleep(Duration::seconds(10)));
    EXPECT_LT(read_keyed(n, 0, Offset(0)).size(), 60u);
  });
}

TEST(CleanedTo, IsKeptOverAStop) {
  sim::DiskModel model(kCleanedDiskBytes);
  LogNode node(model, 1, cleaning_options());
  node.config = compacted();
  node.run([](LogNode& n) {
    ASSERT_TRUE(n.open().ok());
    write_keys_over(n, 400, 5, "v");
    let_it_clean(n);
    EXPECT_GT(n.logs->cleaner_metrics().passes.value(), 0u);
    ASSERT_TRUE(stop_orderly(n).ok());
  });
  LogNode again(model, 2, cleaning_options());
  again.config = compacted();
  again.run([](LogNode& n) {
    ASSERT_TRUE(n.open().ok());
    n.log(0).note_high_watermark(n.log(0).durable_end());
    CHECK_OK(fiber::sleep(Duration::seconds(10)));
    EXPECT_EQ(n.logs->cleaner_metrics().read_bytes.value(), 0u);
    write_keys_over(n, 400, 5, "w");
    let_it_clean(n);
    EXPECT_GT(n.logs->cleaner_metrics().read_bytes.value(), 0u);
    const KeyedLog left = read_keyed(n, 0, Offset(0));
    EXPECT_LT(left.size(), 60u);
    for (const auto& [key, last] : final_of(left)) {
      EXPECT_EQ(last.second.value_or("").front(), 'w') << key;
    }
  });
}

// What is cut goes, and other records take its offsets: they have not been cleaned.
void live_through_a_truncation(bool restarts) {
  sim::DiskModel model(kCleanedDiskBytes);
  {
    LogNode node(model, 1, cleaning_options());
    node.config = compacted();
    node.run([](LogNode& n) {
      ASSERT_TRUE(n.open().ok());
      append_keyed(n, 0, {Keyed{"once", "kept"}});
      append_keyed(n, 0, {Keyed{"another", "kept"}});
      write_keys_over(n, 400, 5, "before");
      let_it_clean(n);
      ASSERT_TRUE(stop_orderly(n).ok());
    });
  }
  {
    LogNode node(model, 2, cleaning_options());
    node.config = compacted();
    node.options.cleaner.enabled = !restarts;
    node.run([&](LogNode& n) {
      ASSERT_TRUE(n.open().ok());
      // To where a batch begins that is still there: fillers are not cut.
      const Offset to(1);
      ASSERT_TRUE(read_keyed(n, 0, Offset(0)).contains(to.value()));
      const auto always = [] { return true; };
      ASSERT_TRUE(n.log(0).truncate(to, always, n.soon()).ok());
      ++n.epoch;
      write_keys_over(n, 300, 5, "after");
      if (!restarts) {
        let_it_clean(n);
        EXPECT_LT(read_keyed(n, 0, Offset(0)).size(), 60u);
      }
    });
  }
  if (!restarts) {
    return;
  }
  model.process_kill();
  LogNode again(model, 3, cleaning_options());
  again.config = compacted();
  again.run([](LogNode& n) {
    ASSERT_TRUE(n.open().ok());
    n.log(0).note_high_watermark(n.log(0).durable_end());
    let_it_clean(n);
    const KeyedLog left = read_keyed(n, 0, Offset(0));
    EXPECT_LT(left.size(), 60u);
    EXPECT_EQ(final_of(left).size(), 6u);
  });
}

TEST(CleanedTo, ATruncationLowersIt) { live_through_a_truncation(false); }
TEST(CleanedTo, ATruncationLowersItAlsoWhenItIsReplayed) { live_through_a_truncation(true); }

TEST(LogState, OfAnEarlierVersionSaysNothingOfCompaction) {
  LogState state;
  state.key = testing::key_of(3);
  state.topic_name = "t";
  state.log_end = Offset(7);
  state.synced_bytes = 77;
  state.cleaned_to = Offset(5);
  state.epochs = {{LeaderEpoch(2), Offset(0)}};
  std::string now;
  encode_state(state, now);
  const auto read_back = decode_states(as_bytes(now));
  ASSERT_TRUE(read_back.ok());
  EXPECT_EQ(read_back->logs.at(0).cleaned_to, Offset(5));
  EXPECT_EQ(read_back->logs.at(0).epochs, state.epochs);

  // Length, version, topic, partition, name; seven numbers before it.
  constexpr std::size_t kLengthBytes = 4;
  constexpr std::size_t kCleanedAt = kLengthBytes + 1 + 16 + 4 + 4 + 1 + 7 * 8;
  std::string before = now;
  before.erase(kCleanedAt, 8);
  before[0] = static_cast<char>(before.size() - kLengthBytes);
  before[kLengthBytes] = 1;
  const auto old = decode_states(as_bytes(before));
  ASSERT_TRUE(old.ok());
  EXPECT_EQ(old->logs.at(0).cleaned_to, Offset(0));
  EXPECT_EQ(old->logs.at(0).synced_bytes, 77u);
  EXPECT_EQ(old->logs.at(0).epochs, state.epochs);

  before[kLengthBytes] = 4;
  EXPECT_TRUE(absl::IsDataLoss(decode_states(as_bytes(before)).status()));
}

TEST(Checkpoints, ThatAreOldAreForgottenAlsoByALogThatIsNeverCompacted) {
  sim::DiskModel model(kCleanedDiskBytes);
  LogNode node(model, 1);
  node.run([](LogNode& n) {
    ASSERT_TRUE(n.open().ok());
    const auto idle = n.logs->create(testing::key_of(1), "topic", n.config);
    ASSERT_TRUE(idle.ok());
    std::size_t most = 0;
    while (n.logs->wal_metrics().rotations.value() < 40) {
      n.append(0, std::string(200, 'v'), 10);
      for (const int partition : {0, 1}) {
        most = std::max(most, static_cast<StoredLog&>(n.log(partition)).checkpoints_kept());
      }
    }
    EXPECT_LE(most, 4u) << "each rotation has a checkpoint";
  });
}

}  // namespace
}  // namespace chronik::log
