// What a leader may call committed, who may join, and what a follower may cut: rules R7, R8, R9, R11, R16.
#include "core/replication/partition.h"

#include <gtest/gtest.h>

#include "tests/core/replication/replica_world.h"

namespace chronik::replication {
namespace {

using Ids = std::vector<std::int32_t>;

struct Told final : OffsetWaiter {
  void on_passed(bool passed) override { answer = passed; }
  std::optional<bool> answer;
};

TEST(HighWatermark, IsTheLeastDurableEndOfTheInSyncReplicas) {
  ReplicaWorld of;
  of.run([&] {
    EXPECT_EQ(of.high_watermark(), 5) << "of the others nothing is known in this epoch";
    of.hear(2, 10);
    EXPECT_EQ(of.high_watermark(), 5);
    of.hear(3, 8);
    EXPECT_EQ(of.high_watermark(), 8);
    EXPECT_FALSE(of.partition->end_is_known()) << "records of the epoch before may be committed beyond it";
    of.append(Acks::kAll, 5);
    of.hear(2, 15);
    of.hear(3, 15);
    EXPECT_EQ(of.high_watermark(), 10) << "the leader itself is not durable";
    EXPECT_TRUE(of.partition->end_is_known());
    of.log->become_durable(Offset(15));
    EXPECT_EQ(of.high_watermark(), 15);
  });
}

TEST(HighWatermark, StandsStillWithTooFewInSync) {
  ReplicaWorld of;
  of.run([&] {
    of.alter_isr({node(1)});
    EXPECT_EQ(of.high_watermark(), 5);
    of.image.min_in_sync = 1;
    of.assume();
    EXPECT_EQ(of.high_watermark(), 10);
  });
}

TEST(HighWatermark, StandsStillWhileSomebodyIsEligibleWhoWouldLackWhatFollows) {
  ReplicaWorld of;
  of.run([&] {
    of.image.others_eligible = true;
    of.alter_isr({node(1), node(2)});
    of.hear(2, 10);
    EXPECT_EQ(of.high_watermark(), 5);
    of.image.others_eligible = false;
    of.assume();
    EXPECT_EQ(of.high_watermark(), 10);
  });
}

TEST(HighWatermark, WhatWasHeardInAnEarlierEpochDoesNotCount) {
  ReplicaWorld of;
  of.run([&] {
    of.hear(2, 7);
    of.hear(3, 7);
    EXPECT_EQ(of.high_watermark(), 7);
    of.image.epoch = LeaderEpoch(2);
    of.assume();
    of.hear(3, 10);
    EXPECT_EQ(of.high_watermark(), 7) << "of node 2 nothing is known";
  });
}

TEST(HighWatermark, WhoIsProposedCountsAtOnceAndWhoIsDroppedUntilThatIsApplied) {
  ReplicaWorld of;
  of.run([&] {
    of.alter_isr({node(1), node(2)});
    of.hear(2, 10);
    EXPECT_EQ(of.high_watermark(), 10);
    of.append(Acks::kAll, 5);
    of.log->become_durable(Offset(15));
    of.hear(3, 12);
    of.partition->propose_isr({{node(1), {}}, {node(2), {}}, {node(3), {}}});
    of.hear(2, 15);
    EXPECT_EQ(of.high_watermark(), 12) << "node 3 may be in sync already, and be elected";
    of.partition->end_proposal(/*refused=*/false);
    EXPECT_EQ(of.high_watermark(), 12) << "what became of it is not known";
    EXPECT_TRUE(of.partition->undecided());
    EXPECT_EQ(of.wanted(), (Ids{1, 2, 3})) << "until something else is decided";
    of.partition->propose_isr({{node(1), {}}, {node(2), {}}});
    of.partition->end_proposal(/*refused=*/true);
    EXPECT_EQ(of.high_watermark(), 15);
  });
}

TEST(HighWatermark, OfAFollowerIsItsLeadersAsFarAsItIsDurable) {
  ReplicaWorld of;
  of.image.leader = node(2);
  of.run([&] {
    of.partition->learn_high_watermark(LeaderEpoch(1), Offset(12));
    EXPECT_EQ(of.high_watermark(), 10);
    of.log->end = Offset(14);
    of.log->become_durable(Offset(14));
    EXPECT_EQ(of.high_watermark(), 12);
    EXPECT_EQ(of.durable_news, 1) << "the leader is to be told";
    of.partition->learn_high_watermark(LeaderEpoch(0), Offset(14));
    EXPECT_EQ(of.high_watermark(), 12) << "of another epoch";
  });
}

TEST(Acknowledging, WaitsForTheWatermarkOrTheLeadersDisk) {
  ReplicaWorld of;
  of.run([&] {
    Told all, one;
    const auto outcome = of.append(Acks::kAll);
    of.partition->await(outcome, Acks::kAll, all);
    of.partition->await(outcome, Acks::kLeader, one);
    of.log->become_durable(Offset(11));
    EXPECT_EQ(one.answer, true);
    EXPECT_FALSE(all.answer.has_value());
    of.hear(2, 11);
    of.hear(3, 11);
    EXPECT_EQ(all.answer, true);
    EXPECT_EQ(of.partition->acknowledge(Acks::kAll, true), protocol::ErrorCode::kNone);
  });
}

TEST(Acknowledging, EndsWhereTheIsrFallsBelowTheMinimum) {
  ReplicaWorld of;
  of.run([&] {
    Told told;
    of.partition->await(of.append(Acks::kAll), Acks::kAll, told);
    of.alter_isr({node(1)});
    EXPECT_EQ(told.answer, false);
    EXPECT_EQ(of.partition->acknowledge(Acks::kAll, false), protocol::ErrorCode::kNotEnoughReplicasAfterAppend);
    EXPECT_EQ(of.append(Acks::kAll).error, protocol::ErrorCode::kNotEnoughReplicas);
    EXPECT_EQ(of.append(Acks::kLeader).error, protocol::ErrorCode::kNone);
  });
}

// Rule R11.
TEST(Acknowledging, EndsWithTheEpoch) {
  ReplicaWorld of;
  of.run([&] {
    Told told;
    of.partition->await(of.append(Acks::kAll), Acks::kAll, told);
    of.image.epoch = LeaderEpoch(2);
    of.image.leader = node(2);
    of.assume();
    EXPECT_EQ(told.answer, false);
    EXPECT_EQ(of.partition->acknowledge(Acks::kAll, false), protocol::ErrorCode::kNotLeaderOrFollower);
  });
}

TEST(Isr, WhoJoinsIsDurableWithWhateverWasCommitted) {
  ReplicaWorld of;
  of.image.in_sync = {node(1), node(2)};
  of.run([&] {
    of.hear(3, 9);
    EXPECT_EQ(of.wanted(), Ids{}) << "records of the epoch before may be committed up to its end";
    EXPECT_EQ(of.isr_news, 0);
    of.hear(3, 10);
    EXPECT_EQ(of.wanted(), (Ids{1, 2, 3}));
    EXPECT_EQ(of.isr_news, 1);
    of.hear(2, 10);
    of.append(Acks::kAll, 5);
    of.log->become_durable(Offset(15));
    of.hear(2, 15);
    EXPECT_EQ(of.high_watermark(), 15);
    EXPECT_EQ(of.wanted(), Ids{}) << "and more is by now";
    of.hear(3, 15);
    EXPECT_EQ(of.wanted(), (Ids{1, 2, 3}));
  });
}

// Rule R16: or what was deleted would come back with its election.
TEST(Isr, WhoJoinsBeginsWhereTheLeaderDoes) {
  ReplicaWorld of;
  of.image.in_sync = {node(1), node(2)};
  of.run([&] {
    of.log->start = Offset(4);
    of.hear(3, 10, /*log_start=*/3);
    EXPECT_EQ(of.wanted(), Ids{});
    of.hear(3, 10, /*log_start=*/4);
    EXPECT_EQ(of.wanted(), (Ids{1, 2, 3}));
  });
}

TEST(Isr, WhoIsNotDurableWithEverythingForTooLongIsOutOfIt) {
  ReplicaWorld of;
  of.run([&] {
    of.hear(2, 10);
    of.hear(3, 10);
    ASSERT_TRUE(fiber::sleep(Duration::seconds(40)).ok());
    EXPECT_EQ(of.wanted(), Ids{}) << "nothing was to be fetched";
    of.append(Acks::kAll);
    of.hear(2, 11);
    ASSERT_TRUE(fiber::sleep(Duration::seconds(10)).ok());
    EXPECT_EQ(of.wanted(Duration::seconds(11)), Ids{}) << "node 3 had everything until the append";
    EXPECT_EQ(of.wanted(Duration::seconds(9)), (Ids{1, 2}));
  });
}

// It would be taken in and out for as long as the high watermark stands still.
TEST(Isr, WhoLagsDoesNotJoin) {
  ReplicaWorld of;
  of.image.in_sync = {node(1)};
  of.run([&] {
    of.hear(2, 10);
    EXPECT_EQ(of.wanted(), (Ids{1, 2}));
    of.append(Acks::kLeader, 5);
    ASSERT_TRUE(fiber::sleep(Duration::seconds(10)).ok());
    EXPECT_EQ(of.wanted(Duration::seconds(11)), (Ids{1, 2})) << "it had everything until the append";
    EXPECT_EQ(of.wanted(Duration::seconds(9)), Ids{});
    of.hear(2, 15);
    EXPECT_EQ(of.wanted(Duration::seconds(9)), (Ids{1, 2}));
  });
}

TEST(Isr, OneChangeAtATime) {
  ReplicaWorld of;
  of.image.in_sync = {node(1), node(2)};
  of.run([&] {
    of.hear(3, 10);
    of.partition->propose_isr({{node(1), {}}, {node(2), {}}, {node(3), {}}});
    EXPECT_EQ(of.wanted(), Ids{});
    of.partition->end_proposal(/*refused=*/true);
    EXPECT_EQ(of.wanted(), (Ids{1, 2, 3}));
  });
}

TEST(Divergence, APositionAgreesUpToWhereItsEpochEndsHere) {
  ReplicaWorld of;
  of.run([&] {
    of.append(Acks::kLeader, 5);  // of epoch 1, from 10 on
    const auto agrees = [&](std::int32_t epoch, std::int64_t offset) {
      return of.partition->agrees(LeaderEpoch(epoch), Offset(offset));
    };
    EXPECT_TRUE(agrees(0, 10));
    EXPECT_FALSE(agrees(0, 11)) << "more of epoch 0 than there is";
    EXPECT_TRUE(agrees(1, 15));
    EXPECT_FALSE(agrees(1, 16));
    EXPECT_TRUE(of.partition->agrees(LeaderEpoch::none(), Offset(7))) << "it has nothing";
    EXPECT_FALSE(of.partition->agrees(LeaderEpoch::none(), Offset(16))) << "what is not there yet";
  });
}

TEST(Divergence, AnEpochOfWhichNothingIsLeftHereSaysNothingOfLaterOnes) {
  ReplicaWorld of;
  of.run([&] {
    // Everything up to the end is deleted. This replica, which was away, had it in epoch 0; the others in epoch 1.
    of.log->epochs.advance_start(Offset(10));
    of.log->start = Offset(10);
    const auto agrees = [&](std::int32_t epoch, std::int64_t offset) {
      return of.partition->agrees(LeaderEpoch(epoch), Offset(offset));
    };
    EXPECT_TRUE(agrees(0, 10));
    EXPECT_TRUE(agrees(1, 10));
    EXPECT_FALSE(agrees(1, 11)) << "more than there is";
    of.log->epochs.note(LeaderEpoch(2), Offset(10));
    of.log->end = Offset(12);
    EXPECT_TRUE(agrees(1, 10));
    EXPECT_FALSE(agrees(1, 11));
    EXPECT_TRUE(agrees(2, 12));
  });
}

// A batch that holds the log's start may have begun below it, and with it an epoch.
TEST(Divergence, AnEpochThatBeganBelowTheLogsStartIsNotForgotten) {
  ReplicaWorld of;
  of.run([&] {
    of.log->epochs.note(LeaderEpoch(2), Offset(8));
    of.log->end = Offset(12);
    of.log->epochs.advance_start(Offset(10));
    of.log->start = Offset(10);
    const auto agrees = [&](std::int32_t epoch, std::int64_t offset) {
      return of.partition->agrees(LeaderEpoch(epoch), Offset(offset));
    };
    EXPECT_TRUE(agrees(0, 8));
    EXPECT_FALSE(agrees(0, 9)) << "it has something else there";
    EXPECT_FALSE(agrees(1, 10));
    EXPECT_TRUE(agrees(2, 10));
    EXPECT_EQ(of.log->end_of_epoch(LeaderEpoch(1)).end.value(), 8);
  });
}

TEST(Divergence, WhatWasCommittedIsCutOnlyAfterAnUncleanElection) {
  ReplicaWorld of;
  of.image.leader = node(2);
  of.run([&] {
    EXPECT_TRUE(of.partition->may_cut(Offset(5)));
    EXPECT_FALSE(of.partition->may_cut(Offset(4)));
    of.image.epoch = of.image.unclean_epoch = LeaderEpoch(2);
    of.assume();
    EXPECT_TRUE(of.partition->may_cut(Offset(4)));
    of.log->epochs.note(LeaderEpoch(2), Offset(10));
    EXPECT_FALSE(of.partition->may_cut(Offset(4))) << "it has what came after that election";
  });
}

// Rule R18.
TEST(Damage, IsDiscardedOnlyByWhomNobodyCountsOn) {
  ReplicaWorld of;
  of.run([&] {
    of.log->rot(2, 4);
    EXPECT_EQ(of.damage_news, 1);
    EXPECT_TRUE(of.partition->damaged());
    const auto assume = [&](std::int32_t leader, const std::vector<NodeId>& isr, bool eligible) {
      of.image.leader = node(leader);
      of.image.epoch = of.image.epoch.next();
      of.image.eligible = eligible;
      of.alter_isr(isr);
      return of.partition->may_discard();
    };
    EXPECT_FALSE(of.partition->may_discard()) << "it leads";
    EXPECT_FALSE(assume(2, {node(1), node(2), node(3)}, false)) << "it is in sync";
    EXPECT_FALSE(assume(2, {node(2), node(3)}, true)) << "it is eligible";
    EXPECT_FALSE(assume(NodeId::none().value(), {}, false)) << "nobody leads";
    EXPECT_TRUE(assume(2, {node(2), node(3)}, false));
  });
}

// Rule R16.
TEST(Deletion, WaitsForAllWhoMayBeElected) {
  ReplicaWorld of;
  of.run([&] {
    const auto begins = [&](std::int64_t at) {
      return of.partition->await_log_start(Offset(at), fiber::within(Duration::milliseconds(10), Expiry::kNormal));
    };
    of.hear(2, 10, 4);
    of.hear(3, 10, 3);
    EXPECT_TRUE(begins(3).ok());
    EXPECT_TRUE(absl::IsDeadlineExceeded(begins(4)));
    of.alter_isr({node(1), node(2)});
    EXPECT_TRUE(begins(4).ok());
    of.image.others_eligible = true;
    of.assume();
    EXPECT_TRUE(absl::IsDeadlineExceeded(begins(4))) << "who is eligible is not asked, and could undo it";
    of.image.leader = node(2);
    of.image.epoch = LeaderEpoch(2);
    of.assume();
    EXPECT_TRUE(absl::IsAborted(begins(4)));
  });
}

}  // namespace
}  // namespace chronik::replication
