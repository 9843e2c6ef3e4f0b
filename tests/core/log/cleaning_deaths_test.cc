// Compacted logs through lives that end at drawn moments, and one that ends at each of its disk's operations.
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "tests/core/log/cleaning_harness.h"

namespace chronik::log {
namespace {

using testing::append_keyed;
using testing::cleaning_options;
using testing::compacted;
using testing::final_of;
using testing::Keyed;
using testing::KeyedLog;
using testing::LogNode;
using testing::read_keyed;

constexpr std::uint64_t kCleaningDiskBytes = 64 << 20;

// What a log was given, and what of it was acknowledged.
struct Ledger {
  KeyedLog written;                                  // at each offset, the last
  std::map<std::string, std::int64_t> acknowledged;  // the last offset of each key
};

void check(LogNode& n, Ledger& ledger, const std::string& where) {
  EXPECT_TRUE(n.log(0).damaged().empty()) << where;
  const KeyedLog seen = read_keyed(n, 0, n.log(0).log_start());
  for (const auto& [offset, record] : seen) {
    ASSERT_TRUE(ledger.written.contains(offset)) << where << " offset " << offset;
    ASSERT_EQ(record, ledger.written.at(offset)) << where << " offset " << offset;
  }
  // What was not acknowledged may be gone with the end of the log.
  ledger.written.erase(ledger.written.lower_bound(n.log(0).log_end().value()), ledger.written.end());
  const auto last = final_of(seen);
  for (const auto& [key, offset] : ledger.acknowledged) {
    ASSERT_TRUE(last.contains(key)) << where << ": lost " << key << ", acknowledged at " << offset;
    ASSERT_GE(last.at(key).first, offset) << where << ": " << key;
  }
  const auto expected = final_of(ledger.written);
  for (const auto& [key, at] : last) {
    ASSERT_EQ(at.first, expected.at(key).first) << where << ": " << key << " is not the last";
  }
}

void live(LogNode& n, Ledger& ledger, sim::Draws& draws, int steps, const std::string& name) {
  for (int step = 0; step < steps; ++step) {
    std::vector<Keyed> records;
    const std::uint64_t count = 1 + draws.below(4);
    for (std::uint64_t i = 0; i < count; ++i) {
      const std::string key = "key" + std::to_string(draws.below(8));
      const bool tombstone = draws.below(5) == 0;
      records.push_back({key, tombstone ? std::nullopt : std::optional(name + std::to_string(step))});
    }
    const auto codec = static_cast<protocol::Codec>(draws.below(5));
    const Appended appended = append_keyed(n, 0, records, codec);
    ledger.written.erase(ledger.written.lower_bound(appended.base_offset.value()), ledger.written.end());
    for (std::size_t i = 0; i < records.size(); ++i) {
      ledger.written[appended.base_offset.value() + static_cast<std::int64_t>(i)] = records[i];
    }
    if (draws.below(6) == 0) {
      testing::commit(n, 0);
      for (const auto& [key, at] : final_of(ledger.written)) {
        ledger.acknowledged[key] = at.first;
      }
      CHECK_OK(fiber::sleep(Duration::milliseconds(static_cast<std::int64_t>(draws.below(60)))));
    }
  }
}

void die(sim::DiskModel& model, sim::Draws& draws) {
  if (draws.below(2) == 0) {
    model.process_kill();
  } else {
    model.power_loss(draws.child("power", 0), {.kept = 1, .dropped = 1, .torn = 1});
  }
}

std::uint64_t live_and_die(std::uint64_t seed) {
  sim::DiskModel model(kCleaningDiskBytes);
  const sim::Draws root(seed, "cleaned-logs", 0);
  Ledger ledger;
  std::uint64_t passes = 0;
  for (std::uint64_t life = 0; life < 6 && !::testing::Test::HasFailure(); ++life) {
    sim::Draws draws = root.child("life", life);
    {
      LogNode node(model, seed * 10 + life, cleaning_options());
      node.config = compacted();
      if (seed % 2 == 0) {
        // Drains and checkpoints come for the sake of compaction alone, too.
        node.config.compaction_lag_max = node.config.segment_age = Duration::milliseconds(30);
      }
      node.disk.crash_at(life == 5 ? 0 : 30 + draws.below(900));
      node.disk.set_crash_draws(draws.child("crash", 0));
      node.epoch = static_cast<std::int32_t>(life + 1);
      const std::string name = "seed " + std::to_string(seed) + " life " + std::to_string(life);
      node.run([&](LogNode& n) {
        ASSERT_TRUE(n.open().ok());
        check(n, ledger, name);
        live(n, ledger, draws, 250, std::to_string(life) + ".");
        ASSERT_TRUE(n.logs->wait_durable(n.soon()).ok());
        check(n, ledger, name + " at its end");
      });
      EXPECT_FALSE(node.process.ended) << name << ": " << node.process.exit_reason;
      passes += node.logs ? node.logs->cleaner_metrics().passes.value() : 0;
    }
    die(model, draws);
  }
  return passes;
}

TEST(CleaningDeaths, TheLastOfEachKeySurvivesWhateverTheMomentOfDeath) {
  std::uint64_t passes = 0;
  for (std::uint64_t seed = 1; seed <= 40 && !::testing::Test::HasFailure(); ++seed) {
    passes += live_and_die(seed);
  }
  EXPECT_GT(passes, 200u);
}

// One and the same life, to which death comes at each operation of its disk in turn.
TEST(CleaningDeaths, TheLastOfEachKeySurvivesADeathAtEachOperation) {
  sim::DiskModel before(kCleaningDiskBytes);
  Ledger ledger;
  StoredLogsOptions idle = cleaning_options();
  idle.cleaner.enabled = false;
  {
    LogNode node(before, 1, idle);
    node.config = compacted();
    node.run([&](LogNode& n) {
      ASSERT_TRUE(n.open().ok());
      sim::Draws draws(1, "each-operation", 0);
      live(n, ledger, draws, 120, "v");
      testing::commit(n, 0);
      ASSERT_TRUE(n.logs->stop(fiber::within(Duration::seconds(30), Expiry::kPeer)).ok());
    });
  }
  before.process_kill();
  for (const auto& [key, at] : final_of(ledger.written)) {
    ledger.acknowledged[key] = at.first;
  }
  bool ended = false;
  std::uint64_t crash = 1;
  for (; !ended && !::testing::Test::HasFailure(); ++crash) {
    sim::DiskModel model = before.clone();
    sim::Draws draws(crash, "each-operation-dies", 0);
    {
      LogNode node(model, crash, cleaning_options());
      node.config = compacted();
      node.disk.crash_at(crash);
      node.disk.set_crash_draws(draws.child("crash", 0));
      node.run([&](LogNode& n) {
        ASSERT_TRUE(n.open().ok());
        n.log(0).note_high_watermark(n.log(0).durable_end());
        testing::let_it_clean(n, Duration::seconds(6));
        ended = n.logs->cleaner_metrics().passes.value() > 0;
      });
    }
    die(model, draws);
    LogNode node(model, crash + 1, idle);
    node.config = compacted();
    node.run([&](LogNode& n) {
      ASSERT_TRUE(n.open().ok());
      check(n, ledger, "death at operation " + std::to_string(crash));
    });
  }
  EXPECT_GT(crash, 40u);
}

}  // namespace
}  // namespace chronik::log
