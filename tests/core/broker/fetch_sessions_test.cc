// The cache of fetch sessions, and what a session leaves out of an answer.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <array>

#include "core/broker/fetch_sessions.h"
#include "sim/decision.h"
#include "sim/scenarios/fetch_session.h"
#include "tests/support/property.h"

namespace chronik::broker::testing {
namespace {

using protocol::ErrorCode;
using protocol::FetchPartitionResponse;
using protocol::FetchRequest;
using protocol::FetchResponse;

constexpr std::int16_t kByName = 12;
constexpr std::int16_t kById = 13;

class CountingRandom final : public Random {
 public:
  std::uint64_t next() override { return next_++; }

 private:
  std::uint64_t next_ = 0;
};

MonotonicTime at_seconds(std::int64_t seconds) { return MonotonicTime() + Duration::seconds(seconds); }

FetchRequest fetch_of(std::int32_t partitions, std::int32_t session = 0, std::int32_t epoch = 0) {
  FetchRequest request;
  request.session_id = session;
  request.session_epoch = epoch;
  if (partitions > 0) {
    request.topics.emplace_back().topic = "t";
  }
  for (std::int32_t p = 0; p < partitions; ++p) {
    request.topics[0].partitions.push_back({.partition = PartitionId(p)});
  }
  return request;
}

// An answer for each partition of the request, each with that high watermark.
FetchResponse answer_to(const std::vector<protocol::FetchTopic>& topics, std::int64_t watermark = 0) {
  FetchResponse response;
  for (const protocol::FetchTopic& topic : topics) {
    auto& answers = response.responses.emplace_back();
    answers.topic = topic.topic;
    answers.topic_id = topic.topic_id;
    for (const protocol::FetchPartition& partition : topic.partitions) {
      auto& answer = answers.partitions.emplace_back();
      answer.partition_index = partition.partition;
      answer.high_watermark = answer.last_stable_offset = Offset(watermark);
      answer.log_start_offset = Offset(0);
    }
  }
  return response;
}

class SessionCache : public ::testing::Test {
 protected:
  // The id of the new session, 0 where there is none.
  std::int32_t open(std::int32_t partitions, std::int64_t now) {
    const FetchRequest request = fetch_of(partitions);
    const FetchSessions::Admission admission = sessions_.admit(request, kByName, at_seconds(now));
    EXPECT_TRUE(admission.opens);
    FetchResponse response = answer_to(request.topics);
    sessions_.open(request, response, /*by_id=*/false, at_seconds(now));
    return response.session_id;
  }
  ErrorCode go_on(std::int32_t session, std::int32_t epoch, std::int64_t now, std::int32_t partitions = 0) {
    return sessions_.admit(fetch_of(partitions, session, epoch), kByName, at_seconds(now)).error;
  }

  CountingRandom random_;
  FetchSessions sessions_{random_, 3, 100};
};

TEST_F(SessionCache, KnowsASessionByIdAndEpochAndHowItsTopicsAreNamed) {
  const std::int32_t id = open(2, 0);
  EXPECT_GT(id, 0);
  EXPECT_EQ(go_on(id + 1, 1, 0), ErrorCode::kFetchSessionIdNotFound);
  EXPECT_EQ(go_on(0, 1, 0), ErrorCode::kFetchSessionIdNotFound);
  EXPECT_EQ(go_on(id, 2, 0), ErrorCode::kInvalidFetchSessionEpoch);
  EXPECT_EQ(go_on(id, -2, 0), ErrorCode::kInvalidFetchSessionEpoch);
  EXPECT_EQ(sessions_.admit(fetch_of(0, id, 1), kById, at_seconds(0)).error, ErrorCode::kFetchSessionTopicIdError);
  EXPECT_EQ(go_on(id, 1, 0), ErrorCode::kNone);
  EXPECT_EQ(go_on(id, 1, 0), ErrorCode::kInvalidFetchSessionEpoch);
  EXPECT_EQ(go_on(id, 2, 0), ErrorCode::kNone);
  EXPECT_EQ(sessions_.metrics().sessions.value(), 1);
  EXPECT_EQ(sessions_.metrics().partitions.value(), 2);
}

// Its bound counts partitions, not bytes.
TEST_F(SessionCache, KeepsNoNameThatNoTopicCanHave) {
  const auto naming = [](FetchRequest request, std::size_t bytes) {
    request.topics.at(0).topic = std::string(bytes, 'n');
    return request;
  };
  EXPECT_TRUE(sessions_.admit(naming(fetch_of(1), 249), kByName, at_seconds(0)).opens);
  EXPECT_FALSE(sessions_.admit(naming(fetch_of(1), 250), kByName, at_seconds(0)).opens);
  const std::int32_t id = open(1, 0);
  EXPECT_EQ(sessions_.admit(naming(fetch_of(1, id, 1), 249), kByName, at_seconds(0)).error, ErrorCode::kNone);
  EXPECT_EQ(sessions_.admit(naming(fetch_of(1, id, 2), 250), kByName, at_seconds(0)).error,
            ErrorCode::kFetchSessionIdNotFound);
  EXPECT_EQ(sessions_.metrics().sessions.value(), 0);
}

TEST_F(SessionCache, AFullRequestThatNamesASessionEndsIt) {
  const std::int32_t first = open(2, 0);
  EXPECT_TRUE(sessions_.admit(fetch_of(2, first, 0), kByName, at_seconds(1)).opens);
  EXPECT_EQ(go_on(first, 1, 1), ErrorCode::kFetchSessionIdNotFound);
  const std::int32_t second = open(2, 1);
  EXPECT_NE(second, first);
  EXPECT_FALSE(sessions_.admit(fetch_of(2, second, -1), kByName, at_seconds(1)).opens);
  EXPECT_EQ(go_on(second, 1, 1), ErrorCode::kFetchSessionIdNotFound);
  EXPECT_EQ(sessions_.metrics().sessions.value(), 0);
  EXPECT_EQ(sessions_.metrics().evictions.value(), 0u);
}

TEST_F(SessionCache, AFullOneRefusesUntilSomebodyHasBeenSilentForTwoMinutes) {
  const std::int32_t first = open(2, 0);
  const std::int32_t second = open(2, 10);
  EXPECT_NE(open(2, 20), 0);
  EXPECT_EQ(open(90, 30), 0) << "larger, but nobody has settled yet";
  EXPECT_EQ(go_on(first, 1, 100), ErrorCode::kNone);
  EXPECT_EQ(open(2, 130), 0) << "exactly two minutes";
  EXPECT_NE(open(2, 131), 0);
  EXPECT_EQ(go_on(second, 1, 131), ErrorCode::kFetchSessionIdNotFound);
  EXPECT_EQ(go_on(first, 2, 131), ErrorCode::kNone);
  EXPECT_EQ(sessions_.metrics().evictions.value(), 1u);
}

TEST_F(SessionCache, ALargerOneTakesThePlaceOfTheSmallestThatHasSettled) {
  const std::int32_t small = open(5, 0);
  const std::int32_t large = open(10, 0);
  const std::int32_t young = open(1, 100);
  for (std::int64_t now = 60, epoch = 1; now <= 180; now += 60, ++epoch) {
    EXPECT_EQ(go_on(small, static_cast<std::int32_t>(epoch), now), ErrorCode::kNone);
    EXPECT_EQ(go_on(large, static_cast<std::int32_t>(epoch), now), ErrorCode::kNone);
  }
  EXPECT_EQ(open(5, 181), 0) << "no larger than the smallest";
  EXPECT_NE(open(6, 181), 0);
  EXPECT_EQ(go_on(small, 4, 181), ErrorCode::kFetchSessionIdNotFound);
  EXPECT_EQ(go_on(large, 4, 181), ErrorCode::kNone);
  EXPECT_EQ(go_on(young, 1, 181), ErrorCode::kNone) << "the smallest of all, but young";
}

TEST_F(SessionCache, ThePartitionsOfAllSessionsAreBounded) {
  const std::int32_t first = open(60, 0);
  EXPECT_EQ(open(41, 1), 0);
  EXPECT_EQ(open(101, 1000), 0) << "nobody has to make room for what will not fit in any case";
  const std::int32_t second = open(40, 1);
  EXPECT_NE(second, 0);
  EXPECT_EQ(sessions_.metrics().partitions.value(), 100);
  // It grows, and there is no room: it goes, and the other stays.
  EXPECT_EQ(go_on(second, 1, 2, 41), ErrorCode::kFetchSessionIdNotFound);
  EXPECT_EQ(sessions_.metrics().partitions.value(), 60);
  EXPECT_EQ(go_on(first, 1, 2, 100), ErrorCode::kNone);
  EXPECT_EQ(sessions_.metrics().partitions.value(), 100);
}

TEST_F(SessionCache, ASessionThatHasForgottenEverythingIsNone) {
  const std::int32_t id = open(2, 0);
  FetchRequest request = fetch_of(0, id, 1);
  request.forgotten_topics_data.push_back({.topic = "t", .partitions = {PartitionId(0), PartitionId(1)}});
  const FetchSessions::Admission admission = sessions_.admit(request, kByName, at_seconds(1));
  EXPECT_EQ(admission.error, ErrorCode::kNone);
  EXPECT_FALSE(admission.session);
  EXPECT_FALSE(admission.opens);
  EXPECT_EQ(sessions_.metrics().sessions.value(), 0);
  EXPECT_EQ(open(0, 2), 0) << "of nothing there is no session";
}

TEST(SessionCacheBound, NoSlotsAreNoSessions) {
  CountingRandom random;
  FetchSessions sessions(random, 0, 100);
  const FetchRequest request = fetch_of(1);
  FetchResponse response = answer_to(request.topics);
  sessions.open(request, response, /*by_id=*/false, at_seconds(0));
  EXPECT_EQ(response.session_id, 0);
}

// ---- what a session tells ----

std::vector<std::int32_t> partitions_of(const FetchResponse& response) {
  std::vector<std::int32_t> partitions;
  for (const auto& topic : response.responses) {
    for (const auto& answer : topic.partitions) {
      partitions.push_back(answer.partition_index.value());
    }
  }
  return partitions;
}

class SessionAnswers : public ::testing::Test {
 protected:
  SessionAnswers() {
    const FetchRequest request = fetch_of(3);
    session_->take(request.topics);
    FetchResponse response = answer_to(request.topics, 5);
    session_->tell_first(response);
    EXPECT_EQ(partitions_of(response), (std::vector<std::int32_t>{0, 1, 2})) << "the first answer is whole";
    EXPECT_EQ(response.session_id, 7);
  }
  // What is left of an answer that `change` was done to.
  template <typename Change>
  std::vector<std::int32_t> told(Change change) {
    std::vector<protocol::FetchTopic> topics;
    session_->list(topics);
    FetchResponse response = answer_to(topics, 5);
    for (auto& topic : response.responses) {
      for (auto& answer : topic.partitions) {
        change(answer);
      }
    }
    session_->tell(response);
    return partitions_of(response);
  }
  std::vector<std::int32_t> order() const {
    std::vector<protocol::FetchTopic> topics;
    session_->list(topics);
    return partitions_of(answer_to(topics));
  }
  Ref<FetchSession> session_ = Ref<FetchSession>::make(7, /*by_id=*/false, MonotonicTime());
};

using Partitions = std::vector<std::int32_t>;

TEST_F(SessionAnswers, NameWhatIsNewAndNothingElse) {
  EXPECT_EQ(told([](FetchPartitionResponse&) {}), Partitions{});
  const auto of_1 = [](auto change) {
    return [change](FetchPartitionResponse& answer) {
      if (answer.partition_index == PartitionId(1)) {
        change(answer);
      }
    };
  };
  EXPECT_EQ(told(of_1([](auto& answer) { answer.high_watermark = Offset(6); })), Partitions{1});
  EXPECT_EQ(told(of_1([](auto& answer) { answer.high_watermark = Offset(6); })), Partitions{});
  EXPECT_EQ(told([](FetchPartitionResponse&) {}), Partitions{1}) << "the high watermark is as before";
  EXPECT_EQ(told(of_1([](auto& answer) { answer.last_stable_offset = Offset(4); })), Partitions{1});
  EXPECT_EQ(told([](FetchPartitionResponse&) {}), Partitions{1});
  EXPECT_EQ(told(of_1([](auto& answer) { answer.log_start_offset = Offset(2); })), Partitions{1});
  EXPECT_EQ(told([](FetchPartitionResponse&) {}), Partitions{1});
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(told(of_1([](auto& answer) { answer.diverging_epoch = {LeaderEpoch(1), Offset(3)}; })), Partitions{1});
    EXPECT_EQ(told(of_1([](auto& answer) { answer.preferred_read_replica = NodeId(2); })), Partitions{1});
    EXPECT_EQ(told(of_1([](auto& answer) { answer.records = Slice::copy_of("records"); })), Partitions{1});
  }
  EXPECT_EQ(told([](FetchPartitionResponse&) {}), Partitions{});
}

TEST_F(SessionAnswers, AnErrorIsToldEachTimeAndItsEndOnce) {
  const auto fail = [](FetchPartitionResponse& answer) {
    answer.error_code = answer.partition_index == PartitionId(2) ? ErrorCode::kNotLeaderOrFollower : ErrorCode::kNone;
  };
  EXPECT_EQ(told(fail), Partitions{2});
  EXPECT_EQ(told(fail), Partitions{2});
  EXPECT_EQ(told([](FetchPartitionResponse&) {}), Partitions{2});
  EXPECT_EQ(told([](FetchPartitionResponse&) {}), Partitions{});
}

TEST_F(SessionAnswers, WhoIsGivenRecordsGoesBehindTheOthers) {
  const auto give = [](std::int32_t partition) {
    return [partition](FetchPartitionResponse& answer) {
      if (answer.partition_index == PartitionId(partition)) {
        answer.records = Slice::copy_of("records");
      }
    };
  };
  EXPECT_EQ(told(give(0)), Partitions{0});
  EXPECT_EQ(order(), (Partitions{1, 2, 0}));
  EXPECT_EQ(told(give(2)), Partitions{2});
  EXPECT_EQ(order(), (Partitions{1, 0, 2}));
  EXPECT_EQ(told([](FetchPartitionResponse& answer) { answer.high_watermark = Offset(9); }), (Partitions{1, 0, 2}));
  EXPECT_EQ(order(), (Partitions{1, 0, 2})) << "news alone does not count";
}

TEST_F(SessionAnswers, TopicsComeInRunsWhereTheirPartitionsAreMixed) {
  session_->take({{.topic = "u", .topic_id = {}, .partitions = {{.partition = PartitionId(0)}}}});
  static_cast<void>(told([](FetchPartitionResponse& answer) {
    if (answer.partition_index != PartitionId(1)) {
      answer.records = Slice::copy_of("records");
    }
  }));
  std::vector<protocol::FetchTopic> topics;
  session_->list(topics);
  ASSERT_EQ(topics.size(), 2u);
  EXPECT_EQ(topics[0].topic, "t");
  EXPECT_EQ(topics[0].partitions.size(), 3u);
  EXPECT_EQ(topics[1].topic, "u");
  session_->forget({{.topic = "u", .topic_id = {}, .partitions = {PartitionId(0), PartitionId(5)}},
                    {.topic = "never heard of", .topic_id = {}, .partitions = {PartitionId(0)}}});
  EXPECT_EQ(session_->partitions(), 3u);
}

TEST(SessionEpochs, BeginAgainAtOneWhereTheyEnd) {
  const auto session = Ref<FetchSession>::make(1, /*by_id=*/true, MonotonicTime());
  EXPECT_EQ(session->next_epoch(), 1);
  session->advance(MonotonicTime());
  EXPECT_EQ(session->next_epoch(), 2);
}

// ---- the model ----

// Partitions of two topics, as a full fetch would tell of them: whoever asks has what is there.
class Shelf {
 public:
  explicit Shelf(sim::Draws draws) : draws_(draws) {
    for (auto& topic : state_) {
      for (FetchPartitionResponse& of : topic) {
        of.records = Slice();
        of.high_watermark = of.last_stable_offset = of.log_start_offset = Offset(0);
      }
    }
  }

  void change() {
    FetchPartitionResponse& of = state_[draws_.below(kTopics)][draws_.below(kPartitions)];
    const std::uint64_t what = draws_.below(5);
    if (what == 0) {
      of.high_watermark = of.last_stable_offset = of.high_watermark + 1;
    } else if (what == 1) {
      of.log_start_offset = of.log_start_offset + 1;
    } else if (what == 2) {
      of.error_code = of.error_code == ErrorCode::kNone ? ErrorCode::kNotLeaderOrFollower : ErrorCode::kNone;
    } else if (what == 3) {
      of.records = Slice();
    } else {
      of.records = Slice::copy_of("records");
    }
  }
  FetchResponse full(const std::vector<protocol::FetchTopic>& topics, bool by_id) {
    FetchResponse response;
    for (const protocol::FetchTopic& topic : topics) {
      auto& answers = response.responses.emplace_back();
      answers.topic = by_id ? std::string() : topic.topic;
      answers.topic_id = topic.topic_id;
      const std::size_t number = by_id ? topic.topic_id.bytes[0] : static_cast<std::size_t>(topic.topic[0] - 'a');
      for (const protocol::FetchPartition& partition : topic.partitions) {
        answers.partitions.push_back(state_[number][static_cast<std::size_t>(partition.partition.value())]);
        answers.partitions.back().partition_index = partition.partition;
      }
    }
    return response;
  }

  static constexpr std::uint64_t kTopics = 2;
  static constexpr std::uint64_t kPartitions = 4;

 private:
  sim::Draws draws_;
  std::array<std::array<FetchPartitionResponse, kPartitions>, kTopics> state_;
};

FetchRequest draw_request(sim::Draws& draws, bool by_id) {
  FetchRequest request;
  for (std::uint64_t t = 0; t < Shelf::kTopics; ++t) {
    protocol::FetchTopic topic;
    if (by_id) {
      topic.topic_id.bytes[0] = static_cast<std::uint8_t>(t);
      topic.topic_id.bytes[1] = 1;
    } else {
      topic.topic = std::string(1, static_cast<char>('a' + t));
    }
    for (std::uint64_t p = 0; p < Shelf::kPartitions; ++p) {
      if (draws.below(3) != 0) {
        const auto offset = static_cast<std::int64_t>(draws.below(4));
        topic.partitions.push_back(
            {.partition = PartitionId(static_cast<std::int32_t>(p)), .fetch_offset = Offset(offset)});
      }
    }
    if (!topic.partitions.empty()) {
      request.topics.push_back(topic);
    }
  }
  return request;
}

// All partitions with their positions, whatever their order.
std::vector<std::string> as_a_set(const std::vector<protocol::FetchTopic>& topics, bool by_id) {
  std::vector<std::string> all;
  for (const protocol::FetchTopic& topic : topics) {
    for (const protocol::FetchPartition& partition : topic.partitions) {
      all.push_back((by_id ? topic.topic_id.to_string() : topic.topic) + "-" +
                    std::to_string(partition.partition.value()) + "@" + std::to_string(partition.fetch_offset.value()));
    }
  }
  std::sort(all.begin(), all.end());
  return all;
}

// A client that asks for whatever it likes, skips requests, begins anew; a cache that is too small now and then.
void go_on_for_a_while(std::uint64_t seed) {
  sim::Draws draws(seed, "sessions", 0);
  const bool by_id = draws.below(2) == 0;
  const std::int16_t version = by_id ? kById : kByName;
  CountingRandom random;
  FetchSessions sessions(random, 1 + draws.below(2), 8 + draws.below(8));
  Shelf shelf(draws.child("shelf", 0));
  std::vector<sim::FetchSessionClient> clients;
  for (int i = 0; i < 3; ++i) {
    clients.emplace_back([](const std::string& what) { ADD_FAILURE() << what; });
  }
  MonotonicTime now;
  for (int i = 0; i < 60; ++i) {
    now = now + Duration::seconds(static_cast<std::int64_t>(draws.below(20)));
    for (std::uint64_t changes = draws.below(4); changes > 0; --changes) {
      shelf.change();
    }
    sim::FetchSessionClient& client = clients[draws.below(3)];
    const FetchRequest whole = draw_request(draws, by_id);
    FetchRequest asked = whole;
    client.begin(asked);
    const FetchSessions::Admission admission = sessions.admit(asked, version, now);
    FetchResponse response;
    response.error_code = admission.error;
    if (admission.session) {
      std::vector<protocol::FetchTopic> listed;
      admission.session->list(listed);
      EXPECT_EQ(as_a_set(listed, by_id), as_a_set(whole.topics, by_id)) << "the partitions of the session";
      response = shelf.full(listed, by_id);
      admission.session->tell(response);
    } else if (admission.error == ErrorCode::kNone) {
      response = shelf.full(asked.topics, by_id);
      if (admission.opens) {
        sessions.open(asked, response, by_id, now);
      }
    }
    if (draws.below(10) == 0) {
      client.lost(draws.below(2) == 0);
      continue;
    }
    if (client.end(response)) {
      EXPECT_EQ(response.responses, shelf.full(whole.topics, by_id).responses) << "told otherwise than without";
    }
    EXPECT_LE(sessions.metrics().sessions.value(), 2);
    EXPECT_LE(sessions.metrics().partitions.value(), 15);
  }
}

RC_GTEST_PROP(SessionModel, TellsWhatAFullFetchWouldWhateverIsAsked, (std::uint64_t seed)) {
  const std::string failures = chronik::testing::failures_of([&] { go_on_for_a_while(seed); });
  if (!failures.empty()) {
    RC_FAIL(failures);
  }
}

}  // namespace
}  // namespace chronik::broker::testing
