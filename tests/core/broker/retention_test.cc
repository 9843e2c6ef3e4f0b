// Retention by size and by time, what DeleteRecords leaves, and the largest batch that there may be.
#include <algorithm>
#include <limits>

#include "core/protocol/messages/delete_records.h"
#include "core/protocol/messages/describe_log_dirs.h"
#include "core/protocol/messages/list_offsets.h"
#include "tests/core/broker/broker_world.h"

namespace chronik::broker::testing {
namespace {

using protocol::ErrorCode;

Offset log_start(client::Client& client) {
  protocol::ListOffsetsRequest request;
  request.topics.push_back(
      {.name = "t", .partitions = {{.partition_index = PartitionId(0), .timestamp = protocol::kEarliestTimestamp}}});
  return ask<protocol::ListOffsetsResponse>(client, request, 7).topics.at(0).partitions.at(0).offset;
}

std::int64_t log_bytes(client::Client& client) {
  return ask<protocol::DescribeLogDirsResponse>(client, protocol::DescribeLogDirsRequest{}, 4)
      .results.at(0)
      .topics.at(0)
      .partitions.at(0)
      .partition_size;
}

node::NodeConfig node_that_looks_every(std::int64_t ms) {
  node::NodeConfig config = small_node();
  config.broker["log.retention.check.interval.ms"] = std::to_string(ms);
  return config;
}

void produce_now(Visit& visit, client::Client& client, int batches) {
  for (int i = 0; i < batches; ++i) {
    EXPECT_EQ(produce(client, "t", 0, batch_of({std::string(5'000, 'x')}, {}, visit.ports.clock.wall())).error_code,
              ErrorCode::kNone);
  }
}

TEST(Retention, BySizeKeepsWhatItMayAndNoMoreThanASegmentBeyond) {
  BrokerWorld world(node_that_looks_every(10'000));
  Offset start;
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    make_topic(*client, "t", 1, {{"retention.bytes", "60000"}, {"segment.bytes", "20000"}});
    produce_now(visit, *client, 60);
    ASSERT_TRUE(fiber::sleep(Duration::seconds(5)).ok());
    EXPECT_EQ(log_start(*client), Offset(0)) << "it looked earlier than log.retention.check.interval.ms says";
    ASSERT_TRUE(fiber::sleep(Duration::seconds(20)).ok());
    start = log_start(*client);
    EXPECT_GT(start, Offset(0));
    EXPECT_GE(log_bytes(*client), 60'000);
    EXPECT_LE(log_bytes(*client), 80'000 + 5'100);
    EXPECT_EQ(read_values(*client, "t", 0, start.value()).size(), static_cast<std::size_t>(Offset(60) - start));
  });
  world.kill(sim::Death::kPowerLoss);
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    EXPECT_EQ(log_start(*client), start);
    EXPECT_EQ(read_values(*client, "t", 0, start.value()).size(), static_cast<std::size_t>(Offset(60) - start));
    EXPECT_EQ(produce(*client, "t", 0, batch_of({"y"})).base_offset, Offset(60));
  });
}

TEST(Retention, ByTimeRemovesEvenTheLastRecordOfAnIdlePartition) {
  BrokerWorld world(node_that_looks_every(10'000));
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    make_topic(*client, "t", 1, {{"retention.ms", "60000"}, {"segment.bytes", "20000"}});
    produce_now(visit, *client, 20);
    ASSERT_TRUE(fiber::sleep(Duration::seconds(50)).ok());
    EXPECT_EQ(log_start(*client), Offset(0));
    produce_now(visit, *client, 1);
    ASSERT_TRUE(fiber::sleep(Duration::seconds(40)).ok());
    EXPECT_GT(log_start(*client), Offset(0));
    EXPECT_LE(log_start(*client), Offset(20)) << "the youngest record is not old enough";
    ASSERT_TRUE(fiber::sleep(Duration::seconds(60)).ok());
    EXPECT_EQ(log_start(*client), Offset(21));
    EXPECT_EQ(log_bytes(*client), 0);
    EXPECT_EQ(produce(*client, "t", 0, batch_of({"y"})).base_offset, Offset(21));
  });
}

// As clients stamp them that take the milliseconds for nanoseconds: further ahead than a Duration reaches.
TEST(Retention, ByTimeKeepsWhatIsStampedWithATimeThatIsYetToCome) {
  BrokerWorld world(node_that_looks_every(10'000));
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    make_topic(*client, "t", 1,
               {{"retention.ms", "60000"},
                {"segment.bytes", "20000"},
                {"message.timestamp.after.max.ms", std::to_string(std::numeric_limits<std::int64_t>::max())}});
    const WallTime in_nanoseconds = WallTime::from_milliseconds(visit.ports.clock.wall().milliseconds() * 1'000'000);
    for (int i = 0; i < 20; ++i) {
      EXPECT_EQ(produce(*client, "t", 0, batch_of({std::string(5'000, 'x')}, {}, in_nanoseconds)).error_code,
                ErrorCode::kNone);
    }
    ASSERT_TRUE(fiber::sleep(Duration::seconds(200)).ok());
    EXPECT_EQ(log_start(*client), Offset(0));
    EXPECT_EQ(read_values(*client, "t", 0).size(), 20u);
  });
}

TEST(Retention, RemovesTheFilesOfWhatDeleteRecordsCutOff) {
  BrokerWorld world(node_that_looks_every(10'000));
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    make_topic(*client, "t", 1, {{"segment.bytes", "20000"}});
    produce_now(visit, *client, 20);
    protocol::DeleteRecordsRequest request;
    request.timeout_ms = 10'000;
    request.topics.push_back(
        {.name = "t", .partitions = {{.partition_index = PartitionId(0), .offset = Offset::none()}}});
    EXPECT_EQ(ask<protocol::DeleteRecordsResponse>(*client, request, 2).topics.at(0).partitions.at(0).error_code,
              ErrorCode::kNone);
    ASSERT_TRUE(fiber::sleep(Duration::seconds(30)).ok());
    EXPECT_EQ(log_start(*client), Offset(20));
    EXPECT_EQ(log_bytes(*client), 0);
  });
}

TEST(Produce, ABatchThatTheLogCanNeverTakeIsRefused) {
  const node::NodeConfig config = small_node();
  const std::size_t most = config.logs.wal.record_bytes_max;
  BrokerWorld world(config);
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    make_topic(*client, "t", 1, {{"max.message.bytes", "10000000"}});
    const std::size_t around = batch_of({std::string(most - 200, 'x')}).size() - (most - 200);
    const Slice largest = batch_of({std::string(most - around, 'x')});
    ASSERT_EQ(largest.size(), most);
    for (const std::int16_t acks : {std::int16_t{1}, std::int16_t{-1}}) {
      const auto refused = produce(*client, "t", 0, batch_of({std::string(most - around + 1, 'x')}), acks);
      EXPECT_EQ(refused.error_code, ErrorCode::kMessageTooLarge);
      EXPECT_EQ(refused.base_offset, Offset::none());
      EXPECT_FALSE(refused.error_message.value_or("").empty());
    }
    EXPECT_EQ(produce(*client, "t", 0, largest).base_offset, Offset(0));
  });
}

}  // namespace
}  // namespace chronik::broker::testing
