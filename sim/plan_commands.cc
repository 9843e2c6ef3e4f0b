#include "sim/plan_commands.h"

#include <fmt/core.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/sim_point.h"
#include "sim/explain.h"
#include "sim/last_events.h"
#include "sim/run.h"
#include "sim/scenario.h"
#include "sim/search.h"
#include "sim/shrink.h"
#include "sim/story_page.h"
#include "sim/story_trace.h"

namespace chronik::sim {

namespace {

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
    return absl::NotFoundError(fmt::format("--plan: '{}': cannot be read", arguments.plan));
  }
  StatusOr<Plan> plan = Plan::parse(text);
  if (!plan.ok()) {
    return absl::InvalidArgumentError(
        fmt::format("--plan: '{}': {}", arguments.plan, std::string(plan.status().message())));
  }
  if (find_scenario(plan->scenario) == nullptr) {
    return absl::NotFoundError(fmt::format("--plan: '{}': no scenario is called {}", arguments.plan, plan->scenario));
  }
  for (const PlanFault& fault : plan->faults) {
    if (const std::string defect = point_defect(fault); !defect.empty()) {
      return absl::InvalidArgumentError(fmt::format("--plan: '{}': fault {}: {}", arguments.plan, fault.id, defect));
    }
  }
  if (arguments.choice != ScheduleChoice::kAsPlanned && plan->replays) {
    return absl::InvalidArgumentError(
        fmt::format("--schedule: '{}': not valid with {}, which holds a schedule; remove its line `replays`",
                    arguments.schedule, arguments.plan));
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

bool write_view(const char* option, const std::string& path, const std::string& text) {
  if (path.empty()) {
    return true;
  }
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text;
  file.close();
  if (!file.good()) {
    usage(fmt::format("{}: '{}': cannot be written", option, path));
    return false;
  }
  fmt::print("{}: {}\n", option + 2, path);
  return true;
}

// What one wanted to see of a run, each in its file. False: one could not be written, as has been said.
bool write_views(const Arguments& arguments, const std::optional<Story>& story, const StoryRun& run) {
  return write_view("--history", arguments.history, run.result.history) &&
         write_view("--html", arguments.html, arguments.html.empty() ? "" : story_page(*story, run)) &&
         write_view("--trace", arguments.trace, arguments.trace.empty() ? "" : story_trace(*story, run));
}

// The event's number, or the virtual time, where a debugger is to take over.
bool parse_stop(const std::string& text, DebuggerStop& into) {
  const char* end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, into.event);
  if (error == std::errc() && stopped == end) {
    return true;
  }
  into.event = DebuggerStop().event;
  Duration time = Duration::zero();
  const bool parsed = parse_duration(text, time);
  into.time = VirtualTime::zero() + time;
  return parsed;
}

// How the run is to be watched. What is wrong with that; empty where nothing is.
std::string read_settings(const Arguments& arguments, const Scenario& scenario, RunSettings& into) {
  Duration until = Duration::infinite();
  if (!arguments.until.empty() && !parse_duration(arguments.until, until)) {
    return fmt::format("--until: '{}': must be a virtual time, such as 12s or 1500ms", arguments.until);
  }
  into.until = VirtualTime::zero() + until;
  into.show_log = !arguments.log.empty();
  if (into.show_log && !parse_level(arguments.log, into.log_level)) {
    return fmt::format("--log: '{}': must be trace, debug, info, warn or error", arguments.log);
  }
  into.history = !arguments.history.empty();
  if (into.history && !scenario.keeps_history()) {
    return fmt::format("--history: not valid with scenario {}, which keeps none; jepsen does", scenario.name());
  }
  if (!arguments.stop_at.empty() && !parse_stop(arguments.stop_at, into.stop)) {
    return fmt::format("--stop-at: '{}': must be the number of an event, such as 1234, or a virtual time, such as 12s",
                       arguments.stop_at);
  }
  if (!arguments.stop_at.empty() && !under_debugger()) {
    return "--stop-at: only valid under a debugger; put `gdb --args` before the command";
  }
  return {};
}

int print_findings(const std::vector<Finding>& findings) {
  for (const Finding& finding : findings) {
    fmt::print("FAILED {} at {}: {}\n", finding.checker, finding.at.to_string(), finding.message);
  }
  return findings.empty() ? kNothingWrong : kSomethingFound;
}

// False: it could not be written, as has been said.
bool write_plan(const std::string& path, const Plan& plan) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << plan.to_text();
  file.close();
  if (!file.good()) {
    usage(fmt::format("--out: '{}': cannot be written", path));
  }
  return file.good();
}

// All schedules of one plan.
int search(const Arguments& arguments, const Plan& plan) {
  for (const auto& [option, value] :
       {std::pair("--records", &arguments.records), std::pair("--until", &arguments.until),
        std::pair("--log", &arguments.log), std::pair("--html", &arguments.html),
        std::pair("--trace", &arguments.trace), std::pair("--history", &arguments.history),
        std::pair("--stop-at", &arguments.stop_at)}) {
    if (!value->empty()) {
      return usage(fmt::format("{}: not valid with --schedule exhaustive, which makes many runs", option));
    }
  }
  const Scenario& scenario = *find_scenario(plan.scenario);
  StackArena stacks;
  if (!arguments.out.empty() && !std::ofstream(arguments.out, std::ios::app).good()) {
    return usage(fmt::format("--out: '{}': cannot be written", arguments.out));
  }
  SearchResult found = search_schedules(scenario, plan, stacks, {.bound = arguments.deviations});
  fmt::print("{} seed {}: {}\n", scenario.name(), plan.seed, found.to_string());
  if (!found.failing.has_value()) {
    if (!arguments.out.empty() && std::ifstream(arguments.out).peek() == std::ifstream::traits_type::eof()) {
      std::remove(arguments.out.c_str());  // which was to show that it can be written
    }
    return print_findings(found.run.findings);
  }
  add_last_events(scenario, *found.failing, stacks, found.run);
  if (arguments.out.empty()) {
    fmt::print("{}", found.failing->to_text());
  } else if (!write_plan(arguments.out, *found.failing)) {
    return kWrongUsage;
  }
  const int status = print_findings(found.run.findings);
  if (!arguments.out.empty()) {
    fmt::print("replay: chronik-sim replay --plan {}\n", arguments.out);
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

}  // namespace

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
  std::string defect = read_settings(arguments, scenario, settings);
  for (const auto& [option, path] : {std::pair("--html", arguments.html), std::pair("--trace", arguments.trace),
                                     std::pair("--history", arguments.history)}) {
    if (defect.empty() && !path.empty() && !std::ofstream(path, std::ios::app).good()) {
      defect = fmt::format("{}: '{}': cannot be written", option, path);
    }
  }
  if (defect.empty() && !arguments.records.empty()) {
    settings.trace = std::fopen(arguments.records.c_str(), "w");
    if (settings.trace == nullptr) {
      defect = fmt::format("--records: '{}': cannot be written", arguments.records);
    }
  }
  if (!defect.empty()) {
    return usage(defect);
  }
  std::optional<Story> story;
  if (!arguments.html.empty() || !arguments.trace.empty()) {
    settings.story = &story.emplace(arguments.events);
  }
  if (settings.trace != nullptr) {
    fmt::print(settings.trace, "{}", plan->to_text());
  }
  StackArena stacks;
  RunResult result = run_plan(scenario, *plan, stacks, settings);
  if (settings.trace != nullptr) {
    std::fclose(settings.trace);
  }
  add_last_events(scenario, *plan, stacks, result);
  fmt::print("{} seed {}: {} of virtual time, {} events, {} records, hash {:016x}\n", scenario.name(), plan->seed,
             result.ended.to_string(), result.events, result.records, result.hash);
  for (const auto& [kind, count] : result.faults) {
    fmt::print("  fault {} {}\n", kind, count);
  }
  if (settings.until != VirtualTime::never()) {
    fmt::print("waits at {}:\n{}", result.ended.to_string(), result.waits);
  }
  const int status = print_findings(result.findings);
  const bool written = write_views(arguments, story, {scenario, *plan, result, command_of(arguments, *plan)});
  return written ? status : kWrongUsage;
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
    return usage(
        "--schedule: 'exhaustive': not valid with shrink; give it the plan that a search printed, with --plan");
  }
  const StatusOr<Plan> plan = plan_of(arguments);
  if (!plan.ok()) {
    return usage(std::string(plan.status().message()));
  }
  Duration limit = Duration::seconds(60);
  if (!arguments.time_limit.empty() && (!parse_duration(arguments.time_limit, limit) || limit < Duration::seconds(1))) {
    return usage(
        fmt::format("--time-limit: '{}': must be a time of at least 1s, such as 60s or 5m", arguments.time_limit));
  }
  const std::string path =
      arguments.out.empty() ? fmt::format("{}-{}.plan", plan->scenario, plan->seed) : arguments.out;
  const StatusOr<Shrunk> shrunk =
      sim::shrink(*find_scenario(plan->scenario), *plan,
                  {.jobs = arguments.jobs, .seconds = limit.seconds(), .progress = isatty(STDERR_FILENO) == 1});
  if (!shrunk.ok()) {
    return usage(std::string(shrunk.status().message()));
  }
  if (!write_plan(path, shrunk->plan)) {
    return kWrongUsage;
  }
  fmt::print("FAILED {} at {}\n", shrunk->checker, shrunk->message);
  fmt::print("from {}\nto   {}\n{} runs, {:.1f} s{}\n", size_of(*plan).to_string(), size_of(shrunk->plan).to_string(),
             shrunk->runs, shrunk->seconds, shrunk->cut_short ? ", cut short by the time limit" : "");
  fmt::print("replay: chronik-sim replay --plan {}\n", path);
  return kSomethingFound;
}

}  // namespace chronik::sim
