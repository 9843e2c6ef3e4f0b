// Runs many seeds of scenarios in forked workers (rule S11): seeds do not touch each other, and a worker that dies is a
// finding (CRASH) with the seed that it ran and what it said last.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/report.h"
#include "sim/scenario.h"
#include "sim/search.h"

namespace chronik::sim {

// What is said on standard error while seeds run: nothing; a bar that is drawn over; or a line each minute, for a log.
// The last two tell each kind of failure when it is met first.
enum class RunnerProgress : std::uint8_t { kNone, kBar, kLines };

struct RunnerOptions {
  std::vector<const Scenario*> scenarios;
  std::uint64_t seeds = 100;  // of each scenario
  std::uint64_t first_seed = 1;
  std::uint32_t jobs = 1;
  ScheduleChoice schedule = ScheduleChoice::kAsPlanned;
  std::uint64_t bound = kSearchBound;     // of an exhaustive search
  std::int64_t time_limit_seconds = 0;    // no further seed begins after it; 0: none
  std::int64_t seed_limit_seconds = 120;  // of processor time; a seed that takes longer is killed: HANG
  std::uint64_t twin_every = 16;          // every so many seeds, a seed is run twice and compared; 0: never
  RunnerProgress progress = RunnerProgress::kNone;
};

// Until all have run, the time is over, or SIGINT asks for the end: then what is under way ends first. A second SIGINT
// ends the process.
RunnerReport run_seeds(const RunnerOptions& options);

}  // namespace chronik::sim
