// A leader that hears of neither other node, and a client that reaches no other: what it is answered, and when.
#include "core/protocol/messages/describe_groups.h"
#include "core/protocol/messages/find_coordinator.h"
#include "core/protocol/messages/heartbeat.h"
#include "core/protocol/messages/join_group.h"
#include "core/protocol/messages/metadata.h"
#include "core/protocol/messages/produce.h"
#include "core/protocol/messages/sync_group.h"
#include "tests/core/broker/nodes_world.h"

namespace chronik::broker::testing {
namespace {

using protocol::ErrorCode;

constexpr std::int16_t kVersionWithHints = 10;
constexpr std::int32_t kIsolatedTimeoutMs = 30'000;

void make_topic_on(client::Client& client, const std::string& name, const std::vector<NodeId>& replicas) {
  protocol::CreateTopicsRequest request;
  request.timeout_ms = 30'000;
  auto& topic = request.topics.emplace_back();
  topic.name = name;
  topic.num_partitions = topic.replication_factor = -1;
  topic.assignments.push_back({.partition_index = PartitionId(0), .broker_ids = replicas});
  const auto response = ask<protocol::CreateTopicsResponse>(client, request, 7);
  ASSERT_EQ(response.topics.at(0).error_code, ErrorCode::kNone);
}

struct IsolatedAnswer {
  ErrorCode error;
  NodeId named;  // as the leader
  std::size_t endpoints;
  double seconds;
};

IsolatedAnswer produce_to(client::Client& client, const std::string& topic, std::int16_t acks) {
  protocol::ProduceRequest request;
  request.acks = acks;
  request.timeout_ms = kIsolatedTimeoutMs;
  request.topic_data.push_back(
      {.name = topic, .partition_data = {{.index = PartitionId(0), .records = batch_of({"a"})}}});
  const fiber::Scheduler& scheduler = fiber::Scheduler::current();
  const MonotonicTime began = scheduler.now();
  const auto response = ask<protocol::ProduceResponse>(client, request, kVersionWithHints);
  const auto& answer = response.responses.at(0).partition_responses.at(0);
  return {answer.error_code, answer.current_leader.leader_id, response.node_endpoints.size(),
          (scheduler.now() - began).seconds()};
}

NodeId leader_of(client::Client& client, const std::string& name) {
  const auto metadata = ask<protocol::MetadataResponse>(client, protocol::MetadataRequest{}, 12);
  for (const protocol::MetadataTopic& topic : metadata.topics) {
    if (topic.name == name) {
      return topic.partitions.at(0).leader_id;
    }
  }
  return NodeId::none();
}

std::int64_t isolated_gauge(const node::Node& node) {
  for (const MetricsRegistry::Entry& entry : node.metrics().entries()) {
    if (entry.name == "broker_isolated") {
      return entry.gauge->value();
    }
  }
  ADD_FAILURE() << "no such metric";
  return -1;
}

TEST(Isolated, ALeaderWithoutItsFollowersAnswersAfterASessionAndAnElection) {
  NodesWorld world(/*forward=*/false);
  world.run([&](NodesVisit& visit) {
    const auto client = visit.connect(1);
    make_topic_on(*client, "replicated", {NodeId(1), NodeId(2), NodeId(3)});
    make_topic_on(*client, "single", {NodeId(1)});
    ASSERT_TRUE(fiber::sleep(Duration::seconds(1)).ok());
    EXPECT_EQ(produce_to(*client, "replicated", -1).error, ErrorCode::kNone);
    EXPECT_EQ(isolated_gauge(world.node(1)), 0);
    world.suspend(2);
    world.suspend(3);
    ASSERT_TRUE(fiber::sleep(Duration::milliseconds(10)).ok());

    // One that waits meanwhile: the loss is noticed after 1 to 1.5 s, a session has 1 s, an election at most 1.5 s.
    const IsolatedAnswer parked = produce_to(*client, "replicated", -1);
    EXPECT_EQ(parked.error, ErrorCode::kNotLeaderOrFollower);
    EXPECT_GT(parked.seconds, 3.2);  // the last heartbeat may be a quarter of a second old
    EXPECT_LT(parked.seconds, 4.2);
    EXPECT_EQ(isolated_gauge(world.node(1)), 1);
    // One that comes afterwards.
    const IsolatedAnswer refused = produce_to(*client, "replicated", -1);
    EXPECT_EQ(refused.error, ErrorCode::kNotLeaderOrFollower);
    EXPECT_LT(refused.seconds, 0.1);
    for (const IsolatedAnswer& answer : {parked, refused}) {
      EXPECT_EQ(answer.named, NodeId::none()) << "it sends the client to itself";
      EXPECT_EQ(answer.endpoints, 0u);
    }
    EXPECT_EQ(produce_to(*client, "replicated", 1).error, ErrorCode::kNone);
    EXPECT_EQ(produce_to(*client, "single", -1).error, ErrorCode::kNone);
    // Whom it has refused it sends to another; who comes anew may read here, as with Kafka.
    EXPECT_EQ(leader_of(*client, "replicated"), NodeId(2));
    EXPECT_EQ(leader_of(*client, "single"), NodeId(1));
    const auto reader = visit.connect(1);
    EXPECT_EQ(leader_of(*reader, "replicated"), NodeId(1));
  });
}

// The node that coordinates the group; 0: nobody yet.
int coordinator_of(client::Client& client, const std::string& group) {
  protocol::FindCoordinatorRequest find;
  find.coordinator_keys = {group};
  const auto told = ask<protocol::FindCoordinatorResponse>(client, find, 4).coordinators.at(0);
  return told.error_code == ErrorCode::kNone ? told.node_id.value() : 0;
}

// Of a group of one, in its first generation.
protocol::HeartbeatRequest join_alone(client::Client& client, const std::string& group) {
  protocol::JoinGroupRequest join;
  join.group_id = group;
  join.session_timeout_ms = join.rebalance_timeout_ms = 10'000;
  join.protocol_type = "consumer";
  join.protocols.push_back({.name = "range", .metadata = Slice::copy_of("m")});
  const auto joined = ask<protocol::JoinGroupResponse>(client, join, 3);
  EXPECT_EQ(joined.error_code, ErrorCode::kNone);
  protocol::SyncGroupRequest sync;
  sync.group_id = group;
  sync.generation_id = joined.generation_id;
  sync.member_id = joined.member_id;
  EXPECT_EQ(ask<protocol::SyncGroupResponse>(client, sync, 3).error_code, ErrorCode::kNone);
  protocol::HeartbeatRequest beat;
  beat.group_id = group;
  beat.generation_id = joined.generation_id;
  beat.member_id = joined.member_id;
  return beat;
}

TEST(Isolated, NobodysSessionEndsWhileTheCoordinatorOfItsGroupHearsNobody) {
  NodesWorld world(/*forward=*/false);
  world.run([&](NodesVisit& visit) {
    const auto any = visit.connect(1);
    int node = 0;
    while (node == 0) {
      ASSERT_TRUE(fiber::sleep(Duration::milliseconds(100)).ok());
      node = coordinator_of(*any, "g");
    }
    const auto client = visit.connect(node);
    const protocol::HeartbeatRequest beat = join_alone(*client, "g");
    const auto beat_error = [&] { return ask<protocol::HeartbeatResponse>(*client, beat, 3).error_code; };
    ASSERT_EQ(beat_error(), ErrorCode::kNone);
    for (int other = 1; other <= NodesWorld::kNodes; ++other) {
      if (other != node) {
        world.suspend(other);
      }
    }
    ASSERT_TRUE(fiber::sleep(Duration::seconds(20)).ok());  // longer than a session
    EXPECT_EQ(beat_error(), ErrorCode::kNotCoordinator);
    for (int other = 1; other <= NodesWorld::kNodes; ++other) {
      if (other != node) {
        world.resume(other);
      }
    }
    const protocol::DescribeGroupsRequest describe{.groups = {"g"}};
    ErrorCode error = ErrorCode::kNotCoordinator;
    for (int i = 0; i < 100 && error == ErrorCode::kNotCoordinator; ++i) {
      ASSERT_TRUE(fiber::sleep(Duration::milliseconds(100)).ok());
      error = ask<protocol::DescribeGroupsResponse>(*client, describe, 5).groups.at(0).error_code;
    }
    EXPECT_EQ(error, ErrorCode::kNone) << "the same node coordinates";
    ASSERT_TRUE(fiber::sleep(Duration::seconds(2)).ok());
    EXPECT_EQ(beat_error(), ErrorCode::kNone);
    // From now on it counts again.
    ASSERT_TRUE(fiber::sleep(Duration::seconds(11)).ok());
    EXPECT_EQ(beat_error(), ErrorCode::kUnknownMemberId);
  });
}

}  // namespace
}  // namespace chronik::broker::testing
