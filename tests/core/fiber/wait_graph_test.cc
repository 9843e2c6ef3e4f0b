#include "core/fiber/wait_graph.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "core/fiber/turnstile.h"
#include "core/fiber/wait_report.h"
#include "tests/support/fiber_world.h"

namespace chronik::fiber {
namespace {

using chronik::testing::FiberWorld;

FiberWait waiting(std::uint64_t name, std::vector<WaitKey> keys, std::vector<WaitKey> provides) {
  FiberWait wait;
  wait.shard = ShardId(0);
  wait.path = std::to_string(name);
  wait.scope = 1000 + name;
  wait.waiting = true;
  wait.keys = std::move(keys);
  wait.provides = std::move(provides);
  wait.left = Duration::seconds(1);
  return wait;
}

WaitKey key(std::uint64_t number) { return {WaitKind::kTurnstile, number, 0, 0}; }

TEST(WaitGraph, ACycleIsADeadlockAndWhoWaitsForItIsStuckToo) {
  const std::vector<FiberWait> waits{waiting(0, {key(1)}, {key(2)}), waiting(1, {key(2)}, {key(1)}),
                                     waiting(2, {key(1)}, {}), waiting(3, {key(9)}, {key(8)})};
  EXPECT_EQ(find_deadlock(waits), (std::vector<std::size_t>{0, 1, 2}));
}

TEST(WaitGraph, OneWhoCanStillRunBreaksTheCycle) {
  std::vector<FiberWait> waits{waiting(0, {key(1)}, {key(2)}), waiting(1, {key(2)}, {key(1)})};
  waits[1].wakes_itself = true;
  EXPECT_TRUE(find_deadlock(waits).empty());
  waits[1].wakes_itself = false;
  waits.push_back(waiting(2, {}, {key(1)}));  // somebody else may see to it
  waits[2].waiting = false;
  EXPECT_TRUE(find_deadlock(waits).empty());
}

TEST(WaitGraph, AWaitForAnyOfSeveralIsStuckOnlyWhereAllOfThemAre) {
  std::vector<FiberWait> waits{waiting(0, {key(1), key(2)}, {key(3)}), waiting(1, {key(3)}, {key(1)}),
                               waiting(2, {key(3)}, {key(2)})};
  EXPECT_EQ(find_deadlock(waits).size(), 3u) << "a knot";
  waits[0].keys.push_back(key(7));  // nobody here provides it: the outside world may
  EXPECT_TRUE(find_deadlock(waits).empty());
}

TEST(WaitGraph, KeysOfRequestsJoinNodesAndThoseOfTurnstilesDoNot) {
  const WaitKey request{WaitKind::kRequest, 1, 2, 3};
  std::vector<FiberWait> waits{waiting(0, {request}, {key(1)}), waiting(1, {key(1)}, {request})};
  waits[1].shard = ShardId(1);
  EXPECT_TRUE(find_deadlock(waits).empty()) << "turnstile 1 of the other shard is another one";
  const WaitKey back{WaitKind::kRequest, 2, 1, 4};
  waits[1].keys = {back};
  waits[0].provides = {back};
  EXPECT_EQ(find_deadlock(waits).size(), 2u);
}

TEST(WaitGraph, IsDrawnFromTheFibersOfAScheduler) {
  FiberWorld world;
  Turnstile left("left", 1);
  Turnstile right("right", 2);
  const auto take = [](Turnstile& first, Turnstile& second) {
    std::optional<Turnstile::Pass> a;
    std::optional<Turnstile::Pass> b;
    EXPECT_TRUE(first.enter(a, within(Duration::seconds(1), Expiry::kPeer)).ok());
    yield_to_ready();
    EXPECT_FALSE(second.enter(b, within(Duration::seconds(9), Expiry::kPeer)).ok());
  };
  world.spawn("one", [&] { take(left, right); });
  world.spawn("two", [&] { take(right, left); });
  world.spawn("sleeper", [] { static_cast<void>(sleep(Duration::seconds(20))); });
  world.run_for(Duration::seconds(1));
  std::vector<FiberWait> waits;
  collect_waits(world.scheduler, "here", world.scheduler.now(), waits);
  const std::vector<std::size_t> deadlocked = find_deadlock(waits);
  EXPECT_EQ(deadlocked, (std::vector<std::size_t>{0, 1}));
  const std::string text = describe_waits(waits, deadlocked);
  EXPECT_NE(text.find("DEADLOCKED here one-0 waits for turnstile 2 (right) (of here two-1), 9000 ms left, peer"),
            std::string::npos)
      << text;
  EXPECT_NE(
      text.find("deadlock: here one-0 holds turnstile 1 (left) and waits for turnstile 2 (right); here two-1 holds "
                "turnstile 2 (right) and waits for turnstile 1 (left)\n"),
      std::string::npos)
      << text;
  world.run();
}

TEST(WaitGraph, WhoProvidesAnyOfAKindProvidesEach) {
  const WaitKey any{WaitKind::kMetadataIndex, kAnyNumber, 0, 0};
  const WaitKey seven{WaitKind::kMetadataIndex, 7, 0, 0};
  std::vector<FiberWait> waits{waiting(0, {seven}, {key(1)}), waiting(1, {key(1)}, {any})};
  EXPECT_EQ(find_deadlock(waits).size(), 2u);
  waits[1].provides = {{WaitKind::kWalFlush, kAnyNumber, 0, 0}};
  EXPECT_TRUE(find_deadlock(waits).empty());
}

TEST(WaitGraph, WhatManyWaitForInTheEndIsNamedWithAllBehindIt) {
  const WaitKey flush{WaitKind::kWalFlush, 0, 0, 0};
  const WaitKey disk{WaitKind::kDisk, 12, 0, 0};
  std::vector<FiberWait> waits{waiting(0, {flush}, {key(1)}), waiting(1, {disk}, {flush}), waiting(2, {key(1)}, {}),
                               waiting(3, {key(8)}, {})};
  waits[1].detail = "sync wal/0.wal";
  waits[1].waited = Duration::milliseconds(812);
  const std::vector<WaitSink> sinks = find_sinks(waits);
  ASSERT_EQ(sinks.size(), 1u) << "nobody waits for 3";
  EXPECT_EQ(sinks[0].who, 1u);
  EXPECT_EQ(sinks[0].behind, (std::vector<std::size_t>{0, 2}));
  const std::string text = describe_waits(waits, {});
  EXPECT_NE(text.find("2 wait for  1, which has waited 812 ms for disk operation 12 (sync wal/0.wal):  0,  2\n"),
            std::string::npos)
      << text;
}

TEST(WaitGraph, AHolderThatSleepsIsShownAsTheHolder) {
  FiberWorld world;
  Turnstile account("account", 7);
  const auto collected = [&world] {
    std::vector<FiberWait> waits;
    collect_waits(world.scheduler, "here", world.now, waits);
    EXPECT_TRUE(find_deadlock(waits).empty());
    return describe_waits(waits, {});
  };
  world.spawn("holder", [&] {
    std::optional<Turnstile::Pass> pass;
    EXPECT_TRUE(account.enter(pass, within(Duration::seconds(1), Expiry::kPeer)).ok());
    static_cast<void>(sleep(Duration::seconds(5)));
    Event outside;  // which nobody provides
    EXPECT_FALSE(outside.wait({WaitKind::kEvent, 3, 0, 0}, within(Duration::seconds(20), Expiry::kPeer)).ok());
  });
  world.run_for(Duration::seconds(1));
  EXPECT_NE(collected().find("here holder-0 waits for sleep, 4000 ms left, normal, since 1000 ms, holds turnstile 7\n"),
            std::string::npos)
      << collected();
  world.spawn("waiter", [&] {
    std::optional<Turnstile::Pass> pass;
    EXPECT_FALSE(account.enter(pass, within(Duration::seconds(10), Expiry::kPeer)).ok());
  });
  world.run_for(Duration::seconds(1));
  EXPECT_NE(collected().find("  1 waits for here holder-0, which has waited 2000 ms for sleep and holds turnstile 7 "
                             "(account): here waiter-1\n"),
            std::string::npos)
      << collected();
  world.run_for(Duration::seconds(4));
  EXPECT_NE(collected().find("holder-0 waits for event 3, 19000 ms left, peer, since 1000 ms, holds turnstile 7 "
                             "(account)\n"),
            std::string::npos)
      << collected();
  world.run();
}

TEST(WaitGraph, WhoIsWithoutWorkAndHoldsATurnstileIsListed) {
  std::vector<FiberWait> waits{waiting(0, {{WaitKind::kWork, 0, 0, 0}}, {key(4)}),
                               waiting(1, {{WaitKind::kWork, 0, 0, 0}}, {})};
  const std::string text = describe_waits(waits, {});
  EXPECT_NE(text.find(" 0 waits for work, 1000 ms left, normal, holds turnstile 4\n"), std::string::npos) << text;
  EXPECT_NE(text.find("  1 without work:  1\n"), std::string::npos) << text;
}

TEST(WaitGraph, WhoIsMerelyBehindACycleIsToldFromWhoIsInIt) {
  const std::vector<FiberWait> waits{waiting(0, {key(1)}, {key(2)}), waiting(1, {key(2)}, {key(1)}),
                                     waiting(2, {key(1)}, {key(3)}), waiting(3, {key(3)}, {})};
  const std::string text = describe_waits(waits, find_deadlock(waits));
  EXPECT_NE(text.find("  2 more can never go on either, though in no circle: marked BEHIND, and behind one that is "
                      "DEADLOCKED\n"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("  DEADLOCKED  0 waits for turnstile 1 (of  1)"), std::string::npos) << text;
  EXPECT_NE(text.find("  DEADLOCKED  1 waits for turnstile 2 (of  0)"), std::string::npos) << text;
  EXPECT_NE(text.find("  BEHIND      2 waits for turnstile 1 (of  1)"), std::string::npos) << text;
  EXPECT_NE(text.find("  BEHIND      3 waits for turnstile 3 (of  2)"), std::string::npos) << text;
  EXPECT_EQ(describe_waits({waits.data(), 2}, std::vector<std::size_t>{0, 1}).find("BEHIND"), std::string::npos);
}

// Something that waits without a fiber.
class Parked final : public WaitSource {
 public:
  void add_wait(MonotonicTime now, std::vector<FiberWait>& into) const override {
    FiberWait& wait = into.emplace_back();
    wait.path = "parked";
    wait.waiting = true;
    wait.keys = {key(2)};
    wait.provides = {key(1)};
    wait.left = Duration::seconds(5);
    wait.waited = now - MonotonicTime();
  }
};

TEST(WaitGraph, HoldsWhatWaitsWithoutAFiber) {
  FiberWorld world;
  Turnstile left("left", 1);
  world.spawn("one", [&] {
    const Parked parked;
    const Provides provides(key(2));
    Event never;
    EXPECT_FALSE(never.wait(key(1), within(Duration::seconds(9), Expiry::kPeer)).ok());
  });
  world.run_for(Duration::seconds(1));
  std::vector<FiberWait> waits;
  collect_waits(world.scheduler, "here", world.scheduler.now(), waits);
  ASSERT_EQ(waits.size(), 2u);
  EXPECT_EQ(waits[1].place, "here");
  EXPECT_EQ(find_deadlock(waits).size(), 2u);
  world.run();
  waits.clear();
  collect_waits(world.scheduler, "here", world.scheduler.now(), waits);
  EXPECT_TRUE(waits.empty()) << "it is gone with the fiber that had it";
}

TEST(WaitGraph, ASignalThatFoundNobodyIsRememberedByTheNextWait) {
  FiberWorld world;
  Event event;
  const auto wait = [&] { static_cast<void>(event.wait(key(1), within(Duration::seconds(9), Expiry::kPeer))); };
  const auto missed = [&world] {
    std::vector<FiberWait> waits;
    collect_waits(world.scheduler, "here", world.scheduler.now(), waits);
    return waits.size() == 1 && waits[0].missed_a_signal &&
           describe_waits(waits, {}).find("signalled last when nobody waited") != std::string::npos;
  };
  world.spawn("early", wait);
  world.run_for(Duration::seconds(1));
  EXPECT_FALSE(missed());
  world.spawn("signals", [&] { event.notify_all(); });
  world.run_for(Duration::seconds(1));
  world.spawn("late", [&] {
    event.notify_all();
    wait();
  });
  world.run_for(Duration::seconds(1));
  EXPECT_TRUE(missed());
  world.run();
}

TEST(Scheduler, HaltEndsTheTurnAndOnlyKillingGoesOn) {
  FiberWorld world;
  bool after = false;
  bool other = false;
  bool unwound = false;
  world.spawn("halts", [&] {
    struct Note {
      bool& noted;
      ~Note() { noted = true; }
    } const note{unwound};
    const NoSuspend even_here;
    Scheduler::current().halt();
    after = true;
  });
  world.spawn("other", [&] { other = true; });
  EXPECT_FALSE(world.scheduler.run_turn(world.now, {}));
  EXPECT_FALSE(unwound);
  world.scheduler.kill_all();
  EXPECT_TRUE(unwound);
  EXPECT_FALSE(after);
  EXPECT_FALSE(other);
}

}  // namespace
}  // namespace chronik::fiber
