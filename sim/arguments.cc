#include "sim/arguments.h"

#include <fmt/core.h>
#include <sched.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <iterator>
#include <utility>

namespace chronik::sim {

namespace {

// What is wrong with --schedule and --bound; empty where nothing is.
std::string read_schedule(Arguments& arguments) {
  if (!arguments.schedule.empty() && !parse_schedule_choice(arguments.schedule, arguments.choice)) {
    return fmt::format("--schedule: '{}': must be fifo, random, pct or exhaustive", arguments.schedule);
  }
  if (arguments.bound.empty()) {
    return {};
  }
  if (arguments.choice != ScheduleChoice::kExhaustive) {
    return "--bound: only valid with --schedule exhaustive";
  }
  const char* end = arguments.bound.data() + arguments.bound.size();
  const auto [stopped, error] = std::from_chars(arguments.bound.data(), end, arguments.deviations);
  if (error != std::errc() || stopped != end) {
    return fmt::format("--bound: '{}': must be a number of deviations from first-in-first-out, such as 3",
                       arguments.bound);
  }
  return {};
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

// The plan: of a scenario and a seed, or in a file.
void add_which(CLI::App& command, Arguments& arguments) {
  CLI::Option* scenario = command.add_option("--scenario", arguments.scenario, "the scenario");
  CLI::Option* seed = command.add_option("--seed", arguments.seed, "the seed");
  CLI::Option* plan = command.add_option("--plan", arguments.plan, "a plan in a file, not the one of a seed");
  scenario->needs(seed)->excludes(plan);
  seed->needs(scenario)->excludes(plan);
  command.callback([&command] {
    if (command.count("--plan") + command.count("--seed") == 0) {
      throw CLI::RequiredError("--scenario and --seed, or --plan");
    }
  });
}

void add_replay(CLI::App& replaying, Arguments& arguments) {
  replaying.add_option("--records", arguments.records, "write the plan and every record to this file, for diff");
  replaying.add_option("--history", arguments.history, "write what clients did and saw to this file, as EDN");
  replaying.add_option("--until", arguments.until, "stop at this virtual time (12s) and show who waits for what");
  replaying.add_option("--log", arguments.log, "show the programs' log lines from this level on");
  replaying.add_option("--stop-at", arguments.stop_at,
                       "under a debugger: stop before this event (1234), or the first at a virtual time (12s)");
  replaying.add_option("--html", arguments.html, "write a page with a diagram of the run");
  replaying.add_option("--trace", arguments.trace, "write a trace that ui.perfetto.dev and chrome://tracing open");
  replaying.add_option("--events", arguments.events, "how many messages and operations of disks a page or trace keeps")
      ->capture_default_str()
      ->check(CLI::Range(std::size_t{1}, std::size_t{1'000'000}));
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
  running->add_option("--jobs", arguments.jobs, "worker processes; each takes a core")
      ->capture_default_str()
      ->check(CLI::Range(1U, 1024U));
  running->add_option("--twin-every", arguments.twin_every, "run every so many seeds twice and compare; 0: none")
      ->capture_default_str();
  running->add_option("--time-limit", arguments.time_limit,
                      "begin no further seed after this time, such as 60s or 10m [none]");
  running->add_flag("--coverage", arguments.coverage, "say what was reached and what never; always for all scenarios");
  running->add_option("--json", arguments.json, "write the report to this file");
  return running;
}

}  // namespace

std::uint32_t usable_cores() {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  return sched_getaffinity(0, sizeof cores, &cores) == 0 ? static_cast<std::uint32_t>(CPU_COUNT(&cores)) : 1;
}

int usage(std::string_view what) {
  fmt::print(stderr, "chronik-sim: {}\n", what);
  return kWrongUsage;
}

bool parse_duration(const std::string& text, Duration& into) {
  static constexpr std::pair<std::string_view, std::int64_t> kUnits[] = {
      {"", 1'000'000'000}, {"s", 1'000'000'000}, {"m", 60'000'000'000}, {"ms", 1'000'000}, {"us", 1'000}, {"ns", 1}};
  constexpr std::int64_t kMost = 1'000'000'000;  // of the unit
  std::int64_t whole = 0;
  const char* end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, whole);
  std::string_view rest(stopped, static_cast<std::size_t>(end - stopped));
  std::string_view digits;
  if (rest.starts_with('.')) {
    digits = rest.substr(1, std::min(rest.find_first_not_of("0123456789", 1), rest.size()) - 1);
    rest.remove_prefix(1 + digits.size());
  }
  const auto unit =
      std::find_if(std::begin(kUnits), std::end(kUnits), [rest](const auto& one) { return one.first == rest; });
  if (error != std::errc() || whole < 0 || whole > kMost || digits.size() > 9 || unit == std::end(kUnits)) {
    return false;
  }
  std::int64_t ns = whole * unit->second;
  std::int64_t place = unit->second;
  for (const char digit : digits) {
    place /= 10;
    ns += (digit - '0') * place;
  }
  into = Duration::nanoseconds(ns);
  return true;
}

std::optional<int> parse_arguments(int argc, char** argv, Arguments& into) {
  CLI::App app{"Simulates whole clusters, breaks them, and replays what it finds.", "chronik-sim"};
  app.require_subcommand(1);
  CLI::App* listing = app.add_subcommand("list", "names the scenarios");
  listing->add_flag("--json", into.as_json, "for programs");
  CLI::App* running = add_run(app, into);
  CLI::App* replaying = app.add_subcommand("replay", "runs one seed, with what one wants to see of it");
  CLI::App* explaining = app.add_subcommand("explain", "tells in words what became of a seed");
  CLI::App* shrinking = app.add_subcommand("shrink", "finds the smallest plan that fails as a seed does");
  add_which(*replaying, into);
  add_which(*shrinking, into);
  add_explain_options(*explaining, into);
  for (CLI::App* one : {running, replaying, shrinking}) {
    one->add_option("--schedule", into.schedule, "fifo, random, pct or exhaustive [as the plan says]");
  }
  for (CLI::App* one : {running, replaying}) {
    one->add_option("--bound", into.bound, "deviations of an exhaustive search, at most [3]");
  }
  shrinking->add_option("--out", into.out, "where to write it [SCENARIO-SEED.plan]");
  replaying->add_option("--out", into.out, "where to write the plan that an exhaustive search finds [it is printed]");
  shrinking->add_option("--jobs", into.jobs, "worker processes; each takes a core")
      ->capture_default_str()
      ->check(CLI::Range(1U, 1024U));
  shrinking->add_option("--time-limit", into.time_limit, "give what is smallest after this time [60s]");
  add_replay(*replaying, into);
  CLI::App* merging = app.add_subcommand("merge", "puts together what run --json has written on several machines");
  merging->add_option("reports", into.reports, "files that run --json has written")->required();
  merging->add_option("--json", into.json, "write the whole to this file");
  merging->add_flag("--coverage", into.coverage, "say what was reached and what never");
  CLI::App* differing = app.add_subcommand("diff", "shows the first record in which two runs differ");
  differing->add_option("records", into.records_of, "two files that replay --records has written")
      ->required()
      ->expected(2);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kNothingWrong : kWrongUsage;
  }
  if (replaying->count("--events") > 0 && into.html.empty() && into.trace.empty()) {
    return usage("--events: only valid with --html or --trace");
  }
  if (replaying->count("--out") > 0 && into.schedule != schedule_choice_name(ScheduleChoice::kExhaustive)) {
    return usage("--out: only valid with --schedule exhaustive, or with shrink");
  }
  using Command = Arguments::Command;
  for (const auto& [parsed, command] :
       {std::pair(listing, Command::kList), std::pair(running, Command::kRun), std::pair(replaying, Command::kReplay),
        std::pair(explaining, Command::kExplain), std::pair(shrinking, Command::kShrink),
        std::pair(merging, Command::kMerge), std::pair(differing, Command::kDiff)}) {
    into.command = parsed->parsed() ? command : into.command;
  }
  const std::string defect = read_schedule(into);
  return defect.empty() ? std::nullopt : std::optional<int>(usage(defect));
}

}  // namespace chronik::sim
