// chronik-sim: lists scenarios, runs many seeds of them, shrinks and replays what fails.
#include <fmt/core.h>
#include <fmt/format.h>
#include <unistd.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <charconv>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include "core/base/sim_point.h"
#include "inspect/crash.h"
#include "inspect/frames.h"
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

constexpr int kNothingWrong = 0;
constexpr int kSomethingFound = 1;
constexpr int kWrongUsage = 2;

int usage(std::string_view what) {
  fmt::print(stderr, "chronik-sim: {}\n", what);
  return kWrongUsage;
}

// "60s", "1500ms", "2m", "250us", "10ns"; a bare number is seconds.
bool parse_duration(const std::string& text, Duration& into) {
  std::int64_t n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc() || n < 0) {
    return false;
  }
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  if (unit.empty() || unit == "s") {
    into = Duration::seconds(n);
  } else if (unit == "m") {
    into = Duration::seconds(n) * 60;
  } else if (unit == "ms") {
    into = Duration::milliseconds(n);
  } else if (unit == "us") {
    into = Duration::microseconds(n);
  } else if (unit == "ns") {
    into = Duration::nanoseconds(n);
  } else {
    return false;
  }
  return true;
}

struct Arguments {
  std::string scenario = "all";
  std::uint64_t seeds = 100;
  std::uint64_t first_seed = 1;
  std::uint64_t seed = 0;
  std::uint32_t jobs = 1;
  std::string time_limit;
  std::string json;
  std::string trace;
  std::string history;
  std::string until;
  std::string log;
  std::string plan;
  std::string out;
  std::string html;
  std::size_t events = 5'000;
  std::vector<std::uint64_t> seeds_told;
  bool as_json = false;
  bool coverage = false;
  std::string schedule;
  std::string bound;

  ScheduleChoice choice = ScheduleChoice::kAsPlanned;
  std::uint64_t deviations = kSearchBound;
};

// What is wrong with --schedule and --bound; empty where nothing is.
std::string read_schedule(Arguments& arguments) {
  if (!arguments.schedule.empty() && !parse_schedule_choice(arguments.schedule, arguments.choice)) {
    return fmt::format("--schedule {}: fifo, random, pct or exhaustive is right", arguments.schedule);
  }
  if (arguments.bound.empty()) {
    return {};
  }
  if (arguments.choice != ScheduleChoice::kExhaustive) {
    return fmt::format("--bound {}: is of --schedule exhaustive alone", arguments.bound);
  }
  const char* end = arguments.bound.data() + arguments.bound.size();
  const auto [stopped, error] = std::from_chars(arguments.bound.data(), end, arguments.deviations);
  if (error != std::errc() || stopped != end) {
    return fmt::format("--bound {}: a number of deviations from first-in-first-out, such as 3, is right",
                       arguments.bound);
  }
  return {};
}

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
  std::FILE* json = nullptr;
  if (!arguments.json.empty()) {
    json = std::fopen(arguments.json.c_str(), "w");
    if (json == nullptr) {
      return usage(fmt::format("--json {}: cannot be written", arguments.json));
    }
  }
  const RunnerReport report = run_seeds(options);
  if (arguments.coverage || arguments.scenario == "all") {
    fmt::print("{}", report_coverage(report));
  }
  fmt::print("{}", report_text(report));
  if (json != nullptr) {
    fmt::print(json, "{}", report_json(report));
    std::fclose(json);
  }
  return report.failed() == 0 ? kNothingWrong : kSomethingFound;
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

// Seeds as they stand, or --seed, or --plan, as for a replay.
void add_explain_options(CLI::App& app, Arguments& arguments) {
  CLI::Option* scenario = app.add_option("--scenario", arguments.scenario, "the scenario");
  CLI::Option* seeds = app.add_option("seeds", arguments.seeds_told, "seeds of the scenario");
  CLI::Option* seed = app.add_option("--seed", arguments.seed, "the seed");
  CLI::Option* plan = app.add_option("--plan", arguments.plan, "a plan in a file, not the one of a seed");
  seeds->needs(scenario)->excludes(seed)->excludes(plan);
  seed->needs(scenario)->excludes(plan);
  scenario->excludes(plan);
  app.callback([&app] {
    if (app.count("--plan") + app.count("--seed") + app.count("seeds") == 0) {
      throw CLI::RequiredError("--scenario and seeds, or --plan");
    }
  });
}

CLI::App* add_run(CLI::App& app, Arguments& arguments) {
  CLI::App* running = app.add_subcommand("run", "runs many seeds");
  running
      ->add_option("--scenario", arguments.scenario,
                   "scenarios by their names, separated by commas; f* is each that "
                   "begins with f")
      ->capture_default_str();
  running->add_option("--seeds", arguments.seeds, "how many seeds of each scenario")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  running->add_option("--first-seed", arguments.first_seed, "the first seed")->capture_default_str();
  running->add_option("--jobs", arguments.jobs, "worker processes")
      ->capture_default_str()
      ->check(CLI::Range(1U, 1024U));
  running->add_option("--time-limit", arguments.time_limit, "begin no further seed after this time (60s)");
  running->add_flag("--coverage", arguments.coverage, "say what was reached and what never; always for all scenarios");
  running->add_option("--json", arguments.json, "write the report to this file");
  return running;
}

int main_program(int argc, char** argv) {
  CLI::App app{"Simulates whole clusters, breaks them, and replays what it finds.", "chronik-sim"};
  app.require_subcommand(1);
  Arguments arguments;
  CLI::App* listing = app.add_subcommand("list", "names the scenarios");
  listing->add_flag("--json", arguments.as_json, "for programs");
  CLI::App* running = add_run(app, arguments);
  CLI::App* replaying = app.add_subcommand("replay", "runs one seed, with what one wants to see of it");
  CLI::App* explaining = app.add_subcommand("explain", "tells in words what became of a seed");
  CLI::App* shrinking = app.add_subcommand("shrink", "finds the smallest plan that fails as a seed does");
  for (CLI::App* one : {replaying, shrinking}) {
    CLI::Option* scenario = one->add_option("--scenario", arguments.scenario, "the scenario");
    CLI::Option* seed = one->add_option("--seed", arguments.seed, "the seed");
    CLI::Option* plan = one->add_option("--plan", arguments.plan, "a plan in a file, not the one of a seed");
    scenario->needs(seed)->excludes(plan);
    seed->needs(scenario)->excludes(plan);
    one->callback([one] {
      if (one->count("--plan") + one->count("--seed") == 0) {
        throw CLI::RequiredError("--scenario and --seed, or --plan");
      }
    });
  }
  add_explain_options(*explaining, arguments);
  for (CLI::App* one : {running, replaying, shrinking}) {
    one->add_option("--schedule", arguments.schedule, "fifo, random, pct or exhaustive [as the plan says]");
  }
  for (CLI::App* one : {running, replaying}) {
    one->add_option("--bound", arguments.bound, "deviations of an exhaustive search, at most [3]");
  }
  shrinking->add_option("--out", arguments.out, "where to write it [SCENARIO-SEED.plan]");
  shrinking->add_option("--jobs", arguments.jobs, "worker processes")
      ->capture_default_str()
      ->check(CLI::Range(1U, 1024U));
  shrinking->add_option("--time-limit", arguments.time_limit, "give what is smallest after this time [60s]");
  replaying->add_option("--trace", arguments.trace, "write the plan and every record to this file");
  replaying->add_option("--history", arguments.history, "write what clients did and saw to this file, as EDN");
  replaying->add_option("--until", arguments.until, "stop at this virtual time (12s) and show who waits for what");
  replaying->add_option("--log", arguments.log, "show the programs' log lines from this level on");
  CLI::Option* html = replaying->add_option("--html", arguments.html, "write a page with a diagram of the run");
  replaying->add_option("--events", arguments.events, "how many messages and operations of disks the page keeps")
      ->capture_default_str()
      ->check(CLI::Range(std::size_t{1}, std::size_t{1'000'000}))
      ->needs(html);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kNothingWrong : kWrongUsage;
  }
  if (listing->parsed()) {
    return list(arguments);
  }
  if (const std::string defect = read_schedule(arguments); !defect.empty()) {
    return usage(defect);
  }
  if (explaining->parsed()) {
    return explain(arguments);
  }
  if (shrinking->parsed()) {
    return shrink(arguments);
  }
  return running->parsed() ? run(arguments) : replay(arguments);
}

}  // namespace

}  // namespace chronik::sim

int main(int argc, char** argv) {
  chronik::inspect::initialize_symbols(argv[0]);
  chronik::inspect::say_where_it_crashes();
  return chronik::sim::main_program(argc, argv);
}
