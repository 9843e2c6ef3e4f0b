// The smallest plan that still fails, by delta debugging (Zeller and Hildebrandt 2002): parts are taken away in ever
// smaller chunks for as long as the same checker speaks.
//
// First what a plan says (the schedule's kind, faults, operations, machines, knobs, how long faults strike), then the
// choices of its schedule, as deviations from first-in-first-out. Candidates run in child processes (worker.h), so that
// a crash is an outcome like others; which one is taken does not depend on how many run at a time.
#pragma once

#include <cstdint>
#include <string>

#include "core/base/status.h"
#include "sim/plan.h"
#include "sim/scenario.h"

namespace chronik::sim {

struct ShrinkOptions {
  std::uint32_t jobs = 1;
  double seconds = 60;    // of real time; then what is smallest by then is given
  bool progress = false;  // a line on standard error
};

// How much of a plan there is.
struct PlanSize {
  std::size_t machines = 0;
  std::size_t operations = 0;
  std::size_t faults = 0;
  std::size_t knobs = 0;
  std::size_t choices = 0;
  std::string to_string() const;
};
PlanSize size_of(const Plan& plan);

struct Shrunk {
  Plan plan;
  std::string checker;
  std::string message;
  std::uint64_t runs = 0;
  double seconds = 0;
  bool cut_short = false;  // by the time
};

// kFailedPrecondition: nothing is found with `plan`.
StatusOr<Shrunk> shrink(const Scenario& scenario, const Plan& plan, const ShrinkOptions& options);

}  // namespace chronik::sim
