// The last that befell the fibers of a wait-for graph, for the report of a hang.
//
// An ordinary run keeps nothing of it: who will be in the graph is not known before, and what a fiber did last may be
// minutes before the others' latest. Where a run ends with a graph, it is run once more, which is the same run, and the
// fibers of the graph are watched. Decides nothing, draws nothing. Bounded by kLastEvents.
#pragma once

#include <absl/container/btree_map.h>
#include <absl/container/btree_set.h>

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/wait_key.h"
#include "sim/finding.h"
#include "sim/plan.h"
#include "sim/run.h"
#include "sim/virtual_time.h"

namespace chronik::fiber {
class Fiber;
}  // namespace chronik::fiber

namespace chronik::sim {

class Shard;
class Story;
class World;

inline constexpr std::size_t kLastEvents = 50;

class LastEvents {
 public:
  explicit LastEvents(const std::vector<HungFiber>& watched, const Story& story);
  LastEvents(const LastEvents&) = delete;
  LastEvents& operator=(const LastEvents&) = delete;

  // ---- what a shard says, of any fiber ----
  void on_resume(Shard& shard, const fiber::Fiber& fiber);
  void on_entering(Shard& shard, const fiber::Fiber& fiber, const WaitKey& turnstile, const char* name);
  void on_expiry(Shard& shard, const fiber::Fiber& fiber, const WaitKey& key);
  void on_turn_end(Shard& shard);  // tells what those wait for that have run
  // There is the finding: what comes now befalls them no more.
  void close(World& world);

  // The latest of them, with what the story says of the same fibers and of the faults of their machines: a line each,
  // in the order of their happening. The story must be closed.
  std::string to_text() const;

 private:
  struct Event {
    VirtualTime at;
    std::uint64_t order = 0;  // how much the story had been told by then
    std::string text;
  };
  using Who = std::pair<ShardId, std::uint64_t>;  // with the lineage
  const std::string* find(Shard& shard, const fiber::Fiber& fiber) const;
  void add(Shard& shard, std::string text);

  absl::btree_map<Who, std::string> watched_;
  absl::btree_set<std::string> names_;
  absl::btree_set<std::string> machines_;
  const Story& story_;
  std::deque<Event> events_;
  bool closed_ = false;
  absl::btree_map<std::uint64_t, std::uint64_t> ran_;  // of the turn that is under way: lineage, how often
};

// Adds them to the message of the run's finding where that shows a wait-for graph: runs the plan again. `plan` decides
// the run alone, with all choices that were made by no schedule of its own.
void add_last_events(const Scenario& scenario, const Plan& plan, StackArena& stacks, RunResult& result);

}  // namespace chronik::sim
