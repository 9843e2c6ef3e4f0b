// Crashes at every point of every operation, in every way, again during the recovery, and again.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/core/wal/wal_harness.h"
#include "tests/support/property.h"

namespace chronik::wal {
namespace {

using testing::Node;
using testing::small_options;

// What the outside knows: what was appended, what was said to be durable, what is in segments.
struct Truth {
  absl::btree_map<std::int64_t, std::string> records;  // of the timeline that counts
  std::int64_t acknowledged = 0;
  Lsn drained{1};
  std::uint64_t incarnation = 0;
};

enum class Death { kProcessKill, kNothingSurvives, kEverythingSurvives, kSomeSurvives, kHalfTorn };
constexpr Death kDeaths[] = {Death::kProcessKill, Death::kNothingSurvives, Death::kEverythingSurvives,
                             Death::kSomeSurvives, Death::kHalfTorn};

void die(sim::DiskModel& model, Death death, sim::Draws draws) {
  switch (death) {
    case Death::kProcessKill: model.process_kill(); break;
    case Death::kNothingSurvives: model.power_loss(draws, sim::kNothingSurvives); break;
    case Death::kEverythingSurvives: model.power_loss(draws, sim::kEverythingSurvives); break;
    case Death::kSomeSurvives: model.power_loss(draws, {.kept = 1, .dropped = 1, .torn = 1}); break;
    case Death::kHalfTorn: model.power_loss(draws, {.kept = 1, .dropped = 0, .torn = 1}); break;
  }
}

// What was recovered is a prefix of what was appended, and holds all that was acknowledged.
void judge(Node& node, Truth& truth) {
  const std::int64_t end = node.wal->next_lsn().value() - 1;
  ASSERT_EQ(node.client.wrong, "");
  ASSERT_TRUE(node.client.damage.empty()) << "damage at LSN " << node.client.damage[0].first.value();
  ASSERT_GE(end, truth.acknowledged);
  ASSERT_LE(end, truth.records.empty() ? 0 : truth.records.rbegin()->first);
  ASSERT_LE(node.client.drained_before, truth.drained);
  ASSERT_EQ(node.wal->durable().value(), end);
  for (std::int64_t lsn = node.client.drained_before.value(); lsn <= end; ++lsn) {
    ASSERT_EQ(node.client.records[lsn], truth.records[lsn]) << "LSN " << lsn;
  }
  truth.records.erase(truth.records.upper_bound(end), truth.records.end());
  truth.acknowledged = end;
}

// A life: opens, is judged, then appends, waits, drains and rotates as drawn.
struct Life {
  sim::DiskModel& model;
  Truth& truth;
  std::uint64_t seed;
  int steps;
  std::uint64_t crash_at = 0;
  bool drains = true;        // and rotates, now and then
  std::uint64_t points = 0;  // passed in all
  std::uint64_t points_of_opening = 0;

  void note_durable(Node& n) const { truth.acknowledged = std::max(truth.acknowledged, n.wal->durable().value()); }

  void step(Node& n, sim::Draws& draws, std::uint64_t i) const {
    const std::uint64_t burst = draws.below(4) == 0 ? 1 + draws.below(12) : 1 + draws.below(2);
    for (std::uint64_t k = 0; k < burst; ++k) {
      const std::size_t size = static_cast<std::size_t>(draws.magnitude(1, 9000));
      if (n.reserve(size) != Room::kGranted) {
        break;
      }
      std::string text = fmt::format("{}.{}.{} ", truth.incarnation, i, k);
      text.resize(size, static_cast<char>('a' + draws.below(26)));
      truth.records[n.wal->next_lsn().value()] = text;
      n.append(std::move(text));
    }
    const std::uint64_t then = draws.below(10);
    if (then < 6) {
      const Status waited = n.wal->wait_durable(n.wal->next_lsn() - 1, n.soon());
      ASSERT_TRUE(waited.ok()) << waited.ToString();
    } else if (then == 6) {
      ASSERT_TRUE(fiber::sleep(Duration::milliseconds(static_cast<std::int64_t>(draws.below(3)))).ok());
    }
    note_durable(n);
    if (!drains) {
      return;
    }
    if (draws.below(5) == 0) {
      n.client.drained =
          std::max(n.client.drained, Lsn(n.wal->durable().value() - static_cast<std::int64_t>(draws.below(4)) + 1));
      truth.drained = std::max(truth.drained, n.client.drained);
      n.wal->release_up_to(n.client.drained);
    }
    if (draws.below(12) == 0) {
      const Status rotated = n.wal->rotate(n.soon());
      ASSERT_TRUE(rotated.ok() || absl::IsResourceExhausted(rotated)) << rotated.ToString();
      note_durable(n);
    }
  }

  // The log's files are bounded, whatever lives came before (rule R6): one more than files_max while it recovers, and
  // once it runs one of them is free.
  void count_files(const Node& node) const {
    const auto files = model.list_directory("wal/0");
    ASSERT_TRUE(!files.ok() || files->size() <= node.options.files_max + 1) << files->size();
    if (node.wal != nullptr) {
      ASSERT_LE(files->size(), node.options.files_max);
      ASSERT_LE(node.wal->files_in_use(), node.options.files_max);
    }
  }

  void run() {
    ++truth.incarnation;
    Node node(model, mix(seed, truth.incarnation));
    node.disk.crash_at(crash_at);
    if (crash_at % 2 == 0) {
      node.disk.set_crash_draws(sim::Draws(seed, "crash", truth.incarnation));
    }
    node.run([this](Node& n) {
      const Status opened = n.open();
      ASSERT_TRUE(opened.ok()) << opened.ToString();
      points_of_opening = n.disk.points();
      ASSERT_NO_FATAL_FAILURE(judge(n, truth));
      ASSERT_LT(n.wal->files_in_use(), n.options.files_max);
      sim::Draws draws(seed, "life", truth.incarnation);
      for (int i = 0; i < steps; ++i) {
        ASSERT_NO_FATAL_FAILURE(step(n, draws, static_cast<std::uint64_t>(i)));
      }
    });
    // What was said to be durable before the end, whether or not the test's fiber heard of it.
    if (!node.client.durable.empty()) {
      truth.acknowledged = std::max(truth.acknowledged, node.client.durable.back().value());
    }
    // Recovery drains what is certain, whether it comes to its end or not.
    truth.drained = std::max(truth.drained, node.client.drained);
    truth.acknowledged = std::max(truth.acknowledged, node.client.drained.value() - 1);
    EXPECT_FALSE(node.process.ended) << node.process.exit_reason;
    ASSERT_NO_FATAL_FAILURE(count_files(node));
    points = node.disk.points();
  }
};

// Goes on from a dead node: some lives that end in the midst of their opening, then one that ends well, and a look at
// it.
void live_on(sim::DiskModel model, Truth truth, std::uint64_t seed, int crashes) {
  sim::Draws draws(seed, "live-on", 0);
  for (int i = 0; i < crashes; ++i) {
    Life life{.model = model, .truth = truth, .seed = seed, .steps = 2, .crash_at = 1 + draws.below(35)};
    ASSERT_NO_FATAL_FAILURE(life.run());
    die(model, kDeaths[draws.below(5)], draws.child("death", static_cast<std::uint64_t>(i)));
  }
  for (int i = 0; i < 2; ++i) {
    Life life{.model = model, .truth = truth, .seed = seed, .steps = 3};
    ASSERT_NO_FATAL_FAILURE(life.run());
    die(model, kDeaths[draws.below(5)], draws.child("late death", static_cast<std::uint64_t>(i)));
  }
}

// A fresh node that dies at point `crash_at` of its second life; the first one ends well.
void crash_once(std::uint64_t seed, std::uint64_t crash_at, int steps, int crashes, std::uint64_t* points) {
  sim::DiskModel model(64 << 20);
  Truth truth;
  Life first{.model = model, .truth = truth, .seed = seed, .steps = 5};
  ASSERT_NO_FATAL_FAILURE(first.run());
  model.process_kill();
  Life second{.model = model, .truth = truth, .seed = seed, .steps = steps, .crash_at = crash_at};
  ASSERT_NO_FATAL_FAILURE(second.run());
  if (points != nullptr) {
    *points = second.points;
  }
  for (const Death death : kDeaths) {
    sim::DiskModel after = model.clone();
    die(after, death, sim::Draws(seed, "death", crash_at));
    ASSERT_NO_FATAL_FAILURE(
        live_on(std::move(after), truth, mix(seed, crash_at, static_cast<std::uint64_t>(death)), crashes));
  }
}

TEST(WalCrash, AtEveryPointOfALifeNothingAcknowledgedIsLostAndNothingElseAppears) {
  std::uint64_t points = 0;
  ASSERT_NO_FATAL_FAILURE(crash_once(7, 0, 60, 0, &points));
  ASSERT_GT(points, 100u);
  for (std::uint64_t at = 1; at <= points; ++at) {
    SCOPED_TRACE(at);
    ASSERT_NO_FATAL_FAILURE(crash_once(7, at, 60, 1, nullptr));
  }
}

TEST(WalCrash, AtEveryPointOfARecoveryAndAgainInTheNextOne) {
  for (std::uint64_t at = 1; at <= 40; ++at) {
    SCOPED_TRACE(at);
    ASSERT_NO_FATAL_FAILURE(crash_once(11, at, 3, 4, nullptr));
  }
}

RC_GTEST_PROP(WalCrash, WhateverIsDoneAndWheneverItDiesWhatIsRecoveredIsAPrefixWithAllThatIsDurable, ()) {
  const auto seed = *rc::gen::arbitrary<std::uint64_t>();
  const auto at = *rc::gen::inRange<std::uint64_t>(1, 600);
  const auto steps = *rc::gen::inRange(1, 60);
  const auto crashes = *rc::gen::inRange(0, 4);
  const std::string failures = chronik::testing::failures_of([&] { crash_once(seed, at, steps, crashes, nullptr); });
  if (!failures.empty()) {
    RC_FAIL(failures);
  }
}

// Rule R6: each recovery begins a file, and none of these lives comes to drain anything.
TEST(WalCrash, ARowOfLivesThatDrainNothingKeepsTheLogWithinItsFiles) {
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    SCOPED_TRACE(seed);
    sim::Draws draws(seed, "row", 0);
    sim::DiskModel model(64 << 20);
    Truth truth;
    for (std::uint64_t i = 0; i < 50; ++i) {
      Life life{.model = model, .truth = truth, .seed = seed, .steps = 2, .drains = false};
      // Some die in their opening.
      life.crash_at = draws.below(3) == 0 ? 1 + draws.below(60) : 0;
      ASSERT_NO_FATAL_FAILURE(life.run());
      die(model, kDeaths[draws.below(5)], draws.child("death", i));
    }
    Life last{.model = model, .truth = truth, .seed = seed, .steps = 0};
    ASSERT_NO_FATAL_FAILURE(last.run());
    EXPECT_GT(truth.acknowledged, 50);
  }
}

// Rule R2: pages that a failed sync left clean are read back after a restart, and are gone with the power.
TEST(WalCrash, WhatAFailedSyncLeftInMemoryIsWrittenAnewBeforeItCounts) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(seed);
    sim::DiskModel model(64 << 20);
    Truth truth;
    truth.incarnation = 1;
    {
      Node node(model, seed);
      node.run([&](Node& n) {
        ASSERT_TRUE(n.open().ok());
        sim::Draws draws(seed, "records", 0);
        for (int i = 0; i < 6; ++i) {
          if (i == 5) {
            n.disk.on_run = [](std::string_view, const FileBatch&) {
              return absl::InternalError("input/output error");
            };
          }
          for (int k = 0; k < 8; ++k) {
            std::string text = fmt::format("{} {} ", i, k);
            text.resize(static_cast<std::size_t>(draws.magnitude(1, 3000)), 'x');
            truth.records[n.wal->next_lsn().value()] = text;
            n.append(std::move(text));
          }
          n.wal->wait_durable(n.wal->next_lsn() - 1, n.soon()).IgnoreError();
        }
      });
      EXPECT_TRUE(node.process.ended);
      truth.acknowledged = node.client.durable.back().value();
      EXPECT_EQ(truth.acknowledged, 40);
    }
    model.process_kill();
    // The next incarnation reads everything back, and says so.
    Life life{.model = model, .truth = truth, .seed = seed, .steps = 0};
    ASSERT_NO_FATAL_FAILURE(life.run());
    EXPECT_EQ(truth.acknowledged, 48);
    model.power_loss(sim::Draws(seed, "power", 1), sim::kNothingSurvives);
    Life last{.model = model, .truth = truth, .seed = seed, .steps = 0};
    ASSERT_NO_FATAL_FAILURE(last.run());
  }
}

// ---- headers that were read back and are not durable ----

// Opens the log on a copy, and tells how many points that takes.
std::uint64_t points_to_open(const sim::DiskModel& model, std::uint64_t incarnation) {
  sim::DiskModel copy = model.clone();
  Node node(copy, incarnation);
  node.run([](Node& n) { CHECK_OK(n.open()); });
  return node.disk.points();
}

// Opens the log, and dies at a point of that.
void die_opening(sim::DiskModel& model, std::uint64_t incarnation, std::uint64_t at) {
  Node node(model, incarnation);
  node.disk.crash_at(at);
  node.run([](Node& n) { n.open().IgnoreError(); });
  EXPECT_EQ(node.wal, nullptr);
}

void expect_end(sim::DiskModel& model, std::uint64_t incarnation, Lsn last) {
  Node node(model, incarnation);
  node.run([&](Node& n) {
    const Status opened = n.open();
    ASSERT_TRUE(opened.ok()) << opened.ToString();
    EXPECT_EQ(n.wal->durable(), last);
  });
}

TEST(WalCrash, ARowOfRecoveriesWhoseHeadersAreOnlyInMemoryLosesNothingWithThePower) {
  sim::DiskModel model(64 << 20);
  {
    Node node(model, 1);
    node.run([](Node& n) {
      ASSERT_TRUE(n.open().ok());
      ASSERT_TRUE(n.append_and_wait("x").ok());
      n.drain();
      ASSERT_TRUE(n.wal->rotate(n.soon()).ok());
      ASSERT_TRUE(n.append_and_wait("y").ok());
      n.drain();
      ASSERT_TRUE(n.wal->rotate(n.soon()).ok());
    });
  }
  model.process_kill();
  for (std::uint64_t life = 2; life < 8; ++life) {
    // The header is written at the last point but three: sync under way, sync done, free space asked for.
    const std::uint64_t points = points_to_open(model, life);
    for (std::uint64_t at = 1; at <= points; ++at) {
      SCOPED_TRACE(at);
      sim::DiskModel copy = model.clone();
      die_opening(copy, life, at);
      copy.power_loss(sim::Draws(life, "power", at), sim::kNothingSurvives);
      expect_end(copy, life + 100, Lsn(2));
    }
    die_opening(model, life, points - 2);
    model.process_kill();
  }
}

TEST(WalCrash, AFileWhoseBeginningIsOnlyInMemoryDoesNotUnlockTheOneBefore) {
  sim::DiskModel model(64 << 20);
  {
    Node node(model, 1);
    node.run([](Node& n) {
      ASSERT_TRUE(n.open().ok());
      ASSERT_TRUE(n.append_and_wait("x").ok());
      n.drain();
      n.disk.on_run = [&n](std::string_view, const FileBatch&) {
        n.disk.crash_at(n.disk.points() + 1);  // written, and its sync is under way
        return ok();
      };
      n.wal->rotate(n.soon()).IgnoreError();
    });
    EXPECT_TRUE(node.disk.stopped());
  }
  model.process_kill();
  const std::uint64_t points = points_to_open(model, 2);
  for (std::uint64_t at = 1; at <= points; ++at) {
    SCOPED_TRACE(at);
    sim::DiskModel copy = model.clone();
    die_opening(copy, 2, at);
    copy.power_loss(sim::Draws(1, "power", at), sim::kNothingSurvives);
    expect_end(copy, 3, Lsn(1));
  }
}

}  // namespace
}  // namespace chronik::wal
