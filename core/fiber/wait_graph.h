// The wait-for graph: which fiber waits for what, and who has said that he will see to it (rules S3, S9).
//
// A fiber that waits for a key has an edge to every fiber that provides the key; a fiber that joins a scope, to every
// fiber of the scope. A deadlock is a set of fibers that can only be woken by one another: each of them waits, none
// wakes by itself (a Normal deadline), and every key that any of them would accept is provided, by members of the set
// alone. That covers cycles of single waits and knots of waits for any of several. A key that nobody provides is the
// outside world's: no deadlock. Dumps of several shards and nodes are joined by putting them into one list.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/deadline.h"
#include "core/base/ids.h"
#include "core/base/wait_key.h"

namespace chronik::fiber {

class Scheduler;

// One fiber as the graph sees it.
struct FiberWait {
  std::string place;  // node and shard, for people
  ShardId shard;
  std::string path;
  bool waiting = false;
  bool wakes_itself = false;       // by a Normal deadline
  std::vector<WaitKey> keys = {};  // any of them would do
  Expiry meaning = Expiry::kNormal;
  Duration left = Duration::zero();  // until the deadline; infinite() without one
  std::vector<WaitKey> provides = {};
  std::uint64_t scope = 0;  // that the fiber belongs to
};

// Adds every fiber of the scheduler to `into`.
void collect_waits(const Scheduler& scheduler, std::string_view place, std::vector<FiberWait>& into);

// Places in `waits` of the fibers that are deadlocked, in order; empty where there are none.
std::vector<std::size_t> find_deadlock(std::span<const FiberWait> waits);

// One line per fiber: where, who, what it waits for and who provides it; the deadlocked marked.
std::string describe_waits(std::span<const FiberWait> waits, std::span<const std::size_t> deadlocked);

// "turnstile 7", "request 1 2 3".
std::string describe_key(const WaitKey& key);

}  // namespace chronik::fiber
