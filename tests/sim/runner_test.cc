// Many seeds in workers (rule S11), and what the report says of them.
#include "sim/runner.h"

#include <fmt/core.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>
#include <ctime>
#include <nlohmann/json.hpp>

#include "sim/finding.h"
#include "tests/sim/sim_support.h"

namespace chronik::sim::runner_test {
namespace {

// Seeds that end as their number says: 3 crashes, 5 fails a checker, 7 never ends; the others are well.
class Troubled final : public Scenario {
 public:
  const char* name() const override { return "troubled"; }
  const char* description() const override { return "some of its seeds go wrong"; }
  std::vector<std::string> announced_faults() const override { return {"sunshine", "rain"}; }
  Plan generate(std::uint64_t seed) const override {
    Plan plan;
    plan.scenario = name();
    plan.seed = seed;
    plan.machines.push_back({"node", "node", {}});
    return plan;
  }
  std::unique_ptr<ScenarioState> build(World& world, const Plan& plan, Nemesis&) const override {
    Machine& machine = add_planned_machine(world, plan.machines.front());
    world.fault_fired("rain");
    machine.install([&world, seed = plan.seed](ProcessContext&) {
      CHECK_NE(seed, std::uint64_t{3});
      if (seed == 5) {
        world.fail("ODD", "five is odd");
      }
      for (volatile bool forever = seed == 7; forever;) {
      }
    });
    machine.start();
    return std::make_unique<ScenarioState>();
  }
};

const Failure* failure_of(const RunnerReport& report, std::uint64_t seed) {
  for (const Failure& failure : report.scenarios.front().failures) {
    if (failure.seed == seed) {
      return &failure;
    }
  }
  return nullptr;
}

TEST(Runner, ASeedThatDiesIsAFindingAndTheOthersRunOn) {
  const Troubled scenario;
  const RunnerReport report =
      run_seeds({.scenarios = {&scenario}, .seeds = 10, .jobs = 2, .seed_limit_seconds = 2, .twin_every = 4});
  const ScenarioReport& seeds = report.scenarios.front();
  EXPECT_EQ(seeds.seeds, 10u);
  EXPECT_EQ(report.failed(), 3u);
  ASSERT_NE(failure_of(report, 3), nullptr);
  EXPECT_EQ(failure_of(report, 3)->checker, "CRASH");
  EXPECT_NE(failure_of(report, 3)->message.find("CHECK(seed != std::uint64_t{3})"), std::string::npos)
      << failure_of(report, 3)->message;
  EXPECT_NE(failure_of(report, 3)->message.find("replay: chronik-sim replay --scenario troubled --seed 3"),
            std::string::npos);
  ASSERT_NE(failure_of(report, 5), nullptr);
  EXPECT_EQ(failure_of(report, 5)->checker, "ODD");
  ASSERT_NE(failure_of(report, 7), nullptr);
  EXPECT_EQ(failure_of(report, 7)->checker, "HANG");
  EXPECT_GT(seeds.twins, 0u);
  EXPECT_EQ(seeds.faults.at("rain"), 9u - 1u) << "seeds that died or hung cannot tell";
}

TEST(Runner, AnAnnouncedFaultThatNeverFiresFailsALongRun) {
  const Troubled scenario;
  const RunnerReport few = run_seeds({.scenarios = {&scenario}, .seeds = 10, .first_seed = 100});
  EXPECT_EQ(few.failed(), 0u);
  const RunnerReport many = run_seeds({.scenarios = {&scenario}, .seeds = kSeedsThatFireEverything, .first_seed = 100});
  ASSERT_EQ(many.failed(), 1u);
  EXPECT_EQ(many.scenarios.front().failures.front().checker, "FAULT-NOT-FIRED");
  EXPECT_NE(many.scenarios.front().failures.front().message.find("sunshine"), std::string::npos);
}

// Of no machine.
class Empty : public Scenario {
 public:
  std::vector<std::string> announced_faults() const override { return {}; }
  Plan generate(std::uint64_t seed) const override {
    Plan plan;
    plan.scenario = name();
    plan.seed = seed;
    return plan;
  }
};

// Takes two seconds, and needs nothing for it.
class Slow final : public Empty {
 public:
  const char* name() const override { return "slow"; }
  const char* description() const override { return "runs on a machine that stands still"; }
  std::unique_ptr<ScenarioState> build(World& /*world*/, const Plan& /*plan*/, Nemesis&) const override {
    const timespec two_seconds{.tv_sec = 2, .tv_nsec = 0};
    syscall(SYS_nanosleep, &two_seconds, nullptr);  // past the tripwire
    return std::make_unique<ScenarioState>();
  }
};

TEST(Runner, ASeedThatGetsNoProcessorDoesNotHang) {
  const Slow scenario;
  const RunnerReport report = run_seeds({.scenarios = {&scenario}, .seeds = 1, .seed_limit_seconds = 1});
  EXPECT_EQ(report.failed(), 0u) << report_text(report);
}

// Dies with every seed, and announces what it never comes to.
class Deadly final : public Empty {
 public:
  const char* name() const override { return "deadly"; }
  const char* description() const override { return "dies"; }
  std::vector<std::string> announced_faults() const override { return {"sunshine"}; }
  std::unique_ptr<ScenarioState> build(World& /*world*/, const Plan& plan, Nemesis&) const override {
    CHECK_EQ(plan.seed, std::uint64_t{0});
    return std::make_unique<ScenarioState>();
  }
};

TEST(Runner, SeedsThatDieSayNothingOfFaults) {
  const Deadly scenario;
  const RunnerReport report = run_seeds({.scenarios = {&scenario}, .seeds = kSeedsThatFireEverything, .jobs = 2});
  ASSERT_EQ(report.scenarios.front().failures.size(), 1u);
  EXPECT_EQ(report.scenarios.front().failures.front().checker, "CRASH");
  EXPECT_EQ(report.failed(), kSeedsThatFireEverything);
}

// Fails alike with all seeds but one.
class Alike final : public Empty {
 public:
  const char* name() const override { return "alike"; }
  const char* description() const override { return "fails in two ways"; }
  std::unique_ptr<ScenarioState> build(World& world, const Plan& plan, Nemesis&) const override {
    world.fail("ODD", fmt::format("{} is not {}", plan.seed, plan.seed == 4 ? "even" : "odd"));
    return std::make_unique<ScenarioState>();
  }
};

TEST(Runner, SeedsThatFailAlikeAreOneFailure) {
  const Alike scenario;
  const RunnerReport report = run_seeds({.scenarios = {&scenario}, .seeds = 30, .jobs = 2});
  EXPECT_EQ(report.failed(), 30u);
  ASSERT_EQ(report.scenarios.front().failures.size(), 2u);
  ASSERT_NE(failure_of(report, 1), nullptr) << "the smallest";
  EXPECT_EQ(failure_of(report, 1)->count, 29u);
  ASSERT_NE(failure_of(report, 4), nullptr);
  EXPECT_EQ(failure_of(report, 4)->count, 1u);
  const std::string text = report_text(report);
  EXPECT_NE(text.find("28 more seeds failed alike"), std::string::npos) << text;
}

TEST(Runner, FindingsAreAlikeButForNumbersAndIds) {
  const auto alike = [](const char* checker, const char* a, const char* b) {
    return signature_of(checker, a) == signature_of(checker, b);
  };
  EXPECT_TRUE(
      alike("WAL", "1.5s: Jp6Uj6heTBCiW_V9euR2Nw-0 ends at 7\nmore", "2.5s: 3LOVVpvLQFC5XbJ58jhOqA-1 ends at 9"));
  EXPECT_FALSE(alike("WAL", "1.5s: x ends at 7", "1.5s: x begins at 7"));
  EXPECT_TRUE(alike("NO-STUCK", "1s: a waits\n  DEADLOCKED n#1 x-1 waits for turnstile 2 (of n#1 x-2), 1 ms\n",
                    "2s: b waits\n  DEADLOCKED n#2 x-7 waits for turnstile 3 (of n#2 x-9), 2 ms\n"));
  EXPECT_FALSE(alike("NO-STUCK", "1s: a\n  DEADLOCKED n#1 x-1 waits for turnstile 2 (of n)\n",
                     "1s: a\n  DEADLOCKED n#1 x-1 waits for disk operation 2 (of n)\n"));
  EXPECT_TRUE(
      alike("CRASH", "killed\n/a/b.cc:7: CHECK(a == b) failed (1 vs 2)", "killed\n/c/b.cc:9: CHECK(a == b) failed"));
  EXPECT_FALSE(
      alike("CRASH", "killed\n   chronik::f()\n   chronik::g()\n", "killed\n   chronik::f()\n   chronik::h()\n"));
}

TEST(Runner, TheReportIsJsonOfTheFormThatScriptsExpect) {
  const Troubled scenario;
  const RunnerReport report = run_seeds({.scenarios = {&scenario}, .seeds = 2, .first_seed = 5});
  const nlohmann::json json = nlohmann::json::parse(report_json(report));
  EXPECT_EQ(json.at("failed"), 1);
  const nlohmann::json& entry = json.at("scenarios").at(0);
  EXPECT_EQ(entry.at("name"), "troubled");
  EXPECT_EQ(entry.at("seeds"), 2);
  EXPECT_GT(entry.at("virtual_seconds"), 0);
  EXPECT_GT(entry.at("wall_seconds"), 0);
  EXPECT_GT(entry.at("events"), 0);
  EXPECT_EQ(entry.at("faults").at("rain"), 2);
  const nlohmann::json& failure = entry.at("failures").at(0);
  EXPECT_EQ(failure.at("seed"), 5);
  EXPECT_EQ(failure.at("count"), 1);
  EXPECT_EQ(failure.at("checker"), "ODD");
  EXPECT_NE(failure.at("message").get<std::string>().find("five is odd"), std::string::npos);
  EXPECT_EQ(failure.at("replay"), "chronik-sim replay --scenario troubled --seed 5");
  const auto names = [](const nlohmann::json& object) {
    std::vector<std::string> found;
    for (const auto& [name, value] : object.items()) {
      found.push_back(name);
    }
    return found;
  };
  EXPECT_EQ(names(json),
            (std::vector<std::string>{"cut_short", "elapsed_seconds", "failed", "never_reached", "scenarios"}));
  EXPECT_EQ(names(entry),
            (std::vector<std::string>{"coverage", "cut", "events", "failures", "faults", "fingerprint", "name",
                                      "schedules", "seeds", "twins", "virtual_seconds", "wall_seconds", "whole"}));
}

}  // namespace
}  // namespace chronik::sim::runner_test
