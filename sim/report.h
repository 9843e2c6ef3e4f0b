// What came of many seeds: as text for people, as JSON for programs, and put together again from the JSON of several
// machines.
#pragma once

#include <absl/container/btree_map.h>

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "sim/coverage.h"

namespace chronik::sim {

class Scenario;

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
  // Of all runs, whatever their order: two programs that run the same seeds alike have the same.
  std::uint64_t fingerprint = 0;
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

// Checkers of a seed that came to no end: its process died, or took too long.
inline constexpr const char* kSeedDied = "CRASH";
inline constexpr const char* kSeedHung = "HANG";

// From so many seeds that came to an end on, a fault that a scenario announces and that never fired is a failure
// (checker FAULT-NOT-FIRED).
constexpr std::uint64_t kSeedsThatFireEverything = 200;

// Counts a failure with those that it is like. True: it is the first of its kind.
bool add_failure(ScenarioReport& report, Failure failure);
// Adds a failure for each fault that the scenario announces and that has not fired in kSeedsThatFireEverything or more.
void judge_announced_faults(ScenarioReport& report, const Scenario& scenario, std::uint64_t first_seed);

std::string report_json(const RunnerReport& report);
std::string report_text(const RunnerReport& report);
// What was reached, by scenario, and what by none.
std::string report_coverage(const RunnerReport& report);

// Back again. kInvalidArgument: any other text.
StatusOr<RunnerReport> parse_report(const std::string& text);
// As if one machine had run all their seeds, and as long as the slowest took.
RunnerReport merge_reports(const std::vector<RunnerReport>& reports);

}  // namespace chronik::sim
