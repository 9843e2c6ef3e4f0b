// The story of a run in words: one paragraph on what befell the request or the record that failed.
#pragma once

#include <string>

#include "sim/run.h"
#include "sim/story.h"

namespace chronik::sim {

// What a story is of.
struct StoryRun {
  const Scenario& scenario;
  const Plan& plan;
  const RunResult& result;
  std::string replay;  // the command that repeats it
};

std::string explain(const Story& story, const StoryRun& run);

// Broken into lines of at most `columns`, between words.
std::string wrap_text(const std::string& text, std::size_t columns);

}  // namespace chronik::sim
