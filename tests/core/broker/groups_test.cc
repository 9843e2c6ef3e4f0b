// Groups through a broker: what its requests add to the coordinator (core/group).
#include "core/protocol/messages/delete_groups.h"
#include "core/protocol/messages/delete_topics.h"
#include "core/protocol/messages/describe_groups.h"
#include "core/protocol/messages/find_coordinator.h"
#include "core/protocol/messages/heartbeat.h"
#include "core/protocol/messages/join_group.h"
#include "core/protocol/messages/metadata.h"
#include "core/protocol/messages/offset_commit.h"
#include "core/protocol/messages/offset_fetch.h"
#include "core/protocol/messages/sync_group.h"
#include "sim/disk.h"
#include "tests/core/broker/broker_world.h"

namespace chronik::broker::testing {
namespace {

using protocol::ErrorCode;

constexpr std::int16_t kOffsetCommitVersion = 8;
constexpr std::int16_t kOffsetFetchVersion = 8;

// Of the node's disk: each operation takes up to so much longer.
void stall_disk(BrokerWorld& world, Duration most) {
  sim::DiskKnobs& knobs = static_cast<sim::SimulatedDisk&>(*world.node_machine().disk()).knobs();
  knobs.stalls = {most > Duration::zero() ? 1'000'000U : 0U};
  knobs.stall_most = most;
}

// Waits until somebody coordinates the group.
void find_coordinator_of(client::Client& client, const std::string& group) {
  protocol::FindCoordinatorRequest find;
  find.coordinator_keys = {group};
  while (ask<protocol::FindCoordinatorResponse>(client, find, 4).coordinators.at(0).error_code != ErrorCode::kNone) {
    ASSERT_TRUE(fiber::sleep(Duration::milliseconds(50)).ok());
  }
}

protocol::OffsetCommitRequest commit_of(const std::string& group, std::int64_t offset,
                                        const std::string& metadata = {}) {
  protocol::OffsetCommitRequest request;
  request.group_id = group;
  request.topics.push_back({.name = "t", .partitions = {}});
  protocol::OffsetCommitPartition& partition = request.topics[0].partitions.emplace_back();
  partition.partition_index = PartitionId(0);
  partition.committed_offset = Offset(offset);
  partition.committed_metadata = metadata;
  return request;
}

ErrorCode commit(client::Client& client, const std::string& group, std::int64_t offset) {
  const auto answer = ask<protocol::OffsetCommitResponse>(client, commit_of(group, offset), kOffsetCommitVersion);
  return answer.topics.at(0).partitions.at(0).error_code;
}

// -1: none.
std::int64_t committed(client::Client& client, const std::string& group) {
  protocol::OffsetFetchRequest request;
  protocol::OffsetFetchGroup& one = request.groups.emplace_back();
  one.group_id = group;
  one.topics.emplace();
  one.topics->push_back({.name = "t", .partition_indexes = {PartitionId(0)}});
  const auto answer = ask<protocol::OffsetFetchResponse>(client, request, kOffsetFetchVersion);
  EXPECT_EQ(answer.groups.at(0).error_code, ErrorCode::kNone);
  return answer.groups.at(0).topics.at(0).partitions.at(0).committed_offset.value();
}

std::size_t topics_with_offsets(client::Client& client, const std::string& group) {
  protocol::OffsetFetchRequest request;
  protocol::OffsetFetchGroup& one = request.groups.emplace_back();
  one.group_id = group;
  one.topics.reset();
  return ask<protocol::OffsetFetchResponse>(client, request, kOffsetFetchVersion).groups.at(0).topics.size();
}

protocol::JoinGroupRequest joining(const std::string& group) {
  protocol::JoinGroupRequest request;
  request.group_id = group;
  request.session_timeout_ms = 10'000;
  request.rebalance_timeout_ms = 10'000;
  request.protocol_type = "consumer";
  request.protocols.push_back({.name = "range", .metadata = Slice::copy_of("m")});
  return request;
}

TEST(DescribeGroups, SaysWhatMembersHaveAlsoWhileOthersJoin) {
  BrokerWorld world;
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    find_coordinator_of(*client, "g");
    // Version 3: a member needs no id first.
    const auto joined = ask<protocol::JoinGroupResponse>(*client, joining("g"), 3);
    ASSERT_EQ(joined.error_code, ErrorCode::kNone);
    protocol::SyncGroupRequest sync;
    sync.group_id = "g";
    sync.generation_id = joined.generation_id;
    sync.member_id = joined.member_id;
    sync.assignments.push_back({.member_id = joined.member_id, .assignment = Slice::copy_of("all")});
    ASSERT_EQ(ask<protocol::SyncGroupResponse>(*client, sync, 3).error_code, ErrorCode::kNone);
    const auto other = visit.connect_raw();
    ASSERT_TRUE(other->send(joining("g"), 3, 1).ok());
    ASSERT_TRUE(fiber::sleep(Duration::seconds(1)).ok());
    protocol::DescribeGroupsRequest describe;
    describe.groups = {"g"};
    const auto told = ask<protocol::DescribeGroupsResponse>(*client, describe, 5).groups.at(0);
    EXPECT_EQ(told.group_state, "PreparingRebalance");
    ASSERT_EQ(told.members.size(), 2u);
    for (const auto& member : told.members) {
      EXPECT_EQ(member.member_assignment, Slice::copy_of(member.member_id == joined.member_id ? "all" : ""));
      EXPECT_EQ(member.member_metadata, Slice());
    }
  });
}

TEST(GroupOffsets, CommitsThatComeOneBehindTheOtherTakeEffectInThatOrder) {
  BrokerWorld world;
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    make_topic(*client, "t", 1);
    find_coordinator_of(*client, "g");
    const auto raw = visit.connect_raw();
    for (std::int32_t id = 1; id <= 50; ++id) {
      ASSERT_TRUE(raw->send(commit_of("g", id), kOffsetCommitVersion, id).ok());
    }
    for (std::int32_t id = 1; id <= 50; ++id) {
      const auto answer = raw->receive_as<protocol::OffsetCommitResponse>(kOffsetCommitVersion);
      ASSERT_TRUE(answer.ok()) << answer.status();
      EXPECT_EQ(answer->topics.at(0).partitions.at(0).error_code, ErrorCode::kNone);
    }
    EXPECT_EQ(committed(*client, "g"), 50);
  });
}

TEST(GroupOffsets, MayBeKeptUnderAnEmptyName) {
  BrokerWorld world;
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    make_topic(*client, "t", 1);
    find_coordinator_of(*client, "");
    EXPECT_EQ(commit(*client, "", 4), ErrorCode::kNone);
    EXPECT_EQ(committed(*client, ""), 4);
    protocol::DeleteGroupsRequest remove;
    remove.groups_names = {""};
    EXPECT_EQ(ask<protocol::DeleteGroupsResponse>(*client, remove, 2).results.at(0).error_code, ErrorCode::kNone);
    EXPECT_EQ(committed(*client, ""), -1);
  });
}

TEST(GroupOffsets, OfATopicThatWasMadeAnewAreNone) {
  BrokerWorld world;
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    make_topic(*client, "t", 1);
    find_coordinator_of(*client, "g");
    EXPECT_EQ(commit(*client, "g", 4), ErrorCode::kNone);
    protocol::DeleteTopicsRequest remove;
    remove.topics.push_back({.name = "t"});
    remove.timeout_ms = 10'000;
    // Nothing can be recorded meanwhile: what was committed is still in the log when the topic is there again.
    stall_disk(world, Duration::seconds(2));
    EXPECT_EQ(ask<protocol::DeleteTopicsResponse>(*client, remove, 6).responses.at(0).error_code, ErrorCode::kNone);
    EXPECT_EQ(committed(*client, "g"), -1);
    EXPECT_EQ(topics_with_offsets(*client, "g"), 0u);
    make_topic(*client, "t", 1);
    EXPECT_EQ(committed(*client, "g"), -1);
  });
  world.kill(sim::Death::kPowerLoss);
  stall_disk(world, Duration::zero());
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    find_coordinator_of(*client, "g");
    EXPECT_EQ(committed(*client, "g"), -1);
    EXPECT_EQ(commit(*client, "g", 1), ErrorCode::kNone);
    EXPECT_EQ(committed(*client, "g"), 1);
    EXPECT_EQ(topics_with_offsets(*client, "g"), 1u);
  });
}

TEST(GroupOffsets, WhereTooMuchWaitsToBeRecordedMoreIsRefused) {
  constexpr int kPartitions = 200;
  node::NodeConfig config = small_node();
  config.logs.wal.rotation_bytes = 4 << 20;
  config.logs.wal.record_bytes_max = config.logs.wal.batch_bytes_max = 1 << 20;
  config.logs.wal.queue_bytes_max = 2 << 20;
  BrokerWorld world(config);
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    make_topic(*client, "t", kPartitions);
    find_coordinator_of(*client, "g");
    stall_disk(world, Duration::seconds(20));
    protocol::OffsetCommitRequest request = commit_of("g", 1, std::string(4'000, 'm'));
    std::vector<protocol::OffsetCommitPartition>& partitions = request.topics[0].partitions;
    partitions.resize(kPartitions, partitions[0]);
    for (int partition = 0; partition < kPartitions; ++partition) {
      partitions[static_cast<std::size_t>(partition)].partition_index = PartitionId(partition);
    }
    const auto raw = visit.connect_raw();
    for (std::int32_t id = 0; id < 16; ++id) {
      ASSERT_TRUE(raw->send(request, kOffsetCommitVersion, id).ok());
    }
    int taken = 0;
    int refused = 0;
    for (std::int32_t id = 0; id < 16; ++id) {
      const auto answer = raw->receive_as<protocol::OffsetCommitResponse>(kOffsetCommitVersion);
      ASSERT_TRUE(answer.ok()) << answer.status();
      const ErrorCode error = answer->topics.at(0).partitions.at(0).error_code;
      taken += error == ErrorCode::kNone || error == ErrorCode::kRequestTimedOut ? 1 : 0;
      refused += error == ErrorCode::kCoordinatorNotAvailable ? 1 : 0;
    }
    EXPECT_EQ(taken, 11);  // 8 MiB and one more
    EXPECT_EQ(refused, 5);
  });
}

TEST(Heartbeat, IsNoErrorWhileTheGroupsAreLoaded) {
  node::NodeConfig config = small_node();
  config.broker["offsets.topic.num.partitions"] = "1";
  config.broker["offsets.topic.segment.bytes"] = "1048576";
  config.logs.tail_age_max = Duration::milliseconds(100);
  config.logs.cleaner.enabled = false;
  BrokerWorld world(config);
  auto& disk = static_cast<sim::SimulatedDisk&>(*world.node_machine().disk());
  protocol::HeartbeatRequest beat;
  beat.group_id = "g";
  std::string directory;  // of the groups' log
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    make_topic(*client, "t", 1);
    find_coordinator_of(*client, "g");
    const auto joined = ask<protocol::JoinGroupResponse>(*client, joining("g"), 3);
    ASSERT_EQ(joined.error_code, ErrorCode::kNone);
    beat.generation_id = joined.generation_id;
    beat.member_id = joined.member_id;
    protocol::SyncGroupRequest sync;
    sync.group_id = "g";
    sync.generation_id = joined.generation_id;
    sync.member_id = joined.member_id;
    ASSERT_EQ(ask<protocol::SyncGroupResponse>(*client, sync, 3).error_code, ErrorCode::kNone);
    // More than one segment: the first is read for the groups alone.
    for (int i = 0; i < 500; ++i) {
      ASSERT_EQ(ask<protocol::OffsetCommitResponse>(*client, commit_of("other", i, std::string(4'000, 'm')),
                                                    kOffsetCommitVersion)
                    .topics.at(0)
                    .partitions.at(0)
                    .error_code,
                ErrorCode::kNone);
    }
    for (const auto& topic : ask<protocol::MetadataResponse>(*client, protocol::MetadataRequest{}, 12).topics) {
      directory = topic.is_internal ? topic.topic_id.to_string() + "-0/" : directory;
    }
    ASSERT_TRUE(fiber::sleep(Duration::seconds(5)).ok());
  });
  world.kill(sim::Death::kProcessKill);
  disk.strike(
      {.step = sim::DiskStep::kRead, .effect = sim::DiskEffect::kHang, .path = directory + "00000000000000000000.log"});
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    ASSERT_EQ(disk.strikes_left(), 0u);
    protocol::SyncGroupRequest sync;
    sync.group_id = "g";
    const auto loading = [&] {
      return ask<protocol::SyncGroupResponse>(*client, sync, 3).error_code == ErrorCode::kCoordinatorLoadInProgress;
    };
    ASSERT_TRUE(loading());
    EXPECT_EQ(ask<protocol::HeartbeatResponse>(*client, beat, 3).error_code, ErrorCode::kNone);
    ASSERT_TRUE(loading());
    disk.release_hung();
    while (loading()) {
      ASSERT_TRUE(fiber::sleep(Duration::milliseconds(50)).ok());
    }
    EXPECT_EQ(ask<protocol::HeartbeatResponse>(*client, beat, 3).error_code, ErrorCode::kNone);
    beat.member_id = "stranger";
    EXPECT_EQ(ask<protocol::HeartbeatResponse>(*client, beat, 3).error_code, ErrorCode::kUnknownMemberId);
  });
}

TEST(JoinGroup, WhoWaitsForOthersHoldsNoRoomForRequests) {
  node::NodeConfig config = small_node();
  config.limits.request_bytes_per_node = 100'000;
  BrokerWorld world(config);
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    make_topic(*client, "t", 1);
    find_coordinator_of(*client, "g");
    protocol::JoinGroupRequest request = joining("g");
    request.protocols[0].metadata = Slice::copy_of(std::string(30'000, 'm'));
    std::vector<std::unique_ptr<RawConnection>> members;
    for (int i = 0; i < 8; ++i) {  // of which three would fill it
      members.push_back(visit.connect_raw());
      ASSERT_TRUE(members.back()->send(request, 3, 1).ok());
    }
    ASSERT_TRUE(fiber::sleep(Duration::seconds(1)).ok());
    EXPECT_EQ(world.node().server().request_bytes().used(), 0u);
    const MonotonicTime began = visit.ports.clock.monotonic();
    EXPECT_EQ(commit(*client, "other", 1), ErrorCode::kNone);
    EXPECT_LT(visit.ports.clock.monotonic() - began, Duration::milliseconds(500));
    std::size_t told = 0;
    for (const std::unique_ptr<RawConnection>& member : members) {
      const auto joined = member->receive_as<protocol::JoinGroupResponse>(3);
      ASSERT_TRUE(joined.ok()) << joined.status();
      EXPECT_EQ(joined->error_code, ErrorCode::kNone);
      told += joined->members.size();
    }
    EXPECT_EQ(told, 8u) << "its leader is told of all, whose frames are gone";
  });
}

}  // namespace
}  // namespace chronik::broker::testing
