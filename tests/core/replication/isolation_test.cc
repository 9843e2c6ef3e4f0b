// A node that is out of touch with the leader of the metadata: when it supposes that others lead, and what its
// partitions then answer.
#include "core/replication/isolation.h"

#include <gtest/gtest.h>

#include "core/fiber/scope.h"
#include "tests/core/replication/replica_world.h"

namespace chronik::replication {
namespace {

constexpr Duration kPatience = Duration::milliseconds(2500);

struct Counting final : IsolationListener {
  void on_isolated() override { ++times; }
  int times = 0;
};

struct Heard final : OffsetWaiter {
  void on_passed(bool passed) override { answer = passed; }
  std::optional<bool> answer;
};

void pass(Duration time) { ASSERT_TRUE(fiber::sleep(time).ok()); }

void in_a_fiber(const std::function<void()>& body) {
  testing::FiberWorld world;
  bool ended = false;
  world.spawn("test", [&] {
    body();
    ended = true;
  });
  world.run_for(Duration::seconds(60));
  EXPECT_TRUE(ended);
}

TEST(Isolation, BeginsSoLongAfterTouchIsLostAndEndsWithTheLeadersAnswer) {
  in_a_fiber([] {
    Counting told;
    Isolation isolation(kPatience, told);
    EXPECT_TRUE(isolation.in_touch());
    isolation.lose();
    EXPECT_FALSE(isolation.in_touch());
    pass(kPatience - Duration::milliseconds(100));
    EXPECT_FALSE(isolation.holds());
    pass(Duration::milliseconds(200));
    EXPECT_TRUE(isolation.holds());
    EXPECT_EQ(told.times, 1);
    EXPECT_EQ(isolation.gauge().value(), 1);
    isolation.lose();
    isolation.regain();
    EXPECT_FALSE(isolation.holds());
    EXPECT_EQ(isolation.gauge().value(), 0);
    pass(kPatience * 3);
    EXPECT_TRUE(isolation.in_touch()) << "nothing is waited for any more";
    EXPECT_EQ(told.times, 1);
  });
}

TEST(Isolation, AnAnswerInBetweenBeginsTheTimeAnew) {
  in_a_fiber([] {
    Counting told;
    Isolation isolation(kPatience, told);
    for (int i = 0; i < 3; ++i) {
      isolation.lose();
      pass(kPatience - Duration::milliseconds(100));
      isolation.regain();
    }
    EXPECT_EQ(told.times, 0);
  });
}

TEST(Isolation, AnotherLeaderThatDoesNotAnswerDoesNot) {
  in_a_fiber([] {
    Counting told;
    Isolation isolation(kPatience, told);
    for (int i = 0; i < 10; ++i) {
      isolation.lose();
      pass(Duration::seconds(1));
    }
    EXPECT_EQ(told.times, 1);
  });
}

TEST(IsolatedLeader, TellsWhoWaitsForOthersAndTakesNothingThatWould) {
  ReplicaWorld of;
  of.run([&] {
    const Partition::AppendOutcome all = of.append(Acks::kAll);
    Heard by_all;
    of.partition->await(all, Acks::kAll, by_all);
    const Partition::AppendOutcome own = of.append(Acks::kLeader);
    Heard by_leader;
    of.partition->await(own, Acks::kLeader, by_leader);
    of.alone = true;
    EXPECT_FALSE(by_all.answer.has_value());
    of.partition->note_isolated();
    EXPECT_EQ(by_all.answer, false);
    EXPECT_EQ(of.partition->acknowledge(Acks::kAll, false), protocol::ErrorCode::kNotLeaderOrFollower);
    EXPECT_FALSE(by_leader.answer.has_value()) << "acks=1 asks for nobody else";

    const Offset end = of.log->end;
    EXPECT_EQ(of.append(Acks::kAll).error, protocol::ErrorCode::kNotLeaderOrFollower);
    EXPECT_EQ(of.log->end, end) << "refused after it was appended";
    EXPECT_EQ(of.append(Acks::kLeader).error, protocol::ErrorCode::kNone);
    EXPECT_EQ(of.append(Acks::kNone).error, protocol::ErrorCode::kNone);
    of.log->become_durable(of.log->end);
    EXPECT_EQ(by_leader.answer, true);
    EXPECT_TRUE(of.partition->leading()) << "what is committed may still be read";
  });
}

TEST(IsolatedLeader, ServesAgainByTheImageWhenALeaderAnswers) {
  ReplicaWorld of;
  of.run([&] {
    of.alone = true;
    of.partition->note_isolated();
    of.alone = false;
    const Partition::AppendOutcome outcome = of.append(Acks::kAll);
    EXPECT_EQ(outcome.error, protocol::ErrorCode::kNone);
    Heard heard;
    of.partition->await(outcome, Acks::kAll, heard);
    of.hear(2, 11);
    of.hear(3, 11);
    of.log->become_durable(Offset(11));
    EXPECT_EQ(heard.answer, true);
  });
}

TEST(IsolatedLeader, WhomNobodyCanReplaceGoesOn) {
  ReplicaWorld of;
  of.run([&] {
    of.image.min_in_sync = 1;
    of.alter_isr({node(1)});
    of.alone = true;
    const Partition::AppendOutcome outcome = of.append(Acks::kAll);
    EXPECT_EQ(outcome.error, protocol::ErrorCode::kNone);
    Heard heard;
    of.partition->await(outcome, Acks::kAll, heard);
    of.partition->note_isolated();
    of.log->become_durable(Offset(11));
    EXPECT_EQ(heard.answer, true);

    of.image.others_eligible = true;
    of.assume();
    EXPECT_EQ(of.append(Acks::kAll).error, protocol::ErrorCode::kNotLeaderOrFollower)
        << "who is eligible can be elected";
    of.image.others_eligible = false;
    of.assume();
    of.partition->propose_isr({{.node = node(1), .epoch = BrokerEpoch(1)}, {.node = node(2), .epoch = BrokerEpoch(2)}});
    EXPECT_EQ(of.append(Acks::kAll).error, protocol::ErrorCode::kNotLeaderOrFollower)
        << "so can who may be in sync by now";
  });
}

TEST(IsolatedLeader, APartitionWithOneReplicaIsNotAffected) {
  ReplicaWorld of;
  of.image.replicas = of.image.in_sync = {node(1)};
  of.image.min_in_sync = 1;
  of.alone = true;
  of.run([&] {
    const Partition::AppendOutcome outcome = of.append(Acks::kAll);
    EXPECT_EQ(outcome.error, protocol::ErrorCode::kNone);
    Heard heard;
    of.partition->await(outcome, Acks::kAll, heard);
    of.partition->note_isolated();
    of.log->become_durable(Offset(11));
    EXPECT_EQ(heard.answer, true);
  });
}

TEST(IsolatedLeader, EndsTheWaitForTheOthersLogStarts) {
  ReplicaWorld of;
  of.run([&] {
    std::optional<Status> waited;
    fiber::FiberScope scope;
    scope.spawn({"waits", 0}, [&] {
      waited = of.partition->await_log_start(Offset(5), fiber::within(Duration::seconds(30), Expiry::kNormal));
    });
    pass(Duration::seconds(1));
    EXPECT_FALSE(waited.has_value());
    of.alone = true;
    of.partition->note_isolated();
    ASSERT_TRUE(scope.join(fiber::within(Duration::seconds(1), Expiry::kNever)).ok());
    EXPECT_TRUE(absl::IsAborted(*waited)) << *waited;
  });
}

}  // namespace
}  // namespace chronik::replication
