// A simulated world: machines, the network between them and what befalls them, driven by one loop over virtual time in
// one thread. Everything in it follows from (scenario, plan, seed); nothing else comes in.
//
// Lifetime: devices, machines and the network belong to the world and die with it. Programs (nodes, clients, checkers'
// readers) run on machines; kills, faults and restarts are the world's acts, outside every fiber (rule S4).
// Invariants: 1. one thing happens at a time; 2. virtual time never goes back; 3. nothing a program does takes virtual
// time but its turns, which cost what is drawn (rule S1).
#pragma once

#include <absl/container/btree_map.h>
#include <absl/container/flat_hash_map.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/ambient.h"
#include "core/base/deadline.h"
#include "core/base/ids.h"
#include "core/base/log_line.h"
#include "core/base/wait_key.h"
#include "core/fiber/fiber.h"
#include "core/ports/process.h"
#include "sim/debugger_stop.h"
#include "sim/decision.h"
#include "sim/event_queue.h"
#include "sim/finding.h"
#include "sim/trace.h"
#include "sim/turnstile_orders.h"
#include "sim/virtual_time.h"

namespace chronik::fiber {
struct FiberWait;
}  // namespace chronik::fiber

namespace chronik::sim {

class Checkers;
class LastEvents;
class Points;
struct ChoiceKey;
struct MadeChoice;
using Deviations = absl::btree_map<ChoiceKey, std::uint64_t>;
class Machine;
class NetworkFabric;
class Obligations;
class Shard;
class Story;
struct MachineOptions;
struct NetworkKnobs;

// How a shard's Strategy chooses (rule S1). Which one is drawn per seed.
enum class ScheduleKind : std::uint8_t { kFifo, kRandom, kPct };

struct WorldOptions {
  std::uint64_t seed = 1;
  ScheduleKind schedule = ScheduleKind::kFifo;
  std::string replay_line = {};                // printed by a CHECK that fails
  LogSink* log = nullptr;                      // null: the programs' log lines are dropped
  const Deviations* replay = nullptr;          // where not null, it alone makes the choices
  Deviations* record = nullptr;                // where not null, is told every choice that is not first-in-first-out
  std::vector<MadeChoice>* choices = nullptr;  // where not null, is told every choice, in the order of their making
  Story* story = nullptr;                      // where not null, is told what happens; decides nothing
  LastEvents* last_events = nullptr;           // where not null, is told what its fibers do; decides nothing
  DebuggerStop stop = {};
  std::uint64_t events_per_millisecond_max = 200'000;  // more: virtual time stands still (NO-SPIN)
};

class World {
 public:
  // stacks: where fibers' stacks come from, kept from world to world; outlives the world.
  World(const WorldOptions& options, StackSource& stacks);
  ~World();  // ends every process first
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // ---- time ----
  VirtualTime now() const { return now_; }
  const VirtualTime* clock_hand() const { return &now_; }
  // `callback` runs outside every fiber. What it refers to must live until then, or be looked up in it.
  EventId at(VirtualTime when, EventQueue::Callback callback);
  EventId after(Duration delay, EventQueue::Callback callback) { return at(now_ + delay, std::move(callback)); }
  void cancel(EventId id) { events_.cancel(id); }

  // ---- parts ----
  Decisions& decisions() { return decisions_; }
  Draws draws(std::string_view stream, std::string_view entity) { return decisions_.draws(stream, entity); }
  Trace& trace() { return trace_; }
  NetworkFabric& network() { return *network_; }
  Checkers& checkers() { return *checkers_; }
  Obligations& obligations() { return *obligations_; }
  TurnstileOrders& turnstile_orders() { return turnstile_orders_; }
  StackSource& stacks() { return stacks_; }
  const WorldOptions& options() const { return options_; }
  Machine& add_machine(const MachineOptions& options);
  Machine& machine(std::string_view name);  // which must exist
  const std::vector<std::unique_ptr<Machine>>& machines() const { return machines_; }

  // ---- shards ----
  // The completion of an operation, for the next turn of that shard. Dropped where the shard's process has ended.
  void complete(ShardId shard, OpNumber number, std::int64_t result);
  // The shard of a process that runs, or null.
  Shard* shard(ShardId id);
  ShardId next_shard_id() { return ShardId(next_shard_++); }
  // Named points of the code, where the plan may strike (core/base/sim_point.h).
  Points* points() { return points_.get(); }
  void enlist(Shard& shard);
  void dismiss(Shard& shard);

  // Who is to be told what happens, or null. Use: if (Story* story = world.story()) [[unlikely]] { … }
  Story* story() const { return options_.story; }
  LastEvents* last_events() const { return options_.last_events; }

  // ---- the run ----
  // Runs events until `until`, or until stop().
  void run_until(VirtualTime until);
  void run_for(Duration duration) { run_until(now_ + duration); }
  // Runs the next event; false where there is none.
  bool step();
  void stop() { stopped_ = true; }
  // Takes the power from every machine, for good. Nothing runs afterwards.
  void end_all();
  bool stopped() const { return stopped_; }
  std::uint64_t events() const { return events_run_; }
  VirtualTime last_event() const { return last_event_; }  // when it ran
  // A debugger's stop was asked for, and has not come.
  bool stop_is_ahead() const { return options_.stop != DebuggerStop{}; }

  // ---- what came out ----
  // Something is wrong: keeps the finding and ends the run. Of what did not get on it says who waits for whom, where
  // `message` does not.
  void fail(std::string_view checker, std::string_view message);
  const std::vector<Finding>& findings() const { return findings_; }
  // A fault really fired.
  void fault_fired(std::string_view kind, std::uint64_t target = 0);
  const absl::btree_map<std::string, std::uint64_t>& faults() const { return faults_; }
  // The wait-for graph of all machines, with what is deadlocked in it, and the stacks of those; of all that wait where
  // nothing is. A fiber that runs cannot look at the others' stacks.
  std::string describe_waits();
  // A wait is about to expire: judged by what its expiry means (rule S3).
  void judge_expiry(Shard& shard, const fiber::Fiber& fiber, const WaitKey& key, Expiry meaning);
  // No fault is under way or to come: from `by` on an expired Peer wait is a finding (rule S3).
  void expect_calm_from(VirtualTime by) { calm_from_ = by; }
  bool calm() const { return now_ >= calm_from_; }

 private:
  void watch_progress();
  void look_for_deadlock();
  // Keeps whom a graph is about that is going to be shown. `also`: or null.
  void note_graph(const std::vector<fiber::FiberWait>& waits, const std::vector<std::size_t>& deadlocked,
                  const fiber::Fiber* also);
  std::string describe_stacks(const std::vector<fiber::FiberWait>& waits, const std::vector<std::size_t>& deadlocked,
                              const fiber::Fiber* also) const;

  WorldOptions options_;
  StackSource& stacks_;
  ShardContext context_;  // of the world's own loop
  Ambient ambient_;
  VirtualTime now_;
  EventQueue events_;
  Decisions decisions_;
  Trace trace_;
  std::unique_ptr<NetworkFabric> network_;
  std::unique_ptr<Checkers> checkers_;
  std::unique_ptr<Points> points_;
  std::unique_ptr<Obligations> obligations_;
  TurnstileOrders turnstile_orders_;
  std::vector<std::unique_ptr<Machine>> machines_;
  absl::flat_hash_map<std::int32_t, Shard*> shards_;  // looked up, never iterated
  std::int32_t next_shard_ = 1;
  std::uint64_t events_run_ = 0;
  VirtualTime last_event_;
  std::int64_t progress_millisecond_ = 0;
  std::uint64_t events_in_millisecond_ = 0;
  bool stopped_ = false;
  std::vector<Finding> findings_;
  absl::btree_map<std::string, std::uint64_t> faults_;
  VirtualTime calm_from_ = VirtualTime::never();
  VirtualTime next_look_for_deadlock_;
  std::vector<HungFiber> shown_;         // whom the latest graph was about that was described
  std::uint64_t shown_at_ = UINT64_MAX;  // the number of the event that was under way
};

}  // namespace chronik::sim
