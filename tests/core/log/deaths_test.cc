// Logs through five lives, each ended at a drawn moment.
#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <string>

#include "tests/core/log/log_harness.h"
#include "tests/core/log/log_reading.h"

namespace chronik::log {
namespace {

using testing::LogNode;
using testing::read_all;

constexpr std::uint64_t kDeathsDiskBytes = 64 << 20;

// Truncates to the beginning of some batch. Whether that counts when the node dies meanwhile is open.
void cut_somewhere(LogNode& n, int partition, sim::Draws& draws, std::set<std::int64_t>& bases,
                   std::map<std::int64_t, std::string>& acknowledged) {
  PartitionLog& log = n.log(partition);
  const auto first = bases.lower_bound(log.log_start().value());
  if (first == bases.end()) {
    return;
  }
  const auto choices = static_cast<std::uint64_t>(std::distance(first, bases.end()));
  const std::int64_t to = *std::next(first, static_cast<std::ptrdiff_t>(draws.below(choices)));
  acknowledged.erase(acknowledged.lower_bound(to), acknowledged.end());
  bases.erase(bases.lower_bound(to), bases.end());
  ASSERT_TRUE(log.truncate(
                     Offset(to), [] { return true; }, n.soon())
                  .ok());
}

// Appends, waits, log starts, drains and perhaps truncations, stopped at a drawn point; then the next incarnation must
// have everything that was acknowledged and not cut away, at its offset, and nothing else in its place.
void live_and_die(std::uint64_t seed, bool truncating) {
  sim::DiskModel model(kDeathsDiskBytes);
  const sim::Draws root(seed, "logs", 0);
  std::map<int, std::map<std::int64_t, std::string>> acknowledged;
  std::map<int, std::int64_t> starts;
  std::map<int, std::set<std::int64_t>> bases;  // of batches
  for (std::uint64_t life = 0; life < 5; ++life) {
    sim::Draws draws = root.child("life", life);
    {
      LogNode node(model, seed * 10 + life);
      node.disk.crash_at(life == 4 ? 0 : 20 + draws.below(600));
      node.disk.set_crash_draws(draws.child("crash", 0));
      node.epoch = static_cast<std::int32_t>(life + 1);
      node.run([&](LogNode& n) {
        ASSERT_TRUE(n.open().ok());
        for (const auto& [partition, values] : acknowledged) {
          const Offset start = n.log(partition).log_start();
          EXPECT_GE(start.value(), starts[partition]) << "log start went back";
          const auto seen = read_all(n, partition, start);
          for (const auto& [offset, value] : values) {
            if (offset >= start.value()) {
              ASSERT_TRUE(seen.contains(offset)) << "seed " << seed << " life " << life << ": lost " << offset;
              EXPECT_EQ(seen.at(offset), value) << "seed " << seed << " life " << life << " offset " << offset;
            }
          }
          if (!seen.empty()) {
            EXPECT_EQ(seen.rbegin()->first + 1, n.log(partition).log_end().value());
            EXPECT_EQ(seen.size(), static_cast<std::size_t>(n.log(partition).log_end() - Offset(seen.begin()->first)));
          }
          EXPECT_TRUE(n.log(partition).damaged().empty()) << "seed " << seed << " life " << life;
        }
        for (auto& [partition, of] : bases) {
          of.erase(of.lower_bound(n.log(partition).log_end().value()), of.end());
        }
        for (int step = 0; step < 150; ++step) {
          const int partition = static_cast<int>(draws.below(3));
          const int count = static_cast<int>(1 + draws.below(4));
          const std::string prefix = std::to_string(life) + "." + std::to_string(step) + "/";
          if (truncating && draws.below(20) == 0) {
            cut_somewhere(n, partition, draws, bases[partition], acknowledged[partition]);
          }
          const Appended appended = n.append(partition, prefix, count);
          bases[partition].insert(appended.base_offset.value());
          if (draws.below(4) == 0) {
            ASSERT_TRUE(n.logs->wait_durable(n.soon()).ok());
            for (int i = 0; i < count; ++i) {
              acknowledged[partition][appended.base_offset.value() + i] = prefix + std::to_string(i);
            }
          }
          if (draws.below(40) == 0) {
            const Offset to(n.log(partition).durable_end().value() / 2);
            if (n.log(partition).advance_log_start(to, n.soon()).ok()) {
              starts[partition] = std::max(starts[partition], to.value());
            }
          }
        }
      });
      EXPECT_FALSE(node.process.ended) << node.process.exit_reason;
    }
    if (draws.below(2) == 0) {
      model.process_kill();
    } else {
      model.power_loss(draws.child("power", 0), {.kept = 1, .dropped = 1, .torn = 1});
    }
  }
}

TEST(Deaths, EverythingAcknowledgedSurvivesWhateverTheMomentOfDeath) {
  for (std::uint64_t seed = 1; seed <= 60 && !::testing::Test::HasFailure(); ++seed) {
    live_and_die(seed, false);
  }
}

TEST(Deaths, WhatWasCutAwayStaysAwayAndWhatFollowsSurvivesWhateverTheMomentOfDeath) {
  for (std::uint64_t seed = 1; seed <= 40 && !::testing::Test::HasFailure(); ++seed) {
    live_and_die(seed, true);
  }
}

}  // namespace
}  // namespace chronik::log
