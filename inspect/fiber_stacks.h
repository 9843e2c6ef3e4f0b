// Where blocked fibers are: for each the functions that it is in, from the one that waits up to the fiber's own body.
// For reports of what hangs; deterministic, since it holds names and no addresses (frames.h).
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/fiber/scheduler.h"

namespace chronik::inspect {

struct FiberStack {
  std::string place;  // node and shard
  std::string path;   // of the fiber
  std::vector<std::string> frames = {};
};

// Adds the stack of every fiber of the scheduler that waits. Outside every fiber.
void collect_stacks(fiber::Scheduler& scheduler, std::string_view place, std::vector<FiberStack>& into);

// One paragraph for each different stack: whose it is, then its frames, the innermost first.
std::string describe_stacks(std::span<const FiberStack> stacks);

}  // namespace chronik::inspect
