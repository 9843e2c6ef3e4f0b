// How other threads look into a shard.
#include "server/snapshot.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "runtime/shard_runtime.h"

namespace chronik::server {
namespace {

constexpr ShardId kShard{0};

class SnapshotTest : public ::testing::Test {
 protected:
  SnapshotTest() {
    std::string path = (std::filesystem::temp_directory_path() / "chronik-snapshot-XXXXXX").string();
    directory_ = ::mkdtemp(path.data());
    shard_ = runtime::ShardRuntime::open({.data_directory = directory_, .shard = kShard}, mailboxes_).value();
  }
  ~SnapshotTest() override {
    shard_.reset();
    std::filesystem::remove_all(directory_);
  }

  std::string directory_;
  runtime::Mailboxes mailboxes_{4};
  std::unique_ptr<runtime::ShardRuntime> shard_;
};

TEST_F(SnapshotTest, ManyThreadsAskWhileTheShardWorks) {
  Counter turns;
  MetricsRegistry registry;
  registry.add("turns_total", "Turns", turns);
  std::vector<std::thread> askers;
  std::atomic<int> answers = 0;
  for (int i = 0; i < 3; ++i) {
    askers.emplace_back([&] {
      double last = 0;
      for (int n = 0; n < 50;) {
        const std::optional<ShardSnapshot> snapshot =
            ask_shard(mailboxes_, kShard, Wanted::kMetrics, Duration::seconds(10));
        if (!snapshot.has_value()) {
          continue;  // the mailbox was full
        }
        ASSERT_EQ(snapshot->metrics.size(), 1u);
        EXPECT_GE(snapshot->metrics[0].value, last);
        last = snapshot->metrics[0].value;
        ++n;
        ++answers;
      }
    });
  }
  shard_->run(
      [&](Ports& ports, fiber::FiberScope&) {
        const SnapshotService service(ports.mailbox,
                                      [&](Wanted) { return ShardSnapshot{.metrics = sample_metrics(registry)}; });
        while (answers < 150) {
          turns.add();
          ASSERT_TRUE(fiber::sleep(Duration::milliseconds(1)).ok());
        }
      },
      runtime::ShardRuntime::Ending::kJoin);
  for (std::thread& asker : askers) {
    asker.join();
  }
  EXPECT_EQ(answers, 150);
}

TEST_F(SnapshotTest, WhoeverAsksAShardThatIsBusyIsToldSoAfterAWhile) {
  // The shard's mailbox is open and nobody reads it.
  EXPECT_FALSE(ask_shard(mailboxes_, kShard, Wanted::kMetrics, Duration::milliseconds(20)).has_value());
}

TEST_F(SnapshotTest, AQuestionThatTheShardNeverReadEndsWithTheShard) {
  bool answered = true;
  std::thread asker(
      [&] { answered = ask_shard(mailboxes_, kShard, Wanted::kMetrics, Duration::seconds(60)).has_value(); });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  shard_.reset();
  asker.join();
  EXPECT_FALSE(answered);
  EXPECT_FALSE(ask_shard(mailboxes_, kShard, Wanted::kMetrics, Duration::seconds(60)).has_value());
}

TEST_F(SnapshotTest, AShardThatNobodyAsksIsNotWoken) {
  shard_->run(
      [&](Ports& ports, fiber::FiberScope&) {
        const SnapshotService service(ports.mailbox, [](Wanted) { return ShardSnapshot{}; });
        const std::uint64_t before = shard_->loop().turns();
        ASSERT_TRUE(fiber::sleep(Duration::milliseconds(100)).ok());
        EXPECT_LE(shard_->loop().turns() - before, 3u);
      },
      runtime::ShardRuntime::Ending::kJoin);
}

}  // namespace
}  // namespace chronik::server
