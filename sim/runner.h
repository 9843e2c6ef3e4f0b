// Runs many seeds of scenarios in forked workers (rule S11): seeds do not touch each other, and a worker that dies is a
// finding (CRASH) with the seed that it ran and what it said last.
#pragma once

#include <absl/container/btree_map.h>

#include <cstdint>
#include <string>
#include <vector>

#include "sim/coverage.h"
#include "sim/scenario.h"
#include "sim/search.h"

namespace chronik::sim {

struct RunnerOptions {
  std::vector<const Scenario*> scenarios;
  std::uint64_t seeds = 100;  // of each scenario
  std::uint64_t first_seed = 1;
  std::uint32_t jobs = 1;
  ScheduleChoice schedule = ScheduleChoice::kAsPlanned;
  std::uint64_t bound = kSearchBound;     // of an exhaustive search
  std::int64_t time_limit_seconds = 0;    // no further seed begins after it; 0: none
  std::int64_t seed_limit_seconds = 120;  // of real time; a seed that takes longer is killed: HANG
  std::uint64_t twin_every = 16;          // every so many seeds, a seed is run twice and compared; 0: never
  bool progress = false;                  // a bar on standard error
};

// Seeds that failed alike: by the same checker, which says the same but for its numbers.
struct Failure {
  std::uint64_t seed = 0;  // the smallest of them; the message is its own
  std::uint64_t count = 1;
  std::string checker;
  std::string message;
  std::string replay;
  std::string plan;  // of the schedule that an exhaustive search has found
};

struct ScenarioReport {
  std::string name;
  std::uint64_t seeds = 0;
  double virtual_seconds = 0;
  double wall_seconds = 0;  // of all workers together
  std::uint64_t events = 0;
  std::uint64_t twins = 0;
  std::uint64_t schedules = 0;  // of exhaustive searches
  std::uint64_t whole = 0;      // seeds whose schedules were all run
  std::uint64_t cut = 0;        // seeds whose search did not come to its bound
  absl::btree_map<std::string, std::uint64_t> faults;
  Coverage coverage;
  std::vector<Failure> failures;
  std::uint64_t failed() const;  // seeds
};

struct RunnerReport {
  std::vector<ScenarioReport> scenarios;
  double elapsed_seconds = 0;
  bool cut_short = false;  // by the time limit
  std::uint64_t failed() const;
};

// From so many seeds on, a fault that a scenario announces and that never fired is a failure (checker FAULT-NOT-FIRED).
constexpr std::uint64_t kSeedsThatFireEverything = 200;

RunnerReport run_seeds(const RunnerOptions& options);

std::string report_json(const RunnerReport& report);
std::string report_text(const RunnerReport& report);
// What was reached, by scenario, and what by none.
std::string report_coverage(const RunnerReport& report);

}  // namespace chronik::sim
