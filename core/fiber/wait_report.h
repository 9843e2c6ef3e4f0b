// A wait-for graph in words: for whoever has a hung process, or a run that found one.
#pragma once

#include <span>
#include <string>

#include "core/fiber/wait_graph.h"

namespace chronik::fiber {

// "turnstile 7", "request 12". What only tells one end of a connection from another is left out.
std::string describe_key(const WaitKey& key);

// "disk operation 12 (sync of wal/3.wal)"
std::string describe_wait(const FiberWait& wait);

// A cycle of the deadlocked as a sentence; what many wait for in the end; then one line per fiber: where, who, what it
// waits for, who provides it and for how long, and which turnstiles it holds. Whoever waits for itself in the end is
// marked DEADLOCKED, whoever only waits for one of those BEHIND. In the end, together, those that nobody wants anything
// of.
std::string describe_waits(std::span<const FiberWait> waits, std::span<const std::size_t> deadlocked);

}  // namespace chronik::fiber
