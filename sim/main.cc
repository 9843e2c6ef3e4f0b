// chronik-sim: lists scenarios, runs many seeds of them, shrinks and replays what fails.
#include <fmt/core.h>
#include <fmt/format.h>
#include <unistd.h>
#include <nlohmann/json.hpp>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include "core/base/sim_point.h"
#include "inspect/crash.h"
#include "inspect/frames.h"
#include "sim/arguments.h"
#include "sim/explain.h"
#include "sim/run.h"
#include "sim/runner.h"
#include "sim/scenario.h"
#include "sim/scenarios/field/pages.h"
#include "sim/search.h"
#include "sim/shrink.h"
#include "sim/story_page.h"

namespace chronik::sim {

namespace {

std::string list_json() {
  nlohmann::json all{{"scenarios", nlohmann::json::array()}, {"elsewhere", nlohmann::json::array()}};
  for (const Scenario* scenario : scenarios()) {
    all["scenarios"].push_back({{"name", scenario->name()},
                                {"description", scenario->description()},
                                {"promises", scenario->promises()},
                                {"faults", scenario->announced_faults()}});
  }
  for (const HeldElsewhere& entry : held_elsewhere()) {
    all["elsewhere"].push_back(
        {{"entry", entry.entry}, {"what", entry.what}, {entry.waits ? "waits_for" : "held_by", entry.by}});
  }
  return all.dump(2);
}

int list(const Arguments& arguments) {
  if (arguments.as_json) {
    fmt::print("{}\n", list_json());
    return kNothingWrong;
  }
  for (const Scenario* scenario : scenarios()) {
    fmt::print("{:<45} {}\n{:<45}   catches {}\n", scenario->name(), scenario->description(), "",
               fmt::join(scenario->promises(), ", "));
  }
  fmt::print("\nFailures of the field (docs/SCENARIOS.md) that no scenario is about:\n");
  for (const HeldElsewhere& entry : held_elsewhere()) {
    fmt::print("{:<4} {:<48} {} {}\n", entry.entry, entry.what, entry.waits ? "waits for" : "held by", entry.by);
  }
  return kNothingWrong;
}

int print_report(const Arguments& arguments, const RunnerReport& report, bool coverage) {
  if (coverage) {
    fmt::print("{}", report_coverage(report));
  }
  fmt::print("{}", report_text(report));
  if (!arguments.json.empty()) {
    std::ofstream file(arguments.json, std::ios::binary | std::ios::trunc);
    file << report_json(report);
    file.close();
    if (!file.good()) {
      return usage(fmt::format("--json {}: cannot be written", arguments.json));
    }
  }
  return report.failed() == 0 ? kNothingWrong : kSomethingFound;
}

int run(const Arguments& arguments) {
  RunnerOptions options;
  StatusOr<std::vector<const Scenario*>> chosen = select_scenarios(arguments.scenario);
  if (!chosen.ok()) {
    return usage(fmt::format("--scenario {}: {}", arguments.scenario, std::string(chosen.status().message())));
  }
  options.scenarios = std::move(*chosen);
  Duration limit = Duration::zero();
  if (!arguments.time_limit.empty() && (!parse_duration(arguments.time_limit, limit) || limit < Duration::seconds(1))) {
    return usage(fmt::format("--time-limit {}: a time such as 60s or 5m is right", arguments.time_limit));
  }
  options.seeds = arguments.seeds;
  options.first_seed = arguments.first_seed;
  options.jobs = arguments.jobs;
  options.schedule = arguments.choice;
  options.bound = arguments.deviations;
  options.time_limit_seconds = static_cast<std::int64_t>(limit.seconds());
  options.progress = isatty(STDERR_FILENO) == 1;
  if (!arguments.json.empty() && !std::ofstream(arguments.json, std::ios::app).good()) {
    return usage(fmt::format("--json {}: cannot be written", arguments.json));
  }
  return print_report(arguments, run_seeds(options), arguments.coverage || arguments.scenario == "all");
}

// What is wrong with the point of the code that a fault names; empty where nothing is.
std::string point_defect(const PlanFault& fault) {
  const bool pauses = fault.kind == "pause";
  const bool fails = fault.kind == "fail";
  if (fault.kind != "point" && !pauses && !fails) {
    return {};
  }
  const std::size_t point = find_point(fault.other);
  if (point == kPoints.size()) {
    return fmt::format("no point is called {}; core/base/sim_point.h lists them", fault.other);
  }
  if ((pauses && kPoints[point].kind != PointKind::kPause) || (fails && kPoints[point].kind != PointKind::kFail)) {
    return fmt::format("{} is no point where one can {}; core/base/sim_point.h says which are", fault.other,
                       fault.kind);
  }
  return {};
}

// The plan that is asked for: of a file, or of a scenario and a seed.
StatusOr<Plan> plan_of(const Arguments& arguments) {
  if (arguments.plan.empty()) {
    const Scenario* scenario = find_scenario(arguments.scenario);
    if (scenario == nullptr) {
      return absl::NotFoundError(
          fmt::format("no scenario is called {}; chronik-sim list names them", arguments.scenario));
    }
    Plan plan = scenario->generate(arguments.seed);
    if (arguments.choice != ScheduleChoice::kExhaustive) {
      choose_schedule(arguments.choice, plan);
    }
    return plan;
  }
  std::ifstream file(arguments.plan, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  if (!file.good() && text.empty()) {
    return absl::NotFoundError(fmt::format("--plan {}: cannot be read", arguments.plan));
  }
  StatusOr<Plan> plan = Plan::parse(text);
  if (!plan.ok()) {
    return absl::InvalidArgumentError(
        fmt::format("--plan {}: {}", arguments.plan, std::string(plan.status().message())));
  }
  if (find_scenario(plan->scenario) == nullptr) {
    return absl::NotFoundError(fmt::format("--plan {}: no scenario is called {}", arguments.plan, plan->scenario));
  }
  for (const PlanFault& fault : plan->faults) {
    if (const std::string defect = point_defect(fault); !defect.empty()) {
      return absl::InvalidArgumentError(fmt::format("--plan {}: fault {}: {}", arguments.plan, fault.id, defect));
    }
  }
  if (arguments.choice != ScheduleChoice::kAsPlanned && plan->replays) {
    return absl::InvalidArgumentError(
        fmt::format("--schedule {}: the choices in {} decide alone; take its line `replays` out", arguments.schedule,
                    arguments.plan));
  }
  if (arguments.choice != ScheduleChoice::kExhaustive) {
    choose_schedule(arguments.choice, *plan);
  }
  return plan;
}

bool parse_level(const std::string& name, LogLevel& into) {
  static constexpr const char* kNames[] = {"trace", "debug", "info", "warn", "error"};
  for (std::size_t i = 0; i < std::size(kNames); ++i) {
    if (name == kNames[i]) {
      into = static_cast<LogLevel>(i);
      return true;
    }
  }
  return false;
}

// The command that repeats what was asked for.
std::string command_of(const Arguments& arguments, const Plan& plan) {
  std::string command = arguments.plan.empty() ? replay_line(plan.scenario, plan.seed)
                                               : fmt::format("chronik-sim replay --plan {}", arguments.plan);
  return arguments.until.empty() ? command : command + " --until " + arguments.until;
}

bool write_page(const std::string& path, const Story& story, const StoryRun& run) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << story_page(story, run);
  file.close();
  return file.good();
}

int print_findings(const std::vector<Finding>& findings) {
  for (const Finding& finding : findings) {
    fmt::print("FAILED {} at {}: {}\n", finding.checker, finding.at.to_string(), finding.message);
  }
  return findings.empty() ? kNothingWrong : kSomethingFound;
}

// All schedules of one plan.
int search(const Arguments& arguments, const Plan& plan) {
  if (!arguments.trace.empty() || !arguments.until.empty() || !arguments.log.empty()) {
    return usage("--trace, --until, --log: are of one run, not of an exhaustive search");
  }
  const Scenario& scenario = *find_scenario(plan.scenario);
  StackArena stacks;
  const SearchResult found = search_schedules(scenario, plan, stacks, {.bound = arguments.deviations});
  fmt::print("{} seed {}: {}\n", scenario.name(), plan.seed, found.to_string());
  if (found.failing.has_value()) {
    fmt::print("{}", found.failing->to_text());
  }
  return print_findings(found.run.findings);
}

int replay(const Arguments& arguments) {
  const StatusOr<Plan> plan = plan_of(arguments);
  if (!plan.ok()) {
    return usage(std::string(plan.status().message()));
  }
  if (arguments.choice == ScheduleChoice::kExhaustive) {
    return search(arguments, *plan);
  }
  const Scenario& scenario = *find_scenario(plan->scenario);
  RunSettings settings;
  Duration until = Duration::infinite();
  if (!arguments.until.empty() && !parse_duration(arguments.until, until)) {
    return usage(fmt::format("--until {}: a virtual time such as 12s or 1500ms is right", arguments.until));
  }
  settings.until = VirtualTime::zero() + until;
  settings.show_log = !arguments.log.empty();
  if (settings.show_log && !parse_level(arguments.log, settings.log_level)) {
    return usage(fmt::format("--log {}: trace, debug, info, warn or error is right", arguments.log));
  }
  if (!arguments.trace.empty()) {
    settings.trace = std::fopen(arguments.trace.c_str(), "w");
    if (settings.trace == nullptr) {
      return usage(fmt::format("--trace {}: cannot be written", arguments.trace));
    }
    fmt::print(settings.trace, "{}", plan->to_text());
  }
  std::optional<Story> story;
  if (!arguments.html.empty()) {
    settings.story = &story.emplace(arguments.events);
    if (!std::ofstream(arguments.html, std::ios::app).good()) {
      return usage(fmt::format("--html {}: cannot be written", arguments.html));
    }
  }
  std::ofstream history;
  settings.history = !arguments.history.empty();
  if (settings.history && !scenario.keeps_history()) {
    return usage(
        fmt::format("--history {}: the scenario {} keeps none; jepsen does", arguments.history, scenario.name()));
  }
  if (settings.history) {
    history.open(arguments.history, std::ios::binary | std::ios::trunc);
    if (!history.good()) {
      return usage(fmt::format("--history {}: cannot be written", arguments.history));
    }
  }
  StackArena stacks;
  const RunResult result = run_plan(scenario, *plan, stacks, settings);
  history << result.history;
  if (settings.trace != nullptr) {
    std::fclose(settings.trace);
  }
  fmt::print("{} seed {}: {} of virtual time, {} events, {} records, hash {:016x}\n", scenario.name(), plan->seed,
             result.ended.to_string(), result.events, result.records, result.hash);
  for (const auto& [kind, count] : result.faults) {
    fmt::print("  fault {} {}\n", kind, count);
  }
  if (settings.until != VirtualTime::never()) {
    fmt::print("waits at {}:\n{}", result.ended.to_string(), result.waits);
  }
  const int status = print_findings(result.findings);
  if (story.has_value()) {
    if (!write_page(arguments.html, *story, {scenario, *plan, result, command_of(arguments, *plan)})) {
      return usage(fmt::format("--html {}: cannot be written", arguments.html));
    }
    fmt::print("page: {}\n", arguments.html);
  }
  return status;
}

bool explain_plan(const Arguments& arguments, const Plan& plan) {
  constexpr std::size_t kColumns = 110;
  constexpr std::size_t kEventsLookedAt = 200'000;  // what failed may have begun long before
  Story story(kEventsLookedAt);
  StackArena stacks;
  const Scenario& scenario = *find_scenario(plan.scenario);
  const RunResult result = run_plan(scenario, plan, stacks, {.story = &story});
  const std::string command = command_of(arguments, plan);
  fmt::print("{}  {}\n\n", wrap_text(sim::explain(story, {scenario, plan, result, command}), kColumns), command);
  return result.findings.empty();
}

int explain(const Arguments& arguments) {
  Arguments one = arguments;
  std::vector<std::uint64_t> seeds = arguments.seeds_told;
  if (seeds.empty()) {
    seeds.push_back(arguments.seed);
  }
  bool clean = true;
  for (const std::uint64_t seed : seeds) {
    one.seed = seed;
    const StatusOr<Plan> plan = plan_of(one);
    if (!plan.ok()) {
      return usage(std::string(plan.status().message()));
    }
    clean = explain_plan(one, *plan) && clean;
  }
  return clean ? kNothingWrong : kSomethingFound;
}

int shrink(const Arguments& arguments) {
  if (arguments.choice == ScheduleChoice::kExhaustive) {
    return usage("--schedule exhaustive: shrink takes the plan that a search has printed, with --plan");
  }
  const StatusOr<Plan> plan = plan_of(arguments);
  if (!plan.ok()) {
    return usage(std::string(plan.status().message()));
  }
  Duration limit = Duration::seconds(60);
  if (!arguments.time_limit.empty() && (!parse_duration(arguments.time_limit, limit) || limit < Duration::seconds(1))) {
    return usage(fmt::format("--time-limit {}: a time such as 60s or 5m is right", arguments.time_limit));
  }
  const std::string path =
      arguments.out.empty() ? fmt::format("{}-{}.plan", plan->scenario, plan->seed) : arguments.out;
  const StatusOr<Shrunk> shrunk =
      sim::shrink(*find_scenario(plan->scenario), *plan,
                  {.jobs = arguments.jobs, .seconds = limit.seconds(), .progress = isatty(STDERR_FILENO) == 1});
  if (!shrunk.ok()) {
    return usage(std::string(shrunk.status().message()));
  }
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << shrunk->plan.to_text();
  file.close();
  if (!file.good()) {
    return usage(fmt::format("--out {}: cannot be written", path));
  }
  fmt::print("FAILED {} at {}\n", shrunk->checker, shrunk->message);
  fmt::print("from {}\nto   {}\n{} runs, {:.1f} s{}\n", size_of(*plan).to_string(), size_of(shrunk->plan).to_string(),
             shrunk->runs, shrunk->seconds, shrunk->cut_short ? ", cut short by the time limit" : "");
  fmt::print("replay: chronik-sim replay --plan {}\n", path);
  return kSomethingFound;
}

// What several machines have found, as if one had.
int merge(const Arguments& arguments) {
  std::vector<RunnerReport> reports;
  for (const std::string& path : arguments.reports) {
    std::ifstream file(path, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    StatusOr<RunnerReport> report = parse_report(text);
    if (!report.ok()) {
      return usage(
          fmt::format("{}: {}", path, file.is_open() ? std::string(report.status().message()) : "cannot be read"));
    }
    reports.push_back(*std::move(report));
  }
  return print_report(arguments, merge_reports(reports), arguments.coverage);
}

int main_program(int argc, char** argv) {
  Arguments arguments;
  if (const std::optional<int> done = parse_arguments(argc, argv, arguments); done.has_value()) {
    return *done;
  }
  switch (arguments.command) {
    case Arguments::Command::kList: return list(arguments);
    case Arguments::Command::kRun: return run(arguments);
    case Arguments::Command::kReplay: return replay(arguments);
    case Arguments::Command::kExplain: return explain(arguments);
    case Arguments::Command::kShrink: return shrink(arguments);
    case Arguments::Command::kMerge: return merge(arguments);
  }
  UNREACHABLE("a command");
}

}  // namespace

}  // namespace chronik::sim

int main(int argc, char** argv) {
  chronik::inspect::initialize_symbols(argv[0]);
  chronik::inspect::say_where_it_crashes();
  return chronik::sim::main_program(argc, argv);
}
