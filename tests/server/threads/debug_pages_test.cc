// What a process says of itself when it seems to hang: of a shard whose fibers wait, and of one whose thread is stuck.
#include "server/debug_pages.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <thread>

#include "core/fiber/scope.h"
#include "core/fiber/turnstile.h"
#include "inspect/frames.h"
#include "server/snapshot.h"
#include "server/waits_report.h"
#include "tests/support/sanitizers.h"

namespace chronik::server {
namespace {

constexpr ShardId kDebuggedShard{0};
constexpr NodeId kDebuggedNode{7};

class DebugPagesTest : public ::testing::Test {
 protected:
  DebugPagesTest() {
    inspect::initialize_symbols("/proc/self/exe");
    std::string path = (std::filesystem::temp_directory_path() / "chronik-debug-XXXXXX").string();
    directory_ = ::mkdtemp(path.data());
    shard_ = runtime::ShardRuntime::open({.data_directory = directory_, .shard = kDebuggedShard}, mailboxes_).value();
    pages_.emplace(mailboxes_, *shard_, kDebuggedShard, kDebuggedNode);
    pages_->be_asked_here();
  }
  ~DebugPagesTest() override {
    pages_.reset();
    shard_.reset();
    std::filesystem::remove_all(directory_);
  }

  // Runs body() with whoever answers orders, and ask() on another thread once body() has begun.
  template <typename Body, typename Ask>
  void run(Body body, Ask ask) {
    std::thread asker;
    shard_->run(
        [&](Ports& ports, fiber::FiberScope& scope) {
          const SnapshotService service(ports.mailbox, [](Wanted) { return ShardSnapshot{}; });
          asker = std::thread([&] {
            ask();
            asked_ = true;
          });
          body(scope);
          while (!asked_) {
            ASSERT_TRUE(fiber::sleep(Duration::milliseconds(1)).ok());
          }
        },
        runtime::ShardRuntime::Ending::kJoin);
    asker.join();
  }

  std::string directory_;
  runtime::Mailboxes mailboxes_{4};
  std::unique_ptr<runtime::ShardRuntime> shard_;
  std::optional<DebugPages> pages_;
  std::atomic<bool> asked_{false};
};

TEST_F(DebugPagesTest, ADeadlockIsNamedWithItsStacksAndTheProcessGoesOn) {
  fiber::Turnstile left("left", 1);
  fiber::Turnstile right("right", 2);
  const auto take = [](fiber::Turnstile& first, fiber::Turnstile& second) {
    std::optional<fiber::Turnstile::Pass> a;
    std::optional<fiber::Turnstile::Pass> b;
    EXPECT_TRUE(first.enter(a, fiber::for_ever()).ok());
    EXPECT_TRUE(fiber::sleep(Duration::milliseconds(5)).ok());
    EXPECT_FALSE(second.enter(b, fiber::for_ever()).ok());
  };
  HttpPage text;
  HttpPage json;
  run(
      [&](fiber::FiberScope& scope) {
        scope.spawn({"one"}, [&] { take(left, right); });
        scope.spawn({"two"}, [&] { take(right, left); });
        EXPECT_TRUE(fiber::sleep(Duration::milliseconds(20)).ok());
      },
      [&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(40));
        text = pages_->waits();
        json = pages_->waits_json();
      });
  EXPECT_EQ(text.status, 200);
  EXPECT_EQ(text.body.rfind("DEADLOCK\n", 0), 0u) << text.body;
  EXPECT_NE(
      text.body.find("deadlock: node-7.0 main-0/one-0 holds turnstile 1 (left) and waits for turnstile 2 (right); "
                     "node-7.0 main-0/two-0 holds turnstile 2 (right) and waits for turnstile 1 (left)\n"),
      std::string::npos)
      << text.body;
  EXPECT_NE(text.body.find("chronik::fiber::Turnstile::enter()"), std::string::npos) << text.body;
  const StatusOr<NodeWaits> parsed = parse_waits_json(json.body);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->node, kDebuggedNode);
  EXPECT_EQ(fiber::find_deadlock(parsed->waits.waits).size(), 2u);
}

[[gnu::noinline]] void compute_for_ever(const std::atomic<bool>& enough) {
  while (!enough) {
    if (support::kThreadSanitizer) {
      usleep(0);  // it keeps a signal back until a call that it intercepts
    }
  }
}

TEST_F(DebugPagesTest, OfALoopThatDoesNotAnswerTheFiberIsNamedAndWhereItIs) {
  HttpPage page;
  run([&](fiber::FiberScope& scope) { scope.spawn({"computes"}, [&] { compute_for_ever(asked_); }); },
      [&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        page = pages_->waits();
      });
  EXPECT_EQ(page.status, 503);
  EXPECT_NE(page.body.find("computes-0 runs, or ran last"), std::string::npos) << page.body;
  EXPECT_NE(page.body.find("compute_for_ever()"), std::string::npos) << page.body;
}

TEST(WaitsReport, RequestsFromNodeToNodeJoinTheirGraphs) {
  const WaitKey there{WaitKind::kRequest, 1, 2, 3};
  const WaitKey back{WaitKind::kRequest, ~std::uint64_t{0}, 1, 4};
  const auto node_waits = [](std::int32_t node, const WaitKey& waits, const WaitKey& provides) {
    fiber::FiberWait wait;
    wait.place = "node-" + std::to_string(node) + ".0";
    wait.shard = ShardId(0);
    wait.path = "forwarder";
    wait.waiting = true;
    wait.keys = {waits};
    wait.provides = {provides};
    wait.detail = "Produce to somewhere";
    wait.meaning = Expiry::kPeer;
    wait.left = Duration::seconds(3);
    wait.scope = 1;
    return waits_json(NodeId(node), {.waits = {wait}, .stacks = {{.place = wait.place, .path = wait.path}}});
  };
  std::vector<NodeWaits> nodes;
  nodes.push_back(parse_waits_json(node_waits(1, there, back)).value());
  EXPECT_TRUE(fiber::find_deadlock(nodes[0].waits.waits).empty());
  nodes.push_back(parse_waits_json(node_waits(2, back, there)).value());
  const runtime::ShardWaits joined = join_waits(std::move(nodes));
  EXPECT_EQ(fiber::find_deadlock(joined.waits).size(), 2u);
  EXPECT_EQ(waits_text(joined).rfind("DEADLOCK\n", 0), 0u);
}

TEST(WaitsReport, OtherTextIsRefused) {
  for (const char* text :
       {"", "[]", "{}", R"({"node": 1, "place": "n", "waits": [{"path": "p"}], "stacks": []})",
        R"({"node": 1, "place": "n", "stacks": [], "waits": [{"path": "p", "waiting": true, "keys": ["nonsense 1 2 3"],
            "detail": "", "waited_ms": 1, "left_ms": null, "expiry": "peer", "missed_a_signal": false, "provides": [],
            "scope": 1}]})",
        R"({"node": 1, "place": "n", "stacks": [], "waits": [{"path": "p", "waiting": true, "keys": [],
            "detail": "", "waited_ms": 1, "left_ms": null, "expiry": "peer", "missed_a_signal": false, "provides": [],
            "scope": 1}]})"}) {
    EXPECT_EQ(parse_waits_json(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

}  // namespace
}  // namespace chronik::server
