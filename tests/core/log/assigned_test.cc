// Whether a log that is not there was never made, or is lost (R12).
#include <gtest/gtest.h>

#include <string>

#include "tests/core/log/log_harness.h"

namespace chronik::log {
namespace {

using testing::LogNode;

constexpr std::uint64_t kAssignedDiskBytes = 64 << 20;

TEST(Assigned, IsKnownAfterEveryDeath) {
  sim::DiskModel model(kAssignedDiskBytes);
  {
    LogNode node(model, 1);
    node.run([](LogNode& n) {
      ASSERT_TRUE(n.open().ok());
      EXPECT_EQ(n.logs->assigned(), LogIndex::none());
      n.log(0);
      EXPECT_TRUE(n.logs->note_assigned(LogIndex(7)));
      EXPECT_TRUE(n.logs->note_assigned(LogIndex(5))) << "nothing is taken back";
      EXPECT_EQ(n.logs->assigned(), LogIndex(7));
      ASSERT_TRUE(n.logs->wait_durable(n.soon()).ok());
    });
  }
  model.power_loss(sim::Draws(1, "power", 1), {.kept = 1, .dropped = 1, .torn = 1});
  {
    LogNode node(model, 2);
    node.run([](LogNode& n) {
      ASSERT_TRUE(n.open().ok());
      EXPECT_EQ(n.logs->assigned(), LogIndex(7)) << "from its record";
      EXPECT_EQ(n.logs->keys().size(), 1u);
      ASSERT_TRUE(n.logs->stop(fiber::within(Duration::seconds(30), Expiry::kPeer)).ok());
    });
  }
  model.process_kill();
  LogNode node(model, 3);
  node.run([](LogNode& n) {
    ASSERT_TRUE(n.open().ok());
    EXPECT_EQ(n.logs->assigned(), LogIndex(7)) << "from a checkpoint";
    EXPECT_EQ(n.logs->keys().size(), 1u);
  });
}

void lose_the_wal(LogNode& n) {
  const auto names = n.disk.list_directory("wal/0", n.soon());
  CHECK_OK(names.status());
  for (const std::string& name : *names) {
    CHECK_OK(n.disk.unlink("wal/0/" + name, n.soon()));
  }
}

// A log that begins anew leaves files of its own, which are no proof of anything at the next start.
TEST(Assigned, SegmentsOfALostWriteAheadLogAreNeverTakenForLeftovers) {
  sim::DiskModel model(kAssignedDiskBytes);
  {
    LogNode node(model, 1);
    node.run([](LogNode& n) {
      ASSERT_TRUE(n.open().ok());
      for (int i = 0; i < 600; ++i) {
        n.append(0, "value", 3);
      }
      ASSERT_TRUE(n.logs->stop(fiber::within(Duration::seconds(30), Expiry::kPeer)).ok());
    });
  }
  model.process_kill();
  {
    LogNode nobody(model, 9);
    nobody.run([](LogNode& n) { lose_the_wal(n); });
  }
  model.process_kill();
  for (const std::uint64_t life : {2U, 3U, 4U}) {
    {
      LogNode node(model, life);
      node.run([](LogNode& n) {
        EXPECT_TRUE(absl::IsFailedPrecondition(n.open()));
        const auto files = n.disk.list_directory("logs/" + testing::key_of(0).to_string(), n.soon());
        ASSERT_TRUE(files.ok());
        EXPECT_FALSE(files->empty());
      });
    }
    model.process_kill();
  }
}

TEST(Assigned, WhatIsLeftOfADeletionGoesThoughNoLogIsLeft) {
  sim::DiskModel model(kAssignedDiskBytes);
  const std::string directory = "logs/" + testing::key_of(0).to_string();
  {
    LogNode node(model, 1);
    node.run([&directory](LogNode& n) {
      ASSERT_TRUE(n.open().ok());
      EXPECT_TRUE(n.logs->note_assigned(LogIndex(1)));
      ASSERT_TRUE(n.logs->stop(fiber::within(Duration::seconds(30), Expiry::kPeer)).ok());
      ASSERT_TRUE(n.disk.create_directory(directory, n.soon()).ok());
    });
  }
  model.process_kill();
  LogNode node(model, 2);
  node.run([&directory](LogNode& n) {
    ASSERT_TRUE(n.open().ok());
    EXPECT_TRUE(absl::IsNotFound(n.disk.list_directory(directory, n.soon()).status()));
  });
}

}  // namespace
}  // namespace chronik::log
