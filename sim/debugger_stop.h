// Where a debugger takes over: before one event of a run. What a debugger calls there is `chronik_waits()`.
#pragma once

#include <cstdint>

#include "sim/virtual_time.h"

namespace chronik::sim {

class World;

struct DebuggerStop {
  std::uint64_t event = UINT64_MAX;         // its number, from 1
  VirtualTime time = VirtualTime::never();  // the first event that is not before it
  friend bool operator==(const DebuggerStop&, const DebuggerStop&) = default;
};

// Says which event comes next, and stops for the debugger (SIGTRAP).
void stop_for_debugger(World& world);
// Where the run is over and never came to the stop that was asked for, says so, and which event was its last.
void tell_of_no_stop(const World& world);
// Whether a debugger would see that stop; without one it would end the process.
bool under_debugger();

}  // namespace chronik::sim

// The wait-for graph of the world that has stopped, on standard error. For `call chronik_waits()` in a debugger.
extern "C" void chronik_waits();
