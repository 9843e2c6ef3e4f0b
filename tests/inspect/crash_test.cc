// A process that a signal ends, and a thread that is asked where it is.
#include "inspect/crash.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "inspect/frames.h"
#include "inspect/thread_stack.h"
#include "tests/support/sanitizers.h"

namespace chronik::inspect {
namespace {

[[gnu::noinline]] void write_to_nowhere(volatile int* nowhere) { *nowhere = 1; }

TEST(CrashDeathTest, SaysWhereItStruckAndEndsAsBefore) {
  initialize_symbols("/proc/self/exe");
  const auto crash = [] {
    say_where_it_crashes();
    volatile int* volatile nowhere = nullptr;  // which the compiler does not know
    write_to_nowhere(nowhere);
  };
  if (support::kAddressSanitizer || support::kThreadSanitizer) {
    EXPECT_DEATH(crash(), "write_to_nowhere");  // which ends the process, and says so, in its own way
  } else {
    EXPECT_EXIT(crash(), ::testing::KilledBySignal(SIGSEGV), "SIGSEGV struck in\n +.*write_to_nowhere");
  }
}

[[gnu::noinline]] void spin_until(const std::atomic<bool>& enough) {
  while (!enough) {
  }
}

TEST(AskableThread, SaysWhereItIs) {
  initialize_symbols("/proc/self/exe");
  std::atomic<AskableThread*> made{nullptr};
  std::atomic<bool> enough{false};
  std::thread thread([&] {
    AskableThread askable;
    made = &askable;
    spin_until(enough);
  });
  while (made == nullptr) {
    std::this_thread::yield();
  }
  bool found = false;
  for (int i = 0; i < 100 && !found; ++i) {  // at first it may be on its way there
    const std::vector<std::string> frames = made.load()->stack(Duration::seconds(5));
    found = std::any_of(frames.begin(), frames.end(),
                        [](const std::string& frame) { return frame.find("spin_until") != std::string::npos; });
  }
  EXPECT_TRUE(found);
  enough = true;
  thread.join();
}

}  // namespace
}  // namespace chronik::inspect
