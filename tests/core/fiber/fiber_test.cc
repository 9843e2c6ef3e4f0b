#include "core/fiber/fiber.h"

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/fiber/channel.h"
#include "core/fiber/turnstile.h"
#include "tests/support/fiber_world.h"

namespace chronik::fiber {
namespace {

using chronik::testing::FiberWorld;

const WaitKey kKey{WaitKind::kEvent, 1, 0, 0};

TEST(Scheduler, RunsFibersInTheOrderOfSpawning) {
  FiberWorld world;
  std::string order;
  for (const char* name : {"a", "b", "c"}) {
    world.spawn(name, [&order, name] {
      order += name;
      yield_to_ready();
      order += name;
    });
  }
  world.run();
  EXPECT_EQ(order, "abcabc");
  EXPECT_EQ(world.scheduler.fibers(), 0u);
}

TEST(Scheduler, AFiberThatWaitsForQuietRunsAfterAllThatIsReadyInItsTurn) {
  FiberWorld world;
  std::string order;
  world.spawn("late", [&] {
    yield_until_quiet();
    order += "L";
  });
  world.spawn("parent", [&] {
    order += "p";
    Fiber::current().scope().spawn({"child", 0}, [&order] { order += "c"; });
    yield_to_ready();
    order += "p";
  });
  world.run();
  EXPECT_EQ(order, "pcpL");
}

TEST(Scheduler, ATurnEndsAtItsBudgetAndSaysThatThereIsMore) {
  FiberWorld world(nullptr, {.resumes_per_turn = 10});
  int rounds = 0;
  world.spawn("spinner", [&] {
    while (++rounds < 25) {
      yield_to_ready();
    }
  });
  EXPECT_TRUE(world.scheduler.run_turn(world.now, {}));
  EXPECT_EQ(rounds, 10);
  world.run();
  EXPECT_EQ(rounds, 25);
}

TEST(Scheduler, WhatWasPutOffToTheNextTurnLetsTheWorldSpeakFirst) {
  FiberWorld world;
  std::string order;
  PendingOperation arrival;
  world.spawn("walker", [&] {
    for (int step = 0; step < 3; ++step) {
      order += "w";
      yield_to_next_turn();
    }
  });
  world.spawn("served", [&] {
    Scheduler::current().begin_operation(arrival);
    EXPECT_TRUE(arrival.wait(kKey, within(Duration::seconds(1), Expiry::kNever)).ok());
    order += "s";
  });
  EXPECT_TRUE(world.scheduler.run_turn(world.now, {}));
  EXPECT_EQ(order, "w");
  EXPECT_FALSE(world.scheduler.idle());
  world.completions.push_back({arrival.number(), 0});
  EXPECT_TRUE(world.scheduler.run_turn(world.now, world.take_completions()));
  EXPECT_EQ(order, "wsw");
  world.run();
  EXPECT_EQ(order, "wsww");
  EXPECT_TRUE(world.scheduler.idle());
}

TEST(Wait, ASleepLastsAsLongAsItSays) {
  FiberWorld world;
  const MonotonicTime start = world.now;
  MonotonicTime woke;
  world.spawn("sleeper", [&] {
    EXPECT_TRUE(sleep(Duration::milliseconds(250)).ok());
    woke = Scheduler::current().now();
  });
  world.run();
  EXPECT_EQ((woke - start).milliseconds(), 250);
}

TEST(Wait, ADeadlineIsRoundedUpToTheTimersGrain) {
  FiberWorld world(nullptr, {.timer_granularity = Duration::milliseconds(10)});
  MonotonicTime woke;
  world.spawn("sleeper", [&] {
    EXPECT_TRUE(sleep(Duration::microseconds(1)).ok());
    woke = Scheduler::current().now();
  });
  world.run();
  EXPECT_EQ(woke.nanoseconds() % 10'000'000, 0);
  EXPECT_EQ((woke - MonotonicTime::from_nanoseconds(1'000'000'000)).milliseconds(), 10);
}

TEST(Wait, AnEventWakesAllWhoWaitAndNobodyElse) {
  FiberWorld world;
  Event event;
  int woken = 0;
  for (int i = 0; i < 3; ++i) {
    world.spawn("waiter", [&] {
      EXPECT_TRUE(event.wait(kKey, within(Duration::seconds(1), Expiry::kNever)).ok());
      ++woken;
    });
  }
  world.spawn("late", [&] {
    event.notify_all();
    EXPECT_TRUE(absl::IsDeadlineExceeded(event.wait(kKey, within(Duration::seconds(1), Expiry::kNormal))));
  });
  world.run();
  EXPECT_EQ(woken, 3);
}

TEST(Wait, ACancelledScopeCallsItsWaitsOff) {
  FiberWorld world;
  std::vector<absl::StatusCode> seen;
  world.spawn("owner", [&] {
    FiberScope scope;
    Event never;
    scope.spawn({"child", 0}, [&] { seen.push_back(never.wait(kKey, for_ever()).code()); });
    yield_to_ready();
    scope.cancel_and_join();
    scope.spawn({"child", 1}, [&] { seen.push_back(sleep(Duration::seconds(1)).code()); });
    EXPECT_TRUE(scope.join(within(Duration::seconds(1), Expiry::kNever)).ok() ||
                Fiber::current().scope().source().cancelled());
  });
  world.run();
  EXPECT_EQ(seen, (std::vector<absl::StatusCode>{absl::StatusCode::kCancelled, absl::StatusCode::kCancelled}));
}

TEST(WaitSet, WakesForAnyOfItsEventsWithOneWait) {
  FiberWorld world;
  std::vector<std::unique_ptr<Event>> events;
  events.reserve(1000);
  for (int i = 0; i < 1000; ++i) {
    events.push_back(std::make_unique<Event>());
  }
  bool woken = false;
  world.spawn("waiter", [&] {
    WaitSet set;
    for (std::uint64_t i = 0; i < events.size(); ++i) {
      set.add(*events[i], {WaitKind::kEvent, i, 0, 0});
    }
    EXPECT_TRUE(set.wait_any(within(Duration::seconds(1), Expiry::kNever)).ok());
    woken = true;
  });
  world.spawn("signaller", [&] { events[713]->notify_all(); });
  world.run();
  EXPECT_TRUE(woken);
}

TEST(Channel, RefusesWhenFullAndKeepsOrder) {
  FiberWorld world;
  Channel<int> channel(2, kKey);
  std::vector<int> got;
  world.spawn("sender", [&] {
    EXPECT_TRUE(channel.try_push(1));
    EXPECT_TRUE(channel.try_push(2));
    EXPECT_FALSE(channel.try_push(3));
    channel.close();
  });
  world.spawn("receiver", [&] {
    for (;;) {
      auto item = channel.pop(within(Duration::seconds(1), Expiry::kNever));
      if (!item.ok()) {
        EXPECT_EQ(item.status().code(), absl::StatusCode::kOutOfRange);
        return;
      }
      got.push_back(*item);
    }
  });
  world.run();
  EXPECT_EQ(got, (std::vector<int>{1, 2}));
}

TEST(Turnstile, LetsOneInAtATimeInOrderOfArrival) {
  FiberWorld world;
  Turnstile turnstile("roll", 7);
  std::string order;
  for (const char* name : {"a", "b", "c"}) {
    world.spawn(name, [&, name] {
      std::optional<Turnstile::Pass> pass;
      ASSERT_TRUE(turnstile.enter(pass, within(Duration::seconds(1), Expiry::kNever)).ok());
      order += name;
      EXPECT_TRUE(sleep(Duration::milliseconds(5)).ok());
      order += name;
    });
  }
  world.run();
  EXPECT_EQ(order, "aabbcc");
  EXPECT_FALSE(turnstile.held());
}

TEST(Turnstile, AWaiterThatGaveUpIsNotLetIn) {
  FiberWorld world;
  Turnstile turnstile("roll", 7);
  bool second_came_in = false;
  world.spawn("holder", [&] {
    std::optional<Turnstile::Pass> pass;
    ASSERT_TRUE(turnstile.enter(pass, for_ever()).ok());
    EXPECT_TRUE(sleep(Duration::milliseconds(50)).ok());
  });
  world.spawn("impatient", [&] {
    std::optional<Turnstile::Pass> pass;
    EXPECT_TRUE(absl::IsDeadlineExceeded(turnstile.enter(pass, within(Duration::milliseconds(10), Expiry::kNormal))));
  });
  world.spawn("patient", [&] {
    std::optional<Turnstile::Pass> pass;
    second_came_in = turnstile.enter(pass, within(Duration::seconds(1), Expiry::kNever)).ok();
  });
  world.run();
  EXPECT_TRUE(second_came_in);
  EXPECT_FALSE(turnstile.held());
}

TEST(Exceptions, TwoFibersSuspendedInCatchBlocksKeepTheirOwn) {
  FiberWorld world;
  std::vector<std::string> seen;
  for (const char* name : {"first", "second"}) {
    world.spawn(name, [&seen, name] {
      try {
        try {
          throw std::runtime_error(name);
        } catch (const std::runtime_error&) {
          yield_to_ready();
          throw;
        }
      } catch (const std::runtime_error& error) {
        seen.emplace_back(error.what());
      }
    });
  }
  world.run();
  EXPECT_EQ(seen, (std::vector<std::string>{"first", "second"}));
}

struct Traced {
  explicit Traced(std::string& log, char mark) : log_(log), mark_(mark) {}
  ~Traced() { log_ += mark_; }
  std::string& log_;
  char mark_;
};

TEST(Killing, UnwindsChildrenBeforeParentsWithoutSwitching) {
  std::string log;
  {
    FiberWorld world;
    Event never;
    world.spawn("parent", [&] {
      const Traced parent(log, 'p');
      FiberScope scope;
      scope.spawn({"child", 0}, [&] {
        const Traced child(log, 'c');
        const Status status = never.wait(kKey, for_ever());
        log += "unreachable";
        static_cast<void>(status);
      });
      const Status joined = scope.join(for_ever());
      log += "unreachable";
      static_cast<void>(joined);
    });
    world.run();
    world.spawn("never started", [traced = std::make_unique<Traced>(log, 'n')] { traced->log_ += "unreachable"; });
    world.scheduler.kill_all();
    EXPECT_EQ(world.scheduler.fibers(), 0u);
  }
  EXPECT_EQ(log, "ncp");
}

TEST(Killing, AWaitInADestructorOfADyingFiberReturnsAtOnce) {
  FiberWorld world;
  Event never;
  struct Waits {
    Event& event;
    ~Waits() { EXPECT_TRUE(absl::IsAborted(event.wait(kKey, for_ever()))); }
  };
  world.spawn("f", [&] {
    const Waits waits{never};
    EXPECT_TRUE(sleep(Duration::seconds(1)).ok());
  });
  world.run_for(Duration::milliseconds(1));
  world.scheduler.kill_all();
}

// Joins its fiber, which goes on until the node dies, as it is destroyed.
struct Joins {
  explicit Joins(std::string& traced) : log(traced) {
    scope.spawn({"child", 0}, [this] {
      const Traced child(log, 'c');
      const Deadline deadline(MonotonicTime::never(), Expiry::kNormal, Scheduler::current().root_cancel());
      static_cast<void>(never.wait(kKey, deadline));
      log += "unreachable";
    });
  }
  ~Joins() {
    scope.cancel_and_join_in_destructor();
    log += 'j';
  }
  std::string& log;
  Event never;
  FiberScope scope;
};

TEST(Killing, AFiberThatJoinsInADestructorIsUnwoundFromItsNextWaitOrSpawn) {
  for (const bool spawns : {false, true}) {
    std::string log;
    FiberWorld world;
    world.spawn("parent", [&] {
      const Traced parent(log, 'p');
      FiberScope scope;
      { const Joins joins(log); }
      log += 'a';
      if (spawns) {
        scope.spawn({"late", 0}, [&log] { log += "unreachable"; });
      } else {
        static_cast<void>(sleep(Duration::seconds(1)));
      }
      log += "unreachable";
    });
    world.run_for(Duration::milliseconds(1));
    world.scheduler.kill_all();
    EXPECT_EQ(log, "cjap");
  }
}

struct ByHand : PendingOperation {};

TEST(Operation, ItsCompletionWakesWhoWaits) {
  FiberWorld world;
  ByHand operation;
  std::int64_t result = 0;
  world.spawn("f", [&] {
    Scheduler::current().begin_operation(operation);
    EXPECT_TRUE(operation.wait(kKey, within(Duration::seconds(1), Expiry::kNever)).ok());
    result = operation.result();
  });
  world.scheduler.run_turn(world.now, {});
  world.completions.push_back({operation.number(), 42});
  world.run();
  EXPECT_EQ(result, 42);
}

// A later one may have its place in the table.
TEST(Operation, TheCompletionOfAForgottenOneReachesNobody) {
  FiberWorld world;
  ByHand forgotten;
  ByHand later;
  world.spawn("f", [&] {
    Scheduler& scheduler = Scheduler::current();
    scheduler.begin_operation(forgotten);
    scheduler.forget_operation(forgotten);
    scheduler.begin_operation(later);
    EXPECT_LT(forgotten.number(), later.number());
    EXPECT_EQ(scheduler.operations_in_flight(), 1u);
    EXPECT_TRUE(later.wait(kKey, within(Duration::seconds(1), Expiry::kNever)).ok());
    EXPECT_EQ(later.result(), 2);
    EXPECT_EQ(scheduler.operations_in_flight(), 0u);
  });
  world.scheduler.run_turn(world.now, {});
  world.completions.push_back({forgotten.number(), 1});
  world.completions.push_back({later.number(), 2});
  world.completions.push_back({later.number(), 3});
  world.run();
  EXPECT_FALSE(forgotten.done());
  EXPECT_TRUE(later.done());
}

TEST(NoSuspendDeathTest, SuspendingInsideAborts) {
  FiberWorld world;
  world.spawn("f", [] {
    const NoSuspend guard;
    EXPECT_DEATH(yield_to_ready(), "no_suspend");
  });
  world.run();
}

// AddressSanitizer would keep the array elsewhere, to find uses after its end.
[[gnu::noinline, gnu::no_sanitize_address]] void use_stack() {
  volatile char room[20'000];
  room[0] = 1;
  room[19'999] = room[0];
}

TEST(StackPool, KnowsTheDeepestUseOfAStack) {
  FiberWorld world(nullptr, {.stacks = {.measure = true}});
  world.spawn("deep", use_stack);
  world.run();
  EXPECT_GT(world.scheduler.stacks().high_water_bytes(), 20'000u);
  EXPECT_LT(world.scheduler.stacks().high_water_bytes(), 100'000u);
}

// Chooses the last of what is offered, always.
struct Last : Strategy {
  std::size_t choose(ChoicePoint, std::uint64_t, std::size_t ways) override { return ways - 1; }
};

TEST(Strategy, DecidesWhichReadyFiberRunsNext) {
  Last last;
  FiberWorld world(&last);
  std::string order;
  for (const char* name : {"a", "b", "c"}) {
    world.spawn(name, [&order, name] { order += name; });
  }
  world.run();
  EXPECT_EQ(order, "cba");
}

TEST(Lineage, DependsOnNamesNotOnWhatElseRuns) {
  std::vector<std::uint64_t> seen;
  for (int others = 0; others < 2; ++others) {
    FiberWorld world;
    for (int i = 0; i < others; ++i) {
      world.scope.spawn({"other", 0}, [] {});
    }
    world.scope.spawn({"client", 3}, [&] {
      Fiber::current().scope().spawn({"connection", 5}, [&] {
        seen.push_back(Fiber::current().lineage());
        EXPECT_EQ(Fiber::current().path(), "client-3/connection-5");
      });
    });
    world.run();
  }
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_EQ(seen[0], seen[1]);
}

}  // namespace
}  // namespace chronik::fiber
