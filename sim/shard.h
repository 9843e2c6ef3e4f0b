// A shard of a simulated process: a scheduler, its ports, and the turns it runs (rule S1).
//
// A turn costs processor time that is drawn; what arrives meanwhile forms the batch of the next one. A shard lives as
// long as its incarnation; its id is never used again, so what completes late is told from what is new.
#pragma once

#include <absl/functional/any_invocable.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/base/ambient.h"
#include "core/fiber/scheduler.h"
#include "core/fiber/scope.h"
#include "core/ports/ports.h"
#include "sim/decision.h"
#include "sim/device.h"
#include "sim/event_queue.h"
#include "sim/virtual_time.h"

namespace chronik::sim {

class Machine;
class NetworkPort;
class ShardMailbox;
class ShardStrategy;
class World;

// What a shard's turns cost and how coarse its timers are; drawn per machine.
struct TurnKnobs {
  Duration turn_cost = Duration::microseconds(5);        // typical
  Duration turn_cost_most = Duration::milliseconds(20);  // the rare worst: another process had the processor
  Duration resume_cost = Duration::nanoseconds(500);     // per fiber that ran
  Duration timer_granularity = Duration::milliseconds(1);
  std::size_t resumes_per_turn = 1'000;
};

class Shard final : private fiber::SchedulerWatch {
 public:
  // incarnation: of the machine, from 1; index: of the shard in its process.
  Shard(Machine& machine, std::uint64_t incarnation, std::uint32_t index);
  ~Shard() override;
  Shard(const Shard&) = delete;
  Shard& operator=(const Shard&) = delete;

  ShardId id() const { return context_.shard; }
  std::uint32_t index() const { return index_; }
  std::uint64_t incarnation() const { return incarnation_; }
  Machine& machine() { return machine_; }
  World& world();
  fiber::Scheduler& scheduler() { return *scheduler_; }
  const std::string& name() const { return ambient_name_; }  // "broker-1#2.0"
  // What its clock shows now; its scheduler's time is that of the last turn.
  MonotonicTime clock_now();
  const fiber::Scheduler& scheduler() const { return *scheduler_; }
  ShardContext& context() { return context_; }
  Ports& ports() { return *ports_; }
  ShardMailbox& mailbox() { return *mailbox_; }
  // A number that names (machine, incarnation, shard index): the entity of decisions about this shard.
  std::uint64_t lineage() const { return lineage_; }
  Draws draws(std::string_view stream);

  // Delivered with the next turn. Dropped once detached.
  void complete(OpNumber number, std::int64_t result);
  // Runs `body` as the shard's main fiber.
  void start(absl::AnyInvocable<void()> body);
  bool main_ended() const { return main_ended_; }
  // How this shard asked for its process to end, in the middle of a turn.
  const std::optional<Death>& wish() const { return wish_; }
  // From within a turn: nothing of this process runs any more; the world ends it as `how`. Never returns: unwinds.
  [[noreturn]] void die(Death how);

  // ---- the steps of a death, in this order; outside every fiber (rule S4) ----
  void detach(Death how);
  void unwind();
  void destroy_ports();

  void pause() { paused_ = true; }
  void unpause();
  void wake();  // makes sure that a turn comes as soon as the processor is free
  WallTime wall_at_turn() const { return wall_; }

 private:
  void run_turn();
  void plan_next_turn(bool more);
  void schedule_turn(VirtualTime at);

  void on_turn(MonotonicTime now, std::span<const fiber::Completion> batch) override;
  void on_resume(const fiber::Fiber& fiber) override;
  void on_choice(fiber::ChoicePoint point, std::uint64_t who, std::size_t ways, std::size_t chosen) override;
  void on_operation(OpNumber number) override;
  void on_entering(const fiber::Fiber& fiber, const WaitKey& turnstile, const char* name) override;
  void on_expiry(const fiber::Fiber& fiber, const WaitKey& key, Expiry meaning) override;

  struct PortSet;

  Machine& machine_;
  std::uint64_t incarnation_;
  std::uint32_t index_;
  std::uint64_t lineage_;
  std::string ambient_name_;
  ShardContext context_;
  Draws turn_draws_;
  std::unique_ptr<ShardStrategy> strategy_;
  std::unique_ptr<fiber::Scheduler> scheduler_;
  std::optional<fiber::FiberScope> scope_;
  std::unique_ptr<PortSet> port_set_;
  std::unique_ptr<Ports> ports_;
  std::unique_ptr<ShardMailbox> mailbox_;
  std::vector<fiber::Completion> pending_;
  std::vector<fiber::Completion> batch_;
  VirtualTime busy_until_;
  VirtualTime turn_at_ = VirtualTime::never();
  EventId turn_event_;
  WallTime wall_;
  std::uint64_t resumes_in_turn_ = 0;
  std::uint64_t resumes_without_rest_ = 0;
  std::optional<Death> wish_;
  bool running_turn_ = false;
  bool paused_ = false;
  bool detached_ = false;
  bool main_ended_ = false;
};

}  // namespace chronik::sim
