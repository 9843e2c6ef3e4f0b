// Runs repeat (rules S1, S10, S11, S14).
#include <fmt/core.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "sim/run.h"
#include "tests/sim/sim_support.h"

namespace chronik::sim::determinism_test {
namespace {

const Scenario& echo() { return *find_scenario("echo"); }

// An echo run of some thousand events: the first plan from `seed` on with a lot to do.
Plan busy_plan(std::uint64_t seed, ScheduleKind schedule) {
  Plan plan = echo().generate(seed);
  while (plan.operations.size() < 60 || plan.machines.size() < 4) {
    plan = echo().generate(++seed);
  }
  plan.schedule = schedule;
  plan.knobs["network.segment_most"] = 1460;
  plan.knobs["network.transfer_most"] = 0;
  return plan;
}

TEST(Determinism, TwoRunsOfOnePlanAgreeUnderEverySchedule) {
  StackArena stacks;
  for (const ScheduleKind schedule : {ScheduleKind::kFifo, ScheduleKind::kRandom, ScheduleKind::kPct}) {
    const Plan plan = busy_plan(11, schedule);
    const RunResult first = run_plan(echo(), plan, stacks, {});
    EXPECT_TRUE(first.findings.empty());
    EXPECT_GT(first.records, 1000u);
    EXPECT_EQ(compare_twin(echo(), plan, first, stacks), "");
  }
}

TEST(Determinism, ASeedRunsTheSameAloneAndAfterOthers) {
  const Plan plan = busy_plan(3, ScheduleKind::kRandom);
  StackArena fresh;
  const std::uint64_t alone = run_plan(echo(), plan, fresh, {}).hash;
  StackArena used;
  for (std::uint64_t seed = 20; seed < 25; ++seed) {
    run_plan(echo(), busy_plan(seed, ScheduleKind::kRandom), used, {});
  }
  EXPECT_EQ(run_plan(echo(), plan, used, {}).hash, alone);
}

TEST(Determinism, SeedsAndSchedulesDiffer) {
  StackArena stacks;
  const std::uint64_t fifo = run_plan(echo(), busy_plan(3, ScheduleKind::kFifo), stacks, {}).hash;
  EXPECT_NE(run_plan(echo(), busy_plan(40, ScheduleKind::kFifo), stacks, {}).hash, fifo);
  EXPECT_NE(run_plan(echo(), busy_plan(3, ScheduleKind::kRandom), stacks, {}).hash, fifo);
}

TEST(Determinism, ARecordedScheduleReplaysToTheSameRun) {
  StackArena stacks;
  for (const ScheduleKind schedule : {ScheduleKind::kRandom, ScheduleKind::kPct}) {
    Plan plan = busy_plan(5, schedule);
    Deviations recorded;
    const RunResult original = run_plan(echo(), plan, stacks, {.record = &recorded});
    EXPECT_FALSE(recorded.empty());
    plan.replays = true;
    plan.choices = recorded;
    const StatusOr<Plan> read = Plan::parse(plan.to_text());
    ASSERT_TRUE(read.ok());
    const RunResult replayed = run_plan(echo(), *read, stacks, {});
    EXPECT_EQ(replayed.events, original.events);
    EXPECT_EQ(replayed.ended, original.ended);
    if (schedule == ScheduleKind::kRandom) {  // the hash also holds draws, and priorities draw less than they record
      EXPECT_EQ(replayed.hash, original.hash);
    }
  }
}

// A scenario that remembers across runs, as mutable static storage would: from its second run on it sleeps otherwise
// once.
class Leaking final : public Scenario {
 public:
  const char* name() const override { return "leaking"; }
  const char* description() const override { return "remembers what ran before it"; }
  std::vector<std::string> announced_faults() const override { return {}; }
  Plan generate(std::uint64_t seed) const override {
    Plan plan;
    plan.scenario = name();
    plan.seed = seed;
    plan.machines.push_back({"node", "node", {}});
    return plan;
  }
  std::unique_ptr<ScenarioState> build(World& world, const Plan& plan, Nemesis&) const override {
    Machine& machine = add_planned_machine(world, plan.machines.front());
    machine.install([run = runs_++](ProcessContext&) {
      for (std::uint64_t i = 0; i < 1200; ++i) {
        CHECK_OK(fiber::sleep(Duration::milliseconds(i == 1100 ? 1 + static_cast<std::int64_t>(run % 2) : 1)));
      }
    });
    machine.start();
    return std::make_unique<ScenarioState>();
  }

 private:
  mutable std::uint64_t runs_ = 0;
};

TEST(Determinism, TwinsThatPartAreShownWithTheFirstRecordThatDiffers) {
  StackArena stacks;
  const Leaking scenario;
  const Plan plan = scenario.generate(1);
  const RunResult first = run_plan(scenario, plan, stacks, {});
  const std::string said = compare_twin(scenario, plan, first, stacks);
  EXPECT_NE(said.find("two runs of one plan part after record"), std::string::npos) << said;
  EXPECT_NE(said.find(" 1.13"), std::string::npos) << "the moment in which they part: " << said;
}

}  // namespace
}  // namespace chronik::sim::determinism_test
