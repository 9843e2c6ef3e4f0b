// What waits on a shard of the real world, and where: the simulator's report of a hang, of a process that runs.
#pragma once

#include <string_view>
#include <vector>

#include "core/base/deadline.h"
#include "core/base/status.h"
#include "core/fiber/wait_graph.h"
#include "inspect/fiber_stacks.h"
#include "runtime/event_loop.h"

namespace chronik::runtime {

struct ShardWaits {
  std::vector<fiber::FiberWait> waits;
  std::vector<inspect::FiberStack> stacks;
};

// From a fiber, which is not among them: what its shard is like at the end of this turn. place: what the shard is
// called in it. Not ok only where the deadline's source is cancelled.
StatusOr<ShardWaits> collect_shard_waits(EventLoop& loop, std::string_view place, const Deadline& deadline);

}  // namespace chronik::runtime
