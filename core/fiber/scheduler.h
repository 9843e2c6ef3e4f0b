// The scheduler of one shard. It runs in turns (rule S1): the world hands in the time and a batch of completions,
// fibers run until all of them wait, and the world is told when to come back.
//
// A scheduler and everything on it belong to one shard; in production that is one thread. (configuration, seed, log of
// turns) determines what happens: nothing else comes in.
#pragma once

#include <cstdint>
#include <new>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/base/ambient.h"
#include "core/base/check.h"
#include "core/base/deadline.h"
#include "core/base/time.h"
#include "core/fiber/fiber.h"
#include "core/fiber/operation.h"
#include "core/fiber/operation_table.h"
#include "core/fiber/stack_pool.h"
#include "core/fiber/strategy.h"
#include "core/fiber/timer_queue.h"

namespace chronik::fiber {

struct FiberWait;  // wait_graph.h

// Watches a scheduler: the determinism hash, the recorder of turns, the hang detector. Calls must not suspend.
class SchedulerWatch {
 public:
  virtual ~SchedulerWatch() = default;
  virtual void on_turn(MonotonicTime /*now*/, std::span<const Completion> /*batch*/) {}
  virtual void on_resume(const Fiber& /*fiber*/) {}
  virtual void on_choice(ChoicePoint /*point*/, std::uint64_t /*who*/, std::size_t /*ways*/, std::size_t /*chosen*/) {}
  virtual void on_operation(OpNumber /*number*/) {}
  // This fiber wants to enter a turnstile; it provides those that it is inside of already (rule S8).
  virtual void on_entering(const Fiber& /*fiber*/, const WaitKey& /*turnstile*/, const char* /*name*/) {}
  // A wait of this fiber is about to expire; it is still in the wait-for graph (rule S3).
  virtual void on_expiry(const Fiber& /*fiber*/, const WaitKey& /*key*/, Expiry /*meaning*/) {}
};

// Looks at the stacks of blocked fibers, each from within: called on the fiber's own stack, below the wait that it is
// in. Must not suspend.
class StackVisitor {
 public:
  virtual ~StackVisitor() = default;
  virtual void on_stack(const Fiber& fiber) = 0;
};

// Something that waits without a fiber, for the wait-for graph: it is listed for as long as it lives. Made and
// destroyed on its shard.
class WaitSource : public ListHook<struct WaitSourceTag> {
 public:
  WaitSource();
  // Adds what it waits for now, which may be nothing.
  virtual void add_wait(MonotonicTime now, std::vector<FiberWait>& into) const = 0;

 protected:
  ~WaitSource() = default;
};

struct SchedulerOptions {
  StackPoolOptions stacks = {};
  Duration timer_granularity = Duration::milliseconds(1);  // deadlines are rounded up to it
  std::size_t resumes_per_turn = 1'000;                    // then the turn ends and the next begins at once
  std::size_t fibers_max = 200'000;                        // a bug beyond: what spawns is bounded elsewhere
};

class Scheduler {
 public:
  // context: outlives the scheduler. strategy and watch may be null.
  Scheduler(ShardContext& context, StackSource& stacks, const SchedulerOptions& options, Strategy* strategy,
            SchedulerWatch* watch);
  ~Scheduler();  // every fiber must have ended or been killed
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  // The scheduler of the fiber that runs now. Aborts outside a fiber.
  static Scheduler& current() { return *Fiber::current().scheduler_; }

  // ---- for the world ----
  // One turn. Returns true where fibers are still ready (the budget was used up, or they let a turn pass): call again
  // at once.
  bool run_turn(MonotonicTime now, std::span<const Completion> batch);
  // When the next timer is due; never() where nothing but a completion can wake anybody.
  MonotonicTime next_timer() const { return timers_.next(); }
  bool idle() const { return ready_.empty() && late_.empty() && next_turn_.empty(); }
  // Unwinds every fiber, youngest first, outside every fiber (rule S4). Ports must have been detached before.
  void kill_all();
  // Shows every fiber that waits to `visitor`, in the order of spawning. Outside every fiber. Nothing is woken: a fiber
  // is continued only to make that call.
  void visit_stacks(StackVisitor& visitor);
  bool dying() const { return dying_; }
  // Throws FiberKilled where the node is dying and the current fiber goes on as if it were not.
  void unwind_if_killed() const;
  // Ends the turn at once and for good, before the world kills this shard (Process::fatal in a simulation). From a
  // fiber or from the loop; also where nothing may suspend. Never returns: unwinds, from the loop out of run_turn().
  [[noreturn]] void halt();
  void attach(SchedulerWatch* watch) { watch_ = watch; }
  SchedulerWatch* watch() const { return watch_; }

  // ---- for code on the shard ----
  MonotonicTime now() const { return now_; }
  ShardContext& context() { return context_; }
  const ShardContext& context() const { return context_; }
  std::size_t fibers() const { return alive_count_; }
  std::uint64_t turns() const { return turns_; }
  StackPool& stacks() { return stacks_; }
  // Sets a timer for the first moment of the scheduler's granularity that is not before `at`.
  void arm(Timer& timer, MonotonicTime at);
  // The cancellation that nothing but the scheduler's death triggers.
  CancelSource& root_cancel() { return root_cancel_; }

  // Gives the operation its number; its completion will come with a later turn. The operation must live until then, or
  // be forgotten before.
  OpNumber begin_operation(Operation& operation);
  // The completion, should it come, is dropped.
  void forget_operation(Operation& operation);
  std::size_t operations_in_flight() const { return operations_.size(); }

  // Numbers for the keys of the graph, in the order of their making.
  std::uint64_t next_scope_number() { return ++scope_numbers_; }

  // A choice between `ways` ways; 0 without a strategy.
  std::size_t choose(ChoicePoint point, std::uint64_t who, std::size_t ways);

  // Calls visit(fiber) for every live fiber in the order of spawning.
  template <typename Visit>
  void for_each_fiber(Visit&& visit) const {
    alive_.for_each([&visit](const Fiber& fiber) { visit(fiber); });
  }
  const IntrusiveList<WaitSource, WaitSourceTag>& wait_sources() const { return wait_sources_; }

 private:
  friend class Fiber;
  friend class FiberScope;
  friend class Waiter;
  friend class WaitSource;
  friend void yield_to_ready();
  friend void yield_to_next_turn();
  friend void yield_until_quiet();

  template <typename Closure>
  Fiber& create(FiberName name, FiberScope& scope, Closure&& closure);
  Fiber& adopt(Fiber& fiber, FiberName name, FiberScope& scope, std::uint8_t* stack_end);
  static void enter(void* fiber);
  void resume(Fiber& fiber);
  void suspend_current(Fiber& fiber);
  void make_ready(Fiber& fiber);
  void make_ready_late(Fiber& fiber);
  void make_ready_next_turn(Fiber& fiber);
  void begin_postponed();
  Runnable* take_ready();
  std::size_t choose_ready();
  void release(Fiber& fiber);
  void deliver(std::span<const Completion> batch);
  void complete(const Completion& completion);
  void fire_timers();

  ShardContext& context_;
  SchedulerOptions options_;
  Strategy* strategy_;
  SchedulerWatch* watch_;
  StackPool stacks_;
  Ambient loop_ambient_;
  Context loop_;
  MonotonicTime now_;
  std::uint64_t turns_ = 0;
  TimerQueue timers_;
  IntrusiveList<Runnable, ReadyTag> ready_;
  std::size_t ready_count_ = 0;
  IntrusiveList<Runnable, ReadyTag> late_;  // run when nothing else is ready in this turn
  IntrusiveList<Runnable, ReadyTag> next_turn_;
  IntrusiveList<Fiber, AliveTag> alive_;
  std::size_t alive_count_ = 0;
  IntrusiveList<WaitSource, WaitSourceTag> wait_sources_;
  OperationTable operations_;
  std::uint64_t scope_numbers_ = 0;
  CancelSource root_cancel_;
  StackVisitor* visitor_ = nullptr;
  bool dying_ = false;
  bool halted_ = false;
};

template <typename Closure>
Fiber& Scheduler::create(FiberName name, FiberScope& scope, Closure&& closure) {
  using Body = std::decay_t<Closure>;
  static_assert(alignof(Body) <= 64 && alignof(Fiber) <= 64);
  // The fiber and its closure live at the top of the fiber's own stack: one allocation, from the pool.
  const StackMemory stack = stacks_.take();
  std::uint8_t* at = stack.top() - sizeof(Fiber);
  at -= reinterpret_cast<std::uintptr_t>(at) % 64;
  Fiber* fiber = new (at) Fiber();
  at -= sizeof(Body);
  at -= reinterpret_cast<std::uintptr_t>(at) % 64;
  fiber->closure_ = new (at) Body(std::forward<Closure>(closure));
  fiber->body_ = [](void* body) {
    // Destroyed by unwinding too, while the fiber still runs on its own stack.
    struct Destroyer {
      Body* body;
      ~Destroyer() { body->~Body(); }
    } const destroyer{static_cast<Body*>(body)};
    (*destroyer.body)();
  };
  fiber->discard_ = [](void* body) { static_cast<Body*>(body)->~Body(); };
  fiber->stack_ = stack;
  return adopt(*fiber, name, scope, at);
}

// Lets every fiber that is ready now run before this one goes on.
void yield_to_ready();
// Lets this turn do everything else first: the way to gather what a whole turn has to say.
void yield_until_quiet();
// Lets the world speak first: what has arrived meanwhile is served before this fiber goes on. For long rows of steps
// none of which waits.
void yield_to_next_turn();

}  // namespace chronik::fiber
