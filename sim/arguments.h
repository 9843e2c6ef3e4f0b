// The command line of chronik-sim.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/time.h"
#include "sim/search.h"

namespace chronik::sim {

constexpr int kNothingWrong = 0;
constexpr int kSomethingFound = 1;
constexpr int kWrongUsage = 2;

// On how many cores this process may run; 1 where nobody can say.
std::uint32_t usable_cores();

// What was typed. Which of these count is the command's.
struct Arguments {
  enum class Command { kList, kRun, kReplay, kExplain, kShrink, kMerge, kDiff } command = Command::kList;
  std::string scenario = "all";
  std::uint64_t seeds = 100;
  std::uint64_t first_seed = 1;
  std::uint64_t seed = 0;
  std::uint64_t twin_every = 16;
  std::uint32_t jobs = usable_cores();
  std::string time_limit;
  std::string json;
  std::string trace;
  std::string records;
  std::string stop_at;
  std::string history;
  std::string until;
  std::string log;
  std::string plan;
  std::string out;
  std::vector<std::string> reports;
  std::vector<std::string> records_of;
  std::string html;
  std::size_t events = 5'000;
  std::vector<std::uint64_t> seeds_told;
  bool as_json = false;
  bool coverage = false;
  std::string schedule;
  std::string bound;

  ScheduleChoice choice = ScheduleChoice::kAsPlanned;
  std::uint64_t deviations = kSearchBound;
};

// The exit status where that is all: help, or an error that has been printed.
std::optional<int> parse_arguments(int argc, char** argv, Arguments& into);

// "60s", "1500ms", "2m", "250us", "10ns", "4.070682s"; a bare number is seconds.
bool parse_duration(const std::string& text, Duration& into);

// Says what is wrong; the exit status.
int usage(std::string_view what);

}  // namespace chronik::sim
