// What tools ask for: DescribeProducers, ListConfigResources; and what they want to be told of a new topic.
#include <map>

#include "core/protocol/messages/describe_producers.h"
#include "core/protocol/messages/list_config_resources.h"
#include "core/protocol/messages/metadata.h"
#include "tests/core/broker/nodes_world.h"

namespace chronik::broker::testing {
namespace {

using protocol::DescribeProducersRequest;
using protocol::DescribeProducersResponse;
using protocol::ErrorCode;
using protocol::ListConfigResourcesRequest;
using protocol::ListConfigResourcesResponse;

constexpr std::int64_t kSomebody = 77;
constexpr std::int64_t kNobody = 9;

Slice batch_by(std::int64_t id, std::int16_t epoch, std::int32_t sequence) {
  return batch_of({"a", "b"},
                  {.producer_id = ProducerId(id), .producer_epoch = ProducerEpoch(epoch), .base_sequence = sequence});
}

DescribeProducersResponse producers_of(client::Client& client, const std::string& topic,
                                       const std::vector<std::int32_t>& partitions) {
  DescribeProducersRequest request;
  auto& asked = request.topics.emplace_back();
  asked.name = topic;
  for (const std::int32_t partition : partitions) {
    asked.partition_indexes.emplace_back(partition);
  }
  return ask<DescribeProducersResponse>(client, request, 0);
}

TEST(DescribeProducers, SaysWhereEachProducerOfAPartitionIs) {
  BrokerWorld world;
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    make_topic(*client, "t", 2);
    for (std::int32_t sequence = 0; sequence < 14; sequence += 2) {  // more batches than are remembered
      EXPECT_EQ(produce(*client, "t", 1, batch_by(kSomebody, 3, sequence)).error_code, ErrorCode::kNone);
    }
    EXPECT_EQ(produce(*client, "t", 1, batch_by(kNobody, 0, 0)).error_code, ErrorCode::kNone);
    const WallTime now = visit.ports.clock.wall();
    const auto answer = producers_of(*client, "t", {0, 1, 2});
    ASSERT_EQ(answer.topics.size(), 1u);
    EXPECT_EQ(answer.topics[0].name, "t");
    const auto& partitions = answer.topics[0].partitions;
    ASSERT_EQ(partitions.size(), 3u);
    EXPECT_EQ(partitions[0].error_code, ErrorCode::kNone);
    EXPECT_TRUE(partitions[0].active_producers.empty());
    ASSERT_EQ(partitions[1].active_producers.size(), 2u);
    const auto& nobody = partitions[1].active_producers[0];
    EXPECT_EQ(nobody.producer_id, ProducerId(kNobody));
    EXPECT_EQ(nobody.last_sequence, 1);
    const auto& somebody = partitions[1].active_producers[1];
    EXPECT_EQ(somebody.producer_id, ProducerId(kSomebody));
    EXPECT_EQ(somebody.producer_epoch, 3);
    EXPECT_EQ(somebody.last_sequence, 13);
    EXPECT_LE(std::abs(somebody.last_timestamp - now.milliseconds()), 60'000);
    EXPECT_EQ(somebody.coordinator_epoch, -1);
    EXPECT_EQ(somebody.current_txn_start_offset, Offset::none());
    EXPECT_EQ(partitions[2].error_code, ErrorCode::kUnknownTopicOrPartition);
    const auto refused = [&](const std::string& name) {
      return producers_of(*client, name, {0}).topics.at(0).partitions.at(0);
    };
    EXPECT_EQ(refused("nothing").error_code, ErrorCode::kUnknownTopicOrPartition);
    EXPECT_EQ(refused("no/name").error_code, ErrorCode::kInvalidTopicException);
    EXPECT_TRUE(refused("no/name").error_message.has_value());
  });
}

void ask_one_for_all_producers(bool forward, const std::vector<ErrorCode>& errors) {
  NodesWorld world(forward);
  world.run([&](NodesVisit& visit) {
    const auto client = visit.connect(1);
    make_spread_topic(*client, "t");
    for (std::int32_t partition = 0; partition < 3; ++partition) {
      produce(*visit.connect(partition + 1), "t", partition, batch_by(kSomebody + partition, 0, 0));
    }
    const auto answer = producers_of(*client, "t", {0, 1, 2});
    for (std::size_t p = 0; p < 3; ++p) {
      const auto& of = answer.topics.at(0).partitions.at(p);
      EXPECT_EQ(of.error_code, errors[p]) << p;
      if (errors[p] == ErrorCode::kNone) {
        ASSERT_EQ(of.active_producers.size(), 1u);
        EXPECT_EQ(of.active_producers[0].producer_id, ProducerId(kSomebody + static_cast<std::int64_t>(p)));
      }
    }
  });
}

TEST(DescribeProducers, OfAReplicaElsewhereIsNotAnsweredHere) {
  ask_one_for_all_producers(false,
                            {ErrorCode::kNone, ErrorCode::kNotLeaderOrFollower, ErrorCode::kNotLeaderOrFollower});
}

TEST(DescribeProducers, GoesToTheLeadersWhereTheNodeForwards) {
  ask_one_for_all_producers(true, {ErrorCode::kNone, ErrorCode::kNone, ErrorCode::kNone});
}

std::vector<std::string> resources(client::Client& client, const std::vector<std::int8_t>& types,
                                   std::int16_t version = 1) {
  ListConfigResourcesRequest request;
  request.resource_types = types;
  const auto answer = ask<ListConfigResourcesResponse>(client, request, version);
  EXPECT_EQ(answer.error_code, ErrorCode::kNone);
  std::vector<std::string> names;
  for (const auto& resource : answer.config_resources) {
    names.push_back(std::to_string(resource.resource_type) + " " + resource.resource_name);
  }
  return names;
}

TEST(ListConfigResources, ListsTopicsAndBrokers) {
  BrokerWorld world;
  world.run([&](Visit& visit) {
    using Names = std::vector<std::string>;
    const auto client = visit.connect();
    make_topic(*client, "t", 1);
    EXPECT_EQ(resources(*client, {}), (Names{"2 t", "4 1"}));
    EXPECT_EQ(resources(*client, {4}), (Names{"4 1"}));
    EXPECT_EQ(resources(*client, {2, 16}), (Names{"2 t"}));
    EXPECT_EQ(resources(*client, {8, 16, 32}), Names{});
    EXPECT_EQ(resources(*client, {}, 0), Names{}) << "version 0 asks for client metrics alone";
    ListConfigResourcesRequest unknown;
    unknown.resource_types = {2, 3};
    const auto refused = ask<ListConfigResourcesResponse>(*client, unknown, 1);
    EXPECT_EQ(refused.error_code, ErrorCode::kUnsupportedVersion);
    EXPECT_TRUE(refused.config_resources.empty());
  });
}

// ---- CreateTopics ----

TEST(CreateTopics, AnswersTheSettingsOfTheNewTopic) {
  BrokerWorld world;
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    protocol::CreateTopicsRequest request;
    request.timeout_ms = 10'000;
    auto& topic = request.topics.emplace_back();
    topic.name = "t";
    topic.num_partitions = 2;
    topic.replication_factor = 1;
    topic.configs.push_back({.name = "retention.ms", .value = "1234"});
    const auto created = ask<protocol::CreateTopicsResponse>(*client, request, 7).topics.at(0);
    EXPECT_EQ(created.error_code, ErrorCode::kNone);
    EXPECT_EQ(created.num_partitions, 2);
    ASSERT_TRUE(created.configs.has_value());
    std::map<std::string, std::pair<std::string, int>> settings;
    for (const auto& config : *created.configs) {
      settings[config.name] = {config.value.value_or(""), config.config_source};
    }
    EXPECT_EQ(settings["retention.ms"], (std::pair<std::string, int>("1234", 1)));
    EXPECT_EQ(settings["max.message.bytes"], (std::pair<std::string, int>("1048588", 5)));
    // Only looked at, and told as it would be.
    request.topics[0].name = "u";
    request.validate_only = true;
    const auto looked = ask<protocol::CreateTopicsResponse>(*client, request, 7).topics.at(0);
    EXPECT_EQ(looked.error_code, ErrorCode::kNone);
    EXPECT_EQ(looked.num_partitions, 2);
    EXPECT_EQ(looked.replication_factor, 1);
    EXPECT_EQ(looked.configs, created.configs);
    request.topics[0].num_partitions = 0;
    const auto refused = ask<protocol::CreateTopicsResponse>(*client, request, 7).topics.at(0);
    EXPECT_EQ(refused.error_code, ErrorCode::kInvalidPartitions);
    EXPECT_EQ(refused.num_partitions, -1);
    ASSERT_TRUE(refused.configs.has_value());
    EXPECT_TRUE(refused.configs->empty());
    // Nothing was made.
    const auto topics = ask<protocol::MetadataResponse>(*client, protocol::MetadataRequest{}, 12).topics;
    ASSERT_EQ(topics.size(), 1u);
    EXPECT_EQ(topics[0].name, "t");
  });
}

}  // namespace
}  // namespace chronik::broker::testing
