// Groups and their offsets as a replicated state machine: what is recorded, what waits for it, what a replay gives.
#include "core/group/coordinator.h"

#include <gtest/gtest.h>

#include <memory>

#include "core/group/groups.h"

namespace chronik::group::coordinator_test {
namespace {

using protocol::ErrorCode;

const PartitionName kP0{"t", PartitionId(0)};
const PartitionName kP1{"t", PartitionId(1)};

bool none_is_gone(const std::string& /*topic*/, const Uuid& /*id*/) { return false; }

// A coordinator, and the log that it writes.
struct CoordinatorTest : ::testing::Test {
  CommitCall commit_of(std::int64_t offset, const PartitionName& partition = kP0) const {
    OffsetValue value;
    value.offset = Offset(offset);
    value.metadata = "m";
    value.commit_timestamp_ms = now.wall.milliseconds();
    return {.group = "g", .member_id = "", .instance_id = {}, .generation = -1, .offsets = {{partition, value}}};
  }
  // Appends what is to be recorded; its commit waits to be told.
  CommitId append(const Outcome& outcome) {
    for (const KeyAndValue& record : outcome.records) {
      log.push_back(record);
    }
    return outcome.commit;
  }
  void commit(std::int64_t offset, const PartitionName& partition = kP0) {
    std::vector<ErrorCode> errors;
    const CommitId id = append(coordinator.commit_offsets(commit_of(offset, partition), now, errors));
    ASSERT_EQ(errors, std::vector<ErrorCode>{ErrorCode::kNone});
    coordinator.committed(id, now);
  }
  std::int64_t offset_of(const Coordinator& of, const PartitionName& partition = kP0) {
    const OffsetValue* value = of.committed_offset("g", partition);
    return value == nullptr ? -1 : value->offset.value();
  }
  Coordinator replayed() {
    Coordinator other(settings, offsets);
    for (const KeyAndValue& record : log) {
      EXPECT_TRUE(other
                      .replay(record.key.bytes(),
                              record.value.has_value() ? std::optional(record.value->bytes()) : std::nullopt, now)
                      .ok());
    }
    return other;
  }
  void pass(Duration time) {
    now = {now.time + time, WallTime::from_milliseconds(now.wall.milliseconds() + time.milliseconds())};
  }
  // A stable group "g" of one member "a" in generation 1.
  void form() {
    JoinCall call;
    call.new_member_id = "a";
    call.session_timeout = Duration::seconds(10);
    call.rebalance_timeout = Duration::seconds(60);
    call.protocol_type = "consumer";
    call.protocols = {{"range", Bytes("\0\0\0\0\0\1\0\1t\0\0\0\0", 13)}};
    coordinator.join("g", call, 1, now);
    pass(Duration::seconds(3));
    ASSERT_EQ(coordinator.next_deadline(), now.time);
    ASSERT_EQ(coordinator.pass(now).joined.size(), 1u);
    const Outcome synced = coordinator.sync("g",
                                            {.member_id = "a",
                                             .instance_id = {},
                                             .generation = 1,
                                             .protocol_type = {},
                                             .protocol = {},
                                             .assignments = {{"a", "mine"}}},
                                            2, now);
    ASSERT_TRUE(synced.synced.empty());
    ASSERT_EQ(coordinator.committed(append(synced), now).synced.size(), 1u);
  }

  Settings settings;
  OffsetsSettings offsets;
  Moment now{MonotonicTime::from_nanoseconds(5'000'000'000), WallTime::from_milliseconds(1'700'000'000'000)};
  Coordinator coordinator{settings, offsets};
  std::vector<KeyAndValue> log;
};

TEST_F(CoordinatorTest, AnOffsetIsToldOnceItsCommitIsDurable) {
  std::vector<ErrorCode> errors;
  const CommitId first = append(coordinator.commit_offsets(commit_of(5), now, errors));
  const CommitId second = append(coordinator.commit_offsets(commit_of(9), now, errors));
  EXPECT_EQ(offset_of(coordinator), -1);
  coordinator.committed(first, now);
  EXPECT_EQ(offset_of(coordinator), 5);
  coordinator.failed(second, ErrorCode::kNotCoordinator, now);
  EXPECT_EQ(offset_of(coordinator), 5);
}

TEST_F(CoordinatorTest, AReplayGivesTheSameGroupsAndOffsets) {
  form();
  CommitCall call = commit_of(7);
  call.member_id = "a";
  call.generation = 1;
  std::vector<ErrorCode> errors;
  coordinator.committed(append(coordinator.commit_offsets(call, now, errors)), now);
  Coordinator other = replayed();
  EXPECT_EQ(offset_of(other), 7);
  ASSERT_NE(other.find("g"), nullptr);
  EXPECT_EQ(other.find("g")->state(), State::kStable);
  EXPECT_EQ(other.find("g")->generation(), 1);
  EXPECT_EQ(other.find("g")->members().at("a").assignment, "mine");
  EXPECT_EQ(other.heartbeat("g", "a", std::nullopt, 1, now), ErrorCode::kNone);
}

TEST_F(CoordinatorTest, OnlyMembersCommitToAGroupThatHasSome) {
  form();
  std::vector<ErrorCode> errors;
  EXPECT_EQ(coordinator.commit_offsets(commit_of(7), now, errors).commit, 0u);
  EXPECT_EQ(errors, std::vector<ErrorCode>{ErrorCode::kUnknownMemberId});
  CommitCall unknown = commit_of(7);
  unknown.group = "other";
  unknown.generation = 3;
  errors.clear();
  EXPECT_EQ(coordinator.commit_offsets(unknown, now, errors).commit, 0u);
  EXPECT_EQ(errors, std::vector<ErrorCode>{ErrorCode::kIllegalGeneration});
  EXPECT_EQ(coordinator.find("other"), nullptr);
}

TEST_F(CoordinatorTest, TooMuchTextIsRefusedForItsPartitionAlone) {
  CommitCall call = commit_of(7);
  call.offsets.push_back(call.offsets.front());
  call.offsets.back().first = kP1;
  call.offsets.back().second.metadata = std::string(offsets.metadata_max + 1, 'x');
  std::vector<ErrorCode> errors;
  coordinator.committed(append(coordinator.commit_offsets(call, now, errors)), now);
  EXPECT_EQ(errors, (std::vector<ErrorCode>{ErrorCode::kNone, ErrorCode::kOffsetMetadataTooLarge}));
  EXPECT_EQ(offset_of(coordinator), 7);
  EXPECT_EQ(offset_of(coordinator, kP1), -1);
}

TEST_F(CoordinatorTest, AGroupIsDeletedWithItsOffsetsOnceNobodyIsInIt) {
  form();
  ErrorCode error = ErrorCode::kNone;
  coordinator.delete_group("g", error);
  EXPECT_EQ(error, ErrorCode::kNonEmptyGroup);
  coordinator.delete_group("nobody", error);
  EXPECT_EQ(error, ErrorCode::kGroupIdNotFound);
  std::vector<ErrorCode> errors;
  coordinator.committed(append(coordinator.leave("g", {{.member_id = "a", .instance_id = {}}}, now, errors)), now);
  commit(7);
  const CommitId deleted = append(coordinator.delete_group("g", error));
  EXPECT_EQ(error, ErrorCode::kNone);
  EXPECT_EQ(offset_of(coordinator), 7);
  coordinator.committed(deleted, now);
  EXPECT_EQ(coordinator.find("g"), nullptr);
  EXPECT_TRUE(replayed().groups().empty());
}

TEST_F(CoordinatorTest, OffsetsOfASubscribedTopicStay) {
  form();
  CommitCall call = commit_of(7);
  call.member_id = "a";
  call.generation = 1;
  std::vector<ErrorCode> errors;
  coordinator.committed(append(coordinator.commit_offsets(call, now, errors)), now);
  errors.clear();
  EXPECT_EQ(coordinator.delete_offsets("g", {kP0}, errors).commit, 0u);
  EXPECT_EQ(errors, std::vector<ErrorCode>{ErrorCode::kGroupSubscribedToTopic});
  errors.clear();
  coordinator.committed(append(coordinator.leave("g", {{.member_id = "a", .instance_id = {}}}, now, errors)), now);
  errors.clear();
  coordinator.committed(append(coordinator.delete_offsets("g", {kP0}, errors)), now);
  EXPECT_EQ(errors, std::vector<ErrorCode>{ErrorCode::kNone});
  EXPECT_EQ(offset_of(coordinator), -1);
}

TEST_F(CoordinatorTest, OffsetsOfATopicThatIsGoneGoWithIt) {
  commit(7);
  std::vector<ErrorCode> errors;
  const CommitId on_its_way = append(coordinator.commit_offsets(commit_of(9, kP1), now, errors));
  commit(3, {"other", PartitionId(0)});
  const std::vector<Outcome> forgotten = coordinator.forget_topic("t");
  ASSERT_EQ(forgotten.size(), 1u);
  const CommitId gone = append(forgotten.front());
  coordinator.committed(on_its_way, now);
  coordinator.committed(gone, now);
  EXPECT_EQ(offset_of(coordinator), -1);
  EXPECT_EQ(offset_of(coordinator, kP1), -1);
  EXPECT_EQ(offset_of(coordinator, {"other", PartitionId(0)}), 3);
  Coordinator other = replayed();
  EXPECT_EQ(other.committed_offsets("g").size(), 1u);
  EXPECT_TRUE(coordinator.forget_topic("t").empty());
}

TEST_F(CoordinatorTest, OffsetsGrowOldOnlyWhileNobodyIsInTheGroup) {
  form();
  CommitCall call = commit_of(7);
  call.member_id = "a";
  call.generation = 1;
  std::vector<ErrorCode> errors;
  coordinator.committed(append(coordinator.commit_offsets(call, now, errors)), now);
  for (int i = 0; i < 8; ++i) {
    pass(Duration::seconds(24 * 3600));
    EXPECT_EQ(coordinator.expire_offsets(now, none_is_gone).commit, 0u);
  }
  errors.clear();
  coordinator.committed(append(coordinator.leave("g", {{.member_id = "a", .instance_id = {}}}, now, errors)), now);
  pass(Duration::seconds(6 * 24 * 3600));
  EXPECT_EQ(coordinator.expire_offsets(now, none_is_gone).commit, 0u);
  pass(Duration::seconds(24 * 3600));
  coordinator.committed(append(coordinator.expire_offsets(now, none_is_gone)), now);
  EXPECT_EQ(coordinator.find("g"), nullptr);
  EXPECT_EQ(coordinator.expire_offsets(now, none_is_gone).commit, 0u);
  EXPECT_TRUE(replayed().groups().empty());
}

TEST_F(CoordinatorTest, WhatALivingGroupDoesNotReadAnyMoreGrowsOld) {
  form();
  CommitCall call = commit_of(7);
  call.member_id = "a";
  call.generation = 1;
  call.offsets.push_back({{"other", PartitionId(0)}, call.offsets[0].second});
  std::vector<ErrorCode> errors;
  coordinator.committed(append(coordinator.commit_offsets(call, now, errors)), now);
  pass(Duration::seconds(7 * 24 * 3600 - 1));
  EXPECT_EQ(coordinator.expire_offsets(now, none_is_gone).commit, 0u);
  pass(Duration::seconds(1));
  coordinator.committed(append(coordinator.expire_offsets(now, none_is_gone)), now);
  EXPECT_EQ(offset_of(coordinator, {"other", PartitionId(0)}), -1);
  EXPECT_EQ(offset_of(coordinator), 7);
  EXPECT_EQ(coordinator.find("g")->members().size(), 1u);
  EXPECT_EQ(replayed().committed_offsets("g").size(), 1u);
}

TEST_F(CoordinatorTest, ASweepFindsOffsetsOfTopicsThatAreGone) {
  form();
  const Uuid before = Uuid::from_random(1, 1);
  const Uuid after = Uuid::from_random(2, 2);
  CommitCall call = commit_of(7);
  call.member_id = "a";
  call.generation = 1;
  call.offsets[0].second.topic_id = before;
  call.offsets.push_back({kP1, call.offsets[0].second});
  call.offsets[1].second.topic_id = after;
  std::vector<ErrorCode> errors;
  coordinator.committed(append(coordinator.commit_offsets(call, now, errors)), now);
  const auto made_anew = [&](const std::string& topic, const Uuid& id) { return topic == "t" && id != after; };
  const CommitId swept = append(coordinator.expire_offsets(now, made_anew));
  ASSERT_NE(swept, 0u);
  coordinator.failed(swept, ErrorCode::kCoordinatorNotAvailable, now);
  EXPECT_EQ(offset_of(coordinator), 7);
  EXPECT_EQ(coordinator.expire_offsets(now, made_anew).commit, 0u);  // the end of the first round
  coordinator.committed(append(coordinator.expire_offsets(now, made_anew)), now);
  EXPECT_EQ(offset_of(coordinator), -1);
  EXPECT_EQ(offset_of(coordinator, kP1), 7);
  EXPECT_EQ(coordinator.find("g")->members().size(), 1u);
}

TEST_F(CoordinatorTest, ASweepForGoneTopicsAloneLeavesEmptyGroups) {
  form();
  std::vector<ErrorCode> errors;
  coordinator.committed(append(coordinator.leave("g", {{.member_id = "a", .instance_id = {}}}, now, errors)), now);
  EXPECT_EQ(coordinator.expire_offsets(now, none_is_gone, Coordinator::EmptyGroups::kStay).commit, 0u);
  coordinator.committed(append(coordinator.expire_offsets(now, none_is_gone)), now);
  EXPECT_EQ(coordinator.find("g"), nullptr);
}

TEST_F(CoordinatorTest, ABeatCostsNoLookAtAllMembersAndItsGroupIsStillLookedAtInTime) {
  form();
  pass(Duration::seconds(9));
  const MonotonicTime before = coordinator.next_deadline();
  EXPECT_EQ(coordinator.heartbeat("g", "a", {}, 1, now), ErrorCode::kNone);
  EXPECT_EQ(coordinator.next_deadline(), before);
  pass(Duration::seconds(1));
  EXPECT_EQ(coordinator.pass(now).commit, 0u);
  EXPECT_EQ(coordinator.find("g")->members().size(), 1u);
  EXPECT_EQ(coordinator.next_deadline(), now.time + Duration::seconds(9));
  pass(Duration::seconds(9));
  coordinator.pass(now);
  EXPECT_TRUE(coordinator.find("g")->members().empty());
}

TEST_F(CoordinatorTest, AGroupMayBeDeletedTwiceAtOnce) {
  commit(7);
  ErrorCode error = ErrorCode::kNone;
  const CommitId first = append(coordinator.delete_group("g", error));
  const CommitId second = append(coordinator.delete_group("g", error));
  std::vector<ErrorCode> errors;
  const CommitId third = append(coordinator.commit_offsets(commit_of(9), now, errors));
  coordinator.committed(first, now);
  coordinator.committed(second, now);
  ASSERT_NE(coordinator.find("g"), nullptr);
  coordinator.committed(third, now);
  EXPECT_EQ(offset_of(coordinator), 9);
  EXPECT_EQ(offset_of(*std::make_unique<Coordinator>(replayed())), 9);
}

TEST_F(CoordinatorTest, ADeletedGroupBeginsAnewAsAfterAReplay) {
  form();
  std::vector<ErrorCode> errors;
  coordinator.committed(append(coordinator.leave("g", {{.member_id = "a", .instance_id = {}}}, now, errors)), now);
  ErrorCode error = ErrorCode::kNone;
  const CommitId deleted = append(coordinator.delete_group("g", error));
  errors.clear();
  const CommitId kept = append(coordinator.commit_offsets(commit_of(9), now, errors));
  coordinator.committed(deleted, now);
  coordinator.committed(kept, now);
  Coordinator other = replayed();
  ASSERT_NE(coordinator.find("g"), nullptr);
  ASSERT_NE(other.find("g"), nullptr);
  EXPECT_EQ(coordinator.find("g")->generation(), other.find("g")->generation());
  EXPECT_EQ(coordinator.find("g")->protocol_type(), other.find("g")->protocol_type());
}

TEST_F(CoordinatorTest, OfAPartitionThatIsNamedTwiceTheLastCounts) {
  CommitCall call = commit_of(7);
  call.offsets.push_back(call.offsets.front());
  call.offsets.back().second.offset = Offset(8);
  std::vector<ErrorCode> errors;
  const Outcome outcome = coordinator.commit_offsets(call, now, errors);
  EXPECT_EQ(outcome.records.size(), 1u);
  coordinator.committed(append(outcome), now);
  EXPECT_EQ(offset_of(coordinator), 8);
}

TEST_F(CoordinatorTest, ASweepOfOldOffsetsLooksAtEachGroupOnce) {
  for (const char* name : {"a", "b", "c"}) {
    CommitCall call = commit_of(1);
    call.group = name;
    std::vector<ErrorCode> errors;
    coordinator.committed(append(coordinator.commit_offsets(call, now, errors)), now);
  }
  pass(Duration::seconds(8 * 24 * 3600));
  std::vector<CommitId> commits;
  for (int i = 0; i < 3; ++i) {
    commits.push_back(append(coordinator.expire_offsets(now, none_is_gone)));
    EXPECT_NE(commits.back(), 0u);
  }
  EXPECT_EQ(coordinator.expire_offsets(now, none_is_gone).commit, 0u);
  EXPECT_EQ(coordinator.expire_offsets(now, none_is_gone).commit, 0u) << "what is on its way is not expired again";
  coordinator.failed(commits[0], ErrorCode::kNotEnoughReplicas, now);
  coordinator.committed(commits[1], now);
  coordinator.committed(commits[2], now);
  EXPECT_EQ(coordinator.groups().size(), 1u);
}

TEST_F(CoordinatorTest, OffsetsUnderTheEmptyNameGrowOldAsOthers) {
  CommitCall call = commit_of(1);
  call.group = "";
  std::vector<ErrorCode> errors;
  coordinator.committed(append(coordinator.commit_offsets(call, now, errors)), now);
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(coordinator.expire_offsets(now, none_is_gone).commit, 0u);
  }
  pass(Duration::seconds(8 * 24 * 3600));
  const CommitId expired = append(coordinator.expire_offsets(now, none_is_gone));
  ASSERT_NE(expired, 0u);
  coordinator.committed(expired, now);
  EXPECT_TRUE(coordinator.groups().empty());
}

TEST_F(CoordinatorTest, WhereALoadTookLongerThanASessionNobodyIsThrownOut) {
  form();
  Coordinator other = replayed();
  pass(Duration::seconds(20));
  other.begin_times_anew(now.time);
  EXPECT_EQ(other.next_deadline(), now.time + Duration::seconds(10));
  other.pass(now);
  EXPECT_EQ(other.find("g")->members().size(), 1u);
  pass(Duration::seconds(10));
  other.pass(now);
  EXPECT_TRUE(other.find("g")->members().empty());
}

TEST_F(CoordinatorTest, RetentionGoesByTheTimeThatWasRecorded) {
  form();
  CommitCall call = commit_of(7);
  call.member_id = "a";
  call.generation = 1;
  std::vector<ErrorCode> errors;
  coordinator.committed(append(coordinator.commit_offsets(call, now, errors)), now);
  errors.clear();
  coordinator.committed(append(coordinator.leave("g", {{.member_id = "a", .instance_id = {}}}, now, errors)), now);
  pass(Duration::seconds(6 * 24 * 3600));
  Coordinator other = replayed();  // a fail-over does not begin it anew
  EXPECT_EQ(other.expire_offsets(now, none_is_gone).commit, 0u);
  pass(Duration::seconds(24 * 3600));
  EXPECT_NE(other.expire_offsets(now, none_is_gone).commit, 0u);
}

TEST_F(CoordinatorTest, WhatARefusedCallMadeIsNotKept) {
  JoinCall call;
  call.new_member_id = "a";
  call.session_timeout = Duration::seconds(1);
  EXPECT_EQ(coordinator.join("g", call, 1, now).joined.front().second.error, ErrorCode::kInvalidSessionTimeout);
  EXPECT_EQ(coordinator.find("g"), nullptr);
  EXPECT_EQ(coordinator.next_deadline(), MonotonicTime::never());
}

TEST_F(CoordinatorTest, WhoWaitsForARecordIsToldWhenTheGroupGoesElsewhere) {
  JoinCall call;
  call.new_member_id = "i-1";
  call.instance_id = "i";
  call.session_timeout = Duration::seconds(10);
  call.rebalance_timeout = Duration::seconds(60);
  call.protocol_type = "consumer";
  call.protocols = {{"range", ""}};
  coordinator.join("g", call, 1, now);
  pass(Duration::seconds(3));
  coordinator.pass(now);
  const Outcome synced = coordinator.sync(
      "g",
      {.member_id = "i-1", .instance_id = "i", .generation = 1, .protocol_type = {}, .protocol = {}, .assignments = {}},
      2, now);
  EXPECT_NE(synced.commit, 0u);
  const Outcome told = coordinator.resign(ErrorCode::kNotCoordinator);
  ASSERT_EQ(told.synced.size(), 1u);
  EXPECT_EQ(told.synced.front().second.error, ErrorCode::kNotCoordinator);
}

// Values of java.lang.String.hashCode().
TEST(PartitionOf, IsThatOfKafka) {
  EXPECT_EQ(partition_of("", 50), PartitionId(0));
  EXPECT_EQ(partition_of("a", 50), PartitionId(97 % 50));
  EXPECT_EQ(partition_of("test-group", 50), PartitionId(627'841'412 % 50));
  EXPECT_EQ(partition_of("my-group", 50), PartitionId(12));           // whose hash is negative
  EXPECT_EQ(partition_of("polygenelubricants", 50), PartitionId(0));  // whose hash is the smallest number
  EXPECT_EQ(partition_of("\xc3\xa9", 1000), PartitionId(233));        // é
  EXPECT_EQ(partition_of("\xf0\x9f\x98\x80", 2'000'000'000),
            PartitionId(0xd83d * 31 + 0xde00));  // a pair of surrogates
}

}  // namespace
}  // namespace chronik::group::coordinator_test
