// A world for tests of fibers: one scheduler, virtual time, completions by hand.
#pragma once

#include <gtest/gtest.h>

#include <boost/context/protected_fixedsize_stack.hpp>

#include <string>
#include <vector>

#include "core/base/ambient.h"
#include "core/fiber/scheduler.h"
#include "core/fiber/scope.h"

namespace chronik::testing {

class MappedStacks : public StackSource {
 public:
  StackMemory allocate(std::size_t size) override {
    const boost::context::stack_context stack = boost::context::protected_fixedsize_stack(size).allocate();
    const std::size_t guard = boost::context::stack_traits::page_size();
    std::uint8_t* top = static_cast<std::uint8_t*>(stack.sp);
    return {top - stack.size + guard, stack.size - guard};
  }
  void release(StackMemory memory) override {
    boost::context::stack_context stack;
    stack.sp = memory.top();
    stack.size = memory.size + boost::context::stack_traits::page_size();
    boost::context::protected_fixedsize_stack(stack.size).deallocate(stack);
  }
};

class FiberWorld {
 public:
  explicit FiberWorld(fiber::Strategy* strategy = nullptr, const fiber::SchedulerOptions& options = {},
                      fiber::SchedulerWatch* watch = nullptr)
      : scheduler(context, stacks, options, strategy, watch), scope(scheduler, scheduler.root_cancel()) {}

  // Runs turns, moving time to the next timer, until nothing is left to do or `until` is reached.
  void run(MonotonicTime until = MonotonicTime::never()) {
    for (;;) {
      const bool more = scheduler.run_turn(now, take_completions());
      if (more || !completions.empty()) {
        continue;
      }
      const MonotonicTime next = scheduler.next_timer();
      if (next == MonotonicTime::never() || next > until) {
        now = until == MonotonicTime::never() ? now : until;
        return;
      }
      now = std::max(now, next);
    }
  }
  void run_for(Duration duration) { run(now + duration); }

  template <typename Body>
  void spawn(const char* name, Body&& body) {
    scope.spawn({name, next_index++}, std::forward<Body>(body));
  }

  std::vector<fiber::Completion> take_completions() { return std::exchange(completions, {}); }

  ShardContext context{.shard = ShardId(0), .node = NodeId(0)};
  MappedStacks stacks;
  fiber::Scheduler scheduler;
  fiber::FiberScope scope;
  MonotonicTime now = MonotonicTime::from_nanoseconds(1'000'000'000);
  std::vector<fiber::Completion> completions;  // delivered with the next turn
  std::uint64_t next_index = 0;
};

}  // namespace chronik::testing
