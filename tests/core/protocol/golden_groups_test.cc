// Messages of consumer groups in the versions where their form changes. kafka-python 3 writes the same bytes.
#include <gtest/gtest.h>

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
#include "tests/core/protocol/golden.h"

namespace chronik::protocol {
namespace {

TEST(GoldenGroups, FindCoordinatorOfOneKeyAndOfMany) {
  FindCoordinatorRequest request{.coordinator_keys = {"g"}};
  expect_body(request, 0, "0001'g'");
  request.key_type = CoordinatorType::kTransaction;
  expect_body(request, 2, "0001'g' 01");
  expect_body(request, 3, "02'g' 01 00");
  expect_body(FindCoordinatorRequest{.coordinator_keys = {"g", "h"}}, 4, "00 03 02'g' 02'h' 00");
  expect_body(FindCoordinatorRequest{.coordinator_keys = {}}, 6, "00 01 00");
}

TEST(GoldenGroups, AnswersToFindCoordinator) {
  FindCoordinatorResult found{.node_id = NodeId(1), .host = "h", .port = 9092};
  expect_body(FindCoordinatorResponse{.coordinators = {found}}, 0, "0000 00000001 0001'h' 00002384");
  expect_body(FindCoordinatorResponse{.throttle_time_ms = 5, .coordinators = {found}}, 1,
              "00000005 0000 ffff 00000001 0001'h' 00002384");
  found.key = "g";
  expect_body(FindCoordinatorResponse{.coordinators = {found}}, 4,
              "00000000 02 02'g' 00000001 02'h' 00002384 0000 00 00 00");
  FindCoordinatorResult none{.port = -1, .error_code = ErrorCode::kCoordinatorNotAvailable, .error_message = "no"};
  expect_body(FindCoordinatorResponse{.coordinators = {none}}, 3, "00000000 000f 03'no' ffffffff 01 ffffffff 00");
}

// A message that a version cannot say is sent as far as it goes: the first of several, defaults for none.
TEST(GoldenGroups, WhereOneIsSentTheFirstIs) {
  EXPECT_EQ(hex(encode(FindCoordinatorRequest{.coordinator_keys = {"g", "h"}}, 3)), hex(bytes("02'g' 00 00")));
  EXPECT_EQ(hex(encode(FindCoordinatorRequest{}, 0)), hex(bytes("0000")));
  EXPECT_EQ(hex(encode(OffsetFetchResponse{}, 1)), hex(bytes("00000000")));
  LeaveGroupRequest leave{.group_id = "g", .members = {{.member_id = "m"}, {.member_id = "n"}}};
  EXPECT_EQ(hex(encode(leave, 2)), hex(bytes("0001'g' 0001'm'")));
  leave.members.clear();
  EXPECT_EQ(hex(encode(leave, 2)), hex(bytes("0001'g' 0000")));
}

TEST(GoldenGroups, JoinGroup) {
  JoinGroupRequest request{.group_id = "g",
                           .session_timeout_ms = 10'000,
                           .member_id = "m",
                           .protocol_type = "consumer",
                           .protocols = {{.name = "range", .metadata = bytes("0102")}}};
  expect_body(request, 0, "0001'g' 00002710 0001'm' 0008'consumer' 00000001 0005'range' 00000002 0102");
  request.rebalance_timeout_ms = 300'000;
  expect_body(request, 4, "0001'g' 00002710 000493e0 0001'm' 0008'consumer' 00000001 0005'range' 00000002 0102");
  expect_body(request, 5, "0001'g' 00002710 000493e0 0001'm' ffff 0008'consumer' 00000001 0005'range' 00000002 0102");
  request.group_instance_id = "i";
  expect_body(request, 7, "02'g' 00002710 000493e0 02'm' 02'i' 09'consumer' 02 06'range' 03 0102 00 00");
  request.reason = "why";
  expect_body(request, 9, "02'g' 00002710 000493e0 02'm' 02'i' 09'consumer' 02 06'range' 03 0102 00 04'why' 00");
}

TEST(GoldenGroups, AnswersToJoinGroup) {
  JoinGroupResponse leads{.generation_id = GenerationId(1),
                          .protocol_name = "range",
                          .leader = "m",
                          .member_id = "m",
                          .members = {{.member_id = "m", .metadata = bytes("0102")}}};
  expect_body(leads, 0, "0000 00000001 0005'range' 0001'm' 0001'm' 00000001 0001'm' 00000002 0102");
  leads.throttle_time_ms = 5;
  expect_body(leads, 2, "00000005 0000 00000001 0005'range' 0001'm' 0001'm' 00000001 0001'm' 00000002 0102");
  leads.protocol_type = "consumer";
  leads.skip_assignment = true;
  expect_body(leads, 9, "00000005 0000 00000001 09'consumer' 06'range' 02'm' 01 02'm' 02 02'm' 00 03 0102 00 00");

  JoinGroupResponse refused{.error_code = ErrorCode::kMemberIdRequired, .member_id = "m"};
  expect_body(refused, 9, "00000000 004f ffffffff 00 00 01 00 02'm' 01 00");
  EXPECT_EQ(hex(encode(refused, 5)), hex(bytes("00000000 004f ffffffff 0000 0000 0001'm' 00000000")))
      << "a protocol that is null must be an empty one before version 7";
}

TEST(GoldenGroups, SyncGroup) {
  SyncGroupRequest request{.group_id = "g",
                           .generation_id = GenerationId(1),
                           .member_id = "m",
                           .assignments = {{.member_id = "m", .assignment = bytes("03")}}};
  expect_body(request, 0, "0001'g' 00000001 0001'm' 00000001 0001'm' 00000001 03");
  expect_body(request, 3, "0001'g' 00000001 0001'm' ffff 00000001 0001'm' 00000001 03");
  request.protocol_type = "consumer";
  request.protocol_name = "range";
  expect_body(request, 5, "02'g' 00000001 02'm' 00 09'consumer' 06'range' 02 02'm' 02 03 00 00");

  SyncGroupResponse response{.error_code = ErrorCode::kRebalanceInProgress, .assignment = bytes("03")};
  expect_body(response, 0, "001b 00000001 03");
  expect_body(response, 1, "00000000 001b 00000001 03");
  response.protocol_type = "consumer";
  expect_body(response, 5, "00000000 001b 09'consumer' 00 02 03 00");
}

TEST(GoldenGroups, Heartbeat) {
  HeartbeatRequest request{.group_id = "g", .generation_id = GenerationId(1), .member_id = "m"};
  expect_body(request, 0, "0001'g' 00000001 0001'm'");
  request.group_instance_id = "i";
  expect_body(request, 3, "0001'g' 00000001 0001'm' 0001'i'");
  expect_body(request, 4, "02'g' 00000001 02'm' 02'i' 00");
  HeartbeatResponse response{.error_code = ErrorCode::kRebalanceInProgress};
  expect_body(response, 0, "001b");
  response.throttle_time_ms = 5;
  expect_body(response, 1, "00000005 001b");
  expect_body(response, 4, "00000005 001b 00");
}

TEST(GoldenGroups, LeaveGroup) {
  LeaveGroupRequest request{.group_id = "g", .members = {{.member_id = "m"}}};
  expect_body(request, 2, "0001'g' 0001'm'");
  request.members[0].group_instance_id = "i";
  request.members.push_back({.member_id = "n"});
  expect_body(request, 3, "0001'g' 00000002 0001'm' 0001'i' 0001'n' ffff");
  request.members[0].reason = "why";
  expect_body(request, 5, "02'g' 03 02'm' 02'i' 04'why' 00 02'n' 00 00 00 00");

  expect_body(LeaveGroupResponse{.error_code = ErrorCode::kUnknownMemberId}, 0, "0019");
  LeaveGroupResponse response{
      .throttle_time_ms = 5,
      .members = {{.member_id = "m", .group_instance_id = "i", .error_code = ErrorCode::kUnknownMemberId}}};
  expect_body(response, 3, "00000005 0000 00000001 0001'm' 0001'i' 0019");
  expect_body(response, 5, "00000005 0000 02 02'm' 02'i' 0019 00 00");
  EXPECT_EQ(first_error(response), ErrorCode::kUnknownMemberId);
  response.error_code = ErrorCode::kNotCoordinator;
  EXPECT_EQ(first_error(response), ErrorCode::kNotCoordinator);
  EXPECT_EQ(first_error(LeaveGroupResponse{}), ErrorCode::kNone);
}

TEST(GoldenGroups, OffsetCommit) {
  OffsetCommitPartition partition{.partition_index = PartitionId(3), .committed_offset = Offset(258)};
  OffsetCommitRequest request{.group_id = "g",
                              .generation_id_or_member_epoch = GenerationId(1),
                              .member_id = "m",
                              .topics = {{.name = "t", .partitions = {partition}}}};
  expect_body(request, 2,
              "0001'g' 00000001 0001'm' ffffffffffffffff 00000001 0001't' 00000001 00000003 0000000000000102 ffff");
  request.topics[0].partitions[0].committed_leader_epoch = LeaderEpoch(2);
  request.group_instance_id = "i";
  expect_body(request, 7,
              "0001'g' 00000001 0001'm' 0001'i' 00000001 0001't' 00000001 00000003 0000000000000102 00000002 ffff");
  expect_body(request, 9, "02'g' 00000001 02'm' 02'i' 02 02't' 02 00000003 0000000000000102 00000002 00 00 00 00");

  OffsetCommitPartitionResult refused{.partition_index = PartitionId(3), .error_code = ErrorCode::kIllegalGeneration};
  OffsetCommitResponse response{.topics = {{.name = "t", .partitions = {refused}}}};
  expect_body(response, 2, "00000001 0001't' 00000001 00000003 0016");
  expect_body(response, 9, "00000000 02 02't' 02 00000003 0016 00 00 00");
}

TEST(GoldenGroups, OffsetFetchOfOneGroupAndOfMany) {
  OffsetFetchGroup some{.group_id = "g",
                        .topics = {{{.name = "t", .partition_indexes = {PartitionId(3), PartitionId(4)}}}}};
  OffsetFetchGroup all{.group_id = "h", .topics = std::nullopt};
  expect_body(OffsetFetchRequest{.groups = {some}}, 1, "0001'g' 00000001 0001't' 00000002 00000003 00000004");
  expect_body(OffsetFetchRequest{.groups = {all}}, 2, "0001'h' ffffffff");
  expect_body(OffsetFetchRequest{.groups = {some}, .require_stable = true}, 7,
              "02'g' 02 02't' 03 00000003 00000004 00 01 00");
  expect_body(OffsetFetchRequest{.groups = {some, all}, .require_stable = true}, 8,
              "03 02'g' 02 02't' 03 00000003 00000004 00 00 02'h' 00 00 01 00");
  some.member_id = "m";
  some.member_epoch = 1;
  expect_body(OffsetFetchRequest{.groups = {some, all}}, 9,
              "03 02'g' 02'm' 00000001 02 02't' 03 00000003 00000004 00 00 02'h' 00 ffffffff 00 00 00 00");
}

TEST(GoldenGroups, NullTopicsAreRefusedInOffsetFetchV1) {
  EXPECT_TRUE(absl::IsInvalidArgument(decode<OffsetFetchRequest>(bytes("0001'h' ffffffff"), 1).status()));
}

TEST(GoldenGroups, AnswersToOffsetFetch) {
  OffsetFetchPartitionResult partition{
      .partition_index = PartitionId(3), .committed_offset = Offset(258), .metadata = ""};
  OffsetFetchResponse response{.groups = {{.topics = {{.name = "t", .partitions = {partition}}}}}};
  expect_body(response, 1, "00000001 0001't' 00000001 00000003 0000000000000102 0000 0000");
  response.groups[0].error_code = ErrorCode::kNotCoordinator;
  expect_body(response, 2, "00000001 0001't' 00000001 00000003 0000000000000102 0000 0000 0010");
  response.throttle_time_ms = 5;
  response.groups[0].topics[0].partitions[0].committed_leader_epoch = LeaderEpoch(2);
  expect_body(response, 5, "00000005 00000001 0001't' 00000001 00000003 0000000000000102 00000002 0000 0000 0010");
  expect_body(response, 7, "00000005 02 02't' 02 00000003 0000000000000102 00000002 01 0000 00 00 0010 00");
  response.groups[0].group_id = "g";
  response.groups[0].topics[0].partitions[0].metadata = std::nullopt;
  expect_body(response, 8, "00000005 02 02'g' 02 02't' 02 00000003 0000000000000102 00000002 00 0000 00 00 0010 00 00");
}

TEST(GoldenGroups, OffsetDelete) {
  OffsetDeleteRequest request{.group_id = "g",
                              .topics = {{.name = "t", .partitions = {{.partition_index = PartitionId(3)}}}}};
  expect_body(request, 0, "0001'g' 00000001 0001't' 00000001 00000003");
  OffsetDeletePartitionResult used{.partition_index = PartitionId(3), .error_code = ErrorCode::kGroupSubscribedToTopic};
  OffsetDeleteResponse response{.throttle_time_ms = 5, .topics = {{.name = "t", .partitions = {used}}}};
  expect_body(response, 0, "0000 00000005 00000001 0001't' 00000001 00000003 0056");
}

TEST(GoldenGroups, ListGroups) {
  expect_body(ListGroupsRequest{}, 2, "");
  expect_body(ListGroupsRequest{}, 3, "00");
  expect_body(ListGroupsRequest{.states_filter = {"Stable"}}, 4, "02 07'Stable' 00");
  expect_body(ListGroupsRequest{.types_filter = {"classic"}}, 5, "01 02 08'classic' 00");
  ListGroupsResponse response{.groups = {{.group_id = "g", .protocol_type = "consumer"}}};
  expect_body(response, 0, "0000 00000001 0001'g' 0008'consumer'");
  expect_body(response, 2, "00000000 0000 00000001 0001'g' 0008'consumer'");
  response.groups[0].group_state = "Stable";
  response.groups[0].group_type = "classic";
  expect_body(response, 5, "00000000 0000 02 02'g' 09'consumer' 07'Stable' 08'classic' 00 00");
}

TEST(GoldenGroups, DescribeGroups) {
  DescribeGroupsRequest request{.groups = {"g"}};
  expect_body(request, 2, "00000001 0001'g'");
  request.include_authorized_operations = true;
  expect_body(request, 4, "00000001 0001'g' 01");
  expect_body(request, 6, "02 02'g' 01 00");

  DescribedGroupMember member{.member_id = "m",
                              .client_id = "c",
                              .client_host = "/h",
                              .member_metadata = bytes("0102"),
                              .member_assignment = bytes("03")};
  DescribedGroup group{.group_id = "g",
                       .group_state = "Stable",
                       .protocol_type = "consumer",
                       .protocol_data = "range",
                       .members = {member}};
  expect_body(DescribeGroupsResponse{.groups = {group}}, 0,
              "00000001 0000 0001'g' 0006'Stable' 0008'consumer' 0005'range'"
              "00000001 0001'm' 0001'c' 0002'/h' 00000002 0102 00000001 03");
  group.members[0].group_instance_id = "i";
  expect_body(DescribeGroupsResponse{.groups = {group}}, 5,
              "00000000 02 0000 02'g' 07'Stable' 09'consumer' 06'range'"
              "02 02'm' 02'i' 02'c' 03'/h' 03 0102 02 03 00 80000000 00 00");
  DescribedGroup unknown{.error_code = ErrorCode::kGroupIdNotFound,
                         .error_message = "no",
                         .group_id = "g",
                         .group_state = "Dead",
                         .authorized_operations = 8};
  expect_body(DescribeGroupsResponse{.groups = {unknown}}, 6,
              "00000000 02 0045 03'no' 02'g' 05'Dead' 01 01 01 00000008 00 00");
}

TEST(GoldenGroups, DeleteGroups) {
  expect_body(DeleteGroupsRequest{.groups_names = {"g"}}, 1, "00000001 0001'g'");
  expect_body(DeleteGroupsRequest{.groups_names = {"g"}}, 2, "02 02'g' 00");
  DeleteGroupsResponse response{.results = {{.group_id = "g", .error_code = ErrorCode::kNonEmptyGroup}}};
  expect_body(response, 0, "00000000 00000001 0001'g' 0044");
  expect_body(response, 2, "00000000 02 02'g' 0044 00 00");
}

TEST(GoldenGroups, HeadersAreFlexibleWhereTheBodiesAre) {
  expect_request(header(ApiKey::kFindCoordinator, 2, 4, "c"), FindCoordinatorRequest{.coordinator_keys = {"g"}},
                 bytes("000a 0002 00000004 0001'c' 0001'g' 00"));
  expect_request(header(ApiKey::kFindCoordinator, 3, 4, "c"), FindCoordinatorRequest{.coordinator_keys = {"g"}},
                 bytes("000a 0003 00000004 0001'c' 00 02'g' 00 00"));
  expect_response(CorrelationId(4), HeartbeatResponse{}, 3, bytes("00000004 00000000 0000"));
  expect_response(CorrelationId(4), HeartbeatResponse{}, 4, bytes("00000004 00 00000000 0000 00"));
  expect_response(CorrelationId(4), OffsetDeleteResponse{}, 0, bytes("00000004 0000 00000000 00000000"));
}

}  // namespace
}  // namespace chronik::protocol
