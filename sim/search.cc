#include "sim/search.h"

#include <fmt/core.h>

#include <array>
#include <utility>
#include <vector>

#include "sim/worker.h"

namespace chronik::sim {

namespace {

constexpr std::array<std::string_view, 5> kChoiceNames{"", "fifo", "random", "pct", "exhaustive"};

class Search {
 public:
  Search(const Scenario& scenario, const Plan& plan, StackArena& stacks, const SearchOptions& options)
      : scenario_(scenario), plan_(plan), stacks_(stacks), options_(options), began_(real_seconds()) {
    plan_.replays = true;
    plan_.choices.clear();
  }

  SearchResult run() {
    for (depth_ = 0; depth_ <= options_.bound; ++depth_) {
      const std::uint64_t before = result_.schedules;
      explore(0, 0);
      if (result_.failing.has_value()) {
        break;
      }
      if (out_of_time()) {
        result_.cut_short = true;
        break;
      }
      result_.bound = depth_;
      if (result_.schedules == before) {
        result_.whole = true;
        break;
      }
    }
    return std::move(result_);
  }

 private:
  bool out_of_time() const { return real_seconds() - began_ > options_.seconds; }
  bool ended() const { return result_.failing.has_value() || out_of_time(); }

  // Runs the schedule of plan_.choices, which are `deviations`, and those that deviate from it at its choice `from` or
  // later, down to depth_. Those above that depth were judged before: they are run again to see what choices they have.
  void explore(std::uint64_t deviations, std::size_t from) {
    std::vector<MadeChoice> choices;
    RunResult run = run_plan(scenario_, plan_, stacks_, {.choices = &choices});
    if (deviations == depth_) {
      return judge(std::move(run));
    }
    for (std::size_t i = from; i < choices.size(); ++i) {
      for (std::uint64_t chosen = 1; chosen < choices[i].ways; ++chosen) {
        plan_.choices[choices[i].key] = chosen;
        explore(deviations + 1, i + 1);
        if (ended()) {
          return;
        }
        plan_.choices.erase(choices[i].key);
      }
    }
  }

  void judge(RunResult run) {
    ++result_.schedules;
    result_.events += run.events;
    result_.coverage.add(run.coverage);
    if (!run.findings.empty()) {
      result_.failing = plan_;
    }
    if (!run.findings.empty() || result_.schedules == 1) {
      result_.run = std::move(run);
    }
  }

  const Scenario& scenario_;
  Plan plan_;
  StackArena& stacks_;
  SearchOptions options_;
  double began_;
  std::uint64_t depth_ = 0;
  SearchResult result_;
};

}  // namespace

bool parse_schedule_choice(std::string_view name, ScheduleChoice& into) {
  for (std::size_t i = 1; i < kChoiceNames.size(); ++i) {
    if (kChoiceNames[i] == name) {
      into = static_cast<ScheduleChoice>(i);
      return true;
    }
  }
  return false;
}

std::string_view schedule_choice_name(ScheduleChoice choice) { return kChoiceNames[static_cast<std::size_t>(choice)]; }

void choose_schedule(ScheduleChoice choice, Plan& plan) {
  switch (choice) {
    case ScheduleChoice::kAsPlanned: break;
    case ScheduleChoice::kFifo: plan.schedule = ScheduleKind::kFifo; break;
    case ScheduleChoice::kRandom: plan.schedule = ScheduleKind::kRandom; break;
    case ScheduleChoice::kPct: plan.schedule = ScheduleKind::kPct; break;
    case ScheduleChoice::kExhaustive: UNREACHABLE("no plan is exhaustive");
  }
}

std::string SearchResult::to_string() const {
  const std::string count = fmt::format("{} schedule{}", schedules, schedules == 1 ? "" : "s");
  if (failing.has_value()) {
    return fmt::format("{}, the last of which fails with {} deviations", count, failing->choices.size());
  }
  if (whole) {
    return fmt::format("{}, all that there are", count);
  }
  const std::string all =
      bound.has_value() ? fmt::format("all with at most {} deviations", *bound) : "not all of any number of deviations";
  return fmt::format("{}, {}{}", count, all, cut_short ? "; cut short by the time" : "");
}

SearchResult search_schedules(const Scenario& scenario, const Plan& plan, StackArena& stacks,
                              const SearchOptions& options) {
  return Search(scenario, plan, stacks, options).run();
}

}  // namespace chronik::sim
