// What no sound member sends is not acted on: Raft::step() relies on it.
#include <gtest/gtest.h>

#include <limits>

#include "core/raft/membership_codec.h"
#include "tests/core/raft/raft_group.h"

namespace chronik::raft {
namespace {

using testing::Group;
using testing::member;

Entry entry(std::int64_t index, std::int64_t term) {
  return {.index = LogIndex(index), .term = Term(term), .data = Slice::copy_of(std::string_view("x"))};
}

class Defects : public ::testing::Test {
 protected:
  // Three members; node 1 follows node 2 in term 5.
  Defects() {
    group.act(1, [](Raft& raft) {
      raft.step({.from = member(2), .to = member(1), .term = Term(5), .body = append(0, 0, {})});
    });
  }
  static AppendRequest append(std::int64_t previous, std::int64_t term, std::vector<Entry> entries) {
    return {.previous = LogIndex(previous),
            .previous_term = Term(term),
            .entries = std::move(entries),
            .commit = LogIndex(0),
            .round = 1};
  }
  std::string_view of(decltype(Message::body) body, std::int64_t term = 5, std::int32_t from = 2) {
    return group.raft(1).defect_of(
        {.from = member(from), .to = member(1), .term = Term(term), .body = std::move(body)});
  }
  Group group{3, RaftOptions{}, 1};
};

TEST_F(Defects, AnAppendThatIsSoundHasNone) {
  EXPECT_EQ(of(append(0, 0, {entry(1, 4), entry(2, 5)})), "");
  EXPECT_EQ(of(append(7, 3, {})), "") << "that it does not fit is for the algorithm";
  EXPECT_EQ(of(append(0, 0, {entry(1, 6)}), 6, 3), "") << "another leader, in another term";
}

TEST_F(Defects, EntriesFollowEachOther) {
  EXPECT_EQ(of(append(0, 0, {entry(2, 5)})), "entries with a gap");
  EXPECT_EQ(of(append(0, 0, {entry(1, 5), entry(3, 5)})), "entries with a gap");
  EXPECT_EQ(of(append(0, 0, {entry(1, 5), entry(2, 4)})), "an entry of a term that cannot be");
  EXPECT_EQ(of(append(0, 0, {entry(1, 6)})), "an entry of a term that cannot be");
  EXPECT_EQ(of(append(-1, 0, {})), "a negative index");
  EXPECT_EQ(of(append(0, 0, {}), std::numeric_limits<std::int64_t>::max()), "a term that cannot be");
  Entry unknown = entry(1, 5);
  unknown.kind = static_cast<EntryKind>(9);
  EXPECT_EQ(of(append(0, 0, {unknown})), "an entry of an unknown kind");
  Entry members = entry(1, 5);
  members.kind = EntryKind::kMembership;
  EXPECT_EQ(of(append(0, 0, {members})), "a membership that cannot be decoded");
  members.data = Slice::copy_of(encode_membership({.voters = {member(1)}, .learners = {}}));
  EXPECT_EQ(of(append(0, 0, {members})), "");
}

TEST_F(Defects, WhatThisLeaderHasSentDoesNotChange) {
  group.act(1, [](Raft& raft) {
    raft.step({.from = member(2), .to = member(1), .term = Term(5), .body = append(0, 0, {entry(1, 4), entry(2, 4)})});
  });
  EXPECT_EQ(of(append(1, 4, {entry(2, 4), entry(3, 5)})), "");
  EXPECT_EQ(of(append(1, 4, {entry(2, 5)})), "another history of what is fixed");
  EXPECT_EQ(of(append(2, 3, {entry(3, 5)})), "another history of what is fixed");
  EXPECT_EQ(of(append(1, 4, {entry(2, 6)}), 6, 3), "") << "another leader's, of what is not committed";
}

TEST_F(Defects, ATermHasOneLeader) {
  EXPECT_EQ(of(append(0, 0, {}), 5, 3), "a second leader in this term");
  const SnapshotRequest part{.last = LogIndex(9),
                             .last_term = Term(5),
                             .membership = {.voters = {member(2)}, .learners = {}},
                             .offset = 0,
                             .size = 1};
  EXPECT_EQ(of(part, 5, 2), "");
  EXPECT_EQ(of(part, 5, 3), "a second leader in this term");
}

TEST_F(Defects, ASnapshotHasASizeAndATerm) {
  SnapshotRequest part{.last = LogIndex(9),
                       .last_term = Term(6),
                       .membership = {.voters = {member(2)}, .learners = {}},
                       .offset = 0,
                       .size = 1};
  EXPECT_EQ(of(part), "a snapshot that cannot be");
  part.last_term = Term(5);
  part.last = LogIndex(0);
  EXPECT_EQ(of(part), "a snapshot that cannot be");
  part.last = LogIndex(9);
  part.size = RaftOptions{}.snapshot_bytes_max + 1;
  EXPECT_EQ(of(part), "a snapshot that is too large");
}

TEST_F(Defects, NobodyHasWhatTheLeaderNeverSent) {
  Group alone(1, RaftOptions{}, 1);
  alone.tick(1);
  alone.persist_all(1);
  ASSERT_EQ(alone.raft(1).role(), Role::kLeader);
  const Term term = alone.raft(1).term();
  const auto defect = [&](std::int64_t agreed, std::int64_t match) {
    return alone.raft(1).defect_of(
        {.from = member(2),
         .to = member(1),
         .term = term,
         .body = AppendResponse{.accepted = true, .agreed = LogIndex(agreed), .match = LogIndex(match)}});
  };
  EXPECT_EQ(defect(1, 1), "");
  EXPECT_EQ(defect(2, 1), "it claims to have what was never sent");
  EXPECT_EQ(defect(1, 2), "it claims to have what was never sent");
}

}  // namespace
}  // namespace chronik::raft
