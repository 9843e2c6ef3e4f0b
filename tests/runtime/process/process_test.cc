// Processes that end: by signals, by Process::fatal, by an overflow. A program of its own, because ThreadSanitizer
// bears no fork of a process that has had threads: everything that runs a shard does so in a child.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <string>
#include <vector>

#include "runtime/mapped_stacks.h"
#include "runtime/shard_runtime.h"
#include "tests/conformance/clause.h"
#include "tests/runtime/real_world.h"

namespace chronik::runtime {
namespace {

// Runs body(ready) in a child, sends it a signal each time it has written to `ready`, and returns how it ended.
template <typename Body>
int status_of_child(Body body, std::initializer_list<int> signals) {
  int ready[2];
  CHECK_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  CHECK_GE(child, 0);
  if (child == 0) {
    body(ready[1]);
    ::_exit(testing::Test::HasFailure() ? 1 : 0);
  }
  ::close(ready[1]);
  char byte = 0;
  for (const int number : signals) {
    CHECK_EQ(::read(ready[0], &byte, 1), 1);
    CHECK_EQ(::kill(child, number), 0);
  }
  int status = 0;
  CHECK_EQ(::waitpid(child, &status, 0), child);
  ::close(ready[0]);
  return status;
}

void say_ready(int to) { CHECK_EQ(::write(to, "x", 1), 1); }

class ProcessTest : public testing::Test {
 protected:
  // In a child only.
  template <typename Main>
  void run_shard(Main main) {
    Mailboxes mailboxes(16);
    const auto shard = ShardRuntime::open({.data_directory = directory_.path() + "/data"}, mailboxes);
    CHECK_OK(shard.status());
    const StopSignals signals((*shard)->stop());
    (*shard)->run([&](Ports& ports, fiber::FiberScope&) { main(ports, (*shard)->stop().flag()); },
                  ShardRuntime::Ending::kJoin);
  }

  TemporaryDirectory directory_;
};

TEST_F(ProcessTest, sigterm_lets_the_main_fiber_end_in_order) {
  const int status = status_of_child(
      [this](int ready) {
        bool in_order = false;
        run_shard([&](Ports&, StopFlag& stop) {
          say_ready(ready);
          CHECK_OK(stop.wait(fiber::for_ever()));
          in_order = fiber::sleep(Duration::milliseconds(1)).ok();  // closing takes its time
        });
        ::_exit(in_order ? 42 : 1);
      },
      {SIGTERM});
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 42);
}

TEST_F(ProcessTest, a_second_signal_ends_the_process_at_once) {
  const int status = status_of_child(
      [this](int ready) {
        run_shard([&](Ports&, StopFlag& stop) {
          say_ready(ready);
          CHECK_OK(stop.wait(fiber::for_ever()));
          say_ready(ready);
          CHECK_OK(fiber::sleep(Duration::seconds(100)));
        });
      },
      {SIGTERM, SIGINT});
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 128 + SIGINT);
}

bool takes_a_stop_signal(std::uint64_t mask) {
  constexpr std::uint64_t kBoth = (std::uint64_t{1} << (SIGTERM - 1)) | (std::uint64_t{1} << (SIGINT - 1));
  return (mask & kBoth) != kBoth;
}

struct ThreadOfProcess {
  std::string name;
  bool takes_a_stop_signal = false;
};

// As the kernel says it.
std::vector<ThreadOfProcess> threads_of_this_process() {
  std::vector<ThreadOfProcess> threads;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    ThreadOfProcess& thread = threads.emplace_back();
    std::ifstream status(task.path() / "status");
    for (std::string line; std::getline(status, line);) {
      const std::string value = line.substr(std::min(line.size(), line.find('\t') + 1));
      if (line.starts_with("Name:")) {
        thread.name = value;
      } else if (line.starts_with("SigBlk:")) {
        thread.takes_a_stop_signal = takes_a_stop_signal(std::stoull(value, nullptr, 16));
      }
    }
  }
  return threads;
}

TEST_F(ProcessTest, no_thread_is_interrupted_by_a_stop_signal) {
  const int status = status_of_child(
      [this](int) {
        run_shard([&](Ports& ports, StopFlag&) {
          const auto soon = fiber::within(Duration::seconds(10), Expiry::kNever);
          CHECK_OK(ports.disk.open("any", OpenMode::kCreate, DiskLane::kLog, soon).status());
          const std::vector<ThreadOfProcess> threads = threads_of_this_process();
          EXPECT_GT(threads.size(), 4u);  // helpers, the watchdog, the store's, the one that waits for signals
          for (const ThreadOfProcess& thread : threads) {
            EXPECT_TRUE(!thread.takes_a_stop_signal || thread.name == "signals") << thread.name;
          }
        });
      },
      {});
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST_F(ProcessTest, a_killed_process_leaves_what_it_synced) {
  const int status = status_of_child(
      [this](int ready) {
        run_shard([&](Ports& ports, StopFlag&) {
          const auto soon = fiber::within(Duration::seconds(10), Expiry::kNever);
          auto file = ports.disk.open("kept", OpenMode::kCreate, DiskLane::kLog, soon).value();
          FileBatch batch;
          batch.writes.push_back({.offset = 0, .parts = {Slice::copy_of("bytes")}});
          batch.sync = true;
          CHECK_OK(file->run(std::move(batch), soon));
          StoreBatch identity;
          identity.put("identity", "me");
          CHECK_OK(ports.store.commit(std::move(identity), true, soon));
          say_ready(ready);
          CHECK_OK(fiber::sleep(Duration::seconds(100)));
        });
      },
      {SIGKILL});
  EXPECT_TRUE(WIFSIGNALED(status));
  const int next = status_of_child(
      [this](int) {
        run_shard([&](Ports& ports, StopFlag&) {
          const auto soon = fiber::within(Duration::seconds(10), Expiry::kNever);
          const auto file = ports.disk.open("kept", OpenMode::kRead, DiskLane::kBulk, soon).value();
          EXPECT_EQ(file->read(0, 100, soon).value().text(), "bytes");
          EXPECT_EQ(ports.store.get("identity", soon).value(), "me");
        });
      },
      {});
  EXPECT_TRUE(WIFEXITED(next));
  EXPECT_EQ(WEXITSTATUS(next), 0);
}

TEST(MappedStacks, have_a_page_below_that_must_not_be_touched) {
  MappedStacks stacks;
  const StackMemory stack = stacks.allocate(10'000);
  EXPECT_GE(stack.size, 10'000u);
  stack.bottom[0] = 1;
  stack.top()[-1] = 1;
  EXPECT_DEATH(
      {
        volatile std::uint8_t* below = stack.bottom - 1;
        *below = 1;
      },
      "");
  stacks.release(stack);
}

}  // namespace
}  // namespace chronik::runtime

namespace chronik::conformance {

// Last: it runs a shard in this process once its child has ended.
class RealProcessConformance : public testing::TestWithParam<Clause> {};

TEST_P(RealProcessConformance, holds) {
  judge(
      GetParam(), [](std::uint64_t) { return std::make_unique<runtime::RealWorld>(); }, 1);
}

INSTANTIATE_TEST_SUITE_P(process, RealProcessConformance, testing::ValuesIn(process_clauses()), clause_name);

}  // namespace chronik::conformance
