// Groups of a client that reaches one node only, which forwards what it asks to whoever coordinates them.
#include "core/group/groups.h"
#include "core/protocol/messages/delete_groups.h"
#include "core/protocol/messages/describe_groups.h"
#include "core/protocol/messages/find_coordinator.h"
#include "core/protocol/messages/heartbeat.h"
#include "core/protocol/messages/join_group.h"
#include "core/protocol/messages/leave_group.h"
#include "core/protocol/messages/list_groups.h"
#include "core/protocol/messages/offset_commit.h"
#include "core/protocol/messages/offset_delete.h"
#include "core/protocol/messages/offset_fetch.h"
#include "core/protocol/messages/sync_group.h"
#include "tests/core/broker/nodes_world.h"

namespace chronik::broker::testing {
namespace {

using protocol::ErrorCode;

constexpr int kAsked = 2;  // the node that the client reaches

// A member of a group, over a connection of its own to the one node.
class Member {
 public:
  Member(NodesVisit& visit, std::string group) : client_(visit.connect(kAsked)), group_(std::move(group)) {}

  ErrorCode join() {
    protocol::JoinGroupRequest request;
    request.group_id = group_;
    request.session_timeout_ms = 30'000;
    request.rebalance_timeout_ms = 60'000;
    request.member_id = id_;
    request.protocol_type = "consumer";
    request.protocols.push_back({.name = "range", .metadata = Slice::copy_of("metadata")});
    const auto joined = ask<protocol::JoinGroupResponse>(*client_, request, 9);
    if (!joined.member_id.empty()) {
      id_ = joined.member_id;
    }
    if (joined.error_code == ErrorCode::kMemberIdRequired) {
      return join();
    }
    generation_ = joined.generation_id;
    leads_ = joined.leader == id_;
    members_ = joined.members.size();
    return joined.error_code;
  }
  std::string sync() {
    protocol::SyncGroupRequest request;
    request.group_id = group_;
    request.generation_id = generation_;
    request.member_id = id_;
    request.protocol_type = "consumer";
    request.protocol_name = "range";
    if (leads_) {
      request.assignments.push_back({.member_id = id_, .assignment = Slice::copy_of("mine")});
    }
    const auto synced = ask<protocol::SyncGroupResponse>(*client_, request, 5);
    EXPECT_EQ(synced.error_code, ErrorCode::kNone);
    const ByteSpan bytes = synced.assignment.bytes();
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  ErrorCode heartbeat() {
    protocol::HeartbeatRequest request;
    request.group_id = group_;
    request.generation_id = generation_;
    request.member_id = id_;
    return ask<protocol::HeartbeatResponse>(*client_, request, 4).error_code;
  }
  ErrorCode commit(std::int64_t offset) {
    protocol::OffsetCommitRequest request;
    request.group_id = group_;
    request.generation_id_or_member_epoch = generation_;
    request.member_id = id_;
    auto& topic = request.topics.emplace_back();
    topic.name = "t";
    topic.partitions.push_back({.partition_index = PartitionId(1), .committed_offset = Offset(offset)});
    return ask<protocol::OffsetCommitResponse>(*client_, request, 8).topics.at(0).partitions.at(0).error_code;
  }
  ErrorCode leave() {
    protocol::LeaveGroupRequest request;
    request.group_id = group_;
    request.members.push_back({.member_id = id_});
    return ask<protocol::LeaveGroupResponse>(*client_, request, 5).error_code;
  }

  bool leads() const { return leads_; }
  std::size_t members() const { return members_; }

 private:
  std::unique_ptr<client::Client> client_;
  std::string group_;
  std::string id_;
  GenerationId generation_;
  bool leads_ = false;
  std::size_t members_ = 0;
};

// The topic of the groups is there, and who leads its partitions knows it; then one group for each node.
std::vector<std::string> a_group_of_each_node(NodesWorld& world, client::Client& client) {
  protocol::FindCoordinatorRequest request;
  request.key_type = protocol::CoordinatorType::kGroup;
  request.coordinator_keys = {"any"};
  ask<protocol::FindCoordinatorResponse>(client, request, 4);
  EXPECT_TRUE(fiber::sleep(Duration::seconds(2)).ok());
  const cluster::Topic* topic = world.node(kAsked).metadata().image()->find_topic(group::kGroupsTopic);
  std::vector<std::string> groups(NodesWorld::kNodes);
  for (int i = 0; topic != nullptr && i < 1000; ++i) {
    const std::string name = "group-" + std::to_string(i);
    const PartitionId at = group::partition_of(name, static_cast<std::int32_t>(topic->partitions.size()));
    groups[static_cast<std::size_t>(topic->partitions.find(at)->leader.value() - 1)] = name;
  }
  return groups;
}

std::vector<std::string> listed(client::Client& client) {
  const auto answer = ask<protocol::ListGroupsResponse>(client, protocol::ListGroupsRequest{}, 4);
  EXPECT_EQ(answer.error_code, ErrorCode::kNone);
  std::vector<std::string> names;
  for (const auto& group : answer.groups) {
    names.push_back(group.group_id);
  }
  std::sort(names.begin(), names.end());
  return names;
}

TEST(ForwardedGroups, TheNodeThatIsAskedNamesItselfAsTheirCoordinator) {
  NodesWorld world(true);
  world.run([&](NodesVisit& visit) {
    const auto client = visit.connect(kAsked);
    const std::vector<std::string> groups = a_group_of_each_node(world, *client);
    protocol::FindCoordinatorRequest request;
    request.key_type = protocol::CoordinatorType::kGroup;
    request.coordinator_keys = groups;
    for (const auto& found : ask<protocol::FindCoordinatorResponse>(*client, request, 4).coordinators) {
      EXPECT_EQ(found.error_code, ErrorCode::kNone);
      EXPECT_EQ(found.node_id, NodeId(kAsked));
      EXPECT_EQ(found.host, "node-2");
    }
  });
}

TEST(ForwardedGroups, ALifeThroughOneNodeWhoeverCoordinates) {
  NodesWorld world(true);
  world.run([&](NodesVisit& visit) {
    const auto client = visit.connect(kAsked);
    make_spread_topic(*client, "t");
    const std::vector<std::string> groups = a_group_of_each_node(world, *client);
    for (const std::string& group : groups) {
      ASSERT_FALSE(group.empty()) << "a node coordinates nothing";
      Member member(visit, group);
      EXPECT_EQ(member.join(), ErrorCode::kNone);
      EXPECT_TRUE(member.leads());
      EXPECT_EQ(member.sync(), "mine");
      EXPECT_EQ(member.heartbeat(), ErrorCode::kNone);
      EXPECT_EQ(member.commit(42), ErrorCode::kNone);
    }
    // Of all groups at once, in versions with one and with many.
    protocol::OffsetFetchRequest offsets;
    for (const std::string& group : groups) {
      offsets.groups.push_back({.group_id = group, .topics = std::nullopt});
    }
    const auto fetched = ask<protocol::OffsetFetchResponse>(*client, offsets, 8);
    ASSERT_EQ(fetched.groups.size(), groups.size());
    for (std::size_t i = 0; i < groups.size(); ++i) {
      EXPECT_EQ(fetched.groups[i].group_id, groups[i]);
      ASSERT_EQ(fetched.groups[i].topics.size(), 1u);
      EXPECT_EQ(fetched.groups[i].topics[0].partitions.at(0).committed_offset, Offset(42));
      protocol::OffsetFetchRequest one;
      one.groups = {offsets.groups[i]};
      EXPECT_EQ(ask<protocol::OffsetFetchResponse>(*client, one, 7).groups.at(0).topics.size(), 1u);
    }
    std::vector<std::string> sorted = groups;
    std::sort(sorted.begin(), sorted.end());
    EXPECT_EQ(listed(*client), sorted);
    const auto described =
        ask<protocol::DescribeGroupsResponse>(*client, protocol::DescribeGroupsRequest{.groups = groups}, 5);
    ASSERT_EQ(described.groups.size(), groups.size());
    for (std::size_t i = 0; i < groups.size(); ++i) {
      EXPECT_EQ(described.groups[i].error_code, ErrorCode::kNone);
      EXPECT_EQ(described.groups[i].group_id, groups[i]);
      EXPECT_EQ(described.groups[i].group_state, "Stable");
      EXPECT_EQ(described.groups[i].members.size(), 1u);
    }
    for (const auto& refused :
         ask<protocol::DeleteGroupsResponse>(*client, protocol::DeleteGroupsRequest{.groups_names = groups}, 2)
             .results) {
      EXPECT_EQ(refused.error_code, ErrorCode::kNonEmptyGroup);
    }
  });
}

TEST(ForwardedGroups, AMemberThatWaitsToJoinHoldsUpNobody) {
  NodesWorld world(true);
  world.run([&](NodesVisit& visit) {
    const auto client = visit.connect(kAsked);
    make_spread_topic(*client, "t");
    for (const std::string& group : a_group_of_each_node(world, *client)) {
      Member first(visit, group);
      EXPECT_EQ(first.join(), ErrorCode::kNone);
      EXPECT_EQ(first.sync(), "mine");
      Member second(visit, group);
      fiber::FiberScope scope;
      bool joined = false;
      scope.spawn({"second", 0}, [&] {
        EXPECT_EQ(second.join(), ErrorCode::kNone);
        joined = true;
      });
      ASSERT_TRUE(fiber::sleep(Duration::seconds(2)).ok());
      const MonotonicTime began = visit.ports.clock.monotonic();
      EXPECT_EQ(first.heartbeat(), ErrorCode::kRebalanceInProgress);
      EXPECT_EQ(first.commit(7), ErrorCode::kNone);
      EXPECT_LT(visit.ports.clock.monotonic() - began, Duration::seconds(1));
      EXPECT_FALSE(joined) << "before the first one has come back";
      EXPECT_EQ(first.join(), ErrorCode::kNone);
      ASSERT_TRUE(scope.join(patience()).ok());
      EXPECT_EQ(first.members() + second.members(), 2u) << "the leader knows both";
      EXPECT_EQ(first.leave(), ErrorCode::kNone);
      EXPECT_EQ(second.leave(), ErrorCode::kNone);
      const auto deleted =
          ask<protocol::DeleteGroupsResponse>(*client, protocol::DeleteGroupsRequest{.groups_names = {group}}, 2);
      EXPECT_EQ(deleted.results.at(0).error_code, ErrorCode::kNone);
    }
    EXPECT_TRUE(listed(*client).empty());
  });
}

TEST(ForwardedGroups, CommitsThatAreSentOneBehindTheOtherAreMadeInTheirOrder) {
  NodesWorld world(true);
  world.run([&](NodesVisit& visit) {
    const auto client = visit.connect(kAsked);
    make_spread_topic(*client, "t");
    for (const std::string& group : a_group_of_each_node(world, *client)) {
      const auto raw = visit.connect_raw(kAsked);
      constexpr std::int32_t kCommits = 20;
      for (std::int32_t i = 1; i <= kCommits; ++i) {
        protocol::OffsetCommitRequest request;
        request.group_id = group;
        auto& topic = request.topics.emplace_back();
        topic.name = "t";
        topic.partitions.push_back({.partition_index = PartitionId(0), .committed_offset = Offset(i)});
        ASSERT_TRUE(raw->send(request, 8, i).ok());
      }
      for (std::int32_t i = 1; i <= kCommits; ++i) {
        const auto answer = raw->receive_as<protocol::OffsetCommitResponse>(8);
        ASSERT_TRUE(answer.ok()) << answer.status();
        EXPECT_EQ(answer->topics.at(0).partitions.at(0).error_code, ErrorCode::kNone);
      }
      protocol::OffsetFetchRequest offsets;
      offsets.groups.push_back({.group_id = group, .topics = std::nullopt});
      const auto fetched = ask<protocol::OffsetFetchResponse>(*client, offsets, 8);
      EXPECT_EQ(fetched.groups.at(0).topics.at(0).partitions.at(0).committed_offset, Offset(kCommits));
    }
  });
}

TEST(ForwardedGroups, WhereTheCoordinatorIsGoneTheClientIsToAskAnew) {
  NodesWorld world(true);
  world.run([&](NodesVisit& visit) {
    const auto client = visit.connect(kAsked);
    make_spread_topic(*client, "t");
    const std::vector<std::string> groups = a_group_of_each_node(world, *client);
    Member member(visit, groups.at(2));
    EXPECT_EQ(member.join(), ErrorCode::kNone);
    EXPECT_EQ(member.sync(), "mine");
    world.kill(3, sim::Death::kProcessKill);
    const ErrorCode told = member.heartbeat();
    EXPECT_TRUE(told == ErrorCode::kNotCoordinator || told == ErrorCode::kNone) << protocol::error_name(told);
    // Another one coordinates soon, and knows the member.
    ErrorCode later = ErrorCode::kNotCoordinator;
    for (int i = 0; i < 50 && later != ErrorCode::kNone; ++i) {
      ASSERT_TRUE(fiber::sleep(Duration::milliseconds(200)).ok());
      later = member.heartbeat();
    }
    EXPECT_EQ(later, ErrorCode::kNone) << protocol::error_name(later);
    EXPECT_EQ(member.commit(5), ErrorCode::kNone);
  });
}

TEST(ForwardedGroups, ACommitThatTheCoordinatorDoesNotAnswerIsNotMadeElsewhere) {
  NodesWorld world(true, [](node::NodeConfig& config) {
    config.broker["broker.session.timeout.ms"] = "100000";
    config.limits.node_answer = Duration::seconds(4);
  });
  world.run([&](NodesVisit& visit) {
    const auto client = visit.connect(kAsked);
    make_spread_topic(*client, "t");
    const std::string group = a_group_of_each_node(world, *client).at(2);
    const auto commit = [&client, &group](std::int64_t offset) {
      protocol::OffsetCommitRequest request;
      request.group_id = group;
      auto& topic = request.topics.emplace_back();
      topic.name = "t";
      topic.partitions.push_back({.partition_index = PartitionId(0), .committed_offset = Offset(offset)});
      topic.partitions.push_back({.partition_index = PartitionId(1), .committed_offset = Offset(offset)});
      return ask<protocol::OffsetCommitResponse>(*client, request, 8).topics.at(0).partitions;
    };
    EXPECT_EQ(commit(3).at(0).error_code, ErrorCode::kNone);
    world.cut(kAsked, 3);
    ASSERT_TRUE(fiber::sleep(Duration::milliseconds(100)).ok());
    const MonotonicTime began = visit.ports.clock.monotonic();
    const auto told = commit(5);
    EXPECT_NEAR((visit.ports.clock.monotonic() - began).seconds(), 4, 0.2);
    ASSERT_EQ(told.size(), 2u);
    for (const auto& partition : told) {
      EXPECT_EQ(partition.error_code, ErrorCode::kNotCoordinator) << "the client asks who it is, and commits again";
    }
    // Over another way to the coordinator: it has heard of the first one only.
    protocol::OffsetFetchRequest offsets;
    offsets.groups.push_back({.group_id = group, .topics = std::nullopt});
    const auto fetched = ask<protocol::OffsetFetchResponse>(*visit.connect(3), offsets, 8);
    EXPECT_EQ(fetched.groups.at(0).error_code, ErrorCode::kNone);
    EXPECT_EQ(fetched.groups.at(0).topics.at(0).partitions.at(0).committed_offset, Offset(3));
  });
}

}  // namespace
}  // namespace chronik::broker::testing
