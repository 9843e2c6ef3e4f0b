#include "sim/tripwire.h"

#include <pthread.h>
#include <sys/random.h>
#include <time.h>

#include <chrono>

#include "tests/sim/sim_support.h"

namespace chronik::sim::tripwire_test {
namespace {

void run_armed(Program program) {
  const Tripwire tripwire;
  SmallWorld small;
  small.machine("node", std::move(program)).start();
  small.world.run_for(Duration::seconds(1));
}

TEST(TripwireDeathTest, FiresWhenSimulatedCodeAsksForTheTime) {
  EXPECT_DEATH(run_armed([](ProcessContext&) { static_cast<void>(std::chrono::steady_clock::now()); }),
               "simulated code called clock_gettime");
  EXPECT_DEATH(run_armed([](ProcessContext&) { static_cast<void>(time(nullptr)); }), "simulated code called time");
}

TEST(TripwireDeathTest, FiresWhenSimulatedCodeAsksForEntropyOrAThread) {
  EXPECT_DEATH(run_armed([](ProcessContext&) {
                 std::uint8_t bytes[8];
                 static_cast<void>(!getrandom(bytes, sizeof bytes, 0));
               }),
               "simulated code called getrandom");
  EXPECT_DEATH(run_armed([](ProcessContext&) {
                 pthread_t thread;
                 static_cast<void>(pthread_create(
                     &thread, nullptr, [](void*) -> void* { return nullptr; }, nullptr));
               }),
               "simulated code called pthread_create");
}

TEST(Tripwire, LetsTheTimeBeAskedForWhereNoWorldRuns) {
  timespec now{};
  EXPECT_EQ(clock_gettime(CLOCK_MONOTONIC, &now), 0);
  EXPECT_GT(now.tv_sec + now.tv_nsec, 0);
}

}  // namespace
}  // namespace chronik::sim::tripwire_test
