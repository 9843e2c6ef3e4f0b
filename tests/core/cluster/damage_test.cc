// Replicas that report themselves as damaged or lost: rules R12 and R18.
#include <gtest/gtest.h>

#include "tests/core/cluster/three_brokers.h"

namespace chronik::cluster {
namespace {

TEST(ReportedDamage, ADamagedFollowerIsOutAndTheEpochEnds) {
  Three three;
  const LeaderEpoch before = three.partition().leader_epoch;
  EXPECT_EQ(three.report(2, false), ErrorCode::kNone);
  EXPECT_EQ(three.partition().leader, NodeId(1));
  EXPECT_EQ(three.partition().leader_epoch, before.next()) << "nobody counts what it said of itself before";
  EXPECT_EQ(three.partition().isr, nodes({1, 3}));
  EXPECT_TRUE(three.partition().elr.empty());
}

TEST(ReportedDamage, ALeaderHandsOverInTheSameCommand) {
  Three three;
  const LeaderEpoch before = three.partition().leader_epoch;
  EXPECT_EQ(three.report(1, false), ErrorCode::kNone);
  EXPECT_EQ(three.partition().leader, NodeId(2));
  EXPECT_EQ(three.partition().leader_epoch, before.next());
  EXPECT_EQ(three.partition().isr, nodes({2, 3}));
}

TEST(ReportedDamage, WhatALeaderThatHasNotHeardOfItWishesIsRefused) {
  Three three;
  const AlterPartitions::Partition wish = three.wish({1, 2, 3});
  EXPECT_EQ(three.report(2, false), ErrorCode::kNone);
  EXPECT_EQ(three.alter(wish, 1), ErrorCode::kFencedLeaderEpoch);
  EXPECT_EQ(three.partition().isr, nodes({1, 3}));
}

TEST(ReportedDamage, AlsoOneThatIsOutAlreadyEndsTheEpoch) {
  Three three;
  EXPECT_EQ(three.alter(three.wish({1, 3}), 1), ErrorCode::kNone);
  const AlterPartitions::Partition takes_it_back = three.wish({1, 2, 3});
  EXPECT_EQ(three.report(2, false), ErrorCode::kNone);
  EXPECT_EQ(three.alter(takes_it_back, 1), ErrorCode::kFencedLeaderEpoch);
}

TEST(ReportedDamage, TheLastOneStays) {
  Three three;
  three.fence(2, 1);
  three.fence(3, 1);
  ASSERT_EQ(three.partition().elr, nodes({3}));
  const Partition before = three.partition();
  EXPECT_EQ(three.report(1, false), ErrorCode::kEligibleLeadersNotAvailable);
  EXPECT_EQ(three.partition(), before);
  three.revive(3);
  EXPECT_EQ(three.report(1, false), ErrorCode::kNone) << "one that is eligible has everything that was committed";
  EXPECT_EQ(three.partition().leader, NodeId(3));
  EXPECT_EQ(three.partition().isr, nodes({3}));
  EXPECT_TRUE(three.partition().elr.empty());
}

TEST(ReportedDamage, AnEligibleOneIsEligibleNoMore) {
  Three three;
  three.fence(2, 1);
  three.fence(3, 1);
  three.revive(3);
  ASSERT_EQ(three.partition().elr, nodes({3}));
  EXPECT_EQ(three.report(3, false), ErrorCode::kNone);
  EXPECT_EQ(three.partition().leader, NodeId(1));
  EXPECT_TRUE(three.partition().elr.empty());
}

TEST(ReportedDamage, ALostOneGoesAlsoAsTheLast) {
  Three three;
  three.fence(2, 1);
  three.fence(3, 1);
  EXPECT_EQ(three.report(1, true), ErrorCode::kNone);
  EXPECT_EQ(three.partition().leader, NodeId::none());
  EXPECT_TRUE(three.partition().isr.empty());
  EXPECT_EQ(three.partition().elr, nodes({3}));
  three.world.start(1);
  EXPECT_EQ(three.partition().leader, NodeId::none()) << "its incarnation is another, its log is still lost";
  three.revive(3);
  EXPECT_EQ(three.partition().leader, NodeId(3));
}

TEST(ReportedDamage, AnUncleanElectionPrefersWhoeverHasNotLostEverything) {
  Three three;
  three.fence(2, 1);
  three.fence(3, 1);
  three.revive(2);
  ASSERT_EQ(three.partition().elr, nodes({3}));
  three.configure("unclean.leader.election.enable", "true");
  EXPECT_EQ(three.report(1, true), ErrorCode::kNone);
  EXPECT_EQ(three.partition().leader, NodeId(2));
  EXPECT_EQ(three.partition().unclean_epoch, three.partition().leader_epoch);
}

TEST(ReportedDamage, AReportOfAnEarlierLifeSaysNothing) {
  Three three;
  const BrokerEpoch earlier = three.epoch_of(2);
  three.world.start(2);
  const CommandResult result = three.world.propose(
      2, ReportDamage{.epoch = earlier, .replicas = {{.topic = uuid_of(mix_text("t")), .partition = PartitionId(0)}}});
  EXPECT_EQ(result.whole.error, ErrorCode::kStaleBrokerEpoch);
  EXPECT_EQ(three.partition().isr, nodes({1, 2, 3}));
}

TEST(ReportedDamage, OnlyOfReplicas) {
  Three three({1, 2}, 3);
  EXPECT_EQ(three.report(3, true), ErrorCode::kNotLeaderOrFollower);
}

}  // namespace
}  // namespace chronik::cluster
