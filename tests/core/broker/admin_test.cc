// DescribeCluster, DeleteRecords, OffsetForLeaderEpoch, DescribeLogDirs, DescribeTopicPartitions.
#include "core/protocol/messages/delete_records.h"
#include "core/protocol/messages/delete_topics.h"
#include "core/protocol/messages/describe_cluster.h"
#include "core/protocol/messages/describe_log_dirs.h"
#include "core/protocol/messages/describe_topic_partitions.h"
#include "core/protocol/messages/list_offsets.h"
#include "core/protocol/messages/metadata.h"
#include "core/protocol/messages/offset_for_leader_epoch.h"
#include "tests/core/broker/broker_world.h"

namespace chronik::broker::testing {
namespace {

using protocol::ErrorCode;

// ---- DescribeCluster ----

TEST(DescribeCluster, NamesTheBrokersAtEveryVersion) {
  node::NodeConfig config = small_node();
  config.broker["broker.rack"] = "cellar";
  BrokerWorld world(config);
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    for (std::int16_t version = 0; version <= 2; ++version) {
      protocol::DescribeClusterRequest request;
      request.include_cluster_authorized_operations = version == 1;
      const auto answer = ask<protocol::DescribeClusterResponse>(*client, request, version);
      EXPECT_EQ(answer.error_code, ErrorCode::kNone);
      EXPECT_EQ(answer.cluster_id, world.node().identity().cluster.to_string());
      EXPECT_EQ(answer.controller_id, NodeId(1));
      ASSERT_EQ(answer.brokers.size(), 1u);
      EXPECT_EQ(answer.brokers[0].broker_id, NodeId(1));
      EXPECT_EQ(answer.brokers[0].host, "node");
      EXPECT_EQ(answer.brokers[0].port, 9092);
      EXPECT_EQ(answer.brokers[0].rack, "cellar");
      EXPECT_FALSE(answer.brokers[0].is_fenced);
      EXPECT_EQ(answer.cluster_authorized_operations, version == 1 ? 8096 : protocol::kOperationsNotAsked);
    }
  });
}

TEST(DescribeCluster, IsNoControllersEndpoint) {
  BrokerWorld world;
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    protocol::DescribeClusterRequest request;
    request.endpoint_type = 2;
    auto answer = ask<protocol::DescribeClusterResponse>(*client, request, 1);
    EXPECT_EQ(answer.error_code, ErrorCode::kMismatchedEndpointType);
    EXPECT_TRUE(answer.brokers.empty());
    request.endpoint_type = 3;
    answer = ask<protocol::DescribeClusterResponse>(*client, request, 2);
    EXPECT_EQ(answer.error_code, ErrorCode::kUnsupportedEndpointType);
  });
}

TEST(Metadata, SaysWhatMayBeDoneWhereThatIsAsked) {
  BrokerWorld world;
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    make_topic(*client, "t", 1);
    for (const bool asked : {false, true}) {
      protocol::MetadataRequest request;
      request.topics.emplace();
      request.topics->push_back({.name = "t"});
      request.include_cluster_authorized_operations = asked;
      request.include_topic_authorized_operations = asked;
      const auto answer = ask<protocol::MetadataResponse>(*client, request, 8);
      EXPECT_EQ(answer.cluster_authorized_operations, asked ? 8096 : protocol::kOperationsNotAsked);
      EXPECT_EQ(answer.topics.at(0).topic_authorized_operations, asked ? 3576 : protocol::kOperationsNotAsked);
    }
  });
}

// ---- DeleteRecords ----

protocol::DeleteRecordsPartitionResult delete_records(client::Client& client, const std::string& topic,
                                                      std::int32_t partition, std::int64_t offset,
                                                      std::int16_t version = 2, std::int32_t timeout_ms = 10'000) {
  protocol::DeleteRecordsRequest request;
  request.timeout_ms = timeout_ms;
  request.topics.push_back(
      {.name = topic, .partitions = {{.partition_index = PartitionId(partition), .offset = Offset(offset)}}});
  const auto answer = ask<protocol::DeleteRecordsResponse>(client, request, version);
  EXPECT_EQ(answer.topics.size(), 1u);
  return answer.topics.empty() ? protocol::DeleteRecordsPartitionResult{} : answer.topics[0].partitions.at(0);
}

Offset earliest(client::Client& client, const std::string& topic, std::int32_t partition) {
  protocol::ListOffsetsRequest request;
  request.topics.push_back(
      {.name = topic,
       .partitions = {{.partition_index = PartitionId(partition), .timestamp = protocol::kEarliestTimestamp}}});
  return ask<protocol::ListOffsetsResponse>(client, request, 7).topics.at(0).partitions.at(0).offset;
}

TEST(DeleteRecords, MovesTheLogStartForGood) {
  BrokerWorld world;
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    make_topic(*client, "t", 2);
    produce(*client, "t", 0, batch_of({"0", "1", "2"}));
    produce(*client, "t", 0, batch_of({"3", "4"}));
    for (std::int16_t version = 0; version <= 2; ++version) {
      const auto answer = delete_records(*client, "t", 0, 1 + version, version);
      EXPECT_EQ(answer.error_code, ErrorCode::kNone);
      EXPECT_EQ(answer.low_watermark, Offset(1 + version));
    }
    // Never back.
    EXPECT_EQ(delete_records(*client, "t", 0, 1).low_watermark, Offset(3));
    const auto below = client->fetch("t", PartitionId(0), Offset(2), 1000, patience());
    ASSERT_TRUE(below.ok());
    EXPECT_EQ(below->error_code, ErrorCode::kOffsetOutOfRange);
    EXPECT_EQ(below->log_start_offset, Offset(3));
  });
  world.kill(sim::Death::kPowerLoss);
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    EXPECT_EQ(earliest(*client, "t", 0), Offset(3));
    EXPECT_EQ(read_values(*client, "t", 0, 3), (std::vector<std::string>{"3", "4"}));
    // Up to the high watermark: nothing is left, and offsets go on.
    EXPECT_EQ(delete_records(*client, "t", 0, -1).low_watermark, Offset(5));
    EXPECT_EQ(produce(*client, "t", 0, batch_of({"5"})).base_offset, Offset(5));
    EXPECT_EQ(read_values(*client, "t", 0, 5), (std::vector<std::string>{"5"}));
  });
}

TEST(DeleteRecords, OfTheOnlyReplicaNeedsNoTimeOfTheClient) {
  BrokerWorld world;
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    make_topic(*client, "t", 1);
    produce(*client, "t", 0, batch_of({"0", "1", "2"}));
    const auto answer = delete_records(*client, "t", 0, 2, 2, 0);
    EXPECT_EQ(answer.error_code, ErrorCode::kNone);
    EXPECT_EQ(answer.low_watermark, Offset(2));
  });
}

TEST(DeleteRecords, HidesWhatItDeletesFromSearchesByTime) {
  for (const int filler : {0, 12}) {  // in the tail, and in segments
    BrokerWorld world;
    world.run([&](Visit& visit) {
      const auto client = visit.connect();
      make_topic(*client, "t", 1);
      for (const std::int64_t at : {5'000, 9'000, 6'000, 7'000}) {
        produce(*client, "t", 0, batch_of({"x"}, {}, WallTime::from_milliseconds(at)));
      }
      for (int i = 0; i < filler; ++i) {
        produce(*client, "t", 0, batch_of({std::string(5'000, 'x')}, {}, WallTime::from_milliseconds(100)));
      }
      const auto offset_at = [&](std::int64_t timestamp) {
        protocol::ListOffsetsRequest request;
        request.topics.push_back(
            {.name = "t", .partitions = {{.partition_index = PartitionId(0), .timestamp = timestamp}}});
        return ask<protocol::ListOffsetsResponse>(*client, request, 7).topics.at(0).partitions.at(0).offset;
      };
      EXPECT_EQ(offset_at(protocol::kMaxTimestamp), Offset(1));
      EXPECT_EQ(offset_at(5'500), Offset(1));
      EXPECT_EQ(delete_records(*client, "t", 0, 2).error_code, ErrorCode::kNone);
      EXPECT_EQ(offset_at(protocol::kMaxTimestamp), Offset(3));
      EXPECT_EQ(offset_at(5'500), Offset(2));
      EXPECT_EQ(offset_at(8'000), Offset::none());
    });
  }
}

TEST(DeleteRecords, RefusesWhatIsNotThere) {
  BrokerWorld world;
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    make_topic(*client, "t", 1);
    produce(*client, "t", 0, batch_of({"0"}));
    EXPECT_EQ(delete_records(*client, "t", 0, 2).error_code, ErrorCode::kOffsetOutOfRange);
    EXPECT_EQ(delete_records(*client, "t", 0, 2).low_watermark, Offset::none());
    EXPECT_EQ(delete_records(*client, "t", 0, -2).error_code, ErrorCode::kOffsetOutOfRange);
    EXPECT_EQ(delete_records(*client, "t", 1, 0).error_code, ErrorCode::kUnknownTopicOrPartition);
    EXPECT_EQ(delete_records(*client, "t", -1, 0).error_code, ErrorCode::kUnknownTopicOrPartition);
    EXPECT_EQ(delete_records(*client, "absent", 0, 0).error_code, ErrorCode::kUnknownTopicOrPartition);
    EXPECT_EQ(earliest(*client, "t", 0), Offset(0));
  });
}

TEST(DeleteRecords, OfManyPartitionsAnswersForEach) {
  BrokerWorld world;
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    constexpr std::int32_t kPartitions = 50;
    make_topic(*client, "t", kPartitions);
    protocol::DeleteRecordsRequest request;
    request.timeout_ms = 30'000;
    auto& topic = request.topics.emplace_back();
    topic.name = "t";
    for (std::int32_t p = 0; p < kPartitions; ++p) {
      produce(*client, "t", p, batch_of({"0", "1"}));
      topic.partitions.push_back({.partition_index = PartitionId(p), .offset = Offset(p % 4)});
    }
    const auto answer = ask<protocol::DeleteRecordsResponse>(*client, request, 2);
    ASSERT_EQ(answer.topics.at(0).partitions.size(), static_cast<std::size_t>(kPartitions));
    for (std::int32_t p = 0; p < kPartitions; ++p) {
      const auto& result = answer.topics[0].partitions[static_cast<std::size_t>(p)];
      EXPECT_EQ(result.partition_index, PartitionId(p));
      EXPECT_EQ(result.error_code, p % 4 == 3 ? ErrorCode::kOffsetOutOfRange : ErrorCode::kNone);
      EXPECT_EQ(result.low_watermark, p % 4 == 3 ? Offset::none() : Offset(p % 4));
    }
  });
}

// ---- OffsetForLeaderEpoch ----

protocol::OffsetForLeaderPartitionResult end_of_epoch(client::Client& client, std::int32_t epoch,
                                                      std::int32_t current = -1, std::int16_t version = 4) {
  protocol::OffsetForLeaderEpochRequest request;
  request.topics.push_back({.topic = "t",
                            .partitions = {{.partition = PartitionId(0),
                                            .current_leader_epoch = LeaderEpoch(current),
                                            .leader_epoch = LeaderEpoch(epoch)}}});
  return ask<protocol::OffsetForLeaderEpochResponse>(client, request, version).topics.at(0).partitions.at(0);
}

TEST(OffsetForLeaderEpoch, SaysWhereEachEpochEnded) {
  BrokerWorld world;
  std::vector<std::pair<std::int32_t, std::int64_t>> ends;  // of each life's epoch
  for (int life = 0; life < 3; ++life) {
    world.run([&](Visit& visit) {
      const auto client = visit.connect();
      if (life == 0) {
        make_topic(*client, "t", 1);
      }
      const auto metadata = client->metadata("t", patience());
      ASSERT_TRUE(metadata.ok());
      const LeaderEpoch epoch = metadata->partitions.at(0).leader_epoch;
      // An epoch without a record ends at the log's end, too.
      const auto empty = end_of_epoch(*client, epoch.value(), epoch.value());
      EXPECT_EQ(empty.error_code, ErrorCode::kNone);
      EXPECT_EQ(empty.leader_epoch, epoch);
      EXPECT_EQ(empty.end_offset, Offset(ends.empty() ? 0 : ends.back().second));
      const auto answer = produce(*client, "t", 0, batch_of({"a", "b", "c"}));
      ends.emplace_back(epoch.value(), answer.base_offset.value() + 3);
      for (const auto& [of, end] : ends) {
        for (std::int16_t version = 2; version <= 4; ++version) {
          const auto found = end_of_epoch(*client, of, -1, version);
          EXPECT_EQ(found.error_code, ErrorCode::kNone);
          EXPECT_EQ(found.leader_epoch, LeaderEpoch(of));
          EXPECT_EQ(found.end_offset, Offset(end));
        }
      }
      EXPECT_EQ(end_of_epoch(*client, epoch.value() + 1).leader_epoch, LeaderEpoch::none());
      EXPECT_EQ(end_of_epoch(*client, epoch.value() + 1).end_offset, Offset::none());
      EXPECT_EQ(end_of_epoch(*client, 0, epoch.value() + 1).error_code, ErrorCode::kUnknownLeaderEpoch);
      if (life > 0) {
        EXPECT_EQ(end_of_epoch(*client, 0, ends[0].first).error_code, ErrorCode::kFencedLeaderEpoch);
      }
    });
    world.kill(sim::Death::kProcessKill);
  }
  EXPECT_LT(ends[0].first, ends[1].first);
}

TEST(OffsetForLeaderEpoch, OfWhichEverythingIsDeletedEndsWhereTheLogBegins) {
  BrokerWorld world;
  LeaderEpoch first;
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    make_topic(*client, "t", 1);
    const auto metadata = client->metadata("t", patience());
    ASSERT_TRUE(metadata.ok());
    first = metadata->partitions.at(0).leader_epoch;
    produce(*client, "t", 0, batch_of({"a", "b", "c"}));
  });
  world.kill(sim::Death::kProcessKill);
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    produce(*client, "t", 0, batch_of({"d"}));
    EXPECT_EQ(delete_records(*client, "t", 0, 3).error_code, ErrorCode::kNone);
    // A consumer that stands at 3 and has read up to there in the first epoch need not begin anew.
    const auto end = end_of_epoch(*client, first.value());
    EXPECT_EQ(end.leader_epoch, first);
    EXPECT_EQ(end.end_offset, Offset(3));
    EXPECT_EQ(end_of_epoch(*client, -1).leader_epoch, LeaderEpoch::none());
  });
}

TEST(OffsetForLeaderEpoch, OfAPartitionThatIsNotThereIsAnError) {
  BrokerWorld world;
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    EXPECT_EQ(end_of_epoch(*client, 0).error_code, ErrorCode::kUnknownTopicOrPartition);
  });
}

// ---- DescribeLogDirs ----

protocol::DescribeLogDirsResult log_dir(client::Client& client, const protocol::DescribeLogDirsRequest& request,
                                        std::int16_t version = 4) {
  const auto answer = ask<protocol::DescribeLogDirsResponse>(client, request, version);
  EXPECT_EQ(answer.error_code, ErrorCode::kNone);
  EXPECT_EQ(answer.results.size(), 1u);
  return answer.results.empty() ? protocol::DescribeLogDirsResult{} : answer.results[0];
}

std::int64_t size_of(const protocol::DescribeLogDirsResult& dir, const std::string& topic, std::int32_t partition) {
  for (const protocol::DescribeLogDirsTopic& found : dir.topics) {
    for (const protocol::DescribeLogDirsPartition& part : found.partitions) {
      if (found.name == topic && part.partition_index == PartitionId(partition)) {
        return part.partition_size;
      }
    }
  }
  return -1;
}

TEST(DescribeLogDirs, KnowsTheSizeOfEveryLogAlsoAfterARestart) {
  BrokerWorld world;
  std::int64_t bytes = 0;
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    make_topic(*client, "a", 2);
    make_topic(*client, "b", 1);
    for (int i = 0; i < 10; ++i) {
      const Slice batch = batch_of({std::string(10'000, 'x')});
      bytes += static_cast<std::int64_t>(batch.size());
      produce(*client, "a", 1, batch);
    }
    for (std::int16_t version = 1; version <= 4; ++version) {
      const auto dir = log_dir(*client, {}, version);
      EXPECT_EQ(dir.error_code, ErrorCode::kNone);
      EXPECT_EQ(dir.log_dir, "/data/logs");
      ASSERT_EQ(dir.topics.size(), 2u);
      EXPECT_EQ(size_of(dir, "a", 0), 0);
      EXPECT_EQ(size_of(dir, "a", 1), bytes);
      EXPECT_EQ(size_of(dir, "b", 0), 0);
      EXPECT_EQ(dir.topics[0].partitions[0].offset_lag, 0);
      EXPECT_FALSE(dir.topics[0].partitions[0].is_future_key);
      EXPECT_EQ(dir.usable_bytes > 0, version >= 4);
    }
    protocol::DescribeLogDirsRequest request;
    request.topics.emplace();
    request.topics->push_back({.topic = "a", .partitions = {PartitionId(1), PartitionId(9), PartitionId(-1)}});
    request.topics->push_back({.topic = "absent", .partitions = {PartitionId(0)}});
    const auto some = log_dir(*client, request);
    ASSERT_EQ(some.topics.size(), 1u);
    EXPECT_EQ(some.topics[0].partitions.size(), 1u);
    EXPECT_EQ(size_of(some, "a", 1), bytes);
  });
  world.stop();
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    EXPECT_EQ(size_of(log_dir(*client, {}), "a", 1), bytes);
  });
}

// ---- DescribeTopicPartitions ----

using Page = protocol::DescribeTopicPartitionsResponse;

Page page_of(client::Client& client, const std::vector<std::string>& topics, std::int32_t limit = 2000,
             std::optional<protocol::DescribeTopicPartitionsCursor> cursor = std::nullopt) {
  protocol::DescribeTopicPartitionsRequest request;
  for (const std::string& topic : topics) {
    request.topics.push_back({.name = topic});
  }
  request.response_partition_limit = limit;
  request.cursor = std::move(cursor);
  return ask<Page>(client, request, 0);
}

std::string text_of(const Page& page) {
  std::string text;
  for (const protocol::DescribeTopicPartitionsTopic& topic : page.topics) {
    text += topic.name.value_or("null");
    if (topic.error_code != ErrorCode::kNone) {
      text += "!" + std::string(protocol::error_name(topic.error_code));
    }
    for (const protocol::DescribeTopicPartitionsPartition& partition : topic.partitions) {
      text += " " + std::to_string(partition.partition_index.value());
    }
    text += "; ";
  }
  if (page.next_cursor.has_value()) {
    text += "-> " + page.next_cursor->topic_name + " " + std::to_string(page.next_cursor->partition_index.value());
  }
  return text;
}

TEST(DescribeTopicPartitions, GoesThroughAllTopicsPageByPage) {
  BrokerWorld world;
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    make_topic(*client, "b_2", 3);
    make_topic(*client, "b.1", 2);
    make_topic(*client, "a", 3);
    EXPECT_EQ(text_of(page_of(*client, {})), "a 0 1 2; b.1 0 1; b_2 0 1 2; ");
    Page page = page_of(*client, {}, 4);
    EXPECT_EQ(text_of(page), "a 0 1 2; b.1 0; -> b.1 1");
    page = page_of(*client, {}, 4, page.next_cursor);
    EXPECT_EQ(text_of(page), "b.1 1; b_2 0 1 2; ");
    // Where a topic ends with the page, the next one begins with the next topic.
    EXPECT_EQ(text_of(page_of(*client, {}, 3)), "a 0 1 2; -> b.1 0");
    EXPECT_EQ(text_of(page_of(*client, {}, 0)), "a 0; -> a 1") << "one at least, or nobody would ever be done";
    // The topic that the cursor names is gone: what comes behind it.
    EXPECT_EQ(text_of(page_of(*client, {}, 2000, {{.topic_name = "aa", .partition_index = PartitionId(1)}})),
              "b.1 0 1; b_2 0 1 2; ");
    EXPECT_EQ(text_of(page_of(*client, {}, 2000, {{.topic_name = "b_2", .partition_index = PartitionId(7)}})), "b_2; ");
  });
}

TEST(DescribeTopicPartitions, DescribesWhatIsAskedFor) {
  BrokerWorld world;
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    make_topic(*client, "a", 1);
    make_topic(*client, "b", 1);
    EXPECT_EQ(text_of(page_of(*client, {"b", "absent", "b", "a/b"})),
              "a/b!INVALID_TOPIC_EXCEPTION; absent!UNKNOWN_TOPIC_OR_PARTITION; b 0; ");
    const Page page = page_of(*client, {"a"});
    ASSERT_EQ(page.topics.size(), 1u);
    const protocol::DescribeTopicPartitionsTopic& topic = page.topics[0];
    EXPECT_EQ(topic.topic_id, world.node().metadata().image()->find_topic("a")->id);
    EXPECT_EQ(topic.topic_authorized_operations, 3576);
    ASSERT_EQ(topic.partitions.size(), 1u);
    EXPECT_EQ(topic.partitions[0].leader_id, NodeId(1));
    EXPECT_EQ(topic.partitions[0].replica_nodes, std::vector<NodeId>{NodeId(1)});
    EXPECT_EQ(topic.partitions[0].isr_nodes, std::vector<NodeId>{NodeId(1)});
    EXPECT_TRUE(topic.partitions[0].offline_replicas.empty());
    const Page refused = page_of(*client, {"a"}, 10, {{.topic_name = "a", .partition_index = PartitionId(-1)}});
    EXPECT_EQ(text_of(refused), "a!INVALID_REQUEST; ");
    const Page elsewhere = page_of(*client, {"b"}, 10, {{.topic_name = "a", .partition_index = PartitionId(0)}});
    EXPECT_EQ(text_of(elsewhere), "b!INVALID_REQUEST; ") << "nobody has asked for the cursor's topic";
  });
}

TEST(DescribeTopicPartitions, APageIsNeverLargerThanTwoThousand) {
  BrokerWorld world;
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    make_topic(*client, "large", 2001);
    const Page page = page_of(*client, {}, 1'000'000);
    ASSERT_EQ(page.topics.size(), 1u);
    EXPECT_EQ(page.topics[0].partitions.size(), 2000u);
    ASSERT_TRUE(page.next_cursor.has_value());
    EXPECT_EQ(page.next_cursor->partition_index, PartitionId(2000));
  });
}

}  // namespace
}  // namespace chronik::broker::testing
