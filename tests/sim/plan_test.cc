#include "sim/plan.h"

#include <gtest/gtest.h>

#include "sim/scenario.h"

namespace chronik::sim::plan_test {
namespace {

TEST(Plan, EveryGeneratedPlanIsReadBackAsItWasWritten) {
  for (const Scenario* scenario : scenarios()) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
      Plan plan = scenario->generate(seed);
      plan.choices[{1, fiber::ChoicePoint::kWakeWaiter, 0xffff'ffff'ffff'ffff, 3}] = 2;
      plan.replays = seed % 2 == 0;
      const StatusOr<Plan> read = Plan::parse(plan.to_text());
      ASSERT_TRUE(read.ok()) << read.status();
      EXPECT_TRUE(*read == plan) << scenario->name() << " seed " << seed;
      EXPECT_EQ(read->to_text(), plan.to_text());
    }
  }
}

TEST(Plan, TheSameSeedGivesTheSamePlanAndAnotherSeedAnother) {
  const Scenario& echo = *find_scenario("echo");
  EXPECT_TRUE(echo.generate(5) == echo.generate(5));
  EXPECT_FALSE(echo.generate(5) == echo.generate(6));
}

TEST(Plan, WhatCannotBeReadIsRefusedWithItsLine) {
  const std::string good = "chronik-plan 1\nscenario echo\nseed 3\nend\n";
  EXPECT_TRUE(Plan::parse(good).ok());
  EXPECT_FALSE(Plan::parse("").ok());
  EXPECT_FALSE(Plan::parse("chronik-plan 2\nend\n").ok());
  EXPECT_FALSE(Plan::parse("chronik-plan 1\nscenario echo\n").ok());
  EXPECT_FALSE(Plan::parse(good + "seed 4\n").ok());
  for (const char* line :
       {"seed x", "schedule often", "lasts 5 calm", "fault 1 -5 kill a -", "fault 1 5 kill a", "knob a", "machine a",
        "operation 1 a send bytes", "operation 1 a send bytes=1 bytes=2", "choose 1 9 1 1 1", "nonsense 1"}) {
    const StatusOr<Plan> read = Plan::parse(std::string("chronik-plan 1\n") + line + "\nend\n");
    ASSERT_FALSE(read.ok()) << line;
    EXPECT_NE(read.status().message().find("line 2"), std::string_view::npos) << line;
  }
}

}  // namespace
}  // namespace chronik::sim::plan_test
