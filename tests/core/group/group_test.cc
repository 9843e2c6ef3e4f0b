// A consumer group, call by call.
#include "core/group/group.h"

#include <gtest/gtest.h>

#include <map>

namespace chronik::group::group_test {
namespace {

using protocol::ErrorCode;

// A group, its clock, and what was answered to whom.
struct GroupTest : ::testing::Test {
  JoinCall call_of(const std::string& id, const std::string& fresh = "") {
    JoinCall call;
    call.member_id = id;
    call.new_member_id = fresh.empty() ? id : fresh;
    call.client_id = "client";
    call.session_timeout = Duration::seconds(10);
    call.rebalance_timeout = Duration::seconds(60);
    call.protocol_type = "consumer";
    call.protocols = {{"range", "all"}};
    return call;
  }
  Ticket join(const JoinCall& call) {
    Effects effects;
    group.join(call, ++ticket, now, effects);
    take(effects);
    return ticket;
  }
  // A member that has no id yet, and gets this one.
  Ticket join_new(const std::string& fresh) { return join(call_of("", fresh)); }
  Ticket sync(const std::string& id, std::vector<std::pair<std::string, Bytes>> assignments = {}) {
    Effects effects;
    group.sync({.member_id = id,
                .instance_id = std::nullopt,
                .generation = group.generation(),
                .protocol_type = std::nullopt,
                .protocol = std::nullopt,
                .assignments = std::move(assignments)},
               ++ticket, now, effects);
    take(effects);
    return ticket;
  }
  ErrorCode heartbeat(const std::string& id) { return group.heartbeat(id, std::nullopt, group.generation(), now); }
  ErrorCode leave(const std::string& id, std::optional<std::string> instance = std::nullopt) {
    Effects effects;
    const ErrorCode error = group.leave(id, instance, now, effects);
    take(effects);
    return error;
  }
  void pass(Duration time) {
    now = now + time;
    Effects effects;
    group.pass(now, effects);
    take(effects);
  }
  void take(Effects& effects) {
    for (auto& [number, answer] : effects.joined) {
      EXPECT_TRUE(joined.emplace(number, answer).second) << "answered twice";
    }
    for (auto& [number, answer] : effects.synced) {
      EXPECT_TRUE(synced.emplace(number, answer).second) << "answered twice";
    }
    if (effects.record) {
      ++records;
      recording = group.generation();
    }
  }
  void recorded() {
    Effects effects;
    group.recorded(recording, now, effects);
    take(effects);
  }
  ErrorCode join_error(Ticket number) { return joined.contains(number) ? joined[number].error : ErrorCode::kNone; }
  // A stable group of "a", its leader, and "b", in generation 1.
  void form() {
    join_new("a");
    join_new("b");
    pass(Duration::seconds(3));
    pass(Duration::seconds(3));
    sync("b");
    sync("a", {{"a", "1"}, {"b", "2"}});
    recorded();
    ASSERT_EQ(group.state(), State::kStable);
    ASSERT_EQ(group.generation(), 1);
  }

  Settings settings;
  MonotonicTime now = MonotonicTime::from_nanoseconds(1'000'000'000);
  Group group{"g", settings};
  Ticket ticket = 0;
  std::map<Ticket, JoinAnswer> joined;
  std::map<Ticket, SyncAnswer> synced;
  int records = 0;
  std::int32_t recording = -1;
};

TEST_F(GroupTest, TheFirstRebalanceWaitsForMoreMembersAndAgainWhereSomeCame) {
  const Ticket a = join_new("a");
  EXPECT_EQ(group.next_deadline(), now + settings.initial_delay);
  pass(Duration::seconds(2));
  const Ticket b = join_new("b");
  pass(Duration::seconds(1));
  EXPECT_TRUE(joined.empty());
  pass(Duration::seconds(3));
  ASSERT_TRUE(joined.contains(a) && joined.contains(b));
  EXPECT_EQ(joined[a].generation, 1);
  EXPECT_EQ(joined[a].leader, "a");
  EXPECT_EQ(joined[a].members.size(), 2u);
  EXPECT_EQ(joined[b].leader, "a");
  EXPECT_TRUE(joined[b].members.empty());
  EXPECT_EQ(joined[b].protocol, "range");
}

TEST_F(GroupTest, AnAssignmentIsAnsweredOnceItIsRecorded) {
  join_new("a");
  pass(Duration::seconds(3));
  const Ticket a = sync("a", {{"a", "everything"}});
  EXPECT_EQ(records, 1);
  EXPECT_FALSE(synced.contains(a));
  EXPECT_EQ(group.state(), State::kCompletingRebalance);
  recorded();
  ASSERT_TRUE(synced.contains(a));
  EXPECT_EQ(synced[a].assignment, "everything");
  // Asked again, by a client that did not hear it.
  EXPECT_EQ(synced[sync("a")].assignment, "everything");
}

TEST_F(GroupTest, AnAssignmentThatCannotBeRecordedIsRefusedAndTheGroupRebalances) {
  join_new("a");
  pass(Duration::seconds(3));
  const Ticket a = sync("a", {{"a", "everything"}});
  Effects effects;
  group.not_recorded(recording, ErrorCode::kCoordinatorNotAvailable, now, effects);
  take(effects);
  EXPECT_EQ(synced[a].error, ErrorCode::kCoordinatorNotAvailable);
  EXPECT_EQ(group.state(), State::kPreparingRebalance);
}

TEST_F(GroupTest, AnAssignmentRecordedTooLateIsNotTaken) {
  form();
  const std::int32_t old = recording;
  leave("b");
  join(call_of("a"));
  sync("a", {{"a", "new"}});
  Effects effects;
  group.recorded(old, now, effects);
  EXPECT_TRUE(effects.synced.empty());
  EXPECT_EQ(group.state(), State::kCompletingRebalance);
}

TEST_F(GroupTest, AClientThatKnowsThemIsGivenItsIdFirst) {
  JoinCall call = call_of("", "fresh");
  call.must_know_its_id = true;
  const Ticket asked = join(call);
  EXPECT_EQ(joined[asked].error, ErrorCode::kMemberIdRequired);
  EXPECT_EQ(joined[asked].member_id, "fresh");
  EXPECT_TRUE(group.members().empty());
  call.member_id = "fresh";
  const Ticket again = join(call);
  pass(Duration::seconds(3));
  EXPECT_EQ(joined[again].generation, 1);
}

TEST_F(GroupTest, AnIdThatNobodyComesWithIsForgotten) {
  JoinCall call = call_of("", "fresh");
  call.must_know_its_id = true;
  join(call);
  EXPECT_FALSE(group.idle());
  pass(Duration::seconds(10));
  EXPECT_TRUE(group.idle());
  call.member_id = "fresh";
  EXPECT_EQ(joined[join(call)].error, ErrorCode::kUnknownMemberId);
}

TEST_F(GroupTest, WhoIsNotHeardIsRemovedAndTheOthersRebalance) {
  form();
  pass(Duration::seconds(6));
  EXPECT_EQ(heartbeat("a"), ErrorCode::kNone);
  pass(Duration::seconds(5));
  EXPECT_EQ(group.state(), State::kPreparingRebalance);
  EXPECT_EQ(heartbeat("a"), ErrorCode::kRebalanceInProgress);
  EXPECT_EQ(heartbeat("b"), ErrorCode::kUnknownMemberId);
  const Ticket a = join(call_of("a"));
  EXPECT_EQ(joined[a].generation, 2);
  EXPECT_EQ(joined[a].members.size(), 1u);
}

TEST_F(GroupTest, WhoWaitsForAnAnswerIsNotExpectedToSpeak) {
  form();
  join_new("c");
  for (int i = 0; i < 5; ++i) {
    pass(Duration::seconds(6));
    heartbeat("a");
    heartbeat("b");
  }
  EXPECT_TRUE(group.members().contains("c"));
}

TEST_F(GroupTest, WhoDoesNotJoinInTimeIsOut) {
  form();
  const Ticket c = join_new("c");
  const Ticket a = join(call_of("a"));
  for (int i = 0; i < 12; ++i) {
    pass(Duration::seconds(5));
    heartbeat("b");
  }
  ASSERT_TRUE(joined.contains(c) && joined.contains(a));
  EXPECT_EQ(joined[a].generation, 2);
  EXPECT_FALSE(group.members().contains("b"));
  EXPECT_EQ(joined[a].members.size(), 2u);
}

TEST_F(GroupTest, WhoNeverAsksForItsAssignmentIsOut) {
  join_new("a");
  join_new("b");
  pass(Duration::seconds(3));
  pass(Duration::seconds(3));
  sync("a", {{"a", "1"}});
  recorded();
  for (int i = 0; i < 12; ++i) {
    heartbeat("a");
    heartbeat("b");
    pass(Duration::seconds(5));
  }
  EXPECT_FALSE(group.members().contains("b"));
  EXPECT_EQ(group.state(), State::kPreparingRebalance);
}

TEST_F(GroupTest, TheLastOneToLeaveEmptiesItForGood) {
  form();
  const int before = records;
  EXPECT_EQ(leave("a"), ErrorCode::kNone);
  EXPECT_EQ(leave("b"), ErrorCode::kNone);
  EXPECT_EQ(leave("b"), ErrorCode::kUnknownMemberId);
  EXPECT_EQ(group.state(), State::kEmpty);
  EXPECT_EQ(group.generation(), 2);
  EXPECT_EQ(records, before + 1);
  EXPECT_EQ(group.next_deadline(), MonotonicTime::never());
}

TEST_F(GroupTest, GenerationsThatAreOverMayNotSyncCommitOrBeat) {
  form();
  Effects effects;
  group.sync(
      {.member_id = "a", .instance_id = {}, .generation = 0, .protocol_type = {}, .protocol = {}, .assignments = {}},
      ++ticket, now, effects);
  take(effects);
  EXPECT_EQ(synced[ticket].error, ErrorCode::kIllegalGeneration);
  EXPECT_EQ(group.heartbeat("a", std::nullopt, 0, now), ErrorCode::kIllegalGeneration);
  EXPECT_EQ(group.check_commit("a", std::nullopt, 0, now), ErrorCode::kIllegalGeneration);
  EXPECT_EQ(group.check_commit("a", std::nullopt, 1, now), ErrorCode::kNone);
  EXPECT_EQ(group.check_commit("x", std::nullopt, 1, now), ErrorCode::kUnknownMemberId);
  EXPECT_EQ(group.check_commit("", std::nullopt, -1, now), ErrorCode::kUnknownMemberId);
}

TEST_F(GroupTest, NobodyCommitsBeforeItKnowsWhatItOwns) {
  form();
  leave("b");
  EXPECT_EQ(group.check_commit("a", std::nullopt, 1, now), ErrorCode::kNone);  // of the generation that ends
  join(call_of("a"));
  EXPECT_EQ(group.check_commit("a", std::nullopt, 2, now), ErrorCode::kRebalanceInProgress);
}

TEST_F(GroupTest, MembersMustHaveAProtocolInCommon) {
  join_new("a");
  JoinCall other = call_of("", "b");
  other.protocols = {{"sticky", ""}};
  EXPECT_EQ(join_error(join(other)), ErrorCode::kInconsistentGroupProtocol);
  other.protocols = {{"sticky", ""}, {"range", ""}};
  other.protocol_type = "connect";
  EXPECT_EQ(join_error(join(other)), ErrorCode::kInconsistentGroupProtocol);
  other.protocol_type = "consumer";
  EXPECT_EQ(join_error(join(other)), ErrorCode::kNone);
  JoinCall none = call_of("", "c");
  none.protocols.clear();
  EXPECT_EQ(join_error(join(none)), ErrorCode::kInconsistentGroupProtocol);
}

TEST_F(GroupTest, TheProtocolIsOneThatAllHaveAndMostPrefer) {
  const auto with = [this](const char* id, std::vector<Protocol> protocols) {
    JoinCall call = call_of("", id);
    call.protocols = std::move(protocols);
    join(call);
  };
  with("a", {{"x", ""}, {"y", ""}, {"z", ""}});
  with("b", {{"y", ""}, {"x", ""}});
  with("c", {{"z", ""}, {"y", ""}, {"x", ""}});  // z is not everybody's: y is its first
  pass(Duration::seconds(3));
  pass(Duration::seconds(3));
  EXPECT_EQ(group.protocol(), "y");
}

TEST_F(GroupTest, SessionsOutsideTheBoundsAreRefused) {
  for (const Duration session : {Duration::seconds(5), Duration::seconds(1801)}) {
    JoinCall call = call_of("", "a");
    call.session_timeout = session;
    EXPECT_EQ(join_error(join(call)), ErrorCode::kInvalidSessionTimeout);
  }
  EXPECT_TRUE(group.idle());
}

TEST_F(GroupTest, AnIdThatWasGivenTakesNobodysName) {
  JoinCall first = call_of("", "i-1");
  first.instance_id = "i";
  join(first);
  JoinCall other = call_of("", "fresh");
  other.must_know_its_id = true;
  join(other);
  other.member_id = "fresh";
  other.instance_id = "i";
  EXPECT_EQ(join_error(join(other)), ErrorCode::kUnknownMemberId);
}

TEST_F(GroupTest, InstancesThatAllowNoTimeDoNotStopTheClock) {
  JoinCall first = call_of("", "i-1");
  first.instance_id = "i";
  first.rebalance_timeout = Duration::zero();
  join(first);
  JoinCall second = call_of("", "b");
  second.rebalance_timeout = Duration::zero();
  join(second);
  pass(Duration::zero());
  sync("i-1", {});
  recorded();
  leave("b");
  pass(Duration::zero());
  EXPECT_GT(group.next_deadline(), now);
}

TEST_F(GroupTest, WhoseClientHasGoneIsToBeHeardAgain) {
  form();
  const Ticket c = join_new("c");
  group.abandon(c, now);
  for (int i = 0; i < 2; ++i) {
    pass(Duration::seconds(6));
    heartbeat("a");
    heartbeat("b");
  }
  EXPECT_FALSE(group.members().contains("c"));
}

TEST_F(GroupTest, AConsumerThatAssignsItselfCommitsToAnEmptyGroup) {
  EXPECT_EQ(group.check_commit("", "i", -1, now), ErrorCode::kNone);
  EXPECT_EQ(group.check_commit("x", std::nullopt, -1, now), ErrorCode::kNone);
}

TEST_F(GroupTest, MembersThatSayTooMuchOfThemselvesAreRefused) {
  JoinCall call = call_of("", "a");
  call.protocols.front().metadata = std::string(9 << 20, 'x');
  EXPECT_EQ(join_error(join(call)), ErrorCode::kGroupMaxSizeReached);
  call.protocols.assign(65, {"range", ""});
  EXPECT_EQ(join_error(join(call)), ErrorCode::kInconsistentGroupProtocol);
}

TEST_F(GroupTest, AnInstanceWhoseMetadataHaveChangedComesBackQuietly) {
  JoinCall first = call_of("", "i-1");
  first.instance_id = "i";
  join(first);
  pass(Duration::seconds(3));
  sync("i-1", {{"i-1", "everything"}});
  recorded();
  JoinCall again = call_of("", "i-2");
  again.instance_id = "i";
  again.protocols.front().metadata = "and what I owned";
  EXPECT_EQ(joined[join(again)].generation, 1);
  EXPECT_EQ(group.state(), State::kStable);
}

TEST_F(GroupTest, AFullGroupTakesNobody) {
  settings.size_max = 2;
  form();
  EXPECT_EQ(join_error(join_new("c")), ErrorCode::kGroupMaxSizeReached);
  EXPECT_EQ(group.state(), State::kStable);
}

TEST_F(GroupTest, AnInstanceThatComesBackFencesItselfAndBothersNobody) {
  JoinCall first = call_of("", "i-1");
  first.instance_id = "i";
  join(first);
  pass(Duration::seconds(3));
  sync("i-1", {{"i-1", "everything"}});
  recorded();
  const int before = records;
  JoinCall again = call_of("", "i-2");
  again.instance_id = "i";
  again.knows_skipping = true;
  const JoinAnswer answer = joined[join(again)];
  EXPECT_EQ(answer.error, ErrorCode::kNone);
  EXPECT_EQ(answer.generation, 1);
  EXPECT_TRUE(answer.skip_assignment);
  EXPECT_EQ(records, before + 1);
  EXPECT_EQ(group.state(), State::kStable);
  EXPECT_EQ(group.heartbeat("i-1", "i", 1, now), ErrorCode::kFencedInstanceId);
  EXPECT_EQ(group.heartbeat("i-2", "i", 1, now), ErrorCode::kNone);
  EXPECT_EQ(synced[sync("i-2")].assignment, "everything");
  EXPECT_EQ(leave("", "i"), ErrorCode::kNone);
  EXPECT_EQ(group.state(), State::kEmpty);
}

TEST_F(GroupTest, AnInstanceThatLedAndKnowsNoSkippingIsToldThatItWasAnother) {
  JoinCall first = call_of("", "i-1");
  first.instance_id = "i";
  join(first);
  pass(Duration::seconds(3));
  sync("i-1", {{"i-1", "everything"}});
  recorded();
  JoinCall again = call_of("", "i-2");
  again.instance_id = "i";
  const JoinAnswer answer = joined[join(again)];
  EXPECT_EQ(answer.error, ErrorCode::kNone);
  EXPECT_EQ(answer.leader, "i-1") << "it would assign, and the others would not hear of it";
  EXPECT_TRUE(answer.members.empty());
}

TEST_F(GroupTest, AGroupIsRestoredWithItsMembersAssignmentsAndSessions) {
  form();
  Group::Recorded recorded{
      .protocol_type = "consumer", .generation = 1, .protocol = "range", .leader = "a", .members = {}};
  for (const auto& [id, member] : group.members()) {
    recorded.members.push_back(member);
  }
  Group other("g", settings);
  other.restore(recorded, now);
  EXPECT_EQ(other.state(), State::kStable);
  EXPECT_EQ(other.heartbeat("b", std::nullopt, 1, now), ErrorCode::kNone);
  Effects effects;
  other.sync(
      {.member_id = "b", .instance_id = {}, .generation = 1, .protocol_type = {}, .protocol = {}, .assignments = {}}, 1,
      now, effects);
  ASSERT_EQ(effects.synced.size(), 1u);
  EXPECT_EQ(effects.synced.front().second.assignment, "2");
  EXPECT_EQ(other.next_deadline(), now + Duration::seconds(10));
}

TEST_F(GroupTest, WhereNobodyCouldBeHeardAllHaveTheirTimesAnew) {
  form();
  now = now + Duration::seconds(100);
  group.begin_times_anew(now);
  EXPECT_EQ(group.next_deadline(), now + Duration::seconds(10));
  pass(Duration::seconds(9));
  EXPECT_EQ(group.members().size(), 2u);
  pass(Duration::seconds(1));
  EXPECT_TRUE(group.members().empty());
}

TEST_F(GroupTest, ARebalanceDuringWhichNobodyCouldBeHeardWaitsAsLongAgain) {
  form();
  join_new("c");
  join(call_of("a"));
  now = now + Duration::seconds(100);
  group.begin_times_anew(now);
  heartbeat("b");
  pass(Duration::seconds(9));
  ASSERT_EQ(group.state(), State::kPreparingRebalance);
  join(call_of("b"));
  EXPECT_EQ(group.members().size(), 3u);
  ASSERT_EQ(group.state(), State::kCompletingRebalance);
  now = now + Duration::seconds(100);
  group.begin_times_anew(now);
  pass(Duration::seconds(9));
  EXPECT_EQ(group.state(), State::kCompletingRebalance) << "all may still ask what they own";
}

TEST_F(GroupTest, AnIdThatWasGivenWhereNobodyCouldBeHeardIsGoodForAWhile) {
  JoinCall call = call_of("", "a");
  call.must_know_its_id = true;
  ASSERT_EQ(join_error(join(call)), ErrorCode::kMemberIdRequired);
  now = now + Duration::seconds(100);
  group.begin_times_anew(now);
  pass(Duration::seconds(1));
  call.member_id = "a";
  EXPECT_EQ(join_error(join(call)), ErrorCode::kNone);
  EXPECT_EQ(group.members().size(), 1u);
}

TEST_F(GroupTest, WhoWaitsIsToldThatTheGroupIsElsewhere) {
  form();
  const Ticket c = join_new("c");
  Effects effects;
  group.give_up(ErrorCode::kNotCoordinator, effects);
  take(effects);
  EXPECT_EQ(joined[c].error, ErrorCode::kNotCoordinator);
}

}  // namespace
}  // namespace chronik::group::group_test
