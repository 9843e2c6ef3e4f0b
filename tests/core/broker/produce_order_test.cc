// What comes behind a refused batch of an idempotent producer: the rule by itself, and on three nodes.
#include "core/broker/produce_order.h"

#include <limits>

#include "core/protocol/messages/alter_partition_reassignments.h"
#include "core/protocol/messages/elect_leaders.h"
#include "tests/core/broker/nodes_world.h"

namespace chronik::broker::testing {
namespace {

using protocol::ErrorCode;

constexpr std::int32_t kLastSequence = std::numeric_limits<std::int32_t>::max();

ProduceOrder::Batch batch(std::int32_t sequence, std::int64_t producer = 7, std::int16_t epoch = 0,
                          std::int32_t partition = 0) {
  return {.topic = "t",
          .partition = PartitionId(partition),
          .producer = {.id = ProducerId(producer),
                       .epoch = ProducerEpoch(epoch),
                       .first_sequence = sequence,
                       .last_sequence = sequence}};
}

TEST(ProduceOrder, WhatComesBehindARefusedBatchIsRefusedLikewise) {
  ProduceOrder order;
  EXPECT_EQ(order.check(batch(5)), ErrorCode::kNone);
  order.refuse(batch(5), ErrorCode::kNotEnoughReplicas);
  EXPECT_EQ(order.check(batch(6)), ErrorCode::kNotEnoughReplicas);
  EXPECT_EQ(order.check(batch(9)), ErrorCode::kNotEnoughReplicas);
  EXPECT_EQ(order.check(batch(6, 8)), ErrorCode::kNone) << "another producer's";
  EXPECT_EQ(order.check(batch(6, 7, 0, 1)), ErrorCode::kNone) << "of another partition";
  EXPECT_EQ(order.check(batch(10)), ErrorCode::kNotEnoughReplicas);
}

TEST(ProduceOrder, EndsWhenAnyRefusedBatchComesAgain) {
  for (const std::int32_t again : {5, 6, 8}) {
    ProduceOrder order;
    order.refuse(batch(5), ErrorCode::kNotEnoughReplicas);
    EXPECT_EQ(order.check(batch(6)), ErrorCode::kNotEnoughReplicas);
    order.refuse(batch(8), ErrorCode::kNotEnoughReplicas);
    EXPECT_EQ(order.check(batch(again)), ErrorCode::kNone) << again;
    EXPECT_EQ(order.check(batch(9)), ErrorCode::kNone) << again;
  }
}

TEST(ProduceOrder, TheRefusedBatchTakesItsPlaceWhenItComesAgain) {
  ProduceOrder order;
  order.refuse(batch(5), ErrorCode::kNotLeaderOrFollower);
  EXPECT_EQ(order.check(batch(5)), ErrorCode::kNone);
  EXPECT_EQ(order.check(batch(6)), ErrorCode::kNone);
}

TEST(ProduceOrder, TheFirstOfSeveralRefusedOnesIsTheOneThatIsWaitedFor) {
  ProduceOrder order;
  order.refuse(batch(5), ErrorCode::kNotLeaderOrFollower);
  order.refuse(batch(6), ErrorCode::kNotEnoughReplicas);
  EXPECT_EQ(order.check(batch(7)), ErrorCode::kNotLeaderOrFollower);
  EXPECT_EQ(order.check(batch(5)), ErrorCode::kNone);
  EXPECT_EQ(order.check(batch(6)), ErrorCode::kNone);
}

TEST(ProduceOrder, RefusesEachBatchOnceAtMost) {
  ProduceOrder order;
  order.refuse(batch(5), ErrorCode::kNotLeaderOrFollower);
  for (std::int32_t sequence = 6; sequence < 20; ++sequence) {
    EXPECT_EQ(order.check(batch(sequence)), ErrorCode::kNotLeaderOrFollower);
  }
  EXPECT_EQ(order.check(batch(19)), ErrorCode::kNone);
  EXPECT_EQ(order.check(batch(20)), ErrorCode::kNone);
}

TEST(ProduceOrder, EndsWithTheProducersEpoch) {
  ProduceOrder order;
  order.refuse(batch(5), ErrorCode::kNotLeaderOrFollower);
  EXPECT_EQ(order.check(batch(6, 7, 1)), ErrorCode::kNone);
}

TEST(ProduceOrder, WhatIsWrongWithOneIsNotSaidOfTheNext) {
  for (const ErrorCode error : {ErrorCode::kRequestTimedOut, ErrorCode::kKafkaStorageError}) {
    ProduceOrder order;
    order.refuse(batch(5), error);
    EXPECT_EQ(order.check(batch(6)), ErrorCode::kNotLeaderOrFollower);
  }
}

TEST(ProduceOrder, WhatWasStoredOrDoesNotComeAgainIsNotWaitedFor) {
  for (const ErrorCode error : {ErrorCode::kNone, ErrorCode::kNotEnoughReplicasAfterAppend, ErrorCode::kCorruptMessage,
                                ErrorCode::kMessageTooLarge, ErrorCode::kOutOfOrderSequenceNumber}) {
    ProduceOrder order;
    order.refuse(batch(5), error);
    EXPECT_EQ(order.check(batch(6)), ErrorCode::kNone) << protocol::error_name(error);
  }
}

TEST(ProduceOrder, SequencesGoRound) {
  ProduceOrder order;
  order.refuse(batch(kLastSequence), ErrorCode::kNotLeaderOrFollower);
  EXPECT_EQ(order.check(batch(0)), ErrorCode::kNotLeaderOrFollower);
  EXPECT_EQ(order.check(batch(kLastSequence - 1)), ErrorCode::kNone);
}

TEST(ProduceOrder, ForgetsTheOldestOfTooMany) {
  ProduceOrder order;
  const auto count = static_cast<std::int64_t>(ProduceOrder::kRefusalsMax);
  for (std::int64_t producer = count; producer >= 0; --producer) {
    order.refuse(batch(5, producer), ErrorCode::kNotLeaderOrFollower);
  }
  EXPECT_EQ(order.check(batch(6, count)), ErrorCode::kNone) << "there was no room for it any more";
  EXPECT_EQ(order.check(batch(6, count - 1)), ErrorCode::kNotLeaderOrFollower);
  EXPECT_EQ(order.check(batch(6, 0)), ErrorCode::kNotLeaderOrFollower);
}

TEST(ProduceOrder, RemembersNothingOfATopicThatCannotBe) {
  ProduceOrder order;
  const std::string name(250, 'x');
  ProduceOrder::Batch next = batch(5);
  next.topic = name;
  order.refuse(next, ErrorCode::kUnknownTopicOrPartition);
  next.producer.first_sequence = 6;
  EXPECT_EQ(order.check(next), ErrorCode::kNone);
}

TEST(ProduceOrder, KnowsWhereBatchesAreUnderWayTo) {
  ProduceOrder order;
  EXPECT_EQ(order.under_way_to(batch(5)), NodeId::none());
  order.start(batch(5), NodeId(2));
  order.start(batch(6), NodeId(2));
  order.end(batch(5));
  EXPECT_EQ(order.under_way_to(batch(7)), NodeId(2));
  EXPECT_EQ(order.under_way_to(batch(7, 8)), NodeId::none());
  order.end(batch(6));
  EXPECT_EQ(order.under_way_to(batch(7)), NodeId::none());
}

// ---- on three nodes ----

Slice numbered(std::int32_t sequence) {
  return batch_of({std::to_string(sequence)},
                  {.producer_id = ProducerId(7), .producer_epoch = ProducerEpoch(0), .base_sequence = sequence});
}

void make_topic_on(client::Client& client, const std::vector<NodeId>& replicas) {
  protocol::CreateTopicsRequest request;
  request.timeout_ms = 30'000;
  auto& topic = request.topics.emplace_back();
  topic.name = "t";
  topic.num_partitions = topic.replication_factor = -1;
  topic.assignments.push_back({.partition_index = PartitionId(0), .broker_ids = replicas});
  ASSERT_EQ(ask<protocol::CreateTopicsResponse>(client, request, 7).topics.at(0).error_code, ErrorCode::kNone);
  ASSERT_TRUE(fiber::sleep(Duration::seconds(1)).ok());
}

// The first of them leads.
void prefer(client::Client& client, const std::vector<NodeId>& replicas) {
  protocol::AlterPartitionReassignmentsRequest moved;
  moved.timeout_ms = 30'000;
  moved.topics = {{.name = "t", .partitions = {{.partition_index = PartitionId(0), .replicas = replicas}}}};
  const auto told = ask<protocol::AlterPartitionReassignmentsResponse>(client, moved, 0);
  ASSERT_EQ(told.responses.at(0).partitions.at(0).error_code, ErrorCode::kNone);
  protocol::ElectLeadersRequest elected;
  elected.timeout_ms = 10'000;
  elected.topic_partitions = {{.topic = "t", .partitions = {PartitionId(0)}}};
  static_cast<void>(ask<protocol::ElectLeadersResponse>(client, elected, 2));
  ASSERT_TRUE(fiber::sleep(Duration::milliseconds(300)).ok());
}

TEST(ProduceOrder, ANodeThatBecomesTheLeaderBetweenTwoBatchesTakesThemInTheirOrder) {
  NodesWorld world(/*forward=*/false);
  world.run([&](NodesVisit& visit) {
    const auto first = visit.connect(1);
    const auto second = visit.connect(2);
    make_topic_on(*first, {NodeId(1), NodeId(2)});
    EXPECT_EQ(produce(*second, "t", 0, numbered(0)).error_code, ErrorCode::kNotLeaderOrFollower);
    prefer(*first, {NodeId(2), NodeId(1)});
    ASSERT_TRUE(world.node(2).table().find("t")->partitions.at(0)->leading());
    const auto behind = produce(*second, "t", 0, numbered(1));
    EXPECT_EQ(behind.error_code, ErrorCode::kNotLeaderOrFollower);
    EXPECT_NE(behind.error_message.value_or("").find("comes first"), std::string::npos);
    EXPECT_EQ(produce(*second, "t", 0, numbered(0)).error_code, ErrorCode::kNone);
    EXPECT_EQ(produce(*second, "t", 0, numbered(1)).error_code, ErrorCode::kNone);
    EXPECT_EQ(read_values(*second, "t", 0), (std::vector<std::string>{"0", "1"}));
  });
}

// Nodes by what they are to the partition, none of whose trouble is the metadata's.
struct Roles {
  int leads_metadata = 1;
  int second = 2;
  int third = 3;
};

Roles roles_in(NodesWorld& world) {
  Roles roles;
  while (!world.node(roles.leads_metadata).raft().leadership().here) {
    ++roles.leads_metadata;
  }
  roles.second = roles.leads_metadata % 3 + 1;
  roles.third = roles.second % 3 + 1;
  return roles;
}

TEST(ProduceOrder, BehindABatchWhoseEpochEndedWhileItWaitedNothingIsTaken) {
  NodesWorld world(/*forward=*/false);
  world.run([&](NodesVisit& visit) {
    const Roles roles = roles_in(world);
    const NodeId leader(roles.leads_metadata);
    const auto client = visit.connect(roles.leads_metadata);
    make_topic_on(*client, {leader, NodeId(roles.second)});
    ASSERT_EQ(produce(*client, "t", 0, numbered(0)).error_code, ErrorCode::kNone);
    world.suspend(roles.second);  // for which the next one waits
    ErrorCode waited = ErrorCode::kNone;
    fiber::FiberScope scope;
    scope.spawn({"waits", 0}, [&] { waited = produce(*client, "t", 0, numbered(1)).error_code; });
    ASSERT_TRUE(fiber::sleep(Duration::milliseconds(50)).ok());
    const auto other = visit.connect(roles.leads_metadata);
    prefer(*other, {leader, NodeId(roles.third)});
    ASSERT_TRUE(scope.join(fiber::for_ever()).ok());
    ASSERT_EQ(waited, ErrorCode::kNotLeaderOrFollower);
    ASSERT_TRUE(world.node(roles.leads_metadata).table().find("t")->partitions.at(0)->leading());
    EXPECT_EQ(produce(*client, "t", 0, numbered(2)).error_code, ErrorCode::kNotLeaderOrFollower);
    const auto again = produce(*client, "t", 0, numbered(1));
    EXPECT_EQ(again.error_code, ErrorCode::kNone);
    EXPECT_EQ(again.base_offset, Offset(1)) << "it was stored, once";
    EXPECT_EQ(produce(*client, "t", 0, numbered(2)).error_code, ErrorCode::kNone);
    EXPECT_EQ(read_values(*client, "t", 0), (std::vector<std::string>{"0", "1", "2"}));
  });
}

TEST(ProduceOrder, NothingGoesToANewLeaderWhileWhatCameBeforeIsUnderWayToTheOld) {
  NodesWorld world(/*forward=*/true);
  world.run([&](NodesVisit& visit) {
    const Roles roles = roles_in(world);
    const auto client = visit.connect(roles.second);
    make_topic_on(*client, {NodeId(roles.third), NodeId(roles.leads_metadata)});
    ASSERT_EQ(produce(*client, "t", 0, numbered(0)).error_code, ErrorCode::kNone);
    world.cut(roles.second, roles.third);  // the leader lives, and does not answer this node
    ErrorCode waited = ErrorCode::kNone;
    fiber::FiberScope scope;
    scope.spawn({"waits", 0}, [&] { waited = produce(*client, "t", 0, numbered(1)).error_code; });
    ASSERT_TRUE(fiber::sleep(Duration::milliseconds(50)).ok());
    const auto other = visit.connect(roles.leads_metadata);
    prefer(*other, {NodeId(roles.leads_metadata), NodeId(roles.third)});
    protocol::ProducePartitionResponse behind;
    protocol::ProducePartitionResponse last;
    scope.spawn({"behind", 0}, [&] { behind = produce(*client, "t", 0, numbered(2)); });
    scope.spawn({"last", 0}, [&] { last = produce(*client, "t", 0, numbered(3)); });
    ASSERT_TRUE(scope.join(fiber::for_ever()).ok());
    EXPECT_NE(waited, ErrorCode::kNone);
    EXPECT_EQ(behind.error_code, ErrorCode::kNotLeaderOrFollower);
    EXPECT_NE(behind.error_message.value_or("").find("under way to another leader"), std::string::npos);
    EXPECT_EQ(last.error_code, ErrorCode::kNotLeaderOrFollower);
    EXPECT_NE(last.error_message.value_or("").find("was refused"), std::string::npos);
    for (std::int32_t sequence = 1; sequence <= 3; ++sequence) {
      EXPECT_EQ(produce(*client, "t", 0, numbered(sequence)).error_code, ErrorCode::kNone) << sequence;
    }
    EXPECT_EQ(read_values(*client, "t", 0), (std::vector<std::string>{"0", "1", "2", "3"}));
  });
}

TEST(ProduceRequest, OfMorePartitionsThanAnAnswerCanNameIsRefused) {
  NodesWorld world(/*forward=*/false);
  world.run([&](NodesVisit& visit) {
    const auto client = visit.connect(1);
    protocol::ProduceRequest request;
    request.acks = 1;
    request.topic_data.emplace_back().name = "t";
    request.topic_data[0].partition_data.resize(100'000);
    const auto refused = client->call<protocol::ProduceResponse>(request, 9, patience());
    EXPECT_FALSE(refused.ok());
    const auto again = visit.connect(1);
    EXPECT_TRUE(again->metadata("t", patience()).ok()) << "the node lives";
  });
}

}  // namespace
}  // namespace chronik::broker::testing
