#include "core/fiber/wait_graph.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "core/fiber/turnstile.h"
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
  collect_waits(world.scheduler, "here", waits);
  const std::vector<std::size_t> deadlocked = find_deadlock(waits);
  EXPECT_EQ(deadlocked, (std::vector<std::size_t>{0, 1}));
  const std::string text = describe_waits(waits, deadlocked);
  EXPECT_NE(text.find("DEADLOCKED here one-0 waits for turnstile 2 (of here two-1), 9000 ms left, peer"),
            std::string::npos)
      << text;
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
