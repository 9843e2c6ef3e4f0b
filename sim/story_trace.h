// The story of a run as a trace in Chrome's JSON format, which ui.perfetto.dev and chrome://tracing open. A machine is
// a process and a fiber a thread of it, in which stands what the fiber asks, sends, reads and writes, and in the end
// what it waits for; what befalls the whole machine, and messages that arrive, stand in lanes of their kind. A message
// is an arrow to where it arrives. Format: "Trace Event Format" (Chromium project), times in microseconds of virtual
// time.
#pragma once

#include <string>

#include "sim/explain.h"
#include "sim/story.h"

namespace chronik::sim {

std::string story_trace(const Story& story, const StoryRun& run);

}  // namespace chronik::sim
