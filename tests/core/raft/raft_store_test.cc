#include "core/raft/raft_store.h"

#include <gtest/gtest.h>

#include "core/base/crc32c.h"
#include "core/base/endian.h"
#include "core/raft/stored_values.h"
#include "tests/core/raft/raft_group.h"
#include "tests/support/fiber_world.h"
#include "tests/support/memory_store.h"

namespace chronik::raft {
namespace {

using chronik::testing::FiberWorld;
using chronik::testing::MemoryStore;
using testing::member;

const Membership kAlone{.voters = {member(1)}, .learners = {}};

StatusOr<StoredRaft> load(MemoryStore& store, const Membership& first = kAlone) {
  FiberWorld world;
  StatusOr<StoredRaft> loaded = absl::UnknownError("not yet");
  world.spawn("load", [&] { loaded = load_raft(store, first, fiber::for_ever()); });
  world.run_for(Duration::milliseconds(10));
  return loaded;
}

Entry entry(std::int64_t index, std::int64_t term, std::string_view data, EntryKind kind = EntryKind::kCommand) {
  return {.index = LogIndex(index), .term = Term(term), .kind = kind, .data = Slice::copy_of(data)};
}

void commit(MemoryStore& store, StoreBatch batch) {
  FiberWorld world;
  world.spawn("commit", [&] { CHECK_OK(store.commit(std::move(batch), true, fiber::for_ever())); });
  world.run_for(Duration::milliseconds(10));
}

TEST(RaftStore, AnEmptyStoreIsToldItsMembersOnceAndKeepsThem) {
  MemoryStore store;
  const Membership three{.voters = {member(1), member(2), member(3)}, .learners = {member(4)}};
  EXPECT_EQ(load(store, three)->snapshot.membership, three);
  EXPECT_EQ(store.history.size(), 1u);
  EXPECT_EQ(load(store, kAlone)->snapshot.membership, three) << "what it began with counts";
  EXPECT_EQ(store.history.size(), 1u);
}

TEST(RaftStore, WhatWasPersistedComesBackAndALaterWriteReplacesWhatLiesBehindIt) {
  MemoryStore store;
  ASSERT_TRUE(load(store).ok());
  StoreBatch batch;
  put_persist(batch, {.number = 1,
                      .hard = HardState{.term = Term(2), .vote = member(3, 7)},
                      .snapshot = std::nullopt,
                      .entries = {entry(1, 1, "", EntryKind::kNothing), entry(2, 1, "a"), entry(3, 1, "b")}});
  put_persist(batch, {.number = 2, .hard = std::nullopt, .snapshot = std::nullopt, .entries = {entry(2, 2, "c")}});
  commit(store, batch);
  const auto loaded = load(store);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->hard, (HardState{.term = Term(2), .vote = member(3, 7)}));
  ASSERT_EQ(loaded->entries.size(), 2u);
  EXPECT_EQ(loaded->entries[0].kind, EntryKind::kNothing);
  EXPECT_EQ(loaded->entries[1].data.text(), "c");

  StoreBatch replaced;
  put_persist(replaced, {.number = 3,
                         .hard = std::nullopt,
                         .snapshot = Snapshot{.last = LogIndex(9),
                                              .last_term = Term(2),
                                              .membership = kAlone,
                                              .state = Slice::copy_of(std::string_view("state"))},
                         .entries = {entry(10, 2, "d")}});
  commit(store, replaced);
  const auto after = load(store);
  ASSERT_TRUE(after.ok()) << after.status();
  EXPECT_EQ(after->snapshot.state.text(), "state");
  ASSERT_EQ(after->entries.size(), 1u);
  EXPECT_EQ(after->entries[0].index, LogIndex(10));
}

// A value as version 1 wrote it: integers, then text.
std::string version_1(std::initializer_list<std::int64_t> numbers, std::string_view rest = {}) {
  std::string body;
  for (const std::int64_t number : numbers) {
    std::array<std::uint8_t, 8> bytes{};
    store_little(bytes.data(), number);
    body.append(as_text(bytes));
  }
  body.append(rest);
  std::array<std::uint8_t, 5> header{1};
  store_little(header.data() + 1, crc32c(as_bytes(body)));
  return std::string(as_text(header)) + body;
}

TEST(RaftStore, WhatVersion1WroteIsRead) {
  MemoryStore store(MemoryStore::Contents{{std::string(kHardStateKey), version_1({4})},
                                          {std::string(kSnapshotKey), version_1({20, 3}, "state")},
                                          {entry_key(LogIndex(21)), version_1({21, 3}, "command")},
                                          {entry_key(LogIndex(22)), version_1({22, 4})}});
  const auto loaded = load(store);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->hard, (HardState{.term = Term(4), .vote = std::nullopt}));
  EXPECT_EQ(loaded->snapshot.membership, kAlone);
  EXPECT_EQ(loaded->snapshot.state.text(), "state");
  ASSERT_EQ(loaded->entries.size(), 2u);
  EXPECT_EQ(loaded->entries[0].kind, EntryKind::kCommand);
  EXPECT_EQ(loaded->entries[0].data.text(), "command");
  EXPECT_EQ(loaded->entries[1].kind, EntryKind::kNothing);
}

TEST(RaftStore, TermsThatCannotBeAreDamage) {
  MemoryStore falling(MemoryStore::Contents{{std::string(kHardStateKey), version_1({4})},
                                            {entry_key(LogIndex(1)), version_1({1, 3}, "a")},
                                            {entry_key(LogIndex(2)), version_1({2, 2}, "b")}});
  EXPECT_EQ(load(falling).status().code(), absl::StatusCode::kDataLoss);
  MemoryStore behind(MemoryStore::Contents{{std::string(kHardStateKey), version_1({2})},
                                           {entry_key(LogIndex(1)), version_1({1, 3}, "a")}});
  EXPECT_EQ(load(behind).status().code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace chronik::raft
