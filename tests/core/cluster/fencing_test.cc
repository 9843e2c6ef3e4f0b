// Fencing, ISRs, eligible replicas and elections: rules R1, R7, R8, and the sessions from which they follow.
#include <gtest/gtest.h>

#include "core/cluster/broker_sessions.h"
#include "core/cluster/snapshot.h"
#include "tests/core/cluster/three_brokers.h"

namespace chronik::cluster {
namespace {

TEST(Fencing, AFencedBrokerLeadsNothingAndIsInSyncWithNothing) {
  Three three;
  three.fence(1, 2);
  EXPECT_EQ(three.partition().leader, NodeId(2));
  EXPECT_EQ(three.partition().leader_epoch, LeaderEpoch(1));
  EXPECT_EQ(three.partition().isr, nodes({2, 3}));
  EXPECT_TRUE(three.partition().elr.empty()) << "enough are in sync: more may be committed without it";
  three.revive(1);
  EXPECT_EQ(three.partition().isr, nodes({2, 3})) << "its leader takes it back, once it has caught up";
}

// Rule R8.
TEST(Fencing, WhoLeavesTooFewBehindStaysEligible) {
  Three three;
  three.fence(1, 2);
  three.fence(2, 3);
  EXPECT_EQ(three.partition().leader, NodeId(3));
  EXPECT_EQ(three.partition().isr, nodes({3}));
  EXPECT_EQ(three.partition().elr, nodes({2}));
}

TEST(Fencing, TheLastOneIsEligibleAndWhoeverOfThemComesFirstLeads) {
  Three three;
  three.fence(1, 2);
  three.fence(2, 3);
  three.fence(3, 3);
  EXPECT_EQ(three.partition().leader, NodeId::none());
  EXPECT_TRUE(three.partition().isr.empty());
  EXPECT_EQ(three.partition().elr, nodes({2, 3}));
  three.revive(1);
  EXPECT_EQ(three.partition().leader, NodeId::none()) << "it lacks what the others had committed";
  three.revive(2);
  EXPECT_EQ(three.partition().leader, NodeId(2));
  EXPECT_EQ(three.partition().isr, nodes({2}));
  EXPECT_EQ(three.partition().elr, nodes({3}));
}

// Rule R12.
TEST(Fencing, AnotherDiskIsNotEligible) {
  Three three;
  three.fence(1, 2);
  three.fence(2, 3);
  three.fence(3, 3);
  three.world.start(2, /*directory=*/7);
  EXPECT_EQ(three.partition().leader, NodeId::none());
  EXPECT_EQ(three.partition().elr, nodes({3}));
  three.world.start(3);
  EXPECT_EQ(three.partition().leader, NodeId(3));
}

TEST(Fencing, AnEarlierIncarnationIsNotMeant) {
  Three three;
  const ChangeBrokers change{{{.node = NodeId(1), .epoch = three.epoch_of(1), .live = false}}};
  three.world.start(1);
  EXPECT_EQ(three.world.propose(2, change).items.at(0).error, ErrorCode::kStaleBrokerEpoch);
  EXPECT_TRUE(three.world.image()->is_live(NodeId(1)));
}

TEST(AlterIsr, ALeaderShrinksAndGrowsIt) {
  Three three;
  EXPECT_EQ(three.alter(three.wish({1, 3}), 1), ErrorCode::kNone);
  EXPECT_EQ(three.partition().isr, nodes({1, 3}));
  EXPECT_EQ(three.partition().epoch, PartitionEpoch(1));
  EXPECT_EQ(three.partition().leader_epoch, LeaderEpoch(0)) << "the leader is the same";
  EXPECT_EQ(three.alter(three.wish({1}), 1), ErrorCode::kNone);
  EXPECT_EQ(three.partition().elr, nodes({3}));
  EXPECT_EQ(three.alter(three.wish({2, 1}), 1), ErrorCode::kNone);
  EXPECT_EQ(three.partition().isr, nodes({1, 2})) << "in the order of the replicas";
  EXPECT_TRUE(three.partition().elr.empty()) << "from here on more may be committed without it";
}

TEST(AlterIsr, WhatTheLeaderDidNotKnowOfRefusesIt) {
  Three three;
  AlterPartitions::Partition stale = three.wish({1, 2});
  EXPECT_EQ(three.alter(stale, 2), ErrorCode::kFencedLeaderEpoch) << "proposed by who does not lead";
  stale.leader_epoch = LeaderEpoch(7);
  EXPECT_EQ(three.alter(stale, 1), ErrorCode::kFencedLeaderEpoch);
  EXPECT_EQ(three.alter(three.wish({2, 3}), 1), ErrorCode::kInvalidRequest) << "without the leader";
  EXPECT_EQ(three.alter(three.wish({1, 2, 2}), 1), ErrorCode::kInvalidRequest);
  const AlterPartitions::Partition before = three.wish({1, 2});
  EXPECT_EQ(three.alter(three.wish({1, 3}), 1), ErrorCode::kNone);
  EXPECT_EQ(three.alter(before, 1), ErrorCode::kInvalidUpdateVersion);
}

// KIP-903: who came back after the leader had heard of it may have lost what the leader heard of.
TEST(AlterIsr, AFencedOrRestartedReplicaIsRefused) {
  Three three;
  three.fence(3, 1);
  EXPECT_EQ(three.alter(three.wish({1, 2, 3}), 1), ErrorCode::kIneligibleReplica);
  three.revive(3);
  const AlterPartitions::Partition before = three.wish({1, 2, 3});
  three.world.start(3);
  EXPECT_EQ(three.alter(before, 1), ErrorCode::kIneligibleReplica);
  EXPECT_EQ(three.alter(three.wish({1, 2, 3}), 1), ErrorCode::kNone);
}

TEST(AlterIsr, TheMinimumIsTheTopicsThenAllBrokersThenTheLatestRegistrations) {
  ImageWorld world;
  world.start(1);
  world.create("t", {{1}});
  const auto min = [&] { return world.image()->min_insync_replicas_of(*world.image()->find_topic("t")); };
  EXPECT_EQ(min(), 1u);
  world.apply(
      {.proposal = {NodeId(2), uuid_of(77), 0},
       .body = RegisterBroker{
           .directory = uuid_of(5), .start_counter = 1, .endpoints = {}, .rack = "", .min_insync_replicas = 3}});
  EXPECT_EQ(min(), 3u);
  world.propose(1, AlterConfigs{{{.of = NodeId::none(), .changes = {{"min.insync.replicas", "4"}}}}});
  EXPECT_EQ(min(), 4u);
  world.propose(1, AlterConfigs{{{.of = uuid_of(mix_text("t")), .changes = {{"min.insync.replicas", "2"}}}}});
  EXPECT_EQ(min(), 2u);
}

TEST(Snapshots, KeepEligibleReplicas) {
  Three three;
  three.fence(1, 2);
  three.fence(2, 3);
  const auto back = decode_snapshot(as_bytes(encode_snapshot(*three.world.image())));
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(**back, *three.world.image());
}

// ---- sessions ----

class SessionsOfThree {
 public:
  SessionsOfThree() { sessions.begin(*three.world.image(), at(0), NodeId::none(), {}); }
  static MonotonicTime at(std::int64_t ms) {
    return MonotonicTime() + Duration::seconds(100) + Duration::milliseconds(ms);
  }
  void hear(std::int32_t node, std::int64_t ms, bool leaving = false) {
    sessions.hear(NodeId(node), {.epoch = three.epoch_of(node), .leaving = leaving}, at(ms));
  }
  // The nodes to be changed: -n is to be fenced, n is live again. Carries it out.
  std::vector<std::int32_t> due(std::int64_t ms) {
    std::vector<std::int32_t> changed;
    for (const ChangeBrokers::Change& change : sessions.due(*three.world.image(), at(ms))) {
      changed.push_back(change.live ? change.node.value() : -change.node.value());
      EXPECT_EQ(three.change(change.node.value(), change.live, 1), ErrorCode::kNone);
    }
    return changed;
  }

  Three three;
  BrokerSessions sessions{NodeId(1), Duration::seconds(1)};
};
using Changed = std::vector<std::int32_t>;

TEST(Sessions, WhoIsSilentIsFencedAndWhoSpeaksAgainIsLive) {
  SessionsOfThree of;
  of.hear(2, 500);
  EXPECT_EQ(of.due(999), Changed{}) << "a new controller gives everybody a full session";
  EXPECT_EQ(of.sessions.next(*of.three.world.image()), of.at(1000));
  EXPECT_EQ(of.due(1000), Changed{-3});
  EXPECT_EQ(of.due(1001), Changed{});
  of.hear(3, 1200);
  EXPECT_EQ(of.due(1200), Changed{3});
  EXPECT_EQ(of.due(1500), Changed{-2});
}

TEST(Sessions, TheOneWhoKeepsThemIsNeverSilent) {
  SessionsOfThree of;
  EXPECT_EQ(of.due(60'000), (Changed{-2, -3}));
  EXPECT_EQ(of.sessions.next(*of.three.world.image()), MonotonicTime::never());
}

TEST(Sessions, TheFormerLeadersSessionGoesOnFromWhenItWasHeard) {
  SessionsOfThree of;
  of.sessions.begin(*of.three.world.image(), of.at(0), NodeId(2), of.at(-1200));
  EXPECT_EQ(of.due(0), Changed{-2});
}

TEST(Sessions, ARegistrationIsASignOfLifeAndItsEarlierLifesSignsAreNot) {
  SessionsOfThree of;
  const SignOfLife earlier{.epoch = of.three.epoch_of(3)};
  of.three.world.start(3);
  of.hear(2, 1500);
  EXPECT_EQ(of.due(1500), Changed{}) << "registered just now";
  of.sessions.hear(NodeId(3), earlier, of.at(2400));
  of.hear(2, 2400);
  EXPECT_EQ(of.due(2500), Changed{-3});
  of.sessions.hear(NodeId(3), earlier, of.at(2600));
  EXPECT_EQ(of.due(2600), Changed{}) << "not the incarnation that is registered";
}

TEST(Sessions, WhatItSaidBeforeItWasFencedDoesNotTakeItBack) {
  SessionsOfThree of;
  of.hear(3, 100);
  EXPECT_EQ(of.due(100), Changed{});
  of.three.fence(3, 1);  // at its own wish, for one
  EXPECT_EQ(of.due(110), Changed{});
  of.hear(3, 350);
  EXPECT_EQ(of.due(350), Changed{3});
}

TEST(Sessions, WhoIsLeavingIsNotTakenBack) {
  SessionsOfThree of;
  of.three.fence(3, 1);
  of.hear(3, 100, /*leaving=*/true);
  EXPECT_EQ(of.due(100), Changed{});
  of.hear(3, 200);
  EXPECT_EQ(of.due(200), Changed{3});
}

}  // namespace
}  // namespace chronik::cluster
