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

#include "inspect/crash.h"
#include "inspect/frames.h"
#include "sim/arguments.h"
#include "sim/diff.h"
#include "sim/plan_commands.h"
#include "sim/runner.h"
#include "sim/scenario.h"
#include "sim/scenarios/field/pages.h"

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
      return usage(fmt::format("--json: '{}': cannot be written", arguments.json));
    }
  }
  return report.failed() == 0 ? kNothingWrong : kSomethingFound;
}

int run(const Arguments& arguments) {
  RunnerOptions options;
  StatusOr<std::vector<const Scenario*>> chosen = select_scenarios(arguments.scenario);
  if (!chosen.ok()) {
    return usage(fmt::format("--scenario: '{}': {}", arguments.scenario, std::string(chosen.status().message())));
  }
  options.scenarios = std::move(*chosen);
  Duration limit = Duration::zero();
  if (!arguments.time_limit.empty() && (!parse_duration(arguments.time_limit, limit) || limit < Duration::seconds(1))) {
    return usage(
        fmt::format("--time-limit: '{}': must be a time of at least 1s, such as 60s or 5m", arguments.time_limit));
  }
  options.seeds = arguments.seeds;
  options.first_seed = arguments.first_seed;
  options.jobs = arguments.jobs;
  options.twin_every = arguments.twin_every;
  options.schedule = arguments.choice;
  options.bound = arguments.deviations;
  options.time_limit_seconds = static_cast<std::int64_t>(limit.seconds());
  options.progress = isatty(STDERR_FILENO) == 1 ? RunnerProgress::kBar : RunnerProgress::kLines;
  if (!arguments.json.empty() && !std::ofstream(arguments.json, std::ios::app).good()) {
    return usage(fmt::format("--json: '{}': cannot be written", arguments.json));
  }
  return print_report(arguments, run_seeds(options), arguments.coverage || arguments.scenario == "all");
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

// Where two runs part.
int diff(const Arguments& arguments) {
  const StatusOr<RecordsDiff> found = diff_records(arguments.records_of[0], arguments.records_of[1]);
  if (!found.ok()) {
    return usage(std::string(found.status().message()));
  }
  fmt::print("{}\n", found->text);
  return found->equal ? kNothingWrong : kSomethingFound;
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
    case Arguments::Command::kDiff: return diff(arguments);
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
