#include "core/fiber/scheduler.h"

#include <exception>
#include <vector>

#include "core/base/mix.h"
#include "core/fiber/scope.h"
#include "core/fiber/wait.h"

namespace chronik::fiber {

Scheduler::Scheduler(ShardContext& context, StackSource& stacks, const SchedulerOptions& options, Strategy* strategy,
                     SchedulerWatch* watch)
    : context_(context), options_(options), strategy_(strategy), watch_(watch), stacks_(stacks, options.stacks) {
  loop_ambient_.context = &context;
  loop_ambient_.name = "scheduler";
}

Scheduler::~Scheduler() {
  CHECK_EQ(alive_count_, std::size_t{0});
  CHECK(idle());
  destroy_context(loop_);
}

WaitSource::WaitSource() { Scheduler::current().wait_sources_.push_back(*this); }

// ---- turns ----

bool Scheduler::run_turn(MonotonicTime now, std::span<const Completion> batch) {
  CHECK_GE(now, now_);
  CHECK(!dying_);
  CHECK(!halted_);
  const AmbientGuard guard(loop_ambient_);
  now_ = now;
  ++turns_;
  if (watch_ != nullptr) {
    watch_->on_turn(now, batch);
  }
  const bool timers_due = timers_.next() <= now;
  if (timers_due && !batch.empty() && choose(ChoicePoint::kTimersFirst, 0, 2) == 1) {
    fire_timers();
    deliver(batch);
  } else {
    deliver(batch);
    fire_timers();
  }
  begin_postponed();
  for (std::size_t resumes = 0; resumes < options_.resumes_per_turn; ++resumes) {
    Runnable* next = take_ready();
    if (next == nullptr) {
      break;
    }
    next->run();
    if (halted_) {
      return false;
    }
  }
  return !idle();
}

void Scheduler::deliver(std::span<const Completion> batch) {
  if (strategy_ == nullptr || batch.size() < 2) {
    for (const Completion& completion : batch) {
      complete(completion);
    }
    return;
  }
  // One direction of a connection has at most one operation under way, so any order keeps its bytes in order.
  std::vector<Completion> left(batch.begin(), batch.end());
  while (!left.empty()) {
    const std::size_t chosen =
        left.size() == 1
            ? 0
            : choose(ChoicePoint::kCompletionOrder, static_cast<std::uint64_t>(left[0].number.value()), left.size());
    const Completion completion = left[chosen];
    left.erase(left.begin() + static_cast<std::ptrdiff_t>(chosen));
    complete(completion);
  }
}

void Scheduler::complete(const Completion& completion) {
  // Null: forgotten, nobody wants it any more.
  if (Operation* operation = operations_.take(completion.number)) {
    operation->on_complete(completion.result);
  }
}

void Scheduler::arm(Timer& timer, MonotonicTime at) {
  const std::int64_t grain = options_.timer_granularity.nanoseconds();
  const std::int64_t exact = at.nanoseconds();
  const std::int64_t rounded = grain <= 1 ? exact : (exact / grain + (exact % grain != 0 ? 1 : 0)) * grain;
  timers_.arm(timer, MonotonicTime::from_nanoseconds(rounded));
}

void Scheduler::fire_timers() {
  while (Timer* timer = timers_.take_due(now_)) {
    timer->on_timer();
  }
}

Runnable* Scheduler::take_ready() {
  if (ready_.empty()) {
    if (late_.empty()) {
      return nullptr;
    }
    return &late_.pop_front();
  }
  std::size_t chosen = 0;
  if (strategy_ != nullptr && ready_count_ > 1) {
    chosen = choose_ready();
  }
  --ready_count_;
  if (chosen == 0) {
    return &ready_.pop_front();
  }
  Runnable* picked = nullptr;
  std::size_t position = 0;
  ready_.for_each([&](Runnable& runnable) {
    if (position++ == chosen) {
      picked = &runnable;
    }
  });
  CHECK(picked != nullptr);
  static_cast<ListHook<ReadyTag>*>(picked)->unlink();
  return picked;
}

std::size_t Scheduler::choose_ready() {
  if (!strategy_->looks_at_all()) {
    return choose(ChoicePoint::kNextFiber, ready_.front().lineage(), ready_count_);
  }
  std::vector<std::uint64_t> lineages;
  lineages.reserve(ready_count_);
  ready_.for_each([&lineages](const Runnable& runnable) { lineages.push_back(runnable.lineage()); });
  const std::size_t chosen = strategy_->choose_next(lineages);
  CHECK_LT(chosen, ready_count_);
  if (watch_ != nullptr) {
    watch_->on_choice(ChoicePoint::kNextFiber, lineages.front(), ready_count_, chosen);
  }
  return chosen;
}

std::size_t Scheduler::choose(ChoicePoint point, std::uint64_t who, std::size_t ways) {
  if (strategy_ == nullptr) {
    return 0;
  }
  const std::size_t chosen = strategy_->choose(point, who, ways);
  CHECK_LT(chosen, ways);
  if (watch_ != nullptr) {
    watch_->on_choice(point, who, ways, chosen);
  }
  return chosen;
}

// ---- fibers ----

Fiber& Scheduler::adopt(Fiber& fiber, FiberName name, FiberScope& scope, std::uint8_t* stack_end) {
  CHECK_LT(alive_count_, options_.fibers_max);
  fiber.context = &context_;
  fiber.name = name.kind;
  fiber.scheduler_ = this;
  fiber.scope_ = &scope;
  fiber.name_ = name;
  std::uint64_t parent_lineage = 0;
  if (const Fiber* parent = Fiber::current_or_null(); parent != nullptr && parent->scheduler_ == this) {
    fiber.parent_ = parent->name_;
    parent_lineage = parent->lineage_;
  }
  fiber.lineage_ = mix(parent_lineage, mix_text(name.kind), name.index);
  make_context(fiber.machine_, fiber.stack_.bottom, stack_end, &Scheduler::enter, &fiber);
  alive_.push_back(fiber);
  ++alive_count_;
  ++scope.running_;
  make_ready(fiber);
  return fiber;
}

void Scheduler::enter(void* argument) {
  Fiber& fiber = *static_cast<Fiber*>(argument);
  if (!fiber.scheduler_->dying_) {
    try {
      fiber.body_(fiber.closure_);
    } catch (const FiberKilled&) {
      CHECK(fiber.scheduler_->dying_);
    }
  } else {
    fiber.discard_(fiber.closure_);
  }
  fiber.state_ = Fiber::State::kFinished;
  switch_context(fiber.machine_, fiber.scheduler_->loop_, true);
}

void Scheduler::resume(Fiber& fiber) {
  CHECK(fiber.state_ == Fiber::State::kReady);
  fiber.state_ = Fiber::State::kRunning;
  fiber.started_ = true;
  ++fiber.resumes_;
  if (watch_ != nullptr) {
    watch_->on_resume(fiber);
  }
  Ambient* loop = set_ambient(&fiber);
  switch_context(loop_, fiber.machine_);
  set_ambient(loop);
  if (fiber.state_ == Fiber::State::kFinished) {
    release(fiber);
  }
}

void Scheduler::suspend_current(Fiber& fiber) {
  CHECK(fiber.state_ == Fiber::State::kRunning || fiber.state_ == Fiber::State::kReady);
  CHECK_EQ(fiber.no_suspend_, std::uint32_t{0});
  if (fiber.state_ == Fiber::State::kRunning) {
    fiber.state_ = Fiber::State::kBlocked;
  }
  switch_context(fiber.machine_, loop_);
  while (visitor_ != nullptr) {
    visitor_->on_stack(fiber);
    switch_context(fiber.machine_, loop_);
  }
  if (dying_) {
    throw FiberKilled{};
  }
}

void Scheduler::visit_stacks(StackVisitor& visitor) {
  CHECK(Fiber::current_or_null() == nullptr);
  if (dying_) {
    return;
  }
  const AmbientGuard guard(loop_ambient_);
  visitor_ = &visitor;
  alive_.for_each([this](Fiber& fiber) {
    // Who was halted is blocked, too, but waits for nothing and is not to be continued any more.
    if (fiber.state_ == Fiber::State::kBlocked && fiber.waiter_ != nullptr && !fiber.waiter_->fired()) {
      Ambient* loop = set_ambient(&fiber);
      switch_context(loop_, fiber.machine_);
      set_ambient(loop);
    }
  });
  visitor_ = nullptr;
}

void Scheduler::make_ready(Fiber& fiber) {
  fiber.state_ = Fiber::State::kReady;
  ready_.push_back(fiber);
  ++ready_count_;
}

void Scheduler::make_ready_late(Fiber& fiber) {
  fiber.state_ = Fiber::State::kReady;
  late_.push_back(fiber);
}

void Scheduler::make_ready_next_turn(Fiber& fiber) {
  fiber.state_ = Fiber::State::kReady;
  next_turn_.push_back(fiber);
}

void Scheduler::begin_postponed() {
  while (!next_turn_.empty()) {
    ready_.push_back(next_turn_.pop_front());
    ++ready_count_;
  }
}

void Scheduler::release(Fiber& fiber) {
  FiberScope& scope = *fiber.scope_;
  const StackMemory stack = fiber.stack_;
  destroy_context(fiber.machine_);
  fiber.~Fiber();  // also leaves the list of the living
  stacks_.give_back(stack);
  --alive_count_;
  CHECK_GT(scope.running_, std::size_t{0});
  if (--scope.running_ == 0) {
    scope.ended_.notify_all();
  }
}

void Scheduler::halt() {
  halted_ = true;
  Fiber* fiber = Fiber::current_or_null();
  if (fiber != nullptr && !dying_) {
    CHECK(fiber->scheduler_ == this);
    fiber->state_ = Fiber::State::kBlocked;
    switch_context(fiber->machine_, loop_);
    CHECK(dying_);
  }
  throw FiberKilled{};
}

void Scheduler::unwind_if_killed() const {
  if (dying_ && std::uncaught_exceptions() == 0) {
    throw FiberKilled{};
  }
}

void Scheduler::kill_all() {
  CHECK(Fiber::current_or_null() == nullptr);
  const AmbientGuard guard(loop_ambient_);
  dying_ = true;
  // Children were spawned after their parents, so the youngest first unwinds children before parents.
  while (!alive_.empty()) {
    Fiber& fiber = alive_.back();
    if (fiber.state_ == Fiber::State::kReady) {
      static_cast<ListHook<ReadyTag>&>(fiber).unlink();
    }
    fiber.state_ = Fiber::State::kReady;
    resume(fiber);
  }
  ready_count_ = 0;
  operations_.clear();
}

// ---- operations ----

OpNumber Scheduler::begin_operation(Operation& operation) {
  operation.number_ = operations_.add(operation);
  if (watch_ != nullptr) {
    watch_->on_operation(operation.number_);
  }
  return operation.number_;
}

void Scheduler::forget_operation(Operation& operation) { operations_.take(operation.number_); }

// ---- yielding ----

void yield_to_ready() {
  Fiber& fiber = Fiber::current();
  Scheduler& scheduler = Scheduler::current();
  if (scheduler.dying_) {
    return;
  }
  scheduler.make_ready(fiber);
  scheduler.suspend_current(fiber);
}

void yield_until_quiet() {
  Fiber& fiber = Fiber::current();
  Scheduler& scheduler = Scheduler::current();
  if (scheduler.dying_) {
    return;
  }
  scheduler.make_ready_late(fiber);
  scheduler.suspend_current(fiber);
}

void yield_to_next_turn() {
  Fiber& fiber = Fiber::current();
  Scheduler& scheduler = Scheduler::current();
  if (scheduler.dying_) {
    return;
  }
  scheduler.make_ready_next_turn(fiber);
  scheduler.suspend_current(fiber);
}

}  // namespace chronik::fiber
