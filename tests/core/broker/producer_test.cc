// Idempotent producers: their ids, and the window of five batches, from the wire to the wire (KIP-98, KIP-360).
#include <limits>

#include "core/protocol/messages/init_producer_id.h"
#include "tests/core/broker/broker_world.h"

namespace chronik::broker::testing {
namespace {

using protocol::ErrorCode;
using protocol::InitProducerIdRequest;
using protocol::InitProducerIdResponse;

constexpr const char* kTopic = "numbers";

protocol::BatchFields by(ProducerId id, std::int16_t epoch, std::int32_t sequence) {
  return {.producer_id = id, .producer_epoch = ProducerEpoch(epoch), .base_sequence = sequence};
}

ProducerId new_producer(client::Client& client) {
  const auto answer = ask<InitProducerIdResponse>(client, InitProducerIdRequest{}, 4);
  EXPECT_EQ(answer.error_code, ErrorCode::kNone);
  EXPECT_EQ(answer.producer_epoch, ProducerEpoch(0));
  return answer.producer_id;
}

TEST(InitProducerId, GivesEachProducerAnIdOfItsOwnAtEveryVersionAndAfterEveryRestart) {
  BrokerWorld world;
  std::vector<std::int64_t> ids;
  const auto take = [&](Visit& visit) {
    const auto client = visit.connect();
    for (std::int16_t version = 0; version <= 5; ++version) {
      const auto answer = ask<InitProducerIdResponse>(*client, InitProducerIdRequest{}, version);
      EXPECT_EQ(answer.error_code, ErrorCode::kNone) << version;
      EXPECT_EQ(answer.producer_epoch, ProducerEpoch(0)) << version;
      ids.push_back(answer.producer_id.value());
    }
  };
  world.run(take);
  world.kill(sim::Death::kProcessKill);
  world.run(take);
  world.kill(sim::Death::kPowerLoss);
  world.run(take);
  ASSERT_EQ(ids.size(), 18u);
  EXPECT_GE(ids.front(), 0);
  EXPECT_TRUE(std::is_sorted(ids.begin(), ids.end(), std::less_equal<>())) << "an id was given twice";
}

TEST(InitProducerId, OneBlockServesAThousandProducersWithOneCommit) {
  BrokerWorld world;
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    new_producer(*client);
    const LogIndex before = world.node().metadata().image()->applied;
    for (int i = 0; i < 999; ++i) {
      new_producer(*client);
    }
    EXPECT_EQ(world.node().metadata().image()->applied, before);
    new_producer(*client);
    EXPECT_EQ(world.node().metadata().image()->applied, before.next());
  });
}

TEST(InitProducerId, RefusesHalfAProducerAndTransactions) {
  BrokerWorld world;
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    InitProducerIdRequest request;
    request.producer_id = ProducerId(5);
    EXPECT_EQ(ask<InitProducerIdResponse>(*client, request, 3).error_code, ErrorCode::kInvalidRequest);
    request.producer_epoch = ProducerEpoch(7);
    const auto anew = ask<InitProducerIdResponse>(*client, request, 3);
    EXPECT_EQ(anew.error_code, ErrorCode::kNone);
    EXPECT_EQ(anew.producer_epoch, ProducerEpoch(0));
    request = {};
    request.transactional_id = "";
    EXPECT_EQ(ask<InitProducerIdResponse>(*client, request, 4).error_code, ErrorCode::kInvalidRequest);
    request.transactional_id = "payments";
    const auto refused = ask<InitProducerIdResponse>(*client, request, 4);
    EXPECT_EQ(refused.error_code, ErrorCode::kCoordinatorNotAvailable);
    EXPECT_EQ(refused.producer_id, ProducerId::none());
  });
}

TEST(IdempotentProduce, ARetryGetsTheOriginalOffsetAndIsStoredOnce) {
  BrokerWorld world;
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    make_topic(*client, kTopic, 1);
    const ProducerId id = new_producer(*client);
    for (std::int32_t i = 0; i < 5; ++i) {
      const auto first = produce(*client, kTopic, 0, batch_of({"a" + std::to_string(i), "b"}, by(id, 0, 2 * i)));
      EXPECT_EQ(first.error_code, ErrorCode::kNone);
      EXPECT_EQ(first.base_offset, Offset(2 * i));
    }
    // All five are remembered; under acks=1 as well.
    for (std::int32_t i = 0; i < 5; ++i) {
      const auto again = produce(*client, kTopic, 0, batch_of({"a" + std::to_string(i), "b"}, by(id, 0, 2 * i)), 1);
      EXPECT_EQ(again.error_code, ErrorCode::kNone);
      EXPECT_EQ(again.base_offset, Offset(2 * i));
    }
    EXPECT_EQ(read_values(*client, kTopic, 0),
              (std::vector<std::string>{"a0", "b", "a1", "b", "a2", "b", "a3", "b", "a4", "b"}));
    // A sixth pushes the first one out of the window.
    EXPECT_EQ(produce(*client, kTopic, 0, batch_of({"a5", "b"}, by(id, 0, 10))).base_offset, Offset(10));
    EXPECT_EQ(produce(*client, kTopic, 0, batch_of({"a0", "b"}, by(id, 0, 0))).error_code,
              ErrorCode::kOutOfOrderSequenceNumber);
    EXPECT_EQ(produce(*client, kTopic, 0, batch_of({"a1", "b"}, by(id, 0, 2))).base_offset, Offset(2));
  });
}

TEST(IdempotentProduce, AGapAndAnOldEpochAreRefusedAndNothingIsStored) {
  BrokerWorld world;
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    make_topic(*client, kTopic, 2);
    const ProducerId id = new_producer(*client);
    EXPECT_EQ(produce(*client, kTopic, 0, batch_of({"0"}, by(id, 0, 0))).error_code, ErrorCode::kNone);
    EXPECT_EQ(produce(*client, kTopic, 0, batch_of({"2"}, by(id, 0, 2))).error_code,
              ErrorCode::kOutOfOrderSequenceNumber);
    // A producer raises its epoch by itself, and begins at 0 again; each partition has a window of its own.
    EXPECT_EQ(produce(*client, kTopic, 0, batch_of({"x"}, by(id, 1, 5))).error_code,
              ErrorCode::kOutOfOrderSequenceNumber);
    EXPECT_EQ(produce(*client, kTopic, 0, batch_of({"1"}, by(id, 1, 0))).error_code, ErrorCode::kNone);
    EXPECT_EQ(produce(*client, kTopic, 0, batch_of({"x"}, by(id, 0, 1))).error_code, ErrorCode::kInvalidProducerEpoch);
    EXPECT_EQ(produce(*client, kTopic, 1, batch_of({"other"}, by(id, 0, 0))).error_code, ErrorCode::kNone);
    EXPECT_EQ(read_values(*client, kTopic, 0), (std::vector<std::string>{"0", "1"}));
    EXPECT_EQ(read_values(*client, kTopic, 1), (std::vector<std::string>{"other"}));
  });
}

TEST(IdempotentProduce, SequencesGoOnAtZeroBehindTheLargest) {
  BrokerWorld world;
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    make_topic(*client, kTopic, 1);
    const ProducerId id = new_producer(*client);
    constexpr std::int32_t kLargest = std::numeric_limits<std::int32_t>::max();
    // Nothing is known of the producer: any sequence begins.
    EXPECT_EQ(produce(*client, kTopic, 0, batch_of({"a", "b"}, by(id, 0, kLargest))).error_code, ErrorCode::kNone);
    EXPECT_EQ(produce(*client, kTopic, 0, batch_of({"c"}, by(id, 0, 1))).base_offset, Offset(2));
    EXPECT_EQ(produce(*client, kTopic, 0, batch_of({"a", "b"}, by(id, 0, kLargest))).base_offset, Offset(0));
    EXPECT_EQ(read_values(*client, kTopic, 0), (std::vector<std::string>{"a", "b", "c"}));
  });
}

// The window comes back from the records of the write-ahead log, and from its checkpoints.
void expect_window_survives(
    const std::function<void(BrokerWorld&)>& end, int filler_batches,
    const std::function<void(BrokerWorld&)>& look = [](BrokerWorld&) {}) {
  BrokerWorld world;
  ProducerId id;
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    make_topic(*client, kTopic, 2);
    id = new_producer(*client);
    for (std::int32_t i = 0; i < 6; ++i) {
      EXPECT_EQ(produce(*client, kTopic, 0, batch_of({std::to_string(i)}, by(id, 3, i))).error_code, ErrorCode::kNone);
    }
    for (int i = 0; i < filler_batches; ++i) {
      EXPECT_EQ(produce(*client, kTopic, 1, batch_of({std::string(20'000, 'x')})).error_code, ErrorCode::kNone);
    }
  });
  end(world);
  world.run([&](Visit& visit) {
    look(world);
    const auto client = visit.connect();
    for (std::int32_t i = 1; i < 6; ++i) {
      EXPECT_EQ(produce(*client, kTopic, 0, batch_of({std::to_string(i)}, by(id, 3, i))).base_offset, Offset(i)) << i;
    }
    EXPECT_EQ(produce(*client, kTopic, 0, batch_of({"x"}, by(id, 3, 7))).error_code,
              ErrorCode::kOutOfOrderSequenceNumber);
    EXPECT_EQ(produce(*client, kTopic, 0, batch_of({"x"}, by(id, 2, 6))).error_code, ErrorCode::kInvalidProducerEpoch);
    EXPECT_EQ(produce(*client, kTopic, 0, batch_of({"6"}, by(id, 3, 6))).base_offset, Offset(6));
    EXPECT_EQ(read_values(*client, kTopic, 0), (std::vector<std::string>{"0", "1", "2", "3", "4", "5", "6"}));
  });
}

TEST(IdempotentProduce, TheWindowSurvivesAKillByReplay) {
  expect_window_survives([](BrokerWorld& world) { world.kill(sim::Death::kProcessKill); }, 0,
                         [](BrokerWorld& world) { EXPECT_GT(world.node().recovery().bytes_replayed, 0u); });
}
TEST(IdempotentProduce, TheWindowSurvivesALossOfPowerByACheckpoint) {
  // Enough to fill several files of the write-ahead log: the producer's records are in none of them any more.
  expect_window_survives([](BrokerWorld& world) { world.kill(sim::Death::kPowerLoss); }, 150);
}
TEST(IdempotentProduce, TheWindowSurvivesACleanStop) {
  expect_window_survives([](BrokerWorld& world) { world.stop(); }, 0,
                         [](BrokerWorld& world) { EXPECT_EQ(world.node().recovery().bytes_replayed, 0u); });
}

}  // namespace
}  // namespace chronik::broker::testing
