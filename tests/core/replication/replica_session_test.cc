// A follower's session: what counts of what it says, and when its parked requests are answered (rule R9).
#include "core/replication/replica_session.h"

#include <gtest/gtest.h>

#include <functional>
#include <map>

#include "tests/core/replication/replica_world.h"

namespace chronik::replication {
namespace {

class SessionWorld : public ReplicaWorld {
 public:
  SessionWorld() { image.in_sync = {node(1), node(2)}; }
  FetchPosition at(std::int64_t offset, std::int64_t durable, std::int32_t epoch = 1, std::int32_t last = 0) const {
    return {.leader_epoch = LeaderEpoch(epoch),
            .fetch_offset = Offset(offset),
            .last_fetched_epoch = LeaderEpoch(last),
            .durable_end = Offset(durable),
            .log_start = Offset(0),
            .bytes_max = 1000};
  }
  std::uint64_t request(const Ref<ReplicaSession>& session, const std::optional<FetchPosition>& position,
                        bool at_once = false) {
    if (position.has_value()) {
      session->tell(partition, *position);
    }
    return session->begin(at_once);
  }
  // Takes one turn of a request that has entered, without waiting for more than a millisecond.
  static bool has_news(const Ref<ReplicaSession>& session, std::uint64_t number) {
    static_cast<void>(session->wait_for_news(number, fiber::within(Duration::milliseconds(1), Expiry::kNormal)));
    return session->next_ready(number) != nullptr;
  }
  static Duration until_news(const Ref<ReplicaSession>& session, std::uint64_t number) {
    const MonotonicTime began = fiber::Scheduler::current().now();
    EXPECT_TRUE(session->wait_for_news(number, fiber::within(Duration::seconds(5), Expiry::kNormal)).ok());
    return fiber::Scheduler::current().now() - began;
  }
  ReplicaSessions sessions{CatchUp(50)};
};

TEST(ReplicaSession, APositionCountsAsFarAsItIsDurable) {
  SessionWorld of;
  of.run([&] {
    const Ref<ReplicaSession> session = of.sessions.open(node(2), BrokerEpoch(2));
    of.request(session, of.at(10, 7));
    EXPECT_EQ(of.high_watermark(), 7) << "the rest is in its memory";
    of.request(session, of.at(9, 10));
    EXPECT_EQ(of.high_watermark(), 9) << "and not beyond what it asks from";
    session->close();
  });
}

TEST(ReplicaSession, APositionThatDisagreesCountsForNothing) {
  SessionWorld of;
  of.run([&] {
    const Ref<ReplicaSession> session = of.sessions.open(node(2), BrokerEpoch(2));
    const std::uint64_t first = of.request(session, of.at(12, 12));
    EXPECT_EQ(of.high_watermark(), 5);
    EXPECT_TRUE(of.has_news(session, first)) << "it has to be told";
    session->close();
  });
}

TEST(ReplicaSession, APositionOfAnEpochThatIsYetToComeCountsWhenItHasCome) {
  SessionWorld of;
  of.run([&] {
    const Ref<ReplicaSession> session = of.sessions.open(node(2), BrokerEpoch(2));
    const std::uint64_t first = of.request(session, of.at(10, 10, /*epoch=*/2));
    EXPECT_EQ(of.high_watermark(), 5);
    EXPECT_FALSE(of.has_news(session, first));
    of.image.epoch = LeaderEpoch(2);
    of.assume();
    EXPECT_EQ(of.high_watermark(), 10);
    session->close();
  });
}

TEST(ReplicaSession, WhatWasGivenIsNotGivenAgainUnlessItIsAskedForAnew) {
  SessionWorld of;
  of.run([&] {
    const Ref<ReplicaSession> session = of.sessions.open(node(2), BrokerEpoch(2));
    const std::uint64_t first = of.request(session, of.at(8, 8));
    ReplicaSession::Entry* entry = session->next_ready(first);
    ASSERT_NE(entry, nullptr);
    entry->give_records();
    session->gave_up_to(of.log->key(), entry->next(), Offset(10));
    session->end(first);
    const std::uint64_t second = of.request(session, of.at(8, 8));
    EXPECT_FALSE(of.has_news(session, second)) << "it only says how far it is durable";
    session->forget(of.log->key());
    const std::uint64_t third = of.request(session, of.at(8, 8));
    EXPECT_TRUE(of.has_news(session, third));
    session->close();
  });
}

TEST(ReplicaSession, WhatALaterRequestAsksForIsNotForAnEarlierOnesAnswer) {
  SessionWorld of;
  of.run([&] {
    const Ref<ReplicaSession> session = of.sessions.open(node(2), BrokerEpoch(2));
    const std::uint64_t first = of.request(session, std::nullopt);
    const std::uint64_t second = of.request(session, of.at(8, 8));
    EXPECT_EQ(session->next_ready(first), nullptr);
    EXPECT_NE(session->next_ready(second), nullptr);
    session->close();
  });
}

// Whether request `number` is answered at once, and not at the end of its minute.
bool answered_at_once(const Ref<ReplicaSession>& session, std::uint64_t number) {
  const MonotonicTime before = fiber::Scheduler::current().now();
  EXPECT_TRUE(session->wait_for_news(number, fiber::within(Duration::seconds(10), Expiry::kNormal)).ok());
  return fiber::Scheduler::current().now() - before < Duration::seconds(1);
}

TEST(ReplicaSession, AnAppendEndsAParkedRequest) {
  SessionWorld of;
  of.run([&] {
    const Ref<ReplicaSession> session = of.sessions.open(node(2), BrokerEpoch(2));
    const std::uint64_t first = of.request(session, of.at(10, 10));
    fiber::FiberScope scope;
    scope.spawn({"producer"}, [&] { of.append(Acks::kLeader); });
    EXPECT_TRUE(answered_at_once(session, first));
    EXPECT_NE(session->next_ready(first), nullptr);
    scope.cancel_and_join();
    session->close();
  });
}

TEST(ReplicaSession, AHighWatermarkAloneIsToldSoon) {
  SessionWorld of;
  of.run([&] {
    const Ref<ReplicaSession> session = of.sessions.open(node(2), BrokerEpoch(2));
    const std::uint64_t first = of.request(session, of.at(10, 10));
    EXPECT_EQ(of.high_watermark(), 10);
    EXPECT_TRUE(answered_at_once(session, first));
    int told = 0;
    session->take_watermarks(first, [&told](ReplicaSession::Entry& entry) {
      entry.told_positions(entry.partition().high_watermark(), Offset(0));
      ++told;
    });
    EXPECT_EQ(told, 1);
    session->end(first);
    session->close();
  });
}

// Its log may have to be cut to where that epoch begins, and what is committed in this one says nothing of it.
TEST(ReplicaSession, AHighWatermarkIsNotToldToWhoIsInALaterEpoch) {
  SessionWorld of;
  of.run([&] {
    const Ref<ReplicaSession> session = of.sessions.open(node(2), BrokerEpoch(2));
    int told = 0;
    const auto tell = [&told](ReplicaSession::Entry& entry) {
      entry.told_positions(entry.partition().high_watermark(), Offset(0));
      ++told;
    };
    const std::uint64_t first = of.request(session, of.at(10, 10));
    EXPECT_TRUE(answered_at_once(session, first));
    const std::uint64_t second = of.request(session, of.at(10, 10, /*epoch=*/2));
    session->take_watermarks(second, tell);
    EXPECT_EQ(told, 0) << "it was to be told, and is elsewhere now";
    session->end(first);
    session->end(second);
    const std::uint64_t third = of.request(session, of.at(10, 10, /*epoch=*/2));
    EXPECT_GE(of.until_news(session, third), Duration::seconds(5));
    session->take_watermarks(third, tell);
    EXPECT_EQ(told, 0);
    of.image.epoch = LeaderEpoch(2);
    of.assume();
    session->take_watermarks(third, tell);
    EXPECT_EQ(told, 1) << "the epoch has begun here, too";
    session->close();
  });
}

TEST(ReplicaSession, TwoRequestsAreParkedAndAThirdEndsTheFirstOnesWait) {
  SessionWorld of;
  of.run([&] {
    const Ref<ReplicaSession> session = of.sessions.open(node(2), BrokerEpoch(2));
    const std::uint64_t first = of.request(session, of.at(10, 10));
    const std::uint64_t second = of.request(session, std::nullopt);
    EXPECT_GT(of.until_news(session, first), Duration::zero());
    session->take_watermarks(
        first, [&of](ReplicaSession::Entry& entry) { entry.told_positions(Offset(of.high_watermark()), Offset(0)); });
    of.request(session, std::nullopt);
    EXPECT_EQ(of.until_news(session, first), Duration::zero());
    EXPECT_GT(of.until_news(session, second), Duration::zero());
    session->close();
  });
}

TEST(ReplicaSession, AnAnswerThatIsThereDoesNotWaitBehindAParkedOne) {
  SessionWorld of;
  of.run([&] {
    const Ref<ReplicaSession> session = of.sessions.open(node(2), BrokerEpoch(2));
    const std::uint64_t parked = of.request(session, of.at(10, 10));
    const std::uint64_t there = of.request(session, std::nullopt, /*at_once=*/true);
    EXPECT_EQ(of.until_news(session, parked), Duration::zero());
    EXPECT_EQ(of.until_news(session, there), Duration::zero());
    const std::uint64_t later = of.request(session, std::nullopt);
    EXPECT_GT(of.until_news(session, later), Duration::zero());
    session->close();
  });
}

TEST(ReplicaSession, ANewOneTakesThePlaceOfTheOneBefore) {
  SessionWorld of;
  of.run([&] {
    const Ref<ReplicaSession> before = of.sessions.open(node(2), BrokerEpoch(2));
    const Ref<ReplicaSession> after = of.sessions.open(node(2), BrokerEpoch(2));
    EXPECT_TRUE(before->closed());
    EXPECT_EQ(of.sessions.find(node(2), after->id()), after);
    EXPECT_FALSE(of.sessions.find(node(2), before->id()));
    EXPECT_FALSE(of.sessions.find(node(3), after->id()));
    of.sessions.close_all();
  });
}

// ---- what is not in memory ----

class CatchUpWorld : public SessionWorld {
 public:
  // Node 3 is not in sync; what is below 100 is in files only, and takes a read.
  void run_behind(const std::function<void(const Ref<ReplicaSession>&)>& body) {
    run([&] {
      log->end = log->durable = Offset(150);
      log->in_memory_from = Offset(100);
      const Ref<ReplicaSession> session = sessions.open(node(3), BrokerEpoch(3));
      body(session);
      session->close();
    });
  }
};

TEST(CatchUpTime, AReadWaitsAsLongAsTheOneBeforeTook) {
  CatchUpWorld of;
  of.run_behind([&](const Ref<ReplicaSession>& session) {
    const std::uint64_t first = of.request(session, of.at(10, 10));
    EXPECT_EQ(of.until_news(session, first), Duration::zero());
    ReplicaSession::Entry* entry = session->next_ready(first);
    ASSERT_NE(entry, nullptr);
    entry->give_records();
    of.sessions.note_read(Duration::milliseconds(30));
    session->gave_up_to(of.log->key(), Offset(10), Offset(50));
    EXPECT_EQ(session->next_ready(first), nullptr) << "there is more, and it is not its time";
    session->end(first);
    const std::uint64_t second = of.request(session, of.at(50, 10));
    EXPECT_EQ(of.until_news(session, second), Duration::milliseconds(30));
    EXPECT_NE(session->next_ready(second), nullptr);
  });
}

TEST(CatchUpTime, WhatIsInMemoryDoesNotWait) {
  CatchUpWorld of;
  of.run_behind([&](const Ref<ReplicaSession>& session) {
    of.sessions.note_read(Duration::seconds(3));
    const std::uint64_t first = of.request(session, of.at(100, 100));
    EXPECT_EQ(of.until_news(session, first), Duration::zero());
    EXPECT_NE(session->next_ready(first), nullptr);
  });
}

TEST(CatchUpTime, WhoIsInSyncDoesNotWait) {
  CatchUpWorld of;
  of.image.in_sync.push_back(node(3));
  of.run_behind([&](const Ref<ReplicaSession>& session) {
    of.sessions.note_read(Duration::seconds(3));
    const std::uint64_t first = of.request(session, of.at(10, 10));
    EXPECT_EQ(of.until_news(session, first), Duration::zero());
    EXPECT_NE(session->next_ready(first), nullptr);
  });
}

TEST(CatchUpTime, IsTheShareThatWasSet) {
  const MonotonicTime start;
  const Duration took = Duration::milliseconds(10);
  for (const auto& [share, rest_ms] : std::map<std::int32_t, std::int64_t>{{1, 990}, {20, 40}, {50, 10}, {100, 0}}) {
    CatchUp catch_up(share);
    catch_up.note(took, start + took);
    EXPECT_EQ(catch_up.next(), start + took + Duration::milliseconds(rest_ms)) << share;
    catch_up.note(took, start + took);  // at the same time
    EXPECT_EQ(catch_up.next(), start + took + Duration::milliseconds(2 * rest_ms)) << share;
  }
}

}  // namespace
}  // namespace chronik::replication
