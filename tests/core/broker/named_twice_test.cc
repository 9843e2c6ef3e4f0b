// What a request asks for at the edge of its rules is answered as Kafka answers it: named twice, by an id and a name,
// in a version that does not have it yet.
#include "core/protocol/messages/create_partitions.h"
#include "core/protocol/messages/delete_groups.h"
#include "core/protocol/messages/delete_topics.h"
#include "core/protocol/messages/describe_configs.h"
#include "core/protocol/messages/describe_groups.h"
#include "core/protocol/messages/describe_log_dirs.h"
#include "core/protocol/messages/describe_producers.h"
#include "core/protocol/messages/fetch.h"
#include "core/protocol/messages/list_offsets.h"
#include "core/protocol/messages/metadata.h"
#include "core/protocol/messages/offset_fetch.h"
#include "tests/core/broker/broker_world.h"

namespace chronik::broker::testing {
namespace {

using protocol::ErrorCode;

void with_topic(const std::function<void(client::Client&)>& test) {
  BrokerWorld world;
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    make_topic(*client, "t", 2);
    test(*client);
  });
}

std::vector<protocol::MetadataTopic> metadata(client::Client& client,
                                              const std::vector<protocol::MetadataRequestTopic>& topics,
                                              std::int16_t version) {
  protocol::MetadataRequest request;
  request.topics = topics;
  return ask<protocol::MetadataResponse>(client, request, version).topics;
}

TEST(NamedTwice, ATopicIsToldOnceInMetadata) {
  with_topic([](client::Client& client) {
    const auto told = metadata(client, {{.topic_id = {}, .name = "t"}, {.topic_id = {}, .name = "t"}}, 12);
    ASSERT_EQ(told.size(), 1u);
    EXPECT_EQ(told[0].name, "t");
  });
}

TEST(NamedTwice, ATopicsIdCountsBeforeItsName) {
  with_topic([](client::Client& client) {
    const TopicId id = metadata(client, {{.topic_id = {}, .name = "t"}}, 12).at(0).topic_id;
    EXPECT_EQ(metadata(client, {{.topic_id = id, .name = "other"}}, 12).at(0).name, "t");
    EXPECT_EQ(metadata(client, {{.topic_id = id, .name = "one"}, {.topic_id = id, .name = "other"}}, 12).size(), 1u);
    const TopicId unknown{1, 2};
    const auto nobody = metadata(client, {{.topic_id = unknown, .name = "other"}}, 12).at(0);
    EXPECT_EQ(nobody.error_code, ErrorCode::kUnknownTopicId);
    EXPECT_EQ(nobody.name, std::nullopt);
    EXPECT_EQ(metadata(client, {{.topic_id = id, .name = "t"}}, 11).at(0).error_code, ErrorCode::kInvalidRequest);
    // Nothing was made of the name beside it.
    EXPECT_EQ(ask<protocol::MetadataResponse>(client, protocol::MetadataRequest{}, 12).topics.size(), 1u);
  });
}

TEST(NamedTwice, WhatCannotBeDoneTwiceIsRefusedOnce) {
  with_topic([](client::Client& client) {
    protocol::CreateTopicsRequest create;
    create.timeout_ms = 10'000;
    create.topics.resize(2);
    for (auto& topic : create.topics) {
      topic = {.name = "new", .num_partitions = 1, .replication_factor = 1, .assignments = {}, .configs = {}};
    }
    const auto created = ask<protocol::CreateTopicsResponse>(client, create, 7).topics;
    ASSERT_EQ(created.size(), 1u);
    EXPECT_EQ(created[0].error_code, ErrorCode::kInvalidRequest);

    protocol::CreatePartitionsRequest grow;
    grow.timeout_ms = 10'000;
    grow.topics = {{.name = "t", .count = 3, .assignments = std::nullopt},
                   {.name = "t", .count = 4, .assignments = std::nullopt}};
    const auto grown = ask<protocol::CreatePartitionsResponse>(client, grow, 3).results;
    ASSERT_EQ(grown.size(), 1u);
    EXPECT_EQ(grown[0].error_code, ErrorCode::kInvalidRequest);

    const TopicId id = metadata(client, {{.topic_id = {}, .name = "t"}}, 12).at(0).topic_id;
    protocol::DeleteTopicsRequest remove;
    remove.timeout_ms = 10'000;
    remove.topics = {{.name = "t", .topic_id = {}}, {.name = std::nullopt, .topic_id = id}};
    const auto removed = ask<protocol::DeleteTopicsResponse>(client, remove, 6).responses;
    ASSERT_EQ(removed.size(), 1u);
    EXPECT_EQ(removed[0].error_code, ErrorCode::kInvalidRequest);
    EXPECT_EQ(removed[0].name, "t");
    EXPECT_TRUE(removed[0].topic_id.is_zero());
    EXPECT_EQ(metadata(client, {{.topic_id = {}, .name = "t"}}, 12).at(0).partitions.size(), 2u);
  });
}

TEST(NamedTwice, AGroupIsDeletedOnce) {
  with_topic([](client::Client& client) {
    const auto deleted =
        ask<protocol::DeleteGroupsResponse>(client, protocol::DeleteGroupsRequest{.groups_names = {"g", "g"}}, 2);
    EXPECT_EQ(deleted.results.size(), 1u);
  });
}

TEST(NamedTwice, AGroupOrAConfigurationIsDescribedAsOften) {
  with_topic([](client::Client& client) {
    const auto groups =
        ask<protocol::DescribeGroupsResponse>(client, protocol::DescribeGroupsRequest{.groups = {"g", "h", "g"}}, 5);
    EXPECT_EQ(groups.groups.size(), 3u);

    protocol::DescribeConfigsRequest configs;
    configs.resources = {{.resource_type = 2, .resource_name = "t"}, {.resource_type = 2, .resource_name = "t"}};
    EXPECT_EQ(ask<protocol::DescribeConfigsResponse>(client, configs, 4).results.size(), 2u);
  });
}

TEST(NamedTwice, APartitionIsDescribedOnce) {
  with_topic([](client::Client& client) {
    protocol::DescribeProducersRequest producers;
    producers.topics = {{.name = "t", .partition_indexes = {PartitionId(1), PartitionId(1)}},
                        {.name = "t", .partition_indexes = {PartitionId(1), PartitionId(0)}}};
    const auto of_topics = ask<protocol::DescribeProducersResponse>(client, producers, 0).topics;
    ASSERT_EQ(of_topics.size(), 2u);
    EXPECT_EQ(of_topics[0].partitions.size(), 1u);
    ASSERT_EQ(of_topics[1].partitions.size(), 1u);
    EXPECT_EQ(of_topics[1].partitions[0].partition_index, PartitionId(0));

    protocol::DescribeLogDirsRequest directories;
    directories.topics = {{.topic = "t", .partitions = {PartitionId(1), PartitionId(1)}},
                          {.topic = "t", .partitions = {PartitionId(1), PartitionId(0)}}};
    const auto held = ask<protocol::DescribeLogDirsResponse>(client, directories, 4).results.at(0).topics;
    ASSERT_EQ(held.size(), 1u);
    EXPECT_EQ(held[0].partitions.size(), 2u);
  });
}

TEST(NamedTwice, AGroupsOffsetsAreToldOnceWithAllThatIsAskedOfThem) {
  with_topic([](client::Client& client) {
    protocol::OffsetFetchRequest request;
    request.groups.resize(4);
    request.groups[0].group_id = request.groups[1].group_id = "g";
    request.groups[0].topics = {{{.name = "t", .partition_indexes = {PartitionId(1), PartitionId(1)}}}};
    request.groups[1].topics = {{{.name = "t", .partition_indexes = {PartitionId(0), PartitionId(1)}},
                                 {.name = "u", .partition_indexes = {PartitionId(0)}}}};
    request.groups[2].group_id = request.groups[3].group_id = "all";
    request.groups[2].topics = request.groups[1].topics;
    request.groups[3].topics = std::nullopt;
    const auto told = ask<protocol::OffsetFetchResponse>(client, request, 8).groups;
    ASSERT_EQ(told.size(), 2u);
    EXPECT_EQ(told[0].group_id, "g");
    EXPECT_EQ(told[1].group_id, "all");
    std::size_t partitions = 0;
    for (const auto& topic : told[0].topics) {
      partitions += topic.partitions.size();
    }
    EXPECT_EQ(partitions, told[0].error_code == ErrorCode::kNone ? 3u : 0u);
    EXPECT_TRUE(told[1].topics.empty());
  });
}

TEST(NamedTwice, APartitionHasNoOffset) {
  with_topic([](client::Client& client) {
    protocol::ListOffsetsRequest request;
    auto& topic = request.topics.emplace_back();
    topic.name = "t";
    for (const std::int32_t index : {1, 0, 1}) {
      topic.partitions.push_back({.partition_index = PartitionId(index),
                                  .current_leader_epoch = LeaderEpoch::none(),
                                  .timestamp = protocol::kLatestTimestamp});
    }
    const auto told = ask<protocol::ListOffsetsResponse>(client, request, 7).topics.at(0).partitions;
    ASSERT_EQ(told.size(), 2u);
    EXPECT_EQ(told[0].partition_index, PartitionId(1));
    EXPECT_EQ(told[0].error_code, ErrorCode::kInvalidRequest);
    EXPECT_EQ(told[0].offset, Offset::none());
    EXPECT_EQ(told[1].error_code, ErrorCode::kNone);
    EXPECT_EQ(told[1].offset, Offset(0));
  });
}

ErrorCode offset_error(client::Client& client, std::int64_t timestamp, std::int16_t version) {
  protocol::ListOffsetsRequest request;
  auto& topic = request.topics.emplace_back();
  topic.name = "t";
  topic.partitions.push_back(
      {.partition_index = PartitionId(0), .current_leader_epoch = LeaderEpoch::none(), .timestamp = timestamp});
  return ask<protocol::ListOffsetsResponse>(client, request, version).topics.at(0).partitions.at(0).error_code;
}

TEST(ListOffsets, RefusesTimesThatItsVersionDoesNotHaveYet) {
  with_topic([](client::Client& client) {
    const std::pair<std::int64_t, std::int16_t> first[] = {
        {protocol::kMaxTimestamp, 7}, {protocol::kEarliestLocalTimestamp, 8}, {protocol::kLatestTieredTimestamp, 9}};
    for (const auto& [timestamp, version] : first) {
      EXPECT_EQ(offset_error(client, timestamp, version), ErrorCode::kNone) << timestamp;
      EXPECT_EQ(offset_error(client, timestamp, static_cast<std::int16_t>(version - 1)), ErrorCode::kUnsupportedVersion)
          << timestamp;
    }
  });
}

protocol::FetchPartitionResponse fetch(client::Client& client, std::int64_t from, std::int32_t last_epoch) {
  protocol::FetchRequest request;
  auto& topic = request.topics.emplace_back();
  topic.topic = "t";
  auto& partition = topic.partitions.emplace_back();
  partition.partition = PartitionId(0);
  partition.fetch_offset = Offset(from);
  partition.last_fetched_epoch = LeaderEpoch(last_epoch);
  partition.partition_max_bytes = 1 << 20;
  return ask<protocol::FetchResponse>(client, request, 12).responses.at(0).partitions.at(0);
}

TEST(FetchWithTheLastEpoch, BeyondTheEndSaysWhereTheLogsPart) {
  with_topic([](client::Client& client) {
    const Offset end = produce(client, "t", 0, batch_of({"a", "b"})).base_offset + 2;
    const auto behind = fetch(client, 9, 0);
    EXPECT_EQ(behind.error_code, ErrorCode::kNone);
    EXPECT_EQ(behind.diverging_epoch.end_offset, end);
    EXPECT_EQ(fetch(client, 0, 99).error_code, ErrorCode::kOffsetOutOfRange) << "an epoch that is still to come";
    EXPECT_EQ(fetch(client, 9, -1).error_code, ErrorCode::kOffsetOutOfRange);
  });
}

TEST(ProduceRefusals, SayWhereTheLogBegins) {
  with_topic([](client::Client& client) {
    const protocol::BatchFields producer{
        .producer_id = ProducerId(7), .producer_epoch = ProducerEpoch(0), .base_sequence = 0};
    EXPECT_EQ(produce(client, "t", 0, batch_of({"a"}, producer)).error_code, ErrorCode::kNone);
    protocol::BatchFields gap = producer;
    gap.base_sequence = 5;
    const auto refused = produce(client, "t", 0, batch_of({"b"}, gap));
    EXPECT_EQ(refused.error_code, ErrorCode::kOutOfOrderSequenceNumber);
    EXPECT_EQ(refused.log_start_offset, Offset(0));
  });
}

}  // namespace
}  // namespace chronik::broker::testing
