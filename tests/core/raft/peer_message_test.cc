#include "core/raft/peer_message.h"

#include <gtest/gtest.h>

#include "core/raft/formation.h"
#include "tests/core/raft/raft_group.h"

namespace chronik::raft {
namespace {

using testing::member;

constexpr std::size_t kLength = 4;

std::vector<PeerMessage> one_of_each() {
  const auto raft = [](decltype(Message::body) body) {
    return Message{.from = member(1), .to = member(2), .term = Term(7), .body = std::move(body)};
  };
  const Slice bytes = Slice::copy_of(std::string_view("bytes"));
  return {raft(VoteRequest{.last = LogIndex(3), .last_term = Term(2), .pre_vote = true, .transfer = false}),
          raft(VoteResponse{.granted = true, .pre_vote = true}),
          raft(AppendRequest{.previous = LogIndex(3),
                             .previous_term = Term(2),
                             .entries = {{.index = LogIndex(4), .term = Term(5), .data = bytes}},
                             .commit = LogIndex(2),
                             .round = 9}),
          raft(AppendResponse{.accepted = true, .agreed = LogIndex(5), .match = LogIndex(4), .round = 9}),
          raft(SnapshotRequest{.last = LogIndex(9),
                               .last_term = Term(5),
                               .membership = {.voters = {member(1), member(2)}, .learners = {member(3)}},
                               .offset = 0,
                               .size = 5,
                               .bytes = bytes,
                               .round = 9}),
          raft(SnapshotResponse{.last = LogIndex(9), .next = 5, .round = 9}),
          raft(TimeoutNow{}),
          ProposalForLeader{bytes},
          ReadQuestion{12},
          ReadReply{.context = 12, .index = LogIndex(4)},
          ReadReply{.context = 12, .index = std::nullopt},
          Announcement{.self = member(1),
                       .host = "host-1",
                       .port = 9093,
                       .cluster = Uuid::from_random(1, 2),
                       .formed = true,
                       .group = {.voters = {member(2)}, .learners = {}, .addresses = {{NodeId(2), "host-2", 9093}}},
                       .index = LogIndex(7)},
          Introduction{{.directory = Uuid::from_random(3, 4),
                        .start = 3,
                        .incarnation = Uuid::from_random(5, 6),
                        .earlier = {Uuid::from_random(7, 8)},
                        .term = Term(9)}},
          OlderCopy{.incarnation = Uuid::from_random(5, 6), .why = "of something"}};
}

Slice frame_of(const PeerMessage& message) {
  return encode_peer_frame({.from = NodeId(1), .received = 77, .message = message});
}

TEST(PeerMessage, EachComesBackAsItWasSent) {
  for (const PeerMessage& message : one_of_each()) {
    const Slice frame = frame_of(message);
    const StatusOr<PeerFrame> decoded = decode_peer_frame(frame.bytes().subspan(kLength));
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    EXPECT_EQ(decoded->from, NodeId(1));
    EXPECT_EQ(decoded->received, 77u);
    EXPECT_EQ(decoded->message.index(), message.index());
    EXPECT_EQ(encode_peer_frame(*decoded), frame);
  }
}

TEST(PeerMessage, NoPartOfOneAndNoChangedByteIsTakenForOne) {
  for (const PeerMessage& message : one_of_each()) {
    const Slice frame = frame_of(message);
    const ByteSpan bytes = frame.bytes().subspan(kLength);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      EXPECT_FALSE(decode_peer_frame(bytes.first(size)).ok()) << size;
    }
    for (std::size_t at = 0; at < bytes.size(); ++at) {
      const Slice changed = Slice::copy_of(bytes);
      changed.mutable_data()[at] ^= 0x10;
      EXPECT_FALSE(decode_peer_frame(changed.bytes()).ok()) << at;
    }
  }
}

// ---- how a group begins ----

struct Nodes {
  std::vector<Formation> all;
  explicit Nodes(int count) {
    for (int node = 1; node <= count; ++node) {
      std::vector<NodeId> peers;
      for (int peer = 1; peer <= count; ++peer) {
        if (peer != node) {
          peers.emplace_back(peer);
        }
      }
      all.emplace_back(member(node), Uuid::from_random(9, static_cast<std::uint64_t>(node)), std::move(peers));
    }
  }
  Formation& of(int node) { return all[static_cast<std::size_t>(node) - 1]; }
  void tell(int from, int to) { of(to).hear(of(from).announcement()); }
};

TEST(Formation, NobodyBeginsBeforeAllHaveSaidThatTheyKnowOfAll) {
  Nodes nodes(3);
  nodes.tell(2, 1);
  EXPECT_EQ(nodes.of(1).missing(), std::vector<NodeId>{NodeId(3)});
  nodes.tell(3, 1);
  EXPECT_TRUE(nodes.of(1).missing().empty());
  EXPECT_FALSE(nodes.of(1).agreed().has_value()) << "2 and 3 know of nobody yet";
  for (const int other : {2, 3}) {
    nodes.tell(1, other);
    nodes.tell(5 - other, other);
    nodes.tell(other, 1);
  }
  ASSERT_TRUE(nodes.of(1).agreed().has_value());
  EXPECT_EQ(nodes.of(1).agreed()->members.voters, (std::vector<Member>{member(1), member(2), member(3)}));
  EXPECT_EQ(nodes.of(1).agreed()->cluster, Uuid::from_random(9, 1)) << "what the least node proposed";
}

TEST(Formation, WhoLostItsDiskMeanwhileIsNotTheOneThatWasAgreedOn) {
  Nodes nodes(2);
  nodes.tell(1, 2);
  nodes.tell(2, 1);
  Formation empty(member(2, 5), Uuid::from_random(9, 2), {NodeId(1)});
  nodes.of(1).hear(empty.announcement());
  EXPECT_FALSE(nodes.of(1).agreed().has_value());
  // The group has begun with the old disk: the new one takes it over, without being in it.
  empty.hear({.self = member(1),
              .cluster = Uuid::from_random(9, 1),
              .formed = true,
              .group = {.voters = {member(1), member(2)}, .learners = {}}});
  ASSERT_TRUE(empty.agreed().has_value());
  EXPECT_EQ(empty.agreed()->members.voters, (std::vector<Member>{member(1), member(2)}));
}

}  // namespace
}  // namespace chronik::raft
