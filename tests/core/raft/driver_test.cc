#include "core/raft/driver.h"

#include <gtest/gtest.h>

#include <memory>

#include "core/base/mix.h"
#include "core/raft/identity.h"
#include "core/raft/stored_values.h"
#include "tests/support/fiber_world.h"
#include "tests/support/memory_store.h"

namespace chronik::raft {
namespace {

using chronik::testing::FiberWorld;
using chronik::testing::MemoryStore;
using chronik::testing::NotedProcess;

// A machine whose state is the list of what was applied.
class Recorder final : public StateMachine {
 public:
  std::vector<std::string> applied;
  LogIndex last{0};
  int installed = 0;
  bool leads = false;

  Status apply(std::span<const Entry> entries) override {
    for (const Entry& entry : entries) {
      CHECK_EQ(entry.index, last.next());
      last = entry.index;
      if (entry.kind != EntryKind::kCommand) {
        continue;
      }
      applied.emplace_back(entry.data.text());
    }
    return ok();
  }
  Status check_command(NodeId, ByteSpan) const override { return ok(); }
  std::string take_snapshot() override {
    std::string state;
    for (const std::string& one : applied) {
      state += one + ";";
    }
    return state;
  }
  void on_leadership(const Leadership& leadership) override { leads = leadership.here; }
  void on_node_gone(NodeId) override {}
  std::string own_sign_of_life() const override { return {}; }
  void on_sign_of_life(NodeId, ByteSpan) override {}
  Status install_snapshot(LogIndex index, ByteSpan bytes) override {
    applied.clear();
    std::string_view state = as_text(bytes);
    while (!state.empty()) {
      applied.emplace_back(state.substr(0, state.find(';')));
      state.remove_prefix(state.find(';') + 1);
    }
    last = index;
    ++installed;
    return ok();
  }
};

const Member kSelf{.node = NodeId(1), .directory = Uuid::from_random(1, 1)};

DriverOptions of_member(DriverOptions options) {
  options.raft.self = kSelf;
  return options;
}

// One start of a node on a store. Within a few commits it leads.
class Start {
 public:
  explicit Start(MemoryStore& store, const DriverOptions& options = {})
      : driver(store, process, machine, nullptr, of_member(options)) {
    world.spawn("open", [this] {
      opened = driver.open({.voters = {kSelf}, .learners = {}}, fiber::for_ever());
      if (opened.ok()) {
        driver.start(world.scope);
      }
    });
    for (int i = 0; i < 1'000 && !settled(); ++i) {
      world.run_for(Duration::milliseconds(1));
    }
    at_first = store.history.size();
  }
  ~Start() { world.scheduler.kill_all(); }

  // It leads, and all of its log is applied; or it could not be opened.
  bool settled() const {
    const bool failed = !opened.ok() && !absl::IsUnknown(opened);
    return failed || (machine.leads && machine.last == driver.raft().log().last());
  }
  void propose(const std::string& text) {
    world.spawn("propose", [this, text] { CHECK_OK(driver.propose(Slice::copy_of(text)).status()); });
  }

  FiberWorld world;
  NotedProcess process;
  Recorder machine;
  Driver driver;
  Status opened = absl::UnknownError("not yet");
  std::size_t at_first = 0;  // commits until it led
};

std::vector<std::string> texts(std::size_t n) {
  std::vector<std::string> all;
  for (std::size_t i = 0; i < n; ++i) {
    all.push_back("entry-" + std::to_string(i));
  }
  return all;
}

TEST(Driver, AnEntryIsAppliedWhenItsCommitHasReturnedAndNotBefore) {
  MemoryStore store;
  store.commit_time = Duration::milliseconds(10);
  Start start(store);
  start.propose("a");
  start.world.run_for(Duration::milliseconds(5));
  EXPECT_EQ(start.machine.applied, std::vector<std::string>());
  start.world.run_for(Duration::milliseconds(10));
  EXPECT_EQ(start.machine.applied, std::vector<std::string>{"a"});
  EXPECT_EQ(start.at_first, 3u) << "the members, the vote, the first entry of the term";
  EXPECT_EQ(store.history.size(), 4u);
}

TEST(Driver, WhatArrivesDuringACommitGoesTogetherInTheNext) {
  MemoryStore store;
  store.commit_time = Duration::milliseconds(10);
  Start start(store);
  const std::vector<std::string> all = texts(100);
  start.propose(all[0]);
  start.world.run_for(Duration::milliseconds(2));
  for (std::size_t i = 1; i < all.size(); ++i) {
    start.propose(all[i]);
  }
  start.world.run_for(Duration::milliseconds(30));
  EXPECT_EQ(start.machine.applied, all);
  EXPECT_EQ(store.history.size(), start.at_first + 2);
}

// The heart of it: every state that a crash may leave holds a prefix, with everything applied before it.
TEST(Driver, AfterACrashAtAnyCommitEverythingAppliedIsThere) {
  MemoryStore store;
  const std::vector<std::string> all = texts(50);
  std::vector<std::size_t> applied_before;  // each commit: what must be in the state that the one before it left
  {
    Start start(store, {.entries_per_snapshot = 7});
    applied_before.assign(start.at_first, 0);
    store.before_commit = [&] { applied_before.push_back(start.machine.applied.size()); };
    for (std::size_t i = 0; i < all.size(); ++i) {
      start.propose(all[i]);
      if (i % 3 == 0) {
        start.world.run_for(Duration::milliseconds(2));
      }
    }
    start.world.run_for(Duration::milliseconds(50));
    EXPECT_EQ(start.machine.applied, all);
    EXPECT_GT(start.driver.snapshot_last(), LogIndex(30));
    applied_before.push_back(start.machine.applied.size());
  }
  ASSERT_EQ(applied_before.size(), store.history.size() + 1);
  for (std::size_t i = 0; i < store.history.size(); ++i) {
    MemoryStore survivor(store.history[i]);
    Start again(survivor, {.entries_per_snapshot = 7});
    ASSERT_TRUE(again.opened.ok()) << again.opened;
    const std::vector<std::string>& found = again.machine.applied;
    ASSERT_LE(found.size(), all.size());
    EXPECT_EQ(found, std::vector<std::string>(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(found.size())));
    EXPECT_GE(found.size(), applied_before[i + 1]) << "applied before commit " << i + 1;
    EXPECT_TRUE(again.driver.leadership().here);
    // And it goes on from there.
    again.propose("more");
    again.world.run_for(Duration::milliseconds(5));
    EXPECT_EQ(again.machine.applied.back(), "more");
  }
}

TEST(Driver, ASnapshotCutsTheEntriesBeforeIt) {
  MemoryStore store;
  {
    Start start(store, {.entries_per_snapshot = 10});
    for (const std::string& text : texts(25)) {
      start.propose(text);
      start.world.run_for(Duration::milliseconds(5));
    }
    EXPECT_EQ(start.driver.snapshot_last(), LogIndex(20));
    EXPECT_EQ(store.contents().size(), 2u + 6u) << "hard state, snapshot, six entries: one is of the term";
  }
  Start again(store);
  EXPECT_EQ(again.machine.installed, 1);
  EXPECT_EQ(again.machine.applied, texts(25));
}

TEST(Driver, TermsRiseWithEachStart) {
  MemoryStore store;
  for (std::int64_t expected = 1; expected < 5; ++expected) {
    Start start(store);
    EXPECT_EQ(start.driver.leadership().term, Term(expected));
    EXPECT_EQ(start.driver.raft().elections(), 1u);
  }
}

// Rule R6.
TEST(Driver, AFailedCommitEndsTheProcessAndNothingAfterItIsApplied) {
  MemoryStore store;
  Start start(store);
  store.failures = {ok(), absl::InternalError("EIO")};
  for (const char* text : {"a", "b", "c"}) {
    start.propose(text);
    start.world.run_for(Duration::milliseconds(5));
  }
  EXPECT_EQ(start.process.ends, std::vector<ExitStatus>{ExitStatus::kStoreFailed});
  EXPECT_EQ(start.machine.applied, std::vector<std::string>{"a"});
}

TEST(Driver, AnOverdueCommitEndsTheProcess) {
  MemoryStore store;
  Start start(store, {.commit_timeout = Duration::seconds(60)});
  store.commit_time = Duration::seconds(100);
  start.propose("a");
  start.world.run_for(Duration::seconds(59));
  EXPECT_TRUE(start.process.ends.empty());
  start.world.run_for(Duration::seconds(2));
  EXPECT_EQ(start.process.ends, std::vector<ExitStatus>{ExitStatus::kStoreFailed});
  EXPECT_TRUE(start.machine.applied.empty());
}

TEST(Driver, AFailedCommitOfASnapshotEndsTheProcessToo) {
  MemoryStore store;
  Start start(store, {.entries_per_snapshot = 1});
  store.failures = {ok(), absl::InternalError("EIO")};
  start.propose("a");
  start.world.run_for(Duration::milliseconds(10));
  EXPECT_EQ(start.process.ends, std::vector<ExitStatus>{ExitStatus::kStoreFailed});
}

TEST(Driver, TheCommittingFiberEndsWithItsScopeAfterWhatWasBegun) {
  MemoryStore store;
  Start start(store);
  start.propose("a");
  start.world.run_for(Duration::microseconds(100));
  start.world.scope.cancel();
  start.world.run_for(Duration::milliseconds(10));
  EXPECT_EQ(store.history.size(), start.at_first + 1);
  EXPECT_EQ(start.world.scope.running(), 0u);
  EXPECT_TRUE(start.process.ends.empty());
}

TEST(Driver, MissingOrDamagedEntriesAreNotPassedOver) {
  MemoryStore store;
  {
    Start start(store);
    for (const std::string& text : texts(3)) {
      start.propose(text);
      start.world.run_for(Duration::milliseconds(5));
    }
  }
  const auto open_without = [&](const std::string& key) {
    MemoryStore damaged(store.contents());
    damaged.mutable_contents().erase(key);
    return Start(damaged).opened.code();
  };
  EXPECT_EQ(open_without(entry_key(LogIndex(1))), absl::StatusCode::kDataLoss);
  EXPECT_EQ(open_without(entry_key(LogIndex(2))), absl::StatusCode::kDataLoss);
  EXPECT_EQ(open_without(std::string(kHardStateKey)), absl::StatusCode::kDataLoss);
  for (const auto& [key, value] : store.contents()) {
    for (std::size_t at = 0; at < value.size(); ++at) {
      MemoryStore damaged(store.contents());
      damaged.mutable_contents()[key][at] = static_cast<char>(value[at] ^ 0x20);
      EXPECT_FALSE(Start(damaged).opened.ok()) << key << " byte " << at;
    }
  }
}

class CountedRandom final : public Random {
 public:
  std::uint64_t next() override { return mix(++state_); }

 private:
  std::uint64_t state_ = 0;
};

StatusOr<Identity> open_identity_of(MemoryStore& store, Random& random) {
  FiberWorld world;
  StatusOr<Identity> identity = absl::UnknownError("not yet");
  world.spawn("open", [&] { identity = open_identity(store, random, fiber::for_ever()); });
  world.run_for(Duration::milliseconds(10));
  return identity;
}

TEST(Identity, IsMadeOnceAndCountsStarts) {
  MemoryStore store;
  CountedRandom random;
  const auto first = open_identity_of(store, random);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_FALSE(first->cluster.is_zero());
  EXPECT_NE(first->cluster, first->directory);
  EXPECT_EQ(first->start_counter, 1);
  const auto second = open_identity_of(store, random);
  EXPECT_EQ(second->cluster, first->cluster);
  EXPECT_EQ(second->directory, first->directory);
  EXPECT_EQ(second->start_counter, 2);
  EXPECT_NE(second->incarnation, first->incarnation);
  EXPECT_EQ(second->earlier, std::vector<Uuid>{first->incarnation});
  EXPECT_EQ(store.history.size(), 2u) << "each start is counted durably";
}

TEST(Identity, AStoreThatLostItIsNotTakenForANewOne) {
  MemoryStore store(
      MemoryStore::Contents{{std::string(kHardStateKey), encode_hard_state({.term = Term(1), .vote = std::nullopt})}});
  CountedRandom random;
  EXPECT_EQ(open_identity_of(store, random).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_TRUE(store.history.empty());
}

TEST(Identity, AFailedCommitIsReported) {
  MemoryStore store;
  store.failures = {absl::InternalError("EIO")};
  CountedRandom random;
  EXPECT_EQ(open_identity_of(store, random).status().code(), absl::StatusCode::kInternal);
}

TEST(Identity, DamageAndANewerFormatAreTold) {
  CountedRandom random;
  MemoryStore damaged(MemoryStore::Contents{{std::string(kIdentityKey), "\x01garbage"}});
  EXPECT_EQ(open_identity_of(damaged, random).status().code(), absl::StatusCode::kDataLoss);
  MemoryStore newer(MemoryStore::Contents{{std::string(kIdentityKey), "\x04whatever"}});
  EXPECT_EQ(open_identity_of(newer, random).status().code(), absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace chronik::raft
