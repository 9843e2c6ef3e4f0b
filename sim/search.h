// Exhaustive search through the schedules of one plan, for small worlds: every way in which its choices can fall, with
// at most so many deviations from first-in-first-out (Musuvathi and Qadeer, "Iterative context bounding", 2007).
//
// A schedule is named by its deviations, in the order in which they are made; it has as children those that deviate
// once more, later. So each is run once at its own depth, and the first that fails has as few deviations as any.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "sim/plan.h"
#include "sim/run.h"
#include "sim/scenario.h"
#include "sim/stacks.h"

namespace chronik::sim {

// What decides a run's schedule, where somebody says so.
enum class ScheduleChoice : std::uint8_t { kAsPlanned, kFifo, kRandom, kPct, kExhaustive };
// "fifo", "random", "pct", "exhaustive".
bool parse_schedule_choice(std::string_view name, ScheduleChoice& into);
std::string_view schedule_choice_name(ScheduleChoice choice);
// The plan's own schedule becomes that of `choice`, which must not be kExhaustive.
void choose_schedule(ScheduleChoice choice, Plan& plan);

constexpr std::uint64_t kSearchBound = 3;
constexpr double kSearchSeconds = 60;

struct SearchOptions {
  std::uint64_t bound = kSearchBound;  // deviations
  double seconds = kSearchSeconds;     // of real time; then it is cut short
};

struct SearchResult {
  std::uint64_t schedules = 0;         // different ones that were run
  std::optional<std::uint64_t> bound;  // with at most so many deviations, all were run
  bool whole = false;                  // there are no others
  bool cut_short = false;              // by the time
  RunResult run;                       // of the schedule that fails, else of first-in-first-out
  std::optional<Plan> failing;         // with its choices
  std::uint64_t events = 0;            // of all
  Coverage coverage;                   // of all
  // How many schedules, and whether these are all.
  std::string to_string() const;
};

SearchResult search_schedules(const Scenario& scenario, const Plan& plan, StackArena& stacks,
                              const SearchOptions& options);

}  // namespace chronik::sim
