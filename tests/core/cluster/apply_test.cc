#include "core/cluster/apply.h"

#include <gtest/gtest.h>

#include "core/cluster/delta.h"
#include "tests/core/cluster/image_world.h"

namespace chronik::cluster {
namespace {

TEST(ApplyRegister, TheBrokerEpochIsTheIndexOfTheRegistration) {
  ImageWorld world;
  EXPECT_EQ(world.start(1).value, 1);
  EXPECT_EQ(world.start(2).value, 2);
  EXPECT_EQ(world.start(1).value, 3);
  EXPECT_EQ(world.image()->find_broker(NodeId(1))->epoch, BrokerEpoch(3));
  EXPECT_TRUE(world.image()->is_live(NodeId(2)));
}

// Rule R1.
TEST(ApplyRegister, ARestartEndsTheEpochsOfWhatTheNodeLed) {
  ImageWorld world;
  world.start(1);
  world.create("t", {{1}, {1}});
  EXPECT_EQ(world.partition("t", 0).leader_epoch, LeaderEpoch(0));
  world.start(1);
  for (const std::int32_t index : {0, 1}) {
    EXPECT_EQ(world.partition("t", index).leader, NodeId(1));
    EXPECT_EQ(world.partition("t", index).leader_epoch, LeaderEpoch(1));
    EXPECT_EQ(world.partition("t", index).epoch, PartitionEpoch(1));
  }
}

TEST(ApplyRegister, ARestartHandsLeadershipToAnotherLiveInSyncReplica) {
  ImageWorld world;
  world.start(1);
  world.start(2);
  world.create("t", {{1, 2}, {2, 1}});
  world.start(1);
  EXPECT_EQ(world.partition("t", 0).leader, NodeId(2));
  EXPECT_EQ(world.partition("t", 0).leader_epoch, LeaderEpoch(1));
  EXPECT_EQ(world.partition("t", 0).isr, (ReplicaList{NodeId(1), NodeId(2)})) << "durable there, so still in sync";
  EXPECT_EQ(world.partition("t", 1).leader_epoch, LeaderEpoch(0)) << "led by the other node all the time";
}

// Rule R12.
TEST(ApplyRegister, AnotherDiskLeavesEveryIsrAlsoAsTheLastOne) {
  ImageWorld world;
  world.start(1);
  world.start(2);
  world.create("alone", {{1}});
  world.create("shared", {{1, 2}});
  world.start(1, /*directory=*/5);
  EXPECT_EQ(world.partition("alone", 0).leader, NodeId::none());
  EXPECT_TRUE(world.partition("alone", 0).isr.empty());
  EXPECT_EQ(world.partition("shared", 0).leader, NodeId(2));
  EXPECT_EQ(world.partition("shared", 0).isr, (ReplicaList{NodeId(2)}));
}

// Rule R15: the counter of a directory never falls, but in a backup or for a message that was under way too long.
TEST(ApplyRegister, AStartCounterThatWentBackIsRefusedAndChangesNothing) {
  ImageWorld world;
  world.start(1);
  world.start(1);
  world.create("t", {{1}});
  const ImageRef before = world.image();
  const Broker& known = *before->find_broker(NodeId(1));
  for (const std::int64_t counter : {known.start_counter, known.start_counter - 1}) {
    const CommandResult result = world.apply(
        {.proposal = {NodeId(1), uuid_of(5), 0},
         .body = RegisterBroker{.directory = known.directory, .start_counter = counter, .endpoints = {}, .rack = ""}});
    EXPECT_EQ(result.whole.error, ErrorCode::kInvalidRegistration);
    EXPECT_EQ(world.image()->brokers, before->brokers);
    EXPECT_EQ(world.image()->proposers, before->proposers);
    EXPECT_EQ(world.partition("t", 0).leader_epoch, LeaderEpoch(0));
  }
}

TEST(ApplyRegister, TheSameIncarnationAgainKeepsItsEpochs) {
  ImageWorld world;
  const std::int64_t epoch = world.start(1).value;
  world.create("t", {{1}});
  const Broker& known = *world.image()->find_broker(NodeId(1));
  const CommandResult again = world.propose(
      1,
      RegisterBroker{.directory = known.directory, .start_counter = known.start_counter, .endpoints = {}, .rack = "r"});
  EXPECT_EQ(again.value, epoch);
  EXPECT_EQ(world.partition("t", 0).leader_epoch, LeaderEpoch(0));
  EXPECT_EQ(world.image()->find_broker(NodeId(1))->rack, "r");
}

TEST(ApplyCreateTopics, EachTopicOfACommandSucceedsOrFailsByItself) {
  ImageWorld world;
  world.start(1);
  world.create("a.b", {{1}});
  CreateTopics command{.topics = {ImageWorld::topic("good", {{1}}), ImageWorld::topic("a.b", {{1}}),
                                  ImageWorld::topic("a_b", {{1}}), ImageWorld::topic("no/slash", {{1}}),
                                  ImageWorld::topic("nobody", {{9}}), ImageWorld::topic("twice", {{1, 1}}),
                                  ImageWorld::topic("none", {}), ImageWorld::topic("good", {{1}})}};
  const CommandResult result = world.propose(1, command);
  std::vector<ErrorCode> errors;
  for (const ItemResult& item : result.items) {
    errors.push_back(item.error);
    EXPECT_EQ(item.ok(), item.message.empty());
  }
  EXPECT_EQ(errors, (std::vector<ErrorCode>{ErrorCode::kNone, ErrorCode::kTopicAlreadyExists,
                                            ErrorCode::kInvalidTopicException, ErrorCode::kInvalidTopicException,
                                            ErrorCode::kInvalidReplicaAssignment, ErrorCode::kInvalidReplicaAssignment,
                                            ErrorCode::kInvalidPartitions, ErrorCode::kTopicAlreadyExists}));
  EXPECT_EQ(world.image()->topics.size(), 2u);
  EXPECT_EQ(world.image()->find_topic("a_b"), nullptr);
  EXPECT_NE(world.image()->find_topic("a.b"), nullptr);
}

TEST(ApplyCreateTopics, ANewPartitionIsLedByItsFirstReplicaWithAllInSync) {
  ImageWorld world;
  world.start(1);
  world.start(2);
  world.create("t", {{2, 1}});
  EXPECT_EQ(world.partition("t", 0).leader, NodeId(2));
  EXPECT_EQ(world.partition("t", 0).isr, (ReplicaList{NodeId(2), NodeId(1)}));
}

TEST(ApplyDeleteTopics, ADeletedNameMayComeBackUnderAnotherId) {
  ImageWorld world;
  world.start(1);
  world.create("t", {{1}});
  const TopicId first = world.image()->find_topic("t")->id;
  const ImageRef before = world.image();
  EXPECT_TRUE(world.propose(1, DeleteTopics{{first}}).items.at(0).ok());
  EXPECT_EQ(world.image()->find_topic("t"), nullptr);
  EXPECT_EQ(world.propose(1, DeleteTopics{{first}}).items.at(0).error, ErrorCode::kUnknownTopicId);
  CreateTopics::Topic again = ImageWorld::topic("t", {{1}});
  again.id = uuid_of(12345);
  EXPECT_TRUE(world.propose(1, CreateTopics{{again}}).items.at(0).ok());
  const Delta delta = difference(before, world.image());
  ASSERT_EQ(delta.deleted.size(), 1u);
  ASSERT_EQ(delta.created.size(), 1u);
  EXPECT_EQ(delta.deleted[0]->id, first);
  EXPECT_EQ(delta.created[0]->id, again.id);
}

TEST(ApplyCreatePartitions, GrowthPlannedOnAnOlderCountIsRefused) {
  ImageWorld world;
  world.start(1);
  world.create("t", {{1}});
  const TopicId id = world.image()->find_topic("t")->id;
  const CreatePartitions grow{{{.id = id, .existing = 1, .added = {{NodeId(1)}, {NodeId(1)}}}}};
  EXPECT_TRUE(world.propose(1, grow).items.at(0).ok());
  EXPECT_EQ(world.image()->find_topic("t")->partitions.size(), 3u);
  EXPECT_EQ(world.propose(1, grow).items.at(0).error, ErrorCode::kInvalidPartitions);
  EXPECT_EQ(world.image()->find_topic("t")->partitions.size(), 3u);
}

TEST(ApplyAlterConfigs, OverridesComeAndGo) {
  ImageWorld world;
  world.start(1);
  world.create("t", {{1}});
  const TopicId id = world.image()->find_topic("t")->id;
  const CommandResult set =
      world.propose(1, AlterConfigs{{{.of = id, .changes = {{"retention.ms", "5"}}},
                                     {.of = NodeId(1), .changes = {{"log.retention.ms", "6"}}},
                                     {.of = NodeId::none(), .changes = {{"log.retention.ms", "7"}}},
                                     {.of = NodeId(8), .changes = {{"log.retention.ms", "8"}}},
                                     {.of = uuid_of(1), .changes = {{"retention.ms", "9"}}}}});
  EXPECT_TRUE(set.items.at(0).ok());
  EXPECT_TRUE(set.items.at(1).ok());
  EXPECT_TRUE(set.items.at(2).ok());
  EXPECT_EQ(set.items.at(3).error, ErrorCode::kInvalidRequest);
  EXPECT_EQ(set.items.at(4).error, ErrorCode::kUnknownTopicOrPartition);
  EXPECT_EQ(world.image()->find_topic("t")->configs, (ConfigMap{{"retention.ms", "5"}}));
  EXPECT_EQ(*world.image()->configs_of_broker(NodeId(1)), (ConfigMap{{"log.retention.ms", "6"}}));
  EXPECT_EQ(*world.image()->configs_of_all_brokers(), (ConfigMap{{"log.retention.ms", "7"}}));
  world.propose(1, AlterConfigs{{{.of = NodeId(1), .changes = {{"log.retention.ms", std::nullopt}}}}});
  EXPECT_EQ(world.image()->configs_of_broker(NodeId(1)), nullptr);
}

TEST(ApplyAllocateProducerIds, BlocksNeverOverlap) {
  ImageWorld world;
  world.start(1);
  world.start(2);
  EXPECT_EQ(world.propose(1, AllocateProducerIds{1000}).value, 0);
  EXPECT_EQ(world.propose(2, AllocateProducerIds{1000}).value, 1000);
  EXPECT_EQ(world.propose(1, AllocateProducerIds{0}).whole.error, ErrorCode::kInvalidRequest);
  EXPECT_EQ(world.propose(1, AllocateProducerIds{1}).value, 2000);
}

// Rule R17.
TEST(ApplyRetry, AProposalAppliedTwiceCountsOnceAndIsAnsweredAlike) {
  ImageWorld world;
  world.start(1);
  const Command block = world.command(1, AllocateProducerIds{1000});
  const Command topic = world.command(1, CreateTopics{{ImageWorld::topic("t", {{1}})}});
  EXPECT_EQ(world.apply(block).value, 0);
  EXPECT_TRUE(world.apply(topic).items.at(0).ok());
  const ImageRef before = world.image();
  EXPECT_EQ(world.apply(block).value, 0);
  EXPECT_TRUE(world.apply(topic).items.at(0).ok()) << "not TOPIC_ALREADY_EXISTS";
  EXPECT_EQ(world.image()->next_producer_id, 1000);
  EXPECT_TRUE(difference(before, world.image()).empty());
}

TEST(ApplyRetry, AProposalThatALaterOneOvertookIsRefused) {
  ImageWorld world;
  world.start(1);
  const Command overtaken = world.command(1, AllocateProducerIds{1000});
  EXPECT_EQ(world.propose(1, AllocateProducerIds{10}).value, 0);
  EXPECT_EQ(world.apply(overtaken).whole.error, ErrorCode::kOperationNotAttempted);
  EXPECT_EQ(world.image()->next_producer_id, 10);
}

TEST(ApplyRetry, AProposalOfAnEarlierIncarnationIsRefused) {
  ImageWorld world;
  EXPECT_EQ(world.propose(1, AllocateProducerIds{1}).whole.error, ErrorCode::kBrokerIdNotRegistered);
  world.start(1);
  const Command late = world.command(1, AllocateProducerIds{1});
  world.start(1);
  EXPECT_EQ(world.apply(late).whole.error, ErrorCode::kStaleBrokerEpoch);
  EXPECT_EQ(world.image()->next_producer_id, 0);
}

TEST(ApplyRetry, OnlyABoundedNumberOfResultsIsKept) {
  ImageWorld world(/*check_invariants=*/false);
  world.start(1);
  const Command first = world.command(1, AllocateProducerIds{1});
  world.apply(first);
  for (std::size_t i = 0; i < kResultsKept; ++i) {
    world.propose(1, AllocateProducerIds{1});
  }
  EXPECT_EQ(world.image()->proposers.find(NodeId(1))->results.size(), kResultsKept);
  EXPECT_EQ(broken_invariants(*world.image()), std::vector<std::string>());
  EXPECT_EQ(world.apply(first).whole.error, ErrorCode::kOperationNotAttempted);
}

TEST(Delta, TellsEachKindOfChange) {
  ImageWorld world;
  world.start(1);
  world.create("stays", {{1}});
  world.create("grows", {{1}});
  world.create("goes", {{1}});
  const ImageRef before = world.image();
  world.propose(1, DeleteTopics{{before->find_topic("goes")->id}});
  world.create("comes", {{1}});
  world.propose(1, CreatePartitions{{{.id = before->find_topic("grows")->id, .existing = 1, .added = {{NodeId(1)}}}}});
  world.propose(1, AlterConfigs{{{.of = before->find_topic("stays")->id, .changes = {{"retention.ms", "5"}}},
                                 {.of = NodeId::none(), .changes = {{"log.retention.ms", "7"}}}}});
  const Delta delta = difference(before, world.image());
  ASSERT_EQ(delta.created.size(), 1u);
  EXPECT_EQ(delta.created[0]->name, "comes");
  ASSERT_EQ(delta.deleted.size(), 1u);
  EXPECT_EQ(delta.deleted[0]->name, "goes");
  ASSERT_EQ(delta.partitions.size(), 1u);
  EXPECT_EQ(delta.partitions[0].topic->name, "grows");
  EXPECT_EQ(delta.partitions[0].partition, PartitionId(1));
  EXPECT_EQ(delta.partitions[0].before, nullptr);
  ASSERT_EQ(delta.configs.size(), 1u);
  EXPECT_EQ(delta.configs[0]->name, "stays");
  EXPECT_EQ(delta.broker_configs, std::vector<NodeId>{NodeId::none()});
  EXPECT_TRUE(delta.brokers.empty());
  world.start(1);
  const Delta restart = difference(delta.after, world.image());
  EXPECT_EQ(restart.brokers, std::vector<NodeId>{NodeId(1)});
  EXPECT_EQ(restart.partitions.size(), 4u) << "every epoch ended";
}

}  // namespace
}  // namespace chronik::cluster
