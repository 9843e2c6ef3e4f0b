// Compacted topics as clients see them, and replicas whose logs are compacted apart from each other.
#include <map>
#include <string>
#include <vector>

#include "core/protocol/messages/delete_records.h"
#include "core/protocol/messages/describe_configs.h"
#include "core/protocol/messages/find_coordinator.h"
#include "core/protocol/messages/incremental_alter_configs.h"
#include "core/protocol/record_batch_records.h"
#include "core/protocol/record_batch_walk.h"
#include "tests/core/broker/broker_world.h"
#include "tests/core/broker/nodes_world.h"

namespace chronik::broker::testing {
namespace {

using protocol::ErrorCode;

void clean_all_the_time(node::NodeConfig& config) {
  config.broker["log.cleaner.backoff.ms"] = "100";
  config.logs.tail_age_max = Duration::milliseconds(100);
}

Slice keyed_batch(const std::string& key, const std::string& value) {
  protocol::RecordBatchBuilder builder;
  protocol::RecordInput record;
  record.timestamp = WallTime::from_milliseconds(1'700'000'000'000);
  record.key = as_bytes(key);
  record.value = as_bytes(value);
  builder.append(record);
  return builder.build({});
}

void produce_keyed(client::Client& client, int from, int to) {
  for (int i = from; i < to; ++i) {
    const std::string key = "key" + std::to_string(i % 3);
    ASSERT_EQ(produce(client, "t", 0, keyed_batch(key, "value" + std::to_string(i))).error_code, ErrorCode::kNone);
  }
}

// All values, over batches that hold none.
std::vector<std::string> left_values(client::Client& client) {
  std::vector<std::string> values;
  for (Offset at(0);;) {
    const auto got = client.fetch("t", PartitionId(0), at, 10'000, patience());
    CHECK_OK(got.status());
    EXPECT_EQ(got->error_code, ErrorCode::kNone);
    const Slice records = got->records.value_or(Slice());
    protocol::BatchWalk walk(records.bytes(), protocol::BatchWalk::Checksums::kCheck);
    protocol::RecordBatchView batch;
    const Offset before = at;
    while (walk.next(batch)) {
      protocol::RecordIterator iterator(batch);
      protocol::RecordView record;
      while (iterator.next(record)) {
        values.emplace_back(as_text(record.value_bytes));
      }
      at = batch.next_offset();
    }
    if (at == before) {
      return values;
    }
  }
}

const Configs kSmallCompacted{
    {"cleanup.policy", "compact"}, {"segment.bytes", "1000"}, {"min.cleanable.dirty.ratio", "0.01"}};

TEST(CompactedTopic, KeepsTheLastOfEachKeyAndRefusesWhatHasNone) {
  node::NodeConfig config = small_node();
  clean_all_the_time(config);
  BrokerWorld world(config);
  world.run([](Visit& visit) {
    const auto client = visit.connect();
    make_topic(*client, "t", 1, kSmallCompacted);
    EXPECT_EQ(produce(*client, "t", 0, batch_of({"no key"})).error_code, ErrorCode::kInvalidRecord);
    produce_keyed(*client, 0, 100);
    ASSERT_TRUE(fiber::sleep(Duration::seconds(20)).ok());
    const std::vector<std::string> values = left_values(*client);
    EXPECT_LT(values.size(), 40u);
    ASSERT_GE(values.size(), 3u);
    EXPECT_EQ(std::vector<std::string>(values.end() - 3, values.end()),
              (std::vector<std::string>{"value97", "value98", "value99"}));
    protocol::DeleteRecordsRequest deletion;
    deletion.timeout_ms = 10'000;
    deletion.topics.push_back({.name = "t", .partitions = {{.partition_index = PartitionId(0), .offset = Offset(10)}}});
    EXPECT_EQ(ask<protocol::DeleteRecordsResponse>(*client, deletion, 2).topics.at(0).partitions.at(0).error_code,
              ErrorCode::kPolicyViolation);
  });
}

TEST(CompactedTopic, TheGroupsAreOne) {
  BrokerWorld world;
  world.run([](Visit& visit) {
    const auto client = visit.connect();
    protocol::FindCoordinatorRequest find;
    find.coordinator_keys = {"group"};
    EXPECT_EQ(ask<protocol::FindCoordinatorResponse>(*client, find, 4).coordinators.at(0).error_code, ErrorCode::kNone);
    protocol::DescribeConfigsRequest describe;
    describe.resources.push_back({.resource_type = 2, .resource_name = "__consumer_offsets", .configuration_keys = {}});
    const auto described = ask<protocol::DescribeConfigsResponse>(*client, describe, 4);
    std::map<std::string, std::string> values;
    for (const auto& entry : described.results.at(0).configs) {
      values[entry.name] = entry.value.value_or("");
    }
    EXPECT_EQ(values["cleanup.policy"], "compact");
    EXPECT_EQ(values["segment.bytes"], "104857600");
  });
}

std::vector<NodeId> in_sync(client::Client& client) {
  const auto topic = client.metadata("t", patience());
  CHECK_OK(topic.status());
  return topic->partitions.at(0).isr_nodes;
}

void make_pair_topic(client::Client& client) {
  protocol::CreateTopicsRequest request;
  request.timeout_ms = 30'000;
  auto& topic = request.topics.emplace_back();
  topic.name = "t";
  topic.num_partitions = -1;
  topic.replication_factor = -1;
  topic.assignments.push_back({.partition_index = PartitionId(0), .broker_ids = {NodeId(1), NodeId(2)}});
  for (const auto& [name, value] : kSmallCompacted) {
    topic.configs.push_back({.name = name, .value = value});
  }
  ASSERT_EQ(ask<protocol::CreateTopicsResponse>(client, request, 7).topics.at(0).error_code, ErrorCode::kNone);
  ASSERT_TRUE(fiber::sleep(Duration::seconds(1)).ok());
}

// What a fetch at the offset gives first.
protocol::RecordBatchView first_batch(client::Client& client, std::int64_t at, Slice& kept) {
  const auto got = client.fetch("t", PartitionId(0), Offset(at), 10'000, patience());
  CHECK_OK(got.status());
  kept = got->records.value_or(Slice());
  protocol::RecordBatchView batch;
  CHECK(protocol::RecordBatchView::parse(kept.bytes(), batch) == protocol::BatchDefect::kNone);
  return batch;
}

TEST(CompactedReplica, WhoseLogEndsWithinWhatTheLeaderHasMergedTakesTheRest) {
  constexpr int kWhenItDies = 18;  // amid a segment of the leader's
  NodesWorld world(false, [](node::NodeConfig& config) { clean_all_the_time(config); });
  world.run([](NodesVisit& visit) {
    const auto leader = visit.connect(1);
    make_pair_topic(*leader);
    produce_keyed(*leader, 0, kWhenItDies);
    ASSERT_EQ(in_sync(*leader).size(), 2u);
    visit.world.kill(2, sim::Death::kProcessKill);
    ASSERT_TRUE(fiber::sleep(Duration::seconds(10)).ok());
    produce_keyed(*leader, kWhenItDies, 150);
    ASSERT_TRUE(fiber::sleep(Duration::seconds(30)).ok());
    Slice kept;
    const protocol::RecordBatchView merged = first_batch(*leader, kWhenItDies, kept);
    EXPECT_EQ(merged.record_count(), 0);
    EXPECT_LT(merged.base_offset(), Offset(kWhenItDies)) << "the test asks for nothing";
  });
  world.run([&](NodesVisit& visit) {
    const auto client = visit.connect(1);
    for (int second = 0; second < 60 && in_sync(*client).size() < 2; ++second) {
      ASSERT_TRUE(fiber::sleep(Duration::seconds(1)).ok());
    }
    ASSERT_EQ(in_sync(*client).size(), 2u);
    visit.world.kill(1, sim::Death::kPowerLoss);
    ASSERT_TRUE(fiber::sleep(Duration::seconds(10)).ok());
    const auto other = visit.connect(2);
    const std::vector<std::string> others = left_values(*other);
    ASSERT_GE(others.size(), 3u);
    EXPECT_EQ(std::vector<std::string>(others.end() - 3, others.end()),
              (std::vector<std::string>{"value147", "value148", "value149"}));
    Slice kept;
    EXPECT_LE(first_batch(*other, kWhenItDies, kept).base_offset(), Offset(kWhenItDies));
  });
}

TEST(CompactedTopic, HowOftenItIsLookedAtMayBeChangedWhileTheBrokerRuns) {
  node::NodeConfig config = small_node();
  clean_all_the_time(config);
  config.broker["log.cleaner.backoff.ms"] = "100000000";
  BrokerWorld world(config);
  world.run([](Visit& visit) {
    const auto client = visit.connect();
    make_topic(*client, "t", 1, kSmallCompacted);
    produce_keyed(*client, 0, 100);
    ASSERT_TRUE(fiber::sleep(Duration::seconds(20)).ok());
    EXPECT_EQ(left_values(*client).size(), 100u);
    protocol::IncrementalAlterConfigsRequest request;
    request.resources.push_back(
        {.resource_type = 4, .resource_name = "1", .configs = {{.name = "log.cleaner.backoff.ms", .value = "100"}}});
    const auto told = ask<protocol::IncrementalAlterConfigsResponse>(*client, request, 1);
    EXPECT_EQ(told.responses.at(0).error_code, ErrorCode::kNone) << told.responses[0].error_message.value_or("");
    ASSERT_TRUE(fiber::sleep(Duration::seconds(20)).ok());
    EXPECT_LT(left_values(*client).size(), 40u);
  });
}

}  // namespace
}  // namespace chronik::broker::testing
