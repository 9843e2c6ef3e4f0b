// Turns, deaths and restarts of simulated processes (rules S1, S4, S12, S13).
#include "sim/world.h"

#include <optional>
#include <string>
#include <vector>

#include "core/fiber/turnstile.h"
#include "inspect/frames.h"
#include "sim/points.h"
#include "tests/sim/sim_support.h"

namespace chronik::sim::world_test {
namespace {

TEST(World, TimeAdvancesOnlyToWhatHappens) {
  SmallWorld small;
  std::vector<std::int64_t> order;
  small.world.after(Duration::seconds(3), [&] { order.push_back(small.world.now().nanoseconds()); });
  small.world.after(Duration::seconds(1), [&] { order.push_back(small.world.now().nanoseconds()); });
  const EventId off = small.world.after(Duration::seconds(2), [&] { order.push_back(-1); });
  small.world.cancel(off);
  small.world.run_for(Duration::seconds(10));
  EXPECT_EQ(order, (std::vector<std::int64_t>{1'000'000'000, 3'000'000'000}));
  EXPECT_EQ(small.world.events(), 2u);
}

TEST(World, AProgramExitsWhenItsBodyReturnsAndStartsAgainAsAnotherIncarnation) {
  SmallWorld small;
  std::vector<std::uint64_t> lives;
  Machine& machine = small.machine("node", [&](ProcessContext& process) {
    lives.push_back(process.incarnation);
    EXPECT_TRUE(fiber::sleep(Duration::milliseconds(5)).ok());
  });
  machine.start();
  const ShardId first = machine.shard_ids().front();
  small.world.run_for(Duration::seconds(1));
  ASSERT_FALSE(machine.running());
  EXPECT_EQ(machine.last_exit()->how, Death::kExit);
  machine.start();
  EXPECT_NE(machine.shard_ids().front(), first);
  small.world.run_for(Duration::seconds(1));
  EXPECT_EQ(lives, (std::vector<std::uint64_t>{1, 2}));
}

// What counts the lives of objects on fibers' stacks.
struct Counted {
  explicit Counted(int& count) : count_(count) { ++count_; }
  ~Counted() { --count_; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;
  int& count_;
};

TEST(World, FatalEndsTheProcessInTheMiddleOfTheTurnAndUnwindsAll) {
  SmallWorld small;
  int alive = 0;
  bool went_on = false;
  Machine& machine = small.machine("node", [&](ProcessContext& process) {
    const Counted counted(alive);
    process.scope.spawn({"other", 0}, [&] {
      const Counted inner(alive);
      fiber::yield_to_ready();
      fiber::yield_to_ready();
      went_on = true;
    });
    fiber::yield_to_ready();
    const fiber::NoSuspend even_here;
    process.ports.process.fatal(ExitStatus::kDiskFailed, "the disk is gone");
  });
  machine.start();
  small.world.run_for(Duration::seconds(1));
  EXPECT_EQ(alive, 0);
  EXPECT_FALSE(went_on);
  ASSERT_TRUE(machine.last_exit().has_value());
  EXPECT_EQ(machine.last_exit()->how, Death::kFatal);
  EXPECT_EQ(machine.last_exit()->status, ExitStatus::kDiskFailed);
  EXPECT_EQ(machine.last_exit()->reason, "the disk is gone");
}

// A little of everything that suspends, with buffers, children and a turnstile held.
void busy_program(ProcessContext& process, int& alive) {
  const Counted counted(alive);
  fiber::Turnstile turnstile("roll", 1);
  fiber::FiberScope scope;
  const Slice held = Slice::copy_of("bytes of this process");
  for (std::uint64_t i = 0; i < 3; ++i) {
    scope.spawn({"child", i}, [&, held] {
      const Counted child(alive);
      std::optional<fiber::Turnstile::Pass> pass;
      if (turnstile.enter(pass, patience()).ok()) {
        static_cast<void>(fiber::sleep(Duration::milliseconds(3)));
      }
    });
  }
  const StatusOr<std::unique_ptr<Listener>> listener = process.ports.network.listen(Address::ipv4(127, 0, 0, 1, 9));
  if (listener.ok()) {
    const auto dialled = process.ports.network.connect((*listener)->local(), patience());
    const auto accepted = (*listener)->accept(patience());
    if (dialled.ok() && accepted.ok()) {
      static_cast<void>((*dialled)->write({&held, 1}, patience()));
      std::uint8_t into[64];
      static_cast<void>((*accepted)->read(into, patience()));
    }
  }
  fiber::yield_until_quiet();
  static_cast<void>(scope.join(patience()));
  scope.cancel_and_join();
}

TEST(World, AProcessCanBeKilledAtEachOfItsEvents) {
  // The uninterrupted run says how many events there are; then one run per event, killed just before it.
  std::uint64_t events = 0;
  for (std::uint64_t kill_before = 0; kill_before == 0 || kill_before < events; ++kill_before) {
    for (const Death how : {Death::kProcessKill, Death::kPowerLoss}) {
      SmallWorld small(3, ScheduleKind::kRandom);
      int alive = 0;
      Machine& machine = small.machine("node", [&](ProcessContext& process) { busy_program(process, alive); });
      machine.start();
      if (kill_before == 0) {
        small.world.run_for(Duration::seconds(60));
        EXPECT_FALSE(machine.running());
        events = small.world.events();
        EXPECT_GT(events, 10u);
      } else {
        while (small.world.events() < kill_before) {
          ASSERT_TRUE(small.world.step());
        }
        machine.kill(how);
      }
      EXPECT_EQ(alive, 0) << "killed before event " << kill_before;
      machine.start();
      small.world.run_for(Duration::seconds(60));
      EXPECT_FALSE(machine.running()) << "the next incarnation ran to its end";
      EXPECT_EQ(small.checker(), "") << small.message();
    }
  }
}

TEST(World, AProcessDiesAtANamedPointOfItsCode) {
  SmallWorld small;
  int passed = 0;
  int alive = 0;
  Machine& machine = small.machine("node", [&](ProcessContext&) {
    const Counted counted(alive);
    for (int i = 0; i < 5; ++i) {
      sim_point("raft.before_apply");
      ++passed;
    }
  });
  small.world.points()->kill_at("node", find_point("raft.before_apply"), 2, Death::kProcessKill);
  machine.start();
  small.world.run_for(Duration::seconds(1));
  EXPECT_EQ(passed, 2);
  EXPECT_EQ(alive, 0);
  EXPECT_EQ(machine.last_exit()->how, Death::kProcessKill);
  EXPECT_EQ(small.world.faults().at("kill at point"), 1u);
}

TEST(World, WhoPassesANamedPointIsHeldUpForAsLongAsTheFaultLasts) {
  SmallWorld small;
  std::vector<VirtualTime> passed;
  Machine& machine = small.machine("node", [&](ProcessContext& process) {
    for (int i = 0; i < 4; ++i) {
      sim_pause("wal.before_sync");
      passed.push_back(process.machine.world().now());
      if (i == 1) {
        small.world.points()->end(7);
      }
    }
  });
  const PointFault fault{.id = 7,
                         .machine = "node",
                         .point = find_point("wal.before_sync"),
                         .odds = percent(100),
                         .delay = Duration::milliseconds(20)};
  small.world.points()->begin(fault);
  machine.start();
  small.world.run_for(Duration::seconds(1));
  ASSERT_EQ(passed.size(), 4u);
  EXPECT_GE(passed[0], VirtualTime::zero() + Duration::milliseconds(20));
  EXPECT_GE(passed[1], passed[0] + Duration::milliseconds(20));
  EXPECT_EQ(passed[3], passed[1]);
  const PointCounts& counts = small.world.points()->coverage().points[find_point("wal.before_sync")];
  EXPECT_EQ(counts.passed, 4u);
  EXPECT_EQ(counts.delayed, 2u);
  EXPECT_EQ(small.world.faults().at("delay at point"), 2u);
}

TEST(World, WhatANamedPointGuardsFailsOnOneMachineAndNotOnAnother) {
  SmallWorld small;
  int failures = 0;
  const auto body = [&](ProcessContext&) {
    for (int i = 0; i < 1000; ++i) {
      failures += sim_fails("client.before_connect") ? 1 : 0;
    }
  };
  Machine& other = small.machine("other", body);
  Machine& machine = small.machine("node", body);
  small.world.points()->begin(
      {.id = 7, .machine = "node", .point = find_point("client.before_connect"), .odds = percent(20), .fails = true});
  other.start();
  small.world.run_for(Duration::seconds(1));
  EXPECT_EQ(failures, 0);
  machine.start();
  small.world.run_for(Duration::seconds(1));
  EXPECT_GT(failures, 100);
  EXPECT_LT(failures, 300);
  small.world.points()->forget();
  failures = 0;
  machine.start();
  small.world.run_for(Duration::seconds(1));
  EXPECT_EQ(failures, 0);
}

TEST(World, ASuspendedProcessFindsWhatCameMeanwhileInOneTurn) {
  SmallWorld small;
  int timers = 0;
  std::vector<std::uint64_t> turns;
  Machine& machine = small.machine("node", [&](ProcessContext& process) {
    for (std::uint64_t i = 1; i <= 5; ++i) {
      process.scope.spawn({"timer", i}, [&, i] {
        EXPECT_TRUE(fiber::sleep(Duration::milliseconds(static_cast<std::int64_t>(100 * i))).ok());
        ++timers;
        turns.push_back(fiber::Scheduler::current().turns());
      });
    }
    EXPECT_TRUE(fiber::sleep(Duration::seconds(5)).ok());
  });
  machine.start();
  small.world.after(Duration::milliseconds(50), [&] { machine.suspend(); });
  small.world.after(Duration::seconds(2), [&] {
    EXPECT_EQ(timers, 0);
    machine.resume();
  });
  small.world.run_for(Duration::seconds(10));
  EXPECT_EQ(timers, 5);
  EXPECT_EQ(turns.front(), turns.back());
}

TEST(World, ClocksDriftApartAndOnlyTheWallClockSteps) {
  SmallWorld small;
  MachineOptions options;
  options.name = "fast";
  options.clock.drift_parts_per_million = 100'000;
  Machine& fast = small.world.add_machine(options);
  std::int64_t slept_until = 0;
  std::int64_t wall_moved = 0;
  fast.install([&](ProcessContext& process) {
    const WallTime before = process.ports.clock.wall();
    const MonotonicTime start = process.ports.clock.monotonic();
    EXPECT_TRUE(fiber::sleep(Duration::seconds(11)).ok());
    EXPECT_GE((process.ports.clock.monotonic() - start).milliseconds(), 11'000);
    slept_until = process.machine.world().now().nanoseconds() / 1'000'000;
    wall_moved = process.ports.clock.wall().milliseconds() - before.milliseconds();
  });
  fast.start();
  small.world.after(Duration::seconds(1), [&] { fast.clock().step_wall(Duration::seconds(-3600)); });
  small.world.run_for(Duration::seconds(20));
  EXPECT_NEAR(static_cast<double>(slept_until), 10'000, 50);  // its 11 s are the world's 10
  EXPECT_NEAR(static_cast<double>(wall_moved), -3'589'000, 100);
}

// ---- hangs (rule S3) ----

TEST(Hang, ALostWakeUpIsCalledOne) {
  const auto wait_for_signal = [](bool provided) {
    SmallWorld small;
    small
        .machine("node",
                 [provided](ProcessContext&) {
                   constexpr WaitKey kSignal{WaitKind::kEvent, 1, 0, 0};
                   fiber::Event event;
                   event.notify_all();  // before anybody waits
                   fiber::FiberScope scope;
                   if (provided) {
                     scope.spawn({"signals", 0}, [&] {
                       const fiber::Provides provides(kSignal);
                       static_cast<void>(fiber::sleep(Duration::seconds(60)));
                     });
                     fiber::yield_to_ready();
                   }
                   static_cast<void>(event.wait(kSignal, fiber::within(Duration::seconds(1), Expiry::kNever)));
                   scope.cancel_and_join();
                 })
        .start();
    small.world.run_for(Duration::seconds(5));
    EXPECT_EQ(small.checker(), "NO-STUCK");
    return small.message();
  };
  EXPECT_NE(wait_for_signal(false).find("a lost wake-up: node#1.0 main-0 waits for event 1"), std::string::npos);
  EXPECT_EQ(wait_for_signal(true).find("lost wake-up"), std::string::npos) << "somebody says that he will signal";
}

TEST(Hang, ACycleOfTurnstilesIsReportedWhicheverWaitExpiresFirst) {
  SmallWorld small;
  small
      .machine("node",
               [](ProcessContext& process) {
                 fiber::Turnstile left("left", 1);
                 fiber::Turnstile right("right", 2);
                 fiber::FiberScope scope;
                 const auto take = [](fiber::Turnstile& first, fiber::Turnstile& second) {
                   std::optional<fiber::Turnstile::Pass> a;
                   std::optional<fiber::Turnstile::Pass> b;
                   EXPECT_TRUE(first.enter(a, fiber::within(Duration::seconds(5), Expiry::kPeer)).ok());
                   static_cast<void>(fiber::sleep(Duration::milliseconds(10)));
                   static_cast<void>(second.enter(b, fiber::within(Duration::seconds(5), Expiry::kPeer)));
                 };
                 scope.spawn({"one", 1}, [&] { take(left, right); });
                 scope.spawn({"two", 2}, [&] { take(right, left); });
                 static_cast<void>(scope.join(fiber::within(Duration::seconds(60), Expiry::kNormal)));
                 scope.cancel_and_join();
                 static_cast<void>(process);
               })
      .start();
  small.world.run_for(Duration::seconds(30));
  EXPECT_EQ(small.checker(), "NO-STUCK");
  EXPECT_NE(small.message().find("wait for each other"), std::string::npos) << small.message();
  EXPECT_NE(
      small.message().find("DEADLOCKED node#1.0 main-0/one-1 waits for turnstile 2 (right) (of node#1.0 main-0/two-2)"),
      std::string::npos)
      << small.message();
}

void wait_without_end(fiber::Turnstile& held) __attribute__((noinline));
void wait_without_end(fiber::Turnstile& held) {
  std::optional<fiber::Turnstile::Pass> pass;
  static_cast<void>(held.enter(pass, fiber::within(Duration::seconds(5), Expiry::kPeer)));
}

void left_then_right(fiber::Turnstile& left, fiber::Turnstile& right) __attribute__((noinline));
void left_then_right(fiber::Turnstile& left, fiber::Turnstile& right) {
  std::optional<fiber::Turnstile::Pass> pass;
  EXPECT_TRUE(left.enter(pass, fiber::within(Duration::seconds(5), Expiry::kPeer)).ok());
  static_cast<void>(fiber::sleep(Duration::milliseconds(10)));
  wait_without_end(right);
}

void right_then_left(fiber::Turnstile& left, fiber::Turnstile& right) __attribute__((noinline));
void right_then_left(fiber::Turnstile& left, fiber::Turnstile& right) {
  std::optional<fiber::Turnstile::Pass> pass;
  EXPECT_TRUE(right.enter(pass, fiber::within(Duration::seconds(5), Expiry::kPeer)).ok());
  static_cast<void>(fiber::sleep(Duration::milliseconds(10)));
  wait_without_end(left);
}

// What stands in `text` from `begin` up to the first line that does not go deeper.
std::string paragraph(const std::string& text, const std::string& begin) {
  const std::size_t from = text.find(begin);
  if (from == std::string::npos) {
    return {};
  }
  std::size_t to = text.find('\n', from);
  while (to != std::string::npos && text.compare(to + 1, 6, "      ") == 0) {
    to = text.find('\n', to + 1);
  }
  return text.substr(from, to - from);
}

TEST(Hang, TheReportNamesTheFunctionsThatTheDeadlockedFibersAreIn) {
  inspect::initialize_symbols("/proc/self/exe");
  SmallWorld small;
  small
      .machine("node",
               [](ProcessContext&) {
                 fiber::Turnstile left("left", 1);
                 fiber::Turnstile right("right", 2);
                 fiber::FiberScope scope;
                 scope.spawn({"one", 1}, [&] { left_then_right(left, right); });
                 scope.spawn({"two", 2}, [&] { right_then_left(left, right); });
                 scope.spawn({"idle", 3}, [] { static_cast<void>(fiber::sleep(Duration::seconds(50))); });
                 static_cast<void>(scope.join(fiber::within(Duration::seconds(60), Expiry::kNormal)));
                 scope.cancel_and_join();
               })
      .start();
  small.world.run_for(Duration::seconds(30));
  const std::string text = small.message();
  const std::size_t stacks = text.find("stacks:");
  ASSERT_NE(stacks, std::string::npos) << text;
  const std::string one = paragraph(text.substr(stacks), "node#1.0 main-0/one-1 is in");
  const std::string two = paragraph(text.substr(stacks), "node#1.0 main-0/two-2 is in");
  EXPECT_NE(one.find("wait_without_end"), std::string::npos) << text;
  EXPECT_NE(one.find("left_then_right"), std::string::npos) << text;
  EXPECT_NE(two.find("wait_without_end"), std::string::npos) << text;
  EXPECT_NE(two.find("right_then_left"), std::string::npos) << text;
  EXPECT_LT(one.find("wait_without_end"), one.find("left_then_right")) << "the innermost first";
  EXPECT_EQ(one.find("suspend_current"), std::string::npos) << one;
  EXPECT_EQ(text.find("idle-3 is in"), std::string::npos) << "it has nothing to do with it: " << text;
}

TEST(Hang, WhoseStackWasLookedAtGoesOnAsIfNothingHadBeen) {
  SmallWorld small;
  fiber::Event event;
  bool told = false;
  bool ended = false;
  small
      .machine("node",
               [&](ProcessContext&) {
                 fiber::FiberScope scope;
                 scope.spawn({"waiter", 0}, [&] { told = event.wait({WaitKind::kEvent, 1, 0, 0}, patience()).ok(); });
                 static_cast<void>(fiber::sleep(Duration::seconds(5)));
                 event.notify_all();
                 static_cast<void>(scope.join(patience()));
                 ended = true;
               })
      .start();
  small.world.run_for(Duration::seconds(1));
  EXPECT_NE(small.world.describe_waits().find("waiter-0"), std::string::npos);
  EXPECT_EQ(small.world.describe_waits(), small.world.describe_waits());
  small.world.run_for(Duration::seconds(9));
  EXPECT_TRUE(told);
  EXPECT_TRUE(ended);
}

TEST(Hang, AWaitForAPeerMayExpireWhileFaultsLastAndNotAfterwards) {
  for (const bool calm : {false, true}) {
    SmallWorld small;
    small
        .machine("node",
                 [](ProcessContext&) {
                   fiber::Event never;
                   static_cast<void>(
                       never.wait({WaitKind::kEvent, 1, 0, 0}, fiber::within(Duration::seconds(1), Expiry::kPeer)));
                 })
        .start();
    if (calm) {
      small.world.expect_calm_from(VirtualTime::zero());
    }
    small.world.run_for(Duration::seconds(5));
    EXPECT_EQ(small.checker(), calm ? "NO-STUCK" : "");
  }
}

TEST(Hang, AWaitThatOnlyABugLetsExpireIsAFindingWheneverItDoes) {
  SmallWorld small;
  small
      .machine("node",
               [](ProcessContext&) {
                 fiber::Event never;
                 static_cast<void>(
                     never.wait({WaitKind::kEvent, 1, 0, 0}, fiber::within(Duration::seconds(1), Expiry::kNever)));
               })
      .start();
  small.world.run_for(Duration::seconds(5));
  EXPECT_EQ(small.checker(), "NO-STUCK");
}

TEST(Hang, AProcessThatNeverComesToRestIsReported) {
  SmallWorld small;
  small
      .machine("node",
               [](ProcessContext&) {
                 for (;;) {
                   fiber::yield_to_ready();
                 }
               })
      .start();
  small.world.run_for(Duration::seconds(100));
  EXPECT_EQ(small.checker(), "NO-SPIN");
}

TEST(Hang, AWorldWhoseTimeStandsStillIsReported) {
  SmallWorld small(WorldOptions{.events_per_millisecond_max = 1000});
  std::function<void()> again = [&] { small.world.after(Duration::zero(), [&] { again(); }); };
  again();
  small.world.run_for(Duration::seconds(1));
  EXPECT_EQ(small.checker(), "NO-SPIN");
}

}  // namespace
}  // namespace chronik::sim::world_test
