// Who leads and who holds a partition when an administrator, or the controller's balance, says so: KIP-455, KIP-460.
#include <gtest/gtest.h>

#include "core/cluster/controller.h"
#include "core/cluster/leader_balance.h"
#include "core/cluster/snapshot.h"
#include "tests/core/cluster/three_brokers.h"

namespace chronik::cluster {
namespace {

constexpr const char* kUncleanSetting = "unclean.leader.election.enable";

// Node 1 went and came back: it is in sync again, and 2 leads.
void pass_leadership_on(Three& three) {
  three.fence(1, 2);
  three.revive(1);
  EXPECT_EQ(three.alter(three.wish({1, 2, 3}), 2), ErrorCode::kNone);
  EXPECT_EQ(three.partition().leader, NodeId(2));
}

// ---- elections ----

TEST(PreferredElection, GivesThePartitionBackInANewEpoch) {
  Three three;
  EXPECT_EQ(three.elect(false, 1), ErrorCode::kElectionNotNeeded);
  pass_leadership_on(three);
  const LeaderEpoch before = three.partition().leader_epoch;
  EXPECT_EQ(three.elect(false, 3), ErrorCode::kNone);
  EXPECT_EQ(three.partition().leader, NodeId(1));
  EXPECT_EQ(three.partition().leader_epoch, before.next());
  EXPECT_EQ(three.partition().isr, nodes({1, 2, 3}));
}

TEST(PreferredElection, IsRefusedWhileThePreferredLeaderIsNotLiveOrNotInSync) {
  Three three;
  three.fence(1, 2);
  EXPECT_EQ(three.elect(false, 2), ErrorCode::kPreferredLeaderNotAvailable);
  three.revive(1);
  EXPECT_EQ(three.elect(false, 2), ErrorCode::kPreferredLeaderNotAvailable) << "live, but not in sync";
  EXPECT_EQ(three.partition().leader, NodeId(2));
}

// All are fenced; 2 comes back, which 3 went on without.
void leave_only_one_that_lacks_something(Three& three) {
  three.fence(2, 1);
  EXPECT_EQ(three.alter(three.wish({1, 3}), 1), ErrorCode::kNone);
  three.fence(1, 3);
  three.fence(3, 3);
  three.revive(2);
  EXPECT_EQ(three.partition().leader, NodeId::none());
}

// Rule R8.
TEST(UncleanElection, IsForTopicsThatAllowItAndMarksItsEpoch) {
  Three three;
  leave_only_one_that_lacks_something(three);
  EXPECT_EQ(three.elect(true, 2), ErrorCode::kEligibleLeadersNotAvailable);
  EXPECT_EQ(three.partition().unclean_epoch, LeaderEpoch::none());
  three.configure(kUncleanSetting, "true");
  EXPECT_EQ(three.partition().leader, NodeId(2)) << "elected by the change of the setting";
  EXPECT_EQ(three.partition().isr, nodes({2}));
  EXPECT_TRUE(three.partition().elr.empty()) << "what they had beyond it is lost, and must not come back";
  EXPECT_EQ(three.partition().unclean_epoch, three.partition().leader_epoch);
  EXPECT_EQ(three.elect(true, 2), ErrorCode::kElectionNotNeeded);

  const LeaderEpoch unclean = three.partition().leader_epoch;
  three.world.start(2);
  EXPECT_EQ(three.partition().leader_epoch, unclean.next());
  EXPECT_EQ(three.partition().unclean_epoch, unclean) << "who was away then still has to cut its log";
}

TEST(UncleanElection, ComesLastAndByItselfWhereItIsAllowed) {
  Three three;
  three.configure(kUncleanSetting, "true");
  three.fence(1, 2);
  EXPECT_EQ(three.partition().leader, NodeId(2)) << "in sync";
  EXPECT_EQ(three.partition().unclean_epoch, LeaderEpoch::none());
  three.fence(2, 3);
  three.fence(3, 3);
  EXPECT_EQ(three.partition().leader, NodeId::none());
  three.revive(2);
  EXPECT_EQ(three.partition().leader, NodeId(2)) << "eligible";
  EXPECT_EQ(three.partition().unclean_epoch, LeaderEpoch::none());
  three.fence(2, 2);
  three.revive(1);
  EXPECT_EQ(three.partition().leader, NodeId(1)) << "neither";
  EXPECT_EQ(three.partition().unclean_epoch, three.partition().leader_epoch);
}

TEST(UncleanElection, IsAllowedByTheTopicThenByAllBrokersThenByTheLatestRegistrationsFile) {
  Three three;
  const auto allowed = [&] {
    return three.world.image()->unclean_leader_election_of(*three.world.image()->find_topic("t"));
  };
  EXPECT_FALSE(allowed());
  three.world.apply({.proposal = {NodeId(4), uuid_of(77), 0},
                     .body = RegisterBroker{.directory = uuid_of(5),
                                            .start_counter = 1,
                                            .endpoints = {},
                                            .rack = "",
                                            .min_insync_replicas = 1,
                                            .unclean_leader_election = true}});
  EXPECT_TRUE(allowed());
  three.world.propose(1, AlterConfigs{{{.of = NodeId::none(), .changes = {{kUncleanSetting, "false"}}}}});
  EXPECT_FALSE(allowed());
  leave_only_one_that_lacks_something(three);
  three.world.propose(2, AlterConfigs{{{.of = NodeId::none(), .changes = {{kUncleanSetting, "true"}}}}});
  EXPECT_TRUE(allowed());
  EXPECT_EQ(three.partition().leader, NodeId(2));
  three.configure(kUncleanSetting, "false");
  EXPECT_FALSE(allowed());
}

// ---- reassignments ----

TEST(Reassignment, EndsWhenAllThatStayAreInSync) {
  Three three({1, 2, 3}, 5);
  EXPECT_EQ(three.reassign(nodes({4, 2, 5})), ErrorCode::kNone);
  EXPECT_EQ(three.partition().replicas, nodes({4, 2, 5, 1, 3}));
  EXPECT_EQ(three.partition().adding, nodes({4, 5}));
  EXPECT_EQ(three.partition().removing, nodes({1, 3}));
  EXPECT_EQ(three.partition().isr, nodes({2, 1, 3}));
  EXPECT_EQ(three.partition().leader_epoch, LeaderEpoch(0)) << "the leader goes on";
  EXPECT_EQ(three.alter(three.wish({1, 2, 3, 4}), 1), ErrorCode::kNone);
  EXPECT_EQ(three.partition().leader, NodeId(1));

  EXPECT_EQ(three.alter(three.wish({1, 2, 4, 5}), 1), ErrorCode::kNone);
  EXPECT_EQ(three.partition().replicas, nodes({4, 2, 5}));
  EXPECT_EQ(three.partition().isr, nodes({4, 2, 5}));
  EXPECT_TRUE(three.partition().adding.empty());
  EXPECT_TRUE(three.partition().removing.empty());
  EXPECT_EQ(three.partition().leader, NodeId(4)) << "the one that led is removed";
  EXPECT_EQ(three.partition().leader_epoch, LeaderEpoch(1));
  EXPECT_EQ(three.partition().unclean_epoch, LeaderEpoch::none());
}

TEST(Reassignment, OfOthersThanTheLeaderEndsItsEpochToo) {
  Three three({1, 2, 3}, 4);
  EXPECT_EQ(three.reassign(nodes({1, 2, 4})), ErrorCode::kNone);
  EXPECT_EQ(three.alter(three.wish({1, 2, 3, 4}), 1), ErrorCode::kNone);
  EXPECT_EQ(three.partition().replicas, nodes({1, 2, 4}));
  EXPECT_EQ(three.partition().leader, NodeId(1));
  EXPECT_EQ(three.partition().leader_epoch, LeaderEpoch(1)) << "what is known of broker 3 ends here";
}

TEST(Reassignment, ThatOnlyRemovesOrReordersEndsAtOnce) {
  Three three;
  EXPECT_EQ(three.reassign(nodes({3, 1, 2})), ErrorCode::kNone);
  EXPECT_EQ(three.partition().replicas, nodes({3, 1, 2}));
  EXPECT_EQ(three.partition().isr, nodes({3, 1, 2}));
  EXPECT_EQ(three.partition().leader, NodeId(1));
  EXPECT_EQ(three.partition().leader_epoch, LeaderEpoch(0));
  EXPECT_EQ(three.reassign(nodes({3, 2})), ErrorCode::kNone);
  EXPECT_EQ(three.partition().replicas, nodes({3, 2}));
  EXPECT_EQ(three.partition().leader, NodeId(3));
}

TEST(Reassignment, WaitsForThoseThatStayAndAreNotInSync) {
  Three three;
  EXPECT_EQ(three.alter(three.wish({1, 3}), 1), ErrorCode::kNone);
  EXPECT_EQ(three.reassign(nodes({1, 2})), ErrorCode::kNone);
  EXPECT_EQ(three.partition().removing, nodes({3}));
  EXPECT_EQ(three.alter(three.wish({1, 2, 3}), 1), ErrorCode::kNone);
  EXPECT_EQ(three.partition().replicas, nodes({1, 2}));
}

TEST(Reassignment, IsCalledOff) {
  Three three({1, 2, 3}, 5);
  EXPECT_EQ(three.reassign(std::nullopt), ErrorCode::kNoReassignmentInProgress);
  EXPECT_EQ(three.reassign(nodes({4, 5})), ErrorCode::kNone);
  EXPECT_EQ(three.alter(three.wish({1, 2, 3, 4}), 1), ErrorCode::kNone);
  EXPECT_EQ(three.reassign(std::nullopt), ErrorCode::kNone);
  EXPECT_EQ(three.partition().replicas, nodes({1, 2, 3}));
  EXPECT_EQ(three.partition().isr, nodes({1, 2, 3}));
  EXPECT_TRUE(three.partition().adding.empty());
  EXPECT_TRUE(three.partition().removing.empty());
}

TEST(Reassignment, TakesThePlaceOfAnother) {
  Three three({1, 2, 3}, 5);
  EXPECT_EQ(three.reassign(nodes({4, 2, 3})), ErrorCode::kNone);
  EXPECT_EQ(three.reassign(nodes({5, 2, 1})), ErrorCode::kNone);
  EXPECT_EQ(three.partition().replicas, nodes({5, 2, 1, 3})) << "4 was never a full replica";
  EXPECT_EQ(three.partition().adding, nodes({5}));
  EXPECT_EQ(three.partition().removing, nodes({3}));
}

TEST(Reassignment, NeverLetsGoOfTheLastThatHasEverything) {
  Three three({1, 2, 3}, 4);
  EXPECT_EQ(three.reassign(nodes({4})), ErrorCode::kNone);
  three.fence(2, 1);
  three.fence(3, 1);
  EXPECT_EQ(three.alter(three.wish({1}), 1), ErrorCode::kNone);
  EXPECT_EQ(three.partition().replicas, nodes({4, 1, 2, 3}));
  three.fence(1, 4);
  EXPECT_EQ(three.partition().elr, nodes({1, 3}));
  EXPECT_EQ(three.partition().leader, NodeId::none()) << "4 has not caught up";
  three.configure(kUncleanSetting, "true");
  EXPECT_EQ(three.partition().leader, NodeId(4)) << "the last one left, by decision";
  EXPECT_EQ(three.partition().replicas, nodes({4})) << "which is all that was wanted";
}

TEST(Reassignment, ThatCannotBeCalledOffWithoutLossIsNot) {
  Three three({1, 2}, 3);
  EXPECT_EQ(three.reassign(nodes({3, 2})), ErrorCode::kNone);
  EXPECT_EQ(three.alter(three.wish({1, 3}), 1), ErrorCode::kNone);
  three.fence(1, 3);
  EXPECT_EQ(three.alter(three.wish({3}), 3), ErrorCode::kNone);
  EXPECT_EQ(three.partition().leader, NodeId(3));
  EXPECT_EQ(three.reassign(std::nullopt, true, 3), ErrorCode::kInvalidReplicaAssignment);
  EXPECT_EQ(three.partition().replicas, nodes({3, 2, 1}));
}

TEST(Reassignment, ToWhatCannotBeIsRefused) {
  Three three;
  const Partition before = three.partition();
  EXPECT_EQ(three.reassign(nodes({})), ErrorCode::kInvalidReplicaAssignment);
  EXPECT_EQ(three.reassign(nodes({1, 1})), ErrorCode::kInvalidReplicaAssignment);
  EXPECT_EQ(three.reassign(nodes({1, 9})), ErrorCode::kInvalidReplicaAssignment);
  EXPECT_EQ(three.reassign(nodes({1, 2}), /*may_change_factor=*/false), ErrorCode::kInvalidReplicationFactor);
  EXPECT_EQ(three.partition(), before);
  EXPECT_EQ(three.reassign(nodes({2, 1, 3}), /*may_change_factor=*/false), ErrorCode::kNone);
}

TEST(Reassignment, IsInSnapshots) {
  Three three({1, 2, 3}, 4);
  leave_only_one_that_lacks_something(three);
  three.configure(kUncleanSetting, "true");
  EXPECT_EQ(three.reassign(nodes({2, 4}), true, 2), ErrorCode::kNone);
  ASSERT_FALSE(three.partition().adding.empty());
  ASSERT_FALSE(three.partition().removing.empty());
  ASSERT_NE(three.partition().unclean_epoch, LeaderEpoch::none());
  const auto back = decode_snapshot(as_bytes(encode_snapshot(*three.world.image())));
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(**back, *three.world.image());
}

// ---- plans ----

TEST(PlanPartitions, AnswersForEachAndCommandsWhatIsWell) {
  Three three;
  pass_leadership_on(three);
  const Image& image = *three.world.image();
  const auto elections =
      plan_elect_leaders(image, false, {{"absent", PartitionId(0)}, {"t", PartitionId(7)}, {"t", PartitionId(0)}});
  EXPECT_EQ(elections.items.at(0).error, ErrorCode::kUnknownTopicOrPartition);
  EXPECT_EQ(elections.items.at(1).error, ErrorCode::kUnknownTopicOrPartition);
  EXPECT_EQ(elections.items.at(1).message, "topic 't' has no partition 7, but 0 to 0");
  EXPECT_TRUE(elections.items.at(2).ok());
  ASSERT_EQ(elections.command.partitions.size(), 1u);
  EXPECT_EQ(elections.origin, std::vector<std::size_t>{2});

  const auto moves = plan_alter_reassignments(image, true,
                                              {{.partition = {"t", PartitionId(0)}, .replicas = std::nullopt},
                                               {.partition = {"t", PartitionId(0)}, .replicas = {{NodeId(9)}}},
                                               {.partition = {"t", PartitionId(0)}, .replicas = {{NodeId(2)}}}});
  EXPECT_EQ(moves.items.at(0).error, ErrorCode::kNoReassignmentInProgress);
  EXPECT_EQ(moves.items.at(1).error, ErrorCode::kInvalidReplicaAssignment);
  EXPECT_EQ(moves.items.at(1).message, "there is no broker 9");
  EXPECT_TRUE(moves.items.at(2).ok());
  EXPECT_EQ(moves.command.partitions.at(0).target, nodes({2}));
}

TEST(LeaderBalance, GivesBackWhatABrokerLacksBeyondItsPercentage) {
  ImageWorld world;
  for (const std::int32_t node : {1, 2}) {
    world.start(node);
  }
  for (int i = 0; i < 10; ++i) {
    world.create(fmt::format("t{}", i), {{1, 2}});
  }
  const auto imbalanced = [&](std::int32_t percentage, std::size_t limit = 100) {
    return imbalanced_partitions(*world.image(), percentage, limit).size();
  };
  EXPECT_EQ(imbalanced(0), 0u);
  const auto epoch_of = [&](std::int32_t node) { return world.image()->find_broker(NodeId(node))->epoch; };
  world.propose(2, ChangeBrokers{{{.node = NodeId(1), .epoch = epoch_of(1), .live = false}}});
  world.propose(2, ChangeBrokers{{{.node = NodeId(1), .epoch = epoch_of(1), .live = true}}});
  EXPECT_EQ(imbalanced(0), 0u) << "none is in sync again";
  // Two of its ten partitions take broker 1 back.
  for (const char* name : {"t3", "t7"}) {
    const Partition& partition = world.partition(name, 0);
    world.propose(2, AlterPartitions{{{.topic = uuid_of(mix_text(name)),
                                       .partition = PartitionId(0),
                                       .leader_epoch = partition.leader_epoch,
                                       .epoch = partition.epoch,
                                       .isr = {{NodeId(1), epoch_of(1)}, {NodeId(2), epoch_of(2)}}}}});
  }
  EXPECT_EQ(imbalanced(99), 2u);
  EXPECT_EQ(imbalanced(99, 1), 1u);
  EXPECT_EQ(imbalanced(100), 0u) << "it lacks all of them, and no more than that";
}

}  // namespace
}  // namespace chronik::cluster
