// Directories of logs that the write-ahead log does not know (rule R12).
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/core/log/log_harness.h"

namespace chronik::log {
namespace {

using testing::LogNode;

constexpr std::uint64_t kStraysDiskBytes = 32 << 20;

std::vector<std::string> listed(LogNode& n, const std::string& directory) {
  const StatusOr<std::vector<std::string>> names = n.disk.list_directory(directory, n.soon());
  return names.ok() ? *names : std::vector<std::string>();
}

// A first life, with one log, that leaves these: directories, whose names end with a slash, and files.
void live_once(sim::DiskModel& model, const std::vector<std::string>& left) {
  LogNode node(model, 1);
  node.run([&left](LogNode& n) {
    ASSERT_TRUE(n.open().ok());
    n.append(0, "known", 3);
    ASSERT_TRUE(n.logs->wait_durable(n.soon()).ok());
    for (const std::string& path : left) {
      if (path.ends_with('/')) {
        ASSERT_TRUE(n.disk.create_directory(path.substr(0, path.size() - 1), n.soon()).ok());
      } else {
        ASSERT_TRUE(n.disk.open(path, OpenMode::kCreate, DiskLane::kBulk, n.soon()).ok());
      }
    }
  });
}

TEST(Strays, WaitUntilTheMetadataAreKnownAndThenForTheirDelay) {
  sim::DiskModel model(kStraysDiskBytes);
  live_once(model, {"logs/nobody-knows-0/", "logs/nobody-knows-0/file"});
  for (std::uint64_t start = 2; start < 4; ++start) {
    LogNode node(model, start);
    node.run([](LogNode& n) {
      ASSERT_TRUE(n.open().ok());
      EXPECT_EQ(n.logs->keys().size(), 1u);
      EXPECT_LE(listed(n, "logs").size(), 1u);
      EXPECT_EQ(listed(n, "strays"), std::vector<std::string>{"nobody-knows-0.1/"});
      ASSERT_TRUE(fiber::sleep(Duration::seconds(1000)).ok());
      EXPECT_EQ(listed(n, "strays/nobody-knows-0.1"), std::vector<std::string>{"file"});
    });
  }
  LogNode node(model, 4);
  node.run([](LogNode& n) {
    ASSERT_TRUE(n.open().ok());
    ASSERT_TRUE(fiber::sleep(Duration::seconds(10)).ok());
    n.logs->let_strays_go();
    ASSERT_TRUE(fiber::sleep(n.options.stray_delay - Duration::seconds(1)).ok());
    EXPECT_EQ(listed(n, "strays").size(), 1u);
    ASSERT_TRUE(fiber::sleep(Duration::seconds(2)).ok());
    EXPECT_EQ(listed(n, "strays").size(), 0u);
    EXPECT_EQ(n.logs->keys().size(), 1u);
  });
}

TEST(Strays, ALogThatIsSetAsideIsWholeAndAnotherOfItsNameCanBeMade) {
  sim::DiskModel model(kStraysDiskBytes);
  LogNode node(model, 1);
  node.run([](LogNode& n) {
    ASSERT_TRUE(n.open().ok());
    n.logs->let_strays_go();
    for (int life = 1; life <= 2; ++life) {
      for (int i = 0; i < 100; ++i) {
        n.append(0, "value", 3);
      }
      ASSERT_TRUE(n.logs->wait_durable(n.soon()).ok());
      ASSERT_TRUE(n.logs->remove_stray(testing::key_of(0), n.soon()).ok());
      ASSERT_TRUE(fiber::sleep(Duration::seconds(1)).ok());
      EXPECT_EQ(listed(n, "strays").size(), static_cast<std::size_t>(life));
    }
    EXPECT_TRUE(listed(n, "logs").empty());
    const std::string name = testing::key_of(0).to_string();
    EXPECT_GT(listed(n, "strays/" + name + ".1").size(), 3u) << "segments";
    EXPECT_EQ(listed(n, "strays/" + name + ".1"), listed(n, "strays/" + name + ".2"));
    ASSERT_TRUE(fiber::sleep(n.options.stray_delay + Duration::seconds(1)).ok());
    EXPECT_TRUE(listed(n, "strays").empty());
  });
}

// Whoever is about to take a log back may move it away, or put something else beside it or into it.
TEST(Strays, WhatSomebodyElseKeepsThereStaysAndWhatSomebodyTakesAwayIsGone) {
  sim::DiskModel model(kStraysDiskBytes);
  live_once(model, {"strays/", "strays/mine/", "strays/a-0.1/", "strays/a-0.1/kept/", "strays/b-0.2/", "strays/b-0.3"});
  LogNode node(model, 2);
  node.run([](LogNode& n) {
    ASSERT_TRUE(n.open().ok());
    n.logs->let_strays_go();
    ASSERT_TRUE(n.disk.remove_directory("strays/b-0.2", n.soon()).ok());
    ASSERT_TRUE(fiber::sleep(n.options.stray_delay + Duration::seconds(1)).ok());
    EXPECT_EQ(listed(n, "strays"), (std::vector<std::string>{"a-0.1/", "b-0.3", "mine/"}));
    n.append(0, "goes on", 3);
    EXPECT_TRUE(n.logs->wait_durable(n.soon()).ok());
  });
}

Status no_room_for_strays(std::string_view path) {
  return path == "strays" ? absl::ResourceExhaustedError("no space left on the disk") : ok();
}

TEST(Strays, ALogThatCannotBeSetAsideYetHoldsUpNoOtherAndIsTriedAgain) {
  sim::DiskModel model(kStraysDiskBytes);
  LogNode node(model, 1);
  node.run([](LogNode& n) {
    ASSERT_TRUE(n.open().ok());
    n.logs->let_strays_go();
    for (int i = 0; i < 30; ++i) {
      for (const int partition : {0, 1, 2}) {
        n.append(partition, "value", 3);
      }
    }
    ASSERT_TRUE(n.logs->wait_durable(n.soon()).ok());
    n.disk.on_create_directory = no_room_for_strays;
    ASSERT_TRUE(n.logs->remove_stray(testing::key_of(0), n.soon()).ok());
    ASSERT_TRUE(fiber::sleep(Duration::milliseconds(100)).ok());  // it has failed by now
    ASSERT_TRUE(n.logs->remove(testing::key_of(1), n.soon()).ok());
    ASSERT_TRUE(n.logs->remove_stray(testing::key_of(2), n.soon()).ok());
    ASSERT_TRUE(fiber::sleep(Duration::seconds(10)).ok());
    EXPECT_EQ(listed(n, "logs"),
              (std::vector<std::string>{testing::key_of(0).to_string() + "/", testing::key_of(2).to_string() + "/"}));
    n.disk.on_create_directory = nullptr;
    ASSERT_TRUE(fiber::sleep(Duration::seconds(2)).ok());
    EXPECT_TRUE(listed(n, "logs").empty());
    EXPECT_EQ(listed(n, "strays").size(), 2u);
  });
}

TEST(Strays, WhereThereIsNoRoomAtTheStartWhatWasToBeDeletedIs) {
  sim::DiskModel model(kStraysDiskBytes);
  live_once(model, {"logs/nobody-knows-0/", "logs/nobody-knows-0/file"});
  LogNode node(model, 2);
  node.run([](LogNode& n) {
    n.disk.on_create_directory = no_room_for_strays;
    ASSERT_TRUE(n.open().ok());
    EXPECT_LE(listed(n, "logs").size(), 1u);
    EXPECT_TRUE(listed(n, "strays").empty());
  });
}

}  // namespace
}  // namespace chronik::log
