// The smallest plan that still fails.
#include "sim/shrink.h"

#include "core/fiber/wait.h"
#include "sim/run.h"
#include "tests/sim/sim_support.h"

namespace chronik::sim::shrink_test {
namespace {

// Fails (ODD) where its plan has operations 3 and 17 and fault 5, and where a later one of two fibers comes first if
// the schedule is asked for (FIRST). Knob "check": dies of a CHECK instead.
class Picky final : public Scenario {
 public:
  const char* name() const override { return "picky"; }
  const char* description() const override { return "fails for a few parts of its plan"; }
  std::vector<std::string> announced_faults() const override { return {}; }
  Plan generate(std::uint64_t seed) const override {
    Plan plan;
    plan.scenario = name();
    plan.seed = seed;
    plan.lasts = plan.calm = Duration::seconds(4);
    plan.machines = {{"node", "node", {}}, {"bystander", "node", {}}};
    plan.knobs = {{"network.useless", 1}, {"idle", 2}};
    for (std::uint64_t id = 1; id <= 40; ++id) {
      plan.operations.push_back({.id = id, .machine = id % 7 == 0 ? "bystander" : "node", .verb = "do"});
      PlanFault& fault = plan.faults.emplace_back();
      fault.id = id;
      fault.at = VirtualTime::zero() + Duration::milliseconds(1);
      fault.kind = "step";
      fault.target = "node";
      fault.other.assign(1, '-');
      fault.numbers = {{"by_ms", 1}};
    }
    return plan;
  }
  std::unique_ptr<ScenarioState> build(World& world, const Plan& plan, Nemesis&) const override {
    for (const PlanMachine& planned : plan.machines) {
      Machine& machine = add_planned_machine(world, planned);
      machine.install([&world, plan, acts = planned.name == "node"](ProcessContext& process) {
        if (acts) {
          act(world, plan, process);
        }
      });
      machine.start();
    }
    return std::make_unique<ScenarioState>();
  }

 private:
  static bool has(const Plan& plan, std::uint64_t operation) {
    return std::any_of(plan.operations.begin(), plan.operations.end(),
                       [&](const PlanOperation& one) { return one.id == operation; });
  }
  static void act(World& world, const Plan& plan, ProcessContext& process) {
    CHECK_NE(plan.knob("check", 0), 1);
    if (plan.knob("schedule", 0) == 1) {
      int first = 0;
      for (int i = 1; i <= 5; ++i) {
        process.scope.spawn({"racer", static_cast<std::uint64_t>(i)}, [&first, i] { first = first == 0 ? i : first; });
      }
      static_cast<void>(fiber::sleep(Duration::milliseconds(1)));
      if (first == 4) {
        world.fail("FIRST", "the fourth was the first");
      }
      return;
    }
    const bool fault =
        std::any_of(plan.faults.begin(), plan.faults.end(), [](const PlanFault& one) { return one.id == 5; });
    if (has(plan, 3) && has(plan, 17) && fault) {
      world.fail("ODD", "three and seventeen");
    }
  }
};

// What a plan comes to.
std::string checker_of(const Scenario& scenario, const Plan& plan) {
  StackArena stacks;
  const RunResult result = run_plan(scenario, plan, stacks, {});
  return result.findings.empty() ? "" : result.findings.front().checker;
}

TEST(Shrink, WhatHasNothingToDoWithItGoes) {
  const Picky scenario;
  for (const std::uint32_t jobs : {1U, 3U}) {
    const StatusOr<Shrunk> shrunk = shrink(scenario, scenario.generate(1), {.jobs = jobs});
    ASSERT_TRUE(shrunk.ok()) << shrunk.status();
    EXPECT_EQ(shrunk->checker, "ODD");
    EXPECT_NE(shrunk->message.find("three and seventeen"), std::string::npos);
    const Plan& plan = shrunk->plan;
    ASSERT_EQ(plan.operations.size(), 2u);
    EXPECT_EQ(plan.operations[0].id, 3u);
    EXPECT_EQ(plan.operations[1].id, 17u);
    ASSERT_EQ(plan.faults.size(), 1u);
    EXPECT_EQ(plan.faults[0].id, 5u);
    EXPECT_EQ(plan.machines.size(), 1u);
    EXPECT_EQ(plan.knobs, (Numbers{{"idle", 2}})) << "the scenario's own stay";
    EXPECT_LT(plan.lasts, Duration::milliseconds(10));
    EXPECT_EQ(plan.calm, Duration::seconds(4)) << "what a sound program needs to come right";
    EXPECT_FALSE(shrunk->cut_short);
    EXPECT_EQ(checker_of(scenario, Plan::parse(plan.to_text()).value()), "ODD");
  }
}

// Of the choices of a schedule those are left that matter, and they alone decide.
TEST(Shrink, TheChoicesOfAScheduleGoToo) {
  const Picky scenario;
  Plan plan = scenario.generate(1);
  plan.knobs["schedule"] = 1;
  plan.schedule = ScheduleKind::kRandom;
  while (checker_of(scenario, plan) != "FIRST") {
    ASSERT_LT(++plan.seed, 1000u);
  }
  const StatusOr<Shrunk> shrunk = shrink(scenario, plan, {.jobs = 2});
  ASSERT_TRUE(shrunk.ok()) << shrunk.status();
  EXPECT_TRUE(shrunk->plan.replays);
  EXPECT_EQ(shrunk->plan.choices.size(), 1u);
  EXPECT_EQ(size_of(shrunk->plan).to_string(), "1 machines, 0 operations, 0 faults, 2 knobs, 1 choices");
  EXPECT_EQ(checker_of(scenario, shrunk->plan), "FIRST");
}

TEST(Shrink, ACrashIsAnOutcomeToo) {
  const Picky scenario;
  Plan plan = scenario.generate(1);
  plan.knobs["check"] = 1;
  const StatusOr<Shrunk> shrunk = shrink(scenario, plan, {.jobs = 2});
  ASSERT_TRUE(shrunk.ok()) << shrunk.status();
  EXPECT_EQ(shrunk->checker, "CRASH");
  EXPECT_NE(shrunk->message.find("CHECK(plan.knob"), std::string::npos) << shrunk->message;
  EXPECT_EQ(size_of(shrunk->plan).to_string(), "1 machines, 0 operations, 0 faults, 2 knobs, 0 choices");
}

TEST(Shrink, WhereNothingIsFoundThereIsNothingToShrink) {
  const Picky scenario;
  Plan plan = scenario.generate(1);
  plan.faults.clear();
  EXPECT_TRUE(absl::IsFailedPrecondition(shrink(scenario, plan, {}).status()));
}

TEST(Shrink, TheTimeEndsTheSearchAndNotTheAnswer) {
  const Picky scenario;
  const StatusOr<Shrunk> shrunk = shrink(scenario, scenario.generate(1), {.seconds = 0.001});
  ASSERT_TRUE(shrunk.ok()) << shrunk.status();
  EXPECT_TRUE(shrunk->cut_short);
  EXPECT_EQ(checker_of(scenario, shrunk->plan), "ODD");
}

}  // namespace
}  // namespace chronik::sim::shrink_test
