// Produce where its topic changes under it.
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

TEST(Produce, IsRefusedWhereItsTopicIsDeletedWhileItWaitsForRoom) {
  constexpr std::int32_t kPartitions = 20;  // of which the write-ahead log's queue holds five
  BrokerWorld world;
  world.run([&](Visit& visit) {
    const auto admin = visit.connect();
    make_topic(*admin, "t", kPartitions);
    sim::DiskKnobs& disk = dynamic_cast<sim::SimulatedDisk&>(*world.node_machine().disk()).knobs();
    disk.sync = disk.sync_most = Duration::seconds(2);
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
