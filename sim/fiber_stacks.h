// Where blocked fibers are: for each the functions that it is in, from the one that waits up to the fiber's own body.
// For reports of what hangs; deterministic, since it holds names and no addresses.
//
// The names come from the program's own symbols: initialize_symbols() first, from main(). Without it, or in a stripped
// program, frames are shown as "?".
#pragma once

#include <span>
#include <string>
#include <vector>

#include "core/fiber/scheduler.h"

namespace chronik::sim {

// program: argv[0].
void initialize_symbols(const char* program);

// From now on a signal that ends the process says on standard error in which functions it struck, as describe_stacks()
// does. Where somebody handles such signals already, as a sanitizer does, that one says it.
void say_where_it_crashes();

struct FiberStack {
  std::string place;  // node and shard
  std::string path;   // of the fiber
  std::vector<std::string> frames = {};
};

// Adds the stack of every fiber of the scheduler that waits. Outside every fiber.
void collect_stacks(fiber::Scheduler& scheduler, std::string_view place, std::vector<FiberStack>& into);

// One paragraph for each different stack: whose it is, then its frames, the innermost first.
std::string describe_stacks(std::span<const FiberStack> stacks);

}  // namespace chronik::sim
