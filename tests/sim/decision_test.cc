#include "sim/decision.h"

#include <gtest/gtest.h>

#include <array>
#include <set>
#include <vector>

namespace chronik::sim::decision_test {
namespace {

TEST(Decision, OfOneEntityDoNotChangeWhenAnotherIsTakenAway) {
  Decisions with(7);
  Decisions without(7);
  Draws disk_with = with.draws("disk", "node-1");
  Draws other = with.draws("disk", "node-2");
  Draws disk_without = without.draws("disk", "node-1");
  for (int i = 0; i < 100; ++i) {
    other.next();
    EXPECT_EQ(disk_with.next(), disk_without.next());
  }
}

TEST(Decision, DifferBetweenSeedsStreamsAndEntities) {
  std::set<std::uint64_t> first;
  for (const std::uint64_t seed : {1U, 2U}) {
    for (const char* stream : {"a", "b"}) {
      for (const std::uint64_t entity : {1U, 2U}) {
        first.insert(Draws(seed, stream, entity).next());
      }
    }
  }
  EXPECT_EQ(first.size(), 8u);
}

TEST(Decision, TheWorldCountsEveryDraw) {
  Decisions decisions(1);
  Draws draws = decisions.draws("x", "y");
  draws.next();
  draws.below(3);
  Draws child = draws.child("z", 1);
  child.next();
  EXPECT_EQ(decisions.drawn(), 3u);
}

TEST(Draws, StayWithinTheirBounds) {
  Draws draws(3, "bounds", 0);
  std::set<std::int64_t> small;
  for (int i = 0; i < 10'000; ++i) {
    small.insert(draws.between(-2, 2));
    const std::int64_t magnitude = draws.magnitude(10, 1000);
    EXPECT_GE(magnitude, 10);
    EXPECT_LE(magnitude, 1000);
    const Duration delay = draws.heavy_tailed(Duration::microseconds(100), Duration::milliseconds(10));
    EXPECT_GE(delay, Duration::microseconds(50));
    EXPECT_LE(delay, Duration::milliseconds(10));
  }
  EXPECT_EQ(small, (std::set<std::int64_t>{-2, -1, 0, 1, 2}));
}

TEST(Draws, ReachTheTailOfDelaysNowAndThen) {
  Draws draws(3, "tail", 0);
  int beyond = 0;
  for (int i = 0; i < 10'000; ++i) {
    beyond +=
        draws.heavy_tailed(Duration::microseconds(100), Duration::seconds(10)) > Duration::milliseconds(10) ? 1 : 0;
  }
  EXPECT_GT(beyond, 0);
  EXPECT_LT(beyond, 100);
}

TEST(Draws, PickInProportionToTheWeights) {
  Draws draws(5, "pick", 0);
  const std::array<std::uint32_t, 3> weights{1, 0, 3};
  std::vector<int> counts(3);
  for (int i = 0; i < 4000; ++i) {
    ++counts[draws.pick(weights)];
  }
  EXPECT_EQ(counts[1], 0);
  EXPECT_NEAR(counts[0], 1000, 150);
}

}  // namespace
}  // namespace chronik::sim::decision_test
