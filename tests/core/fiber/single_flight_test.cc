#include "core/fiber/single_flight.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/support/fiber_world.h"

namespace chronik::fiber {
namespace {

using chronik::testing::FiberWorld;

constexpr Duration kWorkTakes = Duration::milliseconds(10);

struct Asked {
  explicit Asked(FiberWorld& in) : world(in) {}

  // Asks at `at`, and waits so long.
  void ask(Duration at, Duration patience) {
    world.spawn("asker", [this, at, patience, slot = outcomes.size()] {
      CHECK_OK(sleep(at));
      outcomes[slot] = flight.run(world.scope, {"work", 0}, within(patience, Expiry::kNormal), [this] {
        ++runs;
        CHECK_OK(sleep(kWorkTakes));
        return result;
      });
    });
    outcomes.push_back(absl::UnknownError("not yet"));
  }

  FiberWorld& world;
  SingleFlight flight{{WaitKind::kEvent, 77, 0, 0}};
  std::vector<Status> outcomes;
  Status result;
  int runs = 0;
};

TEST(SingleFlight, WhoAsksWhileItRunsGetsTheSameOutcome) {
  FiberWorld world;
  Asked asked(world);
  asked.result = absl::NotFoundError("no file");
  asked.ask(Duration::zero(), Duration::seconds(1));
  asked.ask(Duration::milliseconds(5), Duration::seconds(1));
  world.run();
  EXPECT_EQ(asked.runs, 1);
  for (const Status& outcome : asked.outcomes) {
    EXPECT_TRUE(absl::IsNotFound(outcome)) << outcome.ToString();
  }
}

TEST(SingleFlight, AnAskerThatGivesUpLeavesTheOthersAlone) {
  FiberWorld world;
  Asked asked(world);
  asked.ask(Duration::zero(), Duration::milliseconds(1));
  asked.ask(Duration::milliseconds(5), Duration::seconds(1));
  world.run();
  EXPECT_EQ(asked.runs, 1);
  EXPECT_TRUE(absl::IsDeadlineExceeded(asked.outcomes[0])) << asked.outcomes[0].ToString();
  EXPECT_TRUE(asked.outcomes[1].ok()) << asked.outcomes[1].ToString();
}

TEST(SingleFlight, WhatHasEndedIsBegunAnew) {
  FiberWorld world;
  Asked asked(world);
  asked.result = absl::InternalError("this time");
  asked.ask(Duration::zero(), Duration::seconds(1));
  world.run();
  asked.result = ok();
  asked.ask(Duration::zero(), Duration::seconds(1));
  world.run();
  EXPECT_EQ(asked.runs, 2);
  EXPECT_TRUE(absl::IsInternal(asked.outcomes[0]));
  EXPECT_TRUE(asked.outcomes[1].ok());
}

TEST(SingleFlight, SettlingWaitsForAnyEnd) {
  FiberWorld world;
  Asked asked(world);
  asked.result = absl::InternalError("whatever");
  asked.ask(Duration::zero(), Duration::milliseconds(1));
  bool settled = false;
  world.spawn("settler", [&] {
    CHECK_OK(sleep(Duration::milliseconds(2)));
    EXPECT_TRUE(asked.flight.under_way());
    EXPECT_TRUE(absl::IsDeadlineExceeded(asked.flight.settle(within(Duration::milliseconds(1), Expiry::kNormal))));
    EXPECT_TRUE(asked.flight.settle(within(Duration::seconds(1), Expiry::kNormal)).ok());
    EXPECT_FALSE(asked.flight.under_way());
    settled = true;
  });
  world.run();
  EXPECT_TRUE(settled);
}

TEST(SingleFlight, ANodeMayDieMeanwhile) {
  FiberWorld world;
  Asked asked(world);
  asked.ask(Duration::zero(), Duration::seconds(1));
  asked.ask(Duration::milliseconds(1), Duration::seconds(1));
  world.run_for(Duration::milliseconds(5));
  world.scheduler.kill_all();
  EXPECT_EQ(asked.runs, 1);
}

}  // namespace
}  // namespace chronik::fiber
