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

// One fiber, or something else that waits (WaitSource), as the graph sees it.
struct FiberWait {
  std::string place;  // node and shard, for people
  ShardId shard;
  std::string path;
  bool waiting = false;
  bool wakes_itself = false;       // by a Normal deadline
  std::vector<WaitKey> keys = {};  // any of them would do
  std::string detail = {};         // of the wait, for people: which file, which turnstile
  Expiry meaning = Expiry::kNormal;
  Duration waited = Duration::zero();
  Duration left = Duration::zero();  // until the deadline; infinite() without one
  bool missed_a_signal = false;      // the last one came when nobody waited
  std::vector<WaitKey> provides = {};
  std::uint64_t scope = 0;  // that the fiber belongs to; 0: it is no fiber

  // Nobody wants anything of it.
  bool idle() const { return waiting && keys.front().kind == WaitKind::kWork; }
};

// Adds everything that waits, or runs, on the scheduler to `into`. now: of the scheduler's clock, which itself stands
// still while nothing runs there.
void collect_waits(const Scheduler& scheduler, std::string_view place, MonotonicTime now, std::vector<FiberWait>& into);

// For each of `waits` the places of those that may satisfy each of its keys; of its first key first.
std::vector<std::vector<std::vector<std::size_t>>> find_providers(std::span<const FiberWait> waits);

// Places in `waits` of those that are deadlocked, in order; empty where there are none.
std::vector<std::size_t> find_deadlock(std::span<const FiberWait> waits);

// A cycle among them, each of whom waits for the next and the last for the first; `deadlocked` must not be empty.
std::vector<std::size_t> find_cycle(std::span<const FiberWait> waits, std::span<const std::size_t> deadlocked);

// What many wait for in the end: somebody who waits for the outside world, or runs.
struct WaitSink {
  std::size_t who = 0;
  std::vector<std::size_t> behind = {};  // who waits for it, or for somebody who does; in order
};
// Those that anybody waits for; where the most wait first.
std::vector<WaitSink> find_sinks(std::span<const FiberWait> waits);

}  // namespace chronik::fiber
