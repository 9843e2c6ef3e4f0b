// What IN-SYNC says of replicas that are counted on.
#include "sim/in_sync_checker.h"

#include "tests/sim/sim_support.h"

namespace chronik::sim::in_sync_checker_test {
namespace {

struct InSyncCheckerTest : ::testing::Test {
  InSyncCheckerTest() {
    checker = &small.world.checkers().add(std::make_unique<InSyncChecker>(
        small.world,
        InSyncChecker::Views{.node = [this](const Machine& machine) { return NodeId(&machine == leader ? 1 : 2); },
                             .partition = [this](const Machine&, const PartitionRef&) { return &partition; },
                             .min_in_sync = 2}));
    leader = &add("leader");
    follower = &add("follower");
    partition.replicas = {NodeId(1), NodeId(2), NodeId(3)};
    partition.leader = NodeId(1);
    have({NodeId(1), NodeId(2)});
    life(*leader).on_partition_opened(p, Offset(0), Offset(0), Offset(0));
    life(*follower).on_partition_opened(p, Offset(0), Offset(0), Offset(0));
  }
  Machine& add(const std::string& name) {
    Machine& machine = small.machine(name, [](ProcessContext&) { CHECK_OK(fiber::sleep(Duration::seconds(600))); });
    machine.start();
    small.world.run_for(Duration::milliseconds(1));
    return machine;
  }
  Observer& life(Machine& machine) { return *checker->observe(*machine.shards().front()); }
  // The next partition epoch has these in sync, and those eligible.
  void have(const cluster::ReplicaList& isr, const cluster::ReplicaList& elr = {}) {
    partition.isr = isr;
    partition.elr = elr;
    partition.epoch = PartitionEpoch(partition.epoch.value() + 1);
    checker->on_partition(p, partition);
  }

  SmallWorld small;
  cluster::Partition partition;
  InSyncChecker* checker = nullptr;
  Machine* leader = nullptr;
  Machine* follower = nullptr;
  PartitionRef p{TopicId{}, PartitionId(0)};
};

TEST_F(InSyncCheckerTest, WhatAllInSyncHaveMayBeCommitted) {
  life(*leader).on_durable_end(p, Offset(10));
  life(*follower).on_durable_end(p, Offset(10));
  life(*leader).on_high_watermark(p, LeaderEpoch(1), Offset(10));
  EXPECT_EQ(small.checker(), "") << small.message();
}

TEST_F(InSyncCheckerTest, OneInSyncThatLacksSomeOfItIsFound) {
  life(*leader).on_durable_end(p, Offset(10));
  life(*follower).on_durable_end(p, Offset(9));
  partition.replicas = {NodeId(1)};  // so that one is enough
  life(*leader).on_high_watermark(p, LeaderEpoch(1), Offset(10));
  EXPECT_EQ(small.checker(), "IN-SYNC");
}

TEST_F(InSyncCheckerTest, OneThatIsOutMayLackIt) {
  partition.replicas = {NodeId(1)};
  have({NodeId(1)});
  life(*leader).on_durable_end(p, Offset(10));
  life(*leader).on_high_watermark(p, LeaderEpoch(1), Offset(10));
  EXPECT_EQ(small.checker(), "") << small.message();
}

TEST_F(InSyncCheckerTest, OneThatIsEligibleMayNot) {
  have({NodeId(1)}, {NodeId(2)});
  partition.leader = NodeId(3);  // so that it is not counted how many have it
  life(*leader).on_durable_end(p, Offset(10));
  life(*leader).on_high_watermark(p, LeaderEpoch(1), Offset(10));
  EXPECT_EQ(small.checker(), "IN-SYNC");
}

TEST_F(InSyncCheckerTest, TooFewThatAreDurableAreFound) {
  partition.replicas = {NodeId(1), NodeId(3)};
  have({NodeId(1)});
  life(*leader).on_durable_end(p, Offset(10));
  life(*leader).on_high_watermark(p, LeaderEpoch(1), Offset(10));
  EXPECT_EQ(small.checker(), "IN-SYNC");
}

TEST_F(InSyncCheckerTest, WhoIsNoReplicaAnyMoreMayHaveHadItAndDeletedIt) {
  life(*leader).on_durable_end(p, Offset(10));
  life(*follower).on_durable_end(p, Offset(10));
  const cluster::Partition before = partition;
  partition.replicas = {NodeId(1), NodeId(3)};
  have({NodeId(1)});
  life(*follower).on_partition_deleted(p);
  partition = before;  // the leader has not heard of it
  life(*leader).on_high_watermark(p, LeaderEpoch(1), Offset(10));
  EXPECT_EQ(small.checker(), "") << small.message();
}

TEST_F(InSyncCheckerTest, WhoJoinsMustHaveWhatWasCommitted) {
  partition.replicas = {NodeId(1)};
  have({NodeId(1)});
  life(*leader).on_durable_end(p, Offset(10));
  life(*leader).on_high_watermark(p, LeaderEpoch(1), Offset(10));
  life(*follower).on_durable_end(p, Offset(9));
  ASSERT_EQ(small.checker(), "") << small.message();
  have({NodeId(1), NodeId(2)});
  EXPECT_EQ(small.checker(), "IN-SYNC");
}

TEST_F(InSyncCheckerTest, NobodyIsEligibleWhereEnoughAreInSync) {
  have({NodeId(1)}, {NodeId(2)});
  EXPECT_EQ(small.checker(), "") << small.message();
  have({NodeId(1), NodeId(3)}, {NodeId(2)});
  EXPECT_EQ(small.checker(), "IN-SYNC");
}

TEST_F(InSyncCheckerTest, WhoHasEverythingIsNotForgottenWhereTooFewHave) {
  have({NodeId(1)});
  EXPECT_EQ(small.checker(), "IN-SYNC");
}

TEST_F(InSyncCheckerTest, NobodyBelievesInAHighWatermarkBeyondItsLog) {
  life(*follower).on_durable_end(p, Offset(9));
  life(*follower).on_high_watermark(p, LeaderEpoch(1), Offset(10));
  EXPECT_EQ(small.checker(), "IN-SYNC");
}

TEST_F(InSyncCheckerTest, WhatIsCutOffIsNotThere) {
  life(*leader).on_durable_end(p, Offset(10));
  life(*follower).on_durable_end(p, Offset(10));
  life(*follower).on_truncated(p, LeaderEpoch(1), Offset(4));
  life(*leader).on_high_watermark(p, LeaderEpoch(1), Offset(10));
  EXPECT_EQ(small.checker(), "IN-SYNC");
}

TEST_F(InSyncCheckerTest, WhatWasDurableIsSoAfterADeath) {
  life(*leader).on_durable_end(p, Offset(10));
  life(*follower).on_durable_end(p, Offset(10));
  life(*follower).on_partition_opened(p, Offset(0), Offset(12), Offset(7));  // the last flush is in doubt
  life(*leader).on_high_watermark(p, LeaderEpoch(1), Offset(10));
  EXPECT_EQ(small.checker(), "") << small.message();
}

TEST_F(InSyncCheckerTest, AnUncleanElectionExcusesIt) {
  partition.unclean_epoch = LeaderEpoch(1);
  have({NodeId(1), NodeId(2)});
  life(*leader).on_durable_end(p, Offset(10));
  life(*leader).on_high_watermark(p, LeaderEpoch(1), Offset(10));
  EXPECT_EQ(small.checker(), "") << small.message();
}

}  // namespace
}  // namespace chronik::sim::in_sync_checker_test
