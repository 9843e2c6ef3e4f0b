// One run of one plan, from an empty world to the verdict; and the same run twice, compared (rule S14).
#pragma once

#include <absl/container/btree_map.h>

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "core/base/log_line.h"
#include "sim/coverage.h"
#include "sim/debugger_stop.h"
#include "sim/finding.h"
#include "sim/plan.h"
#include "sim/scenario.h"
#include "sim/stacks.h"

namespace chronik::sim {

class LastEvents;
class Story;

struct RunSettings {
  VirtualTime until = VirtualTime::never();  // stop there, before any verdict
  DebuggerStop stop;
  std::FILE* trace = nullptr;  // where not null, records (trace_from, trace_to] as text
  std::uint64_t trace_from = 0;
  std::uint64_t trace_to = UINT64_MAX;
  bool history = false;   // RunResult::history is wanted
  bool show_log = false;  // the programs' log lines, on standard output
  LogLevel log_level = LogLevel::kInfo;
  Deviations* record = nullptr;                // is told every choice that is not first-in-first-out
  std::vector<MadeChoice>* choices = nullptr;  // is told every choice
  Story* story = nullptr;                      // is told what happens, and closed at the end
  LastEvents* last_events = nullptr;           // is told what its fibers do
};

struct RunResult {
  std::vector<Finding> findings;  // none or one: the first ends the run
  VirtualTime ended;
  std::uint64_t events = 0;
  absl::btree_map<std::string, std::uint64_t> faults;
  Coverage coverage;
  std::uint64_t hash = 0;
  std::uint64_t records = 0;
  std::vector<std::uint64_t> checkpoints;
  std::string history;  // ScenarioState::history_text()
  std::string waits;    // the wait-for graph where the run was stopped by `until`
};

RunResult run_plan(const Scenario& scenario, const Plan& plan, StackArena& stacks, const RunSettings& settings);

// Runs the plan once more, on stacks filled otherwise, and compares with `first`. Empty where they agree; else the
// first record in which they differ, of both.
std::string compare_twin(const Scenario& scenario, const Plan& plan, const RunResult& first, StackArena& stacks);

// The line that repeats a run.
std::string replay_line(std::string_view scenario, std::uint64_t seed);

}  // namespace chronik::sim
