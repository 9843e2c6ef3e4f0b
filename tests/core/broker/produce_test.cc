// Produce where the disk is slow or its topic changes under it.
#include "core/protocol/messages/produce.h"
#include "core/protocol/messages/delete_topics.h"
#include "sim/disk.h"
#include "tests/core/broker/broker_world.h"

namespace chronik::broker::testing {
namespace {

using protocol::ErrorCode;

constexpr std::int16_t kProduceVersion = 9;

protocol::ProduceRequest large_request(const std::string& topic, std::int32_t partitions) {
  const std::string value(50'000, 'x');
  protocol::ProduceRequest request;
  request.acks = 1;
  request.timeout_ms = 30'000;
  auto& asked = request.topic_data.emplace_back();
  asked.name = topic;
  for (std::int32_t p = 0; p < partitions; ++p) {
    asked.partition_data.push_back({.index = PartitionId(p), .records = batch_of({value})});
  }
  return request;
}

protocol::ProduceRequest small_request(const std::string& value, std::int32_t timeout_ms) {
  protocol::ProduceRequest request;
  request.acks = 1;
  request.timeout_ms = timeout_ms;
  auto& asked = request.topic_data.emplace_back();
  asked.name = "t";
  asked.partition_data.push_back({.index = PartitionId(0), .records = batch_of({value})});
  return request;
}

sim::DiskKnobs& disk_of(BrokerWorld& world) {
  return dynamic_cast<sim::SimulatedDisk&>(*world.node_machine().disk()).knobs();
}

protocol::ProducePartitionResponse next_answer(RawConnection& raw) {
  const auto response = raw.receive_as<protocol::ProduceResponse>(kProduceVersion);
  EXPECT_TRUE(response.ok()) << response.status();
  return response.ok() ? response->responses.at(0).partition_responses.at(0) : protocol::ProducePartitionResponse{};
}

TEST(Produce, SendsTheAnswersOfOneSyncTogetherAndInOrder) {
  BrokerWorld world;
  world.run([&](Visit& visit) {
    make_topic(*visit.connect(), "t", 1);
    disk_of(world).sync = disk_of(world).sync_most = Duration::seconds(1);
    const auto raw = visit.connect_raw();
    for (std::int32_t i = 0; i < 20; ++i) {
      ASSERT_TRUE(raw->send(small_request(std::to_string(i), 30'000), kProduceVersion, i).ok());
    }
    const MonotonicTime sent = visit.ports.clock.monotonic();
    for (std::int32_t i = 0; i < 20; ++i) {
      const auto answer = next_answer(*raw);
      EXPECT_EQ(answer.error_code, ErrorCode::kNone);
      EXPECT_EQ(answer.base_offset, Offset(i));
    }
    // The first one's sync and that of all others.
    EXPECT_LT(visit.ports.clock.monotonic() - sent, Duration::seconds(3));
  });
}

TEST(Produce, ThatIsNotDurableInItsTimeSaysSo) {
  BrokerWorld world;
  world.run([&](Visit& visit) {
    make_topic(*visit.connect(), "t", 1);
    disk_of(world).sync = disk_of(world).sync_most = Duration::seconds(2);
    const auto raw = visit.connect_raw();
    const MonotonicTime sent = visit.ports.clock.monotonic();
    ASSERT_TRUE(raw->send(small_request("impatient", 100), kProduceVersion, 1).ok());
    ASSERT_TRUE(raw->send(small_request("patient", 30'000), kProduceVersion, 2).ok());
    const auto impatient = next_answer(*raw);
    EXPECT_LT(visit.ports.clock.monotonic() - sent, Duration::seconds(1));
    EXPECT_EQ(impatient.error_code, ErrorCode::kRequestTimedOut);
    EXPECT_EQ(impatient.base_offset, Offset::none());
    const auto patient = next_answer(*raw);
    EXPECT_EQ(patient.error_code, ErrorCode::kNone);
    EXPECT_EQ(patient.base_offset, Offset(1));  // a time that is over does not take the record back
    EXPECT_EQ(read_values(*visit.connect(), "t", 0), (std::vector<std::string>{"impatient", "patient"}));
  });
}

// Its answer is read again where its time is over, and what it says of refused records must not be too much for that.
TEST(Produce, ThatIsRefusedRecordByRecordManyTimesIsAnsweredWhenItsTimeIsOver) {
  constexpr std::size_t kRefused = 14'000;
  node::NodeConfig config = small_node();
  config.limits.write = Duration::seconds(1000);
  BrokerWorld world(config);
  world.run([&](Visit& visit) {
    make_topic(*visit.connect(), "t", 1);
    disk_of(world).sync = disk_of(world).sync_most = Duration::seconds(2);
    const Slice early = batch_of(std::vector<std::string>(100, ""), {},
                                 WallTime::from_milliseconds(visit.ports.clock.wall().milliseconds() + 7'200'000));
    protocol::ProduceRequest request;
    request.acks = -1;
    request.timeout_ms = 0;
    auto& asked = request.topic_data.emplace_back();
    asked.name = "t";
    for (std::size_t i = 0; i < kRefused; ++i) {
      asked.partition_data.push_back({.index = PartitionId(0), .records = early});
    }
    asked.partition_data.push_back({.index = PartitionId(0), .records = batch_of({"good"})});
    const auto raw = visit.connect_raw();
    ASSERT_TRUE(raw->send(request, kProduceVersion, 1).ok());
    const auto response = raw->receive_as<protocol::ProduceResponse>(kProduceVersion);
    ASSERT_TRUE(response.ok()) << response.status();
    const auto& answers = response->responses.at(0).partition_responses;
    ASSERT_EQ(answers.size(), kRefused + 1);
    std::size_t errors = 0;
    for (std::size_t i = 0; i < kRefused; ++i) {
      EXPECT_EQ(answers[i].error_code, ErrorCode::kInvalidTimestamp);
      errors += answers[i].record_errors.size();
    }
    EXPECT_EQ(answers[0].record_errors.size(), 100u);
    EXPECT_EQ(errors, 10'000u);
    EXPECT_EQ(answers[kRefused].error_code, ErrorCode::kRequestTimedOut);
  });
}

TEST(Produce, IsRefusedWhereItsTopicIsDeletedWhileItWaitsForRoom) {
  constexpr std::int32_t kPartitions = 20;  // of which the write-ahead log's queue holds five
  BrokerWorld world;
  world.run([&](Visit& visit) {
    const auto admin = visit.connect();
    make_topic(*admin, "t", kPartitions);
    disk_of(world).sync = disk_of(world).sync_most = Duration::seconds(2);
    const auto raw = visit.connect_raw();
    ASSERT_TRUE(raw->send(large_request("t", kPartitions), kProduceVersion, 1).ok());
    ASSERT_TRUE(fiber::sleep(Duration::milliseconds(500)).ok());
    EXPECT_GT(world.node().server().request_bytes().used(), 0U);

    protocol::DeleteTopicsRequest deletion;
    deletion.timeout_ms = 30'000;
    deletion.topics.emplace_back().name = "t";
    const auto deleted = ask<protocol::DeleteTopicsResponse>(*admin, deletion, 6);
    ASSERT_EQ(deleted.responses.size(), 1U);
    EXPECT_EQ(deleted.responses[0].error_code, ErrorCode::kNone);

    const auto response = raw->receive_as<protocol::ProduceResponse>(kProduceVersion);
    ASSERT_TRUE(response.ok()) << response.status();
    const auto& answers = response->responses.at(0).partition_responses;
    ASSERT_EQ(answers.size(), std::size_t{kPartitions});
    // The one that waited was looked up before; those behind it find nothing.
    std::size_t waited = 0;
    while (waited < answers.size() && answers[waited].error_code == ErrorCode::kNotLeaderOrFollower) {
      ++waited;
    }
    EXPECT_GT(waited, 1U);
    EXPECT_LT(waited, 10U);
    for (std::size_t p = waited; p < answers.size(); ++p) {
      EXPECT_EQ(answers[p].error_code, ErrorCode::kUnknownTopicOrPartition) << p;
    }
  });
}

}  // namespace
}  // namespace chronik::broker::testing
