// Consumers' fetches in sessions, on a whole node.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "core/protocol/messages/delete_records.h"
#include "core/protocol/messages/delete_topics.h"
#include "core/protocol/messages/fetch.h"
#include "sim/decision.h"
#include "sim/scenarios/fetch_session.h"
#include "tests/core/broker/broker_world.h"
#include "tests/core/broker/nodes_world.h"
#include "tests/support/property.h"

namespace chronik::broker::testing {
namespace {

using protocol::ErrorCode;
using protocol::FetchRequest;
using protocol::FetchResponse;

constexpr std::int16_t kNames = 12;
constexpr std::int16_t kIds = 13;

struct Asking {
  std::int32_t session = 0;
  std::int32_t epoch = 0;
  std::int32_t max_wait_ms = 0;
};

FetchRequest session_fetch(const Asking& as) {
  FetchRequest request;
  request.max_wait_ms = as.max_wait_ms;
  request.min_bytes = 1;
  request.max_bytes = 1 << 20;
  request.session_id = as.session;
  request.session_epoch = as.epoch;
  return request;
}

// With these partitions, each from that offset on.
FetchRequest session_fetch(const Asking& as, const std::string& topic, const std::vector<std::int32_t>& partitions,
                           std::int64_t from = 0) {
  FetchRequest request = session_fetch(as);
  auto& asked = request.topics.emplace_back();
  asked.topic = topic;
  for (const std::int32_t p : partitions) {
    asked.partitions.push_back(
        {.partition = PartitionId(p), .fetch_offset = Offset(from), .partition_max_bytes = 1 << 20});
  }
  return request;
}

FetchRequest with_id(FetchRequest request, const TopicId& id) {
  for (auto& topic : request.topics) {
    topic.topic_id = id;
  }
  return request;
}

FetchResponse fetched(client::Client& client, const FetchRequest& request, std::int16_t version = kNames) {
  return ask<FetchResponse>(client, request, version);
}

// Partitions with their errors, or how many bytes of records.
std::vector<std::string> told(const FetchResponse& response) {
  std::vector<std::string> all;
  for (const auto& topic : response.responses) {
    for (const auto& answer : topic.partitions) {
      const std::string what = answer.error_code == ErrorCode::kNone
                                   ? (answer.records.value_or(Slice()).empty() ? "nothing" : "records")
                                   : std::string(protocol::error_name(answer.error_code));
      all.push_back(std::to_string(answer.partition_index.value()) + " " + what);
    }
  }
  return all;
}

using Told = std::vector<std::string>;

TopicId id_of(client::Client& client, const std::string& topic) {
  const auto metadata = client.metadata(topic, patience());
  EXPECT_TRUE(metadata.ok());
  return metadata.ok() ? metadata->topic_id : TopicId{};
}

void delete_topic(client::Client& client, const std::string& name) {
  protocol::DeleteTopicsRequest deletion;
  deletion.topics.push_back({.name = name});
  deletion.timeout_ms = 10'000;
  EXPECT_EQ(ask<protocol::DeleteTopicsResponse>(client, deletion, 6).responses.at(0).error_code, ErrorCode::kNone);
}

// A fetch in a fiber of its own.
class Parked {
 public:
  Parked(Visit& visit, const FetchRequest& request) : client_(visit.connect()) {
    scope_.spawn({"fetch", 0}, [this, request] {
      response_ = fetched(*client_, request);
      answered_ = true;
    });
  }
  ~Parked() { scope_.cancel_and_join(); }

  bool answered() const { return answered_; }
  const FetchResponse& join() {
    EXPECT_TRUE(scope_.join(patience()).ok());
    return response_;
  }

 private:
  std::unique_ptr<client::Client> client_;
  FetchResponse response_;
  bool answered_ = false;
  fiber::FiberScope scope_;
};

TEST(FetchInSessions, AnswersWhatIsNewOfAllPartitions) {
  BrokerWorld world;
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    make_topic(*client, "t", 3);
    produce(*client, "t", 1, batch_of({"a"}));
    const FetchResponse first = fetched(*client, session_fetch({}, "t", {0, 1, 2}));
    EXPECT_EQ(told(first), (Told{"0 nothing", "1 records", "2 nothing"}));
    const std::int32_t id = first.session_id;
    ASSERT_GT(id, 0);
    // Nothing of it was named, and so it still stands at 0.
    EXPECT_EQ(told(fetched(*client, session_fetch({id, 1}))), (Told{"1 records"}));
    EXPECT_EQ(told(fetched(*client, session_fetch({id, 2}, "t", {1}, 1))), Told{});
    // The wait is for all of them.
    Parked parked(visit, session_fetch({id, 3, 30'000}));
    ASSERT_TRUE(fiber::sleep(Duration::seconds(1)).ok());
    EXPECT_FALSE(parked.answered());
    produce(*client, "t", 2, batch_of({"b"}));
    EXPECT_EQ(told(parked.join()), (Told{"2 records"}));
    EXPECT_EQ(parked.join().session_id, id);
    FetchRequest forgets = session_fetch({id, 4}, "t", {2}, 1);
    forgets.forgotten_topics_data.push_back({.topic = "t", .partitions = {PartitionId(1)}});
    EXPECT_EQ(told(fetched(*client, forgets)), Told{});
    produce(*client, "t", 1, batch_of({"c"}));
    produce(*client, "t", 0, batch_of({"d"}));
    EXPECT_EQ(told(fetched(*client, session_fetch({id, 5}))), (Told{"0 records"})) << "1 was forgotten";
    EXPECT_EQ(told(fetched(*client, session_fetch({id, 6}, "t", {0, 7}, 1))), (Told{"7 UNKNOWN_TOPIC_OR_PARTITION"}));
    EXPECT_EQ(told(fetched(*client, session_fetch({id, 7}))), (Told{"7 UNKNOWN_TOPIC_OR_PARTITION"}));
  });
}

TEST(FetchInSessions, KnowTopicsByNameOrByIdAndNotByBoth) {
  BrokerWorld world;
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    make_topic(*client, "t", 2);
    const TopicId topic = id_of(*client, "t");
    const std::int32_t by_name = fetched(*client, session_fetch({}, "t", {0})).session_id;
    const std::int32_t by_id = fetched(*client, with_id(session_fetch({}, "t", {0, 1}), topic), kIds).session_id;
    ASSERT_GT(by_id, 0);
    EXPECT_NE(by_id, by_name);
    EXPECT_EQ(fetched(*client, session_fetch({by_name, 1}), kIds).error_code, ErrorCode::kFetchSessionTopicIdError);
    EXPECT_EQ(fetched(*client, session_fetch({by_id, 1}), kNames).error_code, ErrorCode::kFetchSessionTopicIdError);
    produce(*client, "t", 1, batch_of({"a"}));
    const FetchResponse news = fetched(*client, session_fetch({by_id, 1}), kIds);
    EXPECT_EQ(told(news), (Told{"1 records"}));
    EXPECT_EQ(news.responses.at(0).topic_id, topic);
    FetchRequest forgets = session_fetch({by_id, 2});
    forgets.forgotten_topics_data.push_back({.topic_id = topic, .partitions = {PartitionId(1)}});
    EXPECT_EQ(told(fetched(*client, forgets, kIds)), Told{});
    EXPECT_EQ(fetched(*client, session_fetch({by_id, 9}), kIds).error_code, ErrorCode::kInvalidFetchSessionEpoch);
    EXPECT_EQ(fetched(*client, session_fetch({by_id ^ by_name, 3}), kIds).error_code,
              ErrorCode::kFetchSessionIdNotFound);
    // Who speaks no sessions gets none, nor who wants none.
    EXPECT_EQ(fetched(*client, session_fetch({}, "t", {0}), 6).session_id, 0);
    EXPECT_EQ(fetched(*client, session_fetch({0, -1}, "t", {0})).session_id, 0);
  });
}

TEST(FetchInSessions, ATopicMadeAnewIsAnotherOneByItsIdAndTheSameByItsName) {
  BrokerWorld world;
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    make_topic(*client, "t", 1);
    const TopicId topic = id_of(*client, "t");
    const std::int32_t by_name = fetched(*client, session_fetch({}, "t", {0})).session_id;
    const std::int32_t by_id = fetched(*client, with_id(session_fetch({}, "t", {0}), topic), kIds).session_id;
    delete_topic(*client, "t");
    for (std::int32_t epoch = 1; epoch <= 2; ++epoch) {
      EXPECT_EQ(told(fetched(*client, session_fetch({by_name, epoch}))), (Told{"0 UNKNOWN_TOPIC_OR_PARTITION"}));
      EXPECT_EQ(told(fetched(*client, session_fetch({by_id, epoch}), kIds)), (Told{"0 UNKNOWN_TOPIC_ID"}));
    }
    make_topic(*client, "t", 1);
    produce(*client, "t", 0, batch_of({"a"}));
    EXPECT_EQ(told(fetched(*client, session_fetch({by_name, 3}))), (Told{"0 records"}));
    EXPECT_EQ(told(fetched(*client, session_fetch({by_id, 3}), kIds)), (Told{"0 INCONSISTENT_TOPIC_ID"}));
    // The new one takes its place.
    FetchRequest replaces = with_id(session_fetch({by_id, 4}, "t", {0}), id_of(*client, "t"));
    replaces.forgotten_topics_data.push_back({.topic_id = topic, .partitions = {PartitionId(0)}});
    EXPECT_EQ(told(fetched(*client, replaces, kIds)), (Told{"0 records"}));
  });
}

TEST(FetchInSessions, GoOnWhenTheirConnectionHasEnded) {
  BrokerWorld world;
  world.run([&](Visit& visit) {
    std::int32_t id = 0;
    {
      const auto client = visit.connect();
      make_topic(*client, "t", 1);
      id = fetched(*client, session_fetch({}, "t", {0})).session_id;
    }
    const auto client = visit.connect();
    EXPECT_EQ(told(fetched(*client, session_fetch({id, 1}))), Told{});
    {
      // It ends while a request of it waits.
      const auto other = visit.connect_raw();
      ASSERT_TRUE(other->send(session_fetch({id, 2, 30'000}), kNames, 1).ok());
      ASSERT_TRUE(fiber::sleep(Duration::seconds(1)).ok());
    }
    ASSERT_TRUE(fiber::sleep(Duration::seconds(1)).ok());
    produce(*client, "t", 0, batch_of({"a"}));
    EXPECT_EQ(told(fetched(*client, session_fetch({id, 3}))), (Told{"0 records"}));
  });
}

TEST(FetchInSessions, ALaterRequestEndsTheWaitOfTheOneBefore) {
  BrokerWorld world;
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    make_topic(*client, "t", 2);
    const std::int32_t id = fetched(*client, session_fetch({}, "t", {0, 1})).session_id;
    Parked first(visit, session_fetch({id, 1, 30'000}));
    ASSERT_TRUE(fiber::sleep(Duration::seconds(1)).ok());
    Parked second(visit, session_fetch({id, 2, 30'000}));
    EXPECT_EQ(first.join().error_code, ErrorCode::kInvalidFetchSessionEpoch);
    ASSERT_TRUE(fiber::sleep(Duration::seconds(1)).ok());
    EXPECT_FALSE(second.answered());
    produce(*client, "t", 1, batch_of({"a"}));
    EXPECT_EQ(told(second.join()), (Told{"1 records"}));
    // Another one in its place: who waits in the old one is told that it is gone.
    Parked third(visit, session_fetch({id, 3, 30'000}, "t", {1}, 1));
    ASSERT_TRUE(fiber::sleep(Duration::seconds(1)).ok());
    const std::int32_t next = fetched(*client, session_fetch({id, 0}, "t", {0})).session_id;
    EXPECT_EQ(third.join().error_code, ErrorCode::kFetchSessionIdNotFound);
    EXPECT_NE(next, id);
    EXPECT_EQ(fetched(*client, session_fetch({id, 4})).error_code, ErrorCode::kFetchSessionIdNotFound);
  });
}

TEST(FetchInSessions, NoPartitionStarvesWhereAnswersAreFull) {
  BrokerWorld world;
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    make_topic(*client, "t", 4);
    for (std::int32_t p = 0; p < 4; ++p) {
      for (int i = 0; i < 8; ++i) {
        produce(*client, "t", p, batch_of({std::string(10'000, 'x')}));
      }
    }
    FetchRequest request = session_fetch({}, "t", {0, 1, 2, 3});
    request.max_bytes = 10'000;  // one batch
    const std::int32_t id = fetched(*client, request).session_id;
    std::vector<std::size_t> given(4);
    for (std::int32_t epoch = 1; epoch <= 8; ++epoch) {
      FetchRequest next = session_fetch({id, epoch});
      next.max_bytes = 10'000;
      for (const auto& topic : fetched(*client, next).responses) {
        for (const auto& answer : topic.partitions) {
          given[static_cast<std::size_t>(answer.partition_index.value())] +=
              answer.records.value_or(Slice()).empty() ? 0U : 1U;
        }
      }
    }
    EXPECT_EQ(given, (std::vector<std::size_t>{2, 2, 2, 2}));
  });
}

TEST(FetchInSessions, WithoutSlotsThereAreNone) {
  node::NodeConfig config = small_node();
  config.broker["max.incremental.fetch.session.cache.slots"] = "0";
  BrokerWorld world(config);
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    make_topic(*client, "t", 1);
    const FetchResponse answer = fetched(*client, session_fetch({}, "t", {0}));
    EXPECT_EQ(answer.session_id, 0);
    EXPECT_EQ(answer.error_code, ErrorCode::kNone);
    EXPECT_EQ(told(answer), (Told{"0 nothing"}));
  });
}

// ---- where others lead ----

void forwarded_sessions(const std::vector<std::int32_t>& partitions) {
  NodesWorld world(true);
  world.run([&](NodesVisit& visit) {
    const auto client = visit.connect(1);
    make_spread_topic(*client, "t");
    const FetchResponse first = fetched(*client, session_fetch({}, "t", partitions));
    EXPECT_EQ(first.responses.at(0).partitions.size(), partitions.size());
    const std::int32_t id = first.session_id;
    ASSERT_GT(id, 0);
    EXPECT_EQ(told(fetched(*client, session_fetch({id, 1, 300}))), Told{});
    std::int32_t epoch = 2;
    for (const std::int32_t partition : partitions) {
      produce(*client, "t", partition, batch_of({"a"}));
      const std::string name = std::to_string(partition);
      EXPECT_EQ(told(fetched(*client, session_fetch({id, epoch++, 5000}))), (Told{name + " records"}));
      EXPECT_EQ(told(fetched(*client, session_fetch({id, epoch++, 300}, "t", {partition}, 1))), Told{});
    }
  });
}

TEST(FetchInSessions, WorkThroughANodeThatForwardsToOneLeader) { forwarded_sessions({1}); }
TEST(FetchInSessions, WorkThroughANodeThatForwardsToSeveralLeaders) { forwarded_sessions({0, 1, 2}); }

TEST(Fetch, WhereALeaderDoesNotAnswerThereAreNoRecordsRatherThanNull) {
  NodesWorld world(true);
  world.run([&](NodesVisit& visit) {
    const auto client = visit.connect(1);
    make_spread_topic(*client, "t");
    world.kill(2, sim::Death::kProcessKill);
    const FetchResponse answer = fetched(*client, session_fetch({0, -1}, "t", {0, 1, 2}));
    EXPECT_EQ(told(answer), (Told{"0 nothing", "1 NOT_LEADER_OR_FOLLOWER", "2 nothing"}));
    for (const auto& partition : answer.responses.at(0).partitions) {
      EXPECT_TRUE(partition.records.has_value()) << partition.partition_index.value();
    }
  });
}

// ---- whatever is asked, and in whatever order ----

class Sequence {
 public:
  Sequence(Visit& visit, std::uint64_t seed)
      : draws_(seed, "sequence", 0), version_(draws_.below(2) == 0 ? kIds : kNames), client_(visit.connect()) {
    for (const char* name : {"a", "b"}) {
      make_topic(*client_, name, 2);
    }
  }

  void run() {
    for (int i = 0; i < 25; ++i) {
      change();
      FetchRequest whole = draw_whole();
      FetchRequest asked = whole;
      session_.begin(asked);
      FetchResponse answer = fetched(*client_, asked, version_);
      if (draws_.below(12) == 0) {
        session_.lost(draws_.below(2) == 0);
        continue;
      }
      if (!session_.end(answer)) {
        continue;
      }
      whole.session_epoch = -1;
      FetchResponse expected = fetched(*client_, whole, version_);
      expect_same(answer, expected);
    }
  }

 private:
  void change() {
    const std::string topic = draws_.below(2) == 0 ? "a" : "b";
    const auto partition = static_cast<std::int32_t>(draws_.below(2));
    switch (draws_.below(6)) {
      case 0: delete_topic(*client_, topic); return make_topic(*client_, topic, 2);
      case 1: return delete_records(topic, partition);
      case 2: return;
      default: produce(*client_, topic, partition, batch_of({"x"}));
    }
  }
  void delete_records(const std::string& topic, std::int32_t partition) {
    protocol::DeleteRecordsRequest deletion;
    deletion.timeout_ms = 10'000;
    auto& of = deletion.topics.emplace_back();
    of.name = topic;
    of.partitions.push_back({.partition_index = PartitionId(partition), .offset = Offset(-1)});
    ask<protocol::DeleteRecordsResponse>(*client_, deletion, 2);
  }
  // Positions stay mostly where they are.
  FetchRequest draw_whole() {
    FetchRequest request = session_fetch({});
    for (const char* name : {"a", "b"}) {
      protocol::FetchTopic topic;
      if (version_ == kIds) {
        topic.topic_id = draws_.below(8) == 0 && !old_.is_zero() ? old_ : id_of(*client_, name);
        old_ = topic.topic_id;
      } else {
        topic.topic = name;
      }
      for (std::int32_t p = 0; p < 2; ++p) {
        if (draws_.below(4) == 0) {
          continue;
        }
        std::int64_t& at = at_[std::string(name) + std::to_string(p)];
        at = draws_.below(3) == 0 ? static_cast<std::int64_t>(draws_.below(6)) : at;
        topic.partitions.push_back(
            {.partition = PartitionId(p), .fetch_offset = Offset(at), .partition_max_bytes = 1 << 20});
      }
      if (!topic.partitions.empty() &&
          (request.topics.empty() || request.topics[0].topic_id != topic.topic_id || version_ == kNames)) {
        request.topics.push_back(topic);
      }
    }
    return request;
  }
  static void expect_same(FetchResponse& answer, const FetchResponse& expected) {
    for (auto& topic : answer.responses) {
      for (auto& partition : topic.partitions) {
        // Only a session knows which name the topic had.
        partition.error_code =
            partition.error_code == ErrorCode::kInconsistentTopicId ? ErrorCode::kUnknownTopicId : partition.error_code;
      }
    }
    EXPECT_EQ(answer.responses, expected.responses);
  }

  sim::Draws draws_;
  std::int16_t version_;
  std::unique_ptr<client::Client> client_;
  std::map<std::string, std::int64_t> at_;
  TopicId old_;
  sim::FetchSessionClient session_{[](const std::string& what) { ADD_FAILURE() << what; }};
};

RC_GTEST_PROP(FetchInSessionsModel, AnswersWhatAFullFetchWould, (std::uint64_t seed)) {
  const std::string failures = chronik::testing::failures_of([&] {
    BrokerWorld world;
    world.run([&](Visit& visit) { Sequence(visit, seed).run(); });
  });
  if (!failures.empty()) {
    RC_FAIL(failures);
  }
}

}  // namespace
}  // namespace chronik::broker::testing
