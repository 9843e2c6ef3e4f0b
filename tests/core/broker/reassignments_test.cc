// ElectLeaders, AlterPartitionReassignments, ListPartitionReassignments, on one node: what they answer, and when.
#include "core/protocol/messages/alter_partition_reassignments.h"
#include "core/protocol/messages/elect_leaders.h"
#include "core/protocol/messages/list_partition_reassignments.h"
#include "tests/core/broker/broker_world.h"

namespace chronik::broker::testing {
namespace {

using protocol::ErrorCode;

// ---- ElectLeaders ----

TEST(ElectLeaders, ThatAreNotNeededSaySoWhereTheyAreNamed) {
  BrokerWorld world;
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    make_topic(*client, "t", 2);
    for (std::int16_t version = 0; version <= 2; ++version) {
      for (const std::int8_t type : {std::int8_t{0}, std::int8_t{1}}) {
        protocol::ElectLeadersRequest request;
        request.election_type = type;
        request.topic_partitions.emplace();
        request.topic_partitions->push_back({.topic = "t", .partitions = {PartitionId(1), PartitionId(2)}});
        request.topic_partitions->push_back({.topic = "absent", .partitions = {PartitionId(0)}});
        const auto answer = ask<protocol::ElectLeadersResponse>(*client, request, version);
        EXPECT_EQ(answer.error_code, ErrorCode::kNone);
        ASSERT_EQ(answer.replica_election_results.size(), 2u);
        const auto& known = answer.replica_election_results[0];
        EXPECT_EQ(known.topic, "t");
        ASSERT_EQ(known.partition_result.size(), 2u);
        EXPECT_EQ(known.partition_result[0].partition_id, PartitionId(1));
        EXPECT_EQ(known.partition_result[0].error_code, ErrorCode::kElectionNotNeeded);
        EXPECT_NE(known.partition_result[0].error_message, std::nullopt);
        EXPECT_EQ(known.partition_result[1].error_code, ErrorCode::kUnknownTopicOrPartition);
        const auto& absent = answer.replica_election_results[1];
        EXPECT_EQ(absent.partition_result.at(0).error_code, ErrorCode::kUnknownTopicOrPartition);
      }
    }
  });
}

TEST(ElectLeaders, OfAllPartitionsNameThoseThatNeedOne) {
  BrokerWorld world;
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    make_topic(*client, "t", 2);
    const auto answer = ask<protocol::ElectLeadersResponse>(*client, protocol::ElectLeadersRequest{}, 2);
    EXPECT_EQ(answer.error_code, ErrorCode::kNone);
    ASSERT_EQ(answer.replica_election_results.size(), 1u);
    EXPECT_EQ(answer.replica_election_results[0].topic, "t");
    EXPECT_TRUE(answer.replica_election_results[0].partition_result.empty());
  });
}

TEST(ElectLeaders, OfAnUnknownKindAreRefused) {
  BrokerWorld world;
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    protocol::ElectLeadersRequest request;
    request.election_type = 2;
    EXPECT_EQ(ask<protocol::ElectLeadersResponse>(*client, request, 1).error_code, ErrorCode::kInvalidRequest);
    request.topic_partitions = {{.topic = "t", .partitions = {PartitionId(0)}}};
    const auto named = ask<protocol::ElectLeadersResponse>(*client, request, 1);
    ASSERT_EQ(named.replica_election_results.size(), 1u);
    EXPECT_EQ(named.replica_election_results[0].partition_result.at(0).error_code, ErrorCode::kInvalidRequest);
  });
}

// ---- reassignments ----

protocol::ReassignablePartitionResponse reassign(client::Client& client, const std::string& topic,
                                                 const std::optional<std::vector<NodeId>>& replicas,
                                                 std::int16_t version = 1, bool factor_may_change = true) {
  protocol::AlterPartitionReassignmentsRequest request;
  request.allow_replication_factor_change = factor_may_change;
  request.topics.push_back({.name = topic, .partitions = {{.partition_index = PartitionId(0), .replicas = replicas}}});
  const auto answer = ask<protocol::AlterPartitionReassignmentsResponse>(client, request, version);
  EXPECT_EQ(answer.error_code, ErrorCode::kNone);
  EXPECT_EQ(answer.allow_replication_factor_change, factor_may_change);
  EXPECT_EQ(answer.responses.at(0).name, topic);
  return answer.responses.at(0).partitions.at(0);
}

std::vector<protocol::OngoingTopicReassignment> reassignments(client::Client& client,
                                                              const std::vector<std::string>& topics = {}) {
  protocol::ListPartitionReassignmentsRequest request;
  for (const std::string& topic : topics) {
    if (!request.topics.has_value()) {
      request.topics.emplace();
    }
    request.topics->push_back({.name = topic, .partition_indexes = {PartitionId(0)}});
  }
  const auto answer = ask<protocol::ListPartitionReassignmentsResponse>(client, request, 0);
  EXPECT_EQ(answer.error_code, ErrorCode::kNone);
  return answer.topics;
}

TEST(Reassignments, AreAnsweredWithKafkasErrors) {
  BrokerWorld world;
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    make_topic(*client, "t", 1);
    for (std::int16_t version = 0; version <= 1; ++version) {
      EXPECT_EQ(reassign(*client, "t", {{NodeId(1)}}, version).error_code, ErrorCode::kNone) << "where it is";
      EXPECT_EQ(reassign(*client, "absent", {{NodeId(1)}}, version).error_code, ErrorCode::kUnknownTopicOrPartition);
      EXPECT_EQ(reassign(*client, "t", std::nullopt, version).error_code, ErrorCode::kNoReassignmentInProgress);
      const auto refused = reassign(*client, "t", {{NodeId(9)}}, version);
      EXPECT_EQ(refused.error_code, ErrorCode::kInvalidReplicaAssignment);
      EXPECT_EQ(refused.error_message, "there is no broker 9");
    }
    EXPECT_EQ(reassign(*client, "t", {{NodeId(1), NodeId(9)}}, 1, false).error_code,
              ErrorCode::kInvalidReplicaAssignment);
    EXPECT_TRUE(reassignments(*client).empty());
    EXPECT_TRUE(reassignments(*client, {"t", "absent"}).empty());
  });
}

}  // namespace
}  // namespace chronik::broker::testing
