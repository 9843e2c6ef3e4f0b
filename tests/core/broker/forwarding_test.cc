// Forwarding: a client that talks to one node, and partitions that others lead.
#include <array>

#include "core/protocol/messages/delete_records.h"
#include "core/protocol/messages/describe_cluster.h"
#include "core/protocol/messages/describe_topic_partitions.h"
#include "core/protocol/messages/list_offsets.h"
#include "core/protocol/messages/offset_for_leader_epoch.h"
#include "tests/core/broker/nodes_world.h"

namespace chronik::broker::testing {
namespace {

using protocol::ErrorCode;
using protocol::FetchRequest;
using protocol::FetchResponse;
using protocol::ProduceRequest;
using protocol::ProduceResponse;

constexpr std::int16_t kForwardedProduceVersion = 9;
constexpr std::int16_t kForwardedFetchVersion = 12;

ProduceRequest spread_request(const std::vector<std::int32_t>& partitions, const std::string& value,
                              std::int16_t acks = -1, std::int32_t timeout_ms = 30'000) {
  ProduceRequest request;
  request.acks = acks;
  request.timeout_ms = timeout_ms;
  auto& asked = request.topic_data.emplace_back();
  asked.name = "t";
  for (const std::int32_t partition : partitions) {
    asked.partition_data.push_back({.index = PartitionId(partition), .records = batch_of({value})});
  }
  return request;
}

FetchRequest spread_fetch(const std::vector<std::int32_t>& partitions, std::int32_t max_wait_ms, std::int64_t from = 0,
                          std::int32_t min_bytes = 1) {
  FetchRequest request;
  request.max_wait_ms = max_wait_ms;
  request.min_bytes = min_bytes;
  request.max_bytes = 1 << 20;
  auto& asked = request.topics.emplace_back();
  asked.topic = "t";
  for (const std::int32_t partition : partitions) {
    asked.partitions.push_back({.partition = PartitionId(partition),
                                .current_leader_epoch = LeaderEpoch::none(),
                                .fetch_offset = Offset(from),
                                .last_fetched_epoch = LeaderEpoch::none(),
                                .partition_max_bytes = 1 << 20});
  }
  return request;
}

std::size_t bytes_of(const FetchResponse& response) {
  std::size_t bytes = 0;
  for (const auto& partition : response.responses.at(0).partitions) {
    EXPECT_EQ(partition.error_code, ErrorCode::kNone);
    bytes += partition.records.value_or(Slice()).size();
  }
  return bytes;
}

std::uint64_t forwards_of(const node::Node& node, const std::string& name) {
  for (const MetricsRegistry::Entry& entry : node.metrics().entries()) {
    if (entry.name == name) {
      return entry.counter->value();
    }
  }
  ADD_FAILURE() << "no metric " << name;
  return 0;
}

TEST(LeaderHints, ARefusalNamesTheLeaderAndWhereItIs) {
  NodesWorld world(false);
  world.run([&](NodesVisit& visit) {
    const auto client = visit.connect(1);
    make_spread_topic(*client, "t");
    const auto told = ask<ProduceResponse>(*client, spread_request({1}, "a"), 10);
    const auto& refused = told.responses.at(0).partition_responses.at(0);
    EXPECT_EQ(refused.error_code, ErrorCode::kNotLeaderOrFollower);
    EXPECT_EQ(refused.current_leader.leader_id, NodeId(2));
    ASSERT_EQ(told.node_endpoints.size(), 1u);
    EXPECT_EQ(told.node_endpoints[0].node_id, NodeId(2));
    EXPECT_EQ(told.node_endpoints[0].host, "node-2");
    EXPECT_EQ(told.node_endpoints[0].port, 9092);

    const auto metadata = client->metadata("t", patience());
    ASSERT_TRUE(metadata.ok());
    FetchRequest fetch = spread_fetch({1}, 0);
    fetch.topics[0].topic_id = metadata->topic_id;
    const auto fetched = ask<FetchResponse>(*client, fetch, 16);
    EXPECT_EQ(fetched.responses.at(0).partitions.at(0).error_code, ErrorCode::kNotLeaderOrFollower);
    EXPECT_EQ(fetched.responses[0].partitions[0].current_leader.leader_id, NodeId(2));
    ASSERT_EQ(fetched.node_endpoints.size(), 1u);
    const auto untold = ask<FetchResponse>(*client, fetch, 15);
    EXPECT_EQ(untold.responses.at(0).partitions.at(0).current_leader.leader_id, NodeId::none());
  });
}

TEST(Forwarding, ANodeNamesItselfTheLeaderOfEverything) {
  NodesWorld world(true);
  world.run([&](NodesVisit& visit) {
    const auto client = visit.connect(2);
    make_spread_topic(*client, "t");
    const auto metadata = ask<protocol::MetadataResponse>(*client, protocol::MetadataRequest{}, 12);
    ASSERT_EQ(metadata.brokers.size(), 1u);
    EXPECT_EQ(metadata.brokers[0].node_id, NodeId(2));
    EXPECT_EQ(metadata.brokers[0].host, "node-2");
    ASSERT_EQ(metadata.topics.size(), 1u);
    ASSERT_EQ(metadata.topics[0].partitions.size(), 3u);
    for (const auto& partition : metadata.topics[0].partitions) {
      EXPECT_EQ(partition.leader_id, NodeId(2));
    }
    const auto cluster = ask<protocol::DescribeClusterResponse>(*client, protocol::DescribeClusterRequest{}, 0);
    ASSERT_EQ(cluster.brokers.size(), 1u);
    EXPECT_EQ(cluster.brokers[0].broker_id, NodeId(2));
    const auto topics =
        ask<protocol::DescribeTopicPartitionsResponse>(*client, protocol::DescribeTopicPartitionsRequest{}, 0);
    ASSERT_EQ(topics.topics.size(), 1u);
    for (const auto& partition : topics.topics[0].partitions) {
      EXPECT_EQ(partition.leader_id, NodeId(2));
    }
  });
}

TEST(Forwarding, EveryRequestReachesTheLeadersOfItsPartitions) {
  NodesWorld world(true);
  world.run([&](NodesVisit& visit) {
    const auto client = visit.connect(1);
    make_spread_topic(*client, "t");
    for (std::int64_t i = 0; i < 4; ++i) {
      const auto produced = ask<ProduceResponse>(*client, spread_request({2, 0, 1}, std::to_string(i)), 9);
      ASSERT_EQ(produced.responses.at(0).partition_responses.size(), 3u);
      for (const std::size_t at : {0u, 1u, 2u}) {
        const auto& answer = produced.responses[0].partition_responses[at];
        EXPECT_EQ(answer.index, PartitionId(std::array{2, 0, 1}.at(at)));
        EXPECT_EQ(answer.error_code, ErrorCode::kNone);
        EXPECT_EQ(answer.base_offset, Offset(i));
      }
    }
    EXPECT_EQ(forwards_of(world.node(1), "produce_forward_count"), 8u);
    for (const std::int32_t partition : {0, 1, 2}) {
      EXPECT_EQ(read_values(*client, "t", partition), (std::vector<std::string>{"0", "1", "2", "3"}));
      EXPECT_EQ(read_values(*visit.connect(3), "t", partition).size(), 4u);
    }

    protocol::DeleteRecordsRequest deletion;
    deletion.timeout_ms = 30'000;
    deletion.topics.push_back({.name = "t", .partitions = {}});
    protocol::ListOffsetsRequest listing;
    listing.topics.push_back({.name = "t", .partitions = {}});
    protocol::OffsetForLeaderEpochRequest epochs;
    epochs.topics.push_back({.topic = "t", .partitions = {}});
    for (const std::int32_t p : {0, 1, 2}) {
      deletion.topics[0].partitions.push_back({.partition_index = PartitionId(p), .offset = Offset(p + 1)});
      listing.topics[0].partitions.push_back({.partition_index = PartitionId(p),
                                              .current_leader_epoch = LeaderEpoch::none(),
                                              .timestamp = protocol::kEarliestTimestamp});
      epochs.topics[0].partitions.push_back(
          {.partition = PartitionId(p), .current_leader_epoch = LeaderEpoch::none(), .leader_epoch = LeaderEpoch(0)});
    }
    const auto deleted = ask<protocol::DeleteRecordsResponse>(*client, deletion, 2);
    const auto listed = ask<protocol::ListOffsetsResponse>(*client, listing, 7);
    const auto ended = ask<protocol::OffsetForLeaderEpochResponse>(*client, epochs, 4);
    for (const std::size_t p : {0u, 1u, 2u}) {
      const auto start = Offset(static_cast<std::int64_t>(p) + 1);
      EXPECT_EQ(deleted.topics.at(0).partitions.at(p).error_code, ErrorCode::kNone);
      EXPECT_EQ(deleted.topics[0].partitions[p].low_watermark, start);
      EXPECT_EQ(listed.topics.at(0).partitions.at(p).offset, start);
      EXPECT_EQ(ended.topics.at(0).partitions.at(p).error_code, ErrorCode::kNone);
      EXPECT_EQ(ended.topics[0].partitions[p].end_offset, Offset(4));
    }
  });
}

TEST(Forwarding, WhatWasForwardedIsNotForwardedAgain) {
  NodesWorld world(true);
  world.run([&](NodesVisit& visit) {
    make_spread_topic(*visit.connect(1), "t");
    const auto client = visit.connect(1, "chronik-forward-3");
    const auto produced = ask<ProduceResponse>(*client, spread_request({0, 1}, "a"), kForwardedProduceVersion);
    EXPECT_EQ(produced.responses.at(0).partition_responses.at(0).error_code, ErrorCode::kNone);
    EXPECT_EQ(produced.responses[0].partition_responses.at(1).error_code, ErrorCode::kNotLeaderOrFollower);
    const auto fetched = ask<FetchResponse>(*client, spread_fetch({1}, 0), kForwardedFetchVersion);
    EXPECT_EQ(fetched.responses.at(0).partitions.at(0).error_code, ErrorCode::kNotLeaderOrFollower);
    EXPECT_EQ(forwards_of(world.node(1), "produce_forward_count"), 0u);
    EXPECT_EQ(forwards_of(world.node(1), "fetch_forward_count"), 0u);
  });
}

TEST(Forwarding, KeepsTheOrderOfAConnectionAndOpensOneLinkForEachLeader) {
  constexpr std::int32_t kRequests = 50;
  NodesWorld world(true);
  world.run([&](NodesVisit& visit) {
    make_spread_topic(*visit.connect(1), "t");
    const std::uint64_t before = world.node(2).server().accepted();
    const auto raw = visit.connect_raw(1);
    for (std::int32_t i = 0; i < kRequests; ++i) {
      ASSERT_TRUE(raw->send(spread_request({i % 3}, std::to_string(i)), kForwardedProduceVersion, i).ok());
    }
    for (std::int32_t i = 0; i < kRequests; ++i) {
      const auto answer = raw->receive_as<ProduceResponse>(kForwardedProduceVersion);
      ASSERT_TRUE(answer.ok()) << answer.status();
      EXPECT_EQ(answer->responses.at(0).partition_responses.at(0).error_code, ErrorCode::kNone);
      EXPECT_EQ(answer->responses[0].partition_responses[0].base_offset, Offset(i / 3));
    }
    EXPECT_EQ(world.node(2).server().accepted(), before + 1);
    // Another client takes the link that the first leaves behind.
    raw->connection().close();
    ASSERT_TRUE(fiber::sleep(Duration::seconds(1)).ok());
    const auto next = visit.connect(1);
    EXPECT_EQ(produce(*next, "t", 1, batch_of({"next"})).error_code, ErrorCode::kNone);
    EXPECT_EQ(world.node(2).server().accepted(), before + 1);
  });
}

TEST(Forwarding, ADeadLeaderIsAnErrorWithinTheClientsTime) {
  for (const bool suspended : {false, true}) {
    NodesWorld world(true);
    world.run([&](NodesVisit& visit) {
      const auto client = visit.connect(1);
      make_spread_topic(*client, "t");
      EXPECT_EQ(produce(*client, "t", 1, batch_of({"before"})).error_code, ErrorCode::kNone);
      suspended ? world.suspend(2) : world.kill(2, sim::Death::kPowerLoss);
      ASSERT_TRUE(fiber::sleep(Duration::milliseconds(10)).ok());
      const MonotonicTime sent = visit.ports.clock.monotonic();
      const auto answer = ask<ProduceResponse>(*client, spread_request({0, 1}, "after"), kForwardedProduceVersion);
      EXPECT_EQ(answer.responses.at(0).partition_responses.at(0).error_code, ErrorCode::kNone);
      EXPECT_EQ(answer.responses[0].partition_responses.at(1).error_code, ErrorCode::kRequestTimedOut);
      // Not thirty seconds: the image says that the node is gone.
      EXPECT_LT(visit.ports.clock.monotonic() - sent, Duration::seconds(5));
      const auto fetched = ask<FetchResponse>(*client, spread_fetch({1}, 30'000), kForwardedFetchVersion);
      EXPECT_NE(fetched.responses.at(0).partitions.at(0).error_code, ErrorCode::kNone);
      EXPECT_LT(visit.ports.clock.monotonic() - sent, Duration::seconds(6));
    });
  }
}

TEST(Forwarding, AnErrorOfAProduceWithoutAcksClosesTheClientsConnection) {
  NodesWorld world(true);
  world.run([&](NodesVisit& visit) {
    make_spread_topic(*visit.connect(1), "t");
    const auto raw = visit.connect_raw(1);
    ASSERT_TRUE(raw->send(spread_request({1}, "good", 0), kForwardedProduceVersion, 1).ok());
    ASSERT_TRUE(fiber::sleep(Duration::seconds(1)).ok());
    EXPECT_EQ(read_values(*visit.connect(3), "t", 1), (std::vector<std::string>{"good"}));
    ProduceRequest bad = spread_request({1}, "bad", 0);
    bad.topic_data[0].partition_data[0].records = Slice::copy_of("no batch");
    ASSERT_TRUE(raw->send(bad, kForwardedProduceVersion, 2).ok());
    EXPECT_FALSE(raw->receive(fiber::within(Duration::seconds(5), Expiry::kNormal)).ok());
    EXPECT_FALSE(raw->send(spread_request({0}, "more"), kForwardedProduceVersion, 3).ok() && raw->receive().ok());
  });
}

TEST(Forwarding, AFetchWaitsAtItsLeadersAndIsWokenByAnyOfThem) {
  NodesWorld world(true);
  world.run([&](NodesVisit& visit) {
    make_spread_topic(*visit.connect(1), "t");
    const std::vector<std::vector<std::int32_t>> asked{{1}, {0, 1}, {0, 1, 2}};
    std::int64_t from = 0;
    for (const std::vector<std::int32_t>& partitions : asked) {
      for (const std::int32_t woken : partitions) {
        const auto consumer = visit.connect(1);
        FetchResponse response;
        Duration took;
        fiber::FiberScope scope;
        const FetchRequest request = spread_fetch(partitions, 20'000, from);
        scope.spawn({"fetch", 0}, [&] {
          const MonotonicTime began = visit.ports.clock.monotonic();
          response = ask<FetchResponse>(*consumer, request, kForwardedFetchVersion);
          took = visit.ports.clock.monotonic() - began;
        });
        ASSERT_TRUE(fiber::sleep(Duration::seconds(3)).ok());
        const auto producer = visit.connect(woken + 1);
        EXPECT_EQ(produce(*producer, "t", woken, batch_of({"x"})).error_code, ErrorCode::kNone);
        ASSERT_TRUE(scope.join(patience()).ok());
        EXPECT_GT(bytes_of(response), 0u) << "partition " << woken;
        EXPECT_LT(took, Duration::seconds(5));
        // All partitions have as many for the next round.
        for (const std::int32_t other : {0, 1, 2}) {
          if (other != woken) {
            EXPECT_EQ(produce(*producer, "t", other, batch_of({"x"})).error_code, ErrorCode::kNone);
          }
        }
        ++from;
      }
    }
    // Its time is over, and there is nothing.
    const auto consumer = visit.connect(1);
    const MonotonicTime began = visit.ports.clock.monotonic();
    EXPECT_EQ(bytes_of(ask<FetchResponse>(*consumer, spread_fetch({0, 1, 2}, 2'000, from), kForwardedFetchVersion)),
              0u);
    const Duration took = visit.ports.clock.monotonic() - began;
    EXPECT_GE(took, Duration::milliseconds(1'900));
    EXPECT_LT(took, Duration::milliseconds(3'000));
  });
}

TEST(Forwarding, AFetchOfSeveralLeadersWaitsForWhatItWantsAtLeast) {
  NodesWorld world(true);
  world.run([&](NodesVisit& visit) {
    make_spread_topic(*visit.connect(1), "t");
    const auto producer = visit.connect(1);
    EXPECT_EQ(produce(*producer, "t", 1, batch_of({std::string(300, 'x')})).error_code, ErrorCode::kNone);
    const std::uint64_t before = forwards_of(world.node(1), "fetch_forward_count");
    const auto consumer = visit.connect(1);
    FetchResponse response;
    Duration took;
    fiber::FiberScope scope;
    scope.spawn({"fetch", 0}, [&] {
      const MonotonicTime began = visit.ports.clock.monotonic();
      response = ask<FetchResponse>(*consumer, spread_fetch({0, 1, 2}, 20'000, 0, 1'000), kForwardedFetchVersion);
      took = visit.ports.clock.monotonic() - began;
    });
    ASSERT_TRUE(fiber::sleep(Duration::seconds(2)).ok());
    EXPECT_EQ(produce(*producer, "t", 2, batch_of({std::string(300, 'x')})).error_code, ErrorCode::kNone);
    ASSERT_TRUE(fiber::sleep(Duration::seconds(2)).ok());
    EXPECT_EQ(produce(*producer, "t", 0, batch_of({std::string(600, 'x')})).error_code, ErrorCode::kNone);
    ASSERT_TRUE(scope.join(patience()).ok());
    EXPECT_GE(bytes_of(response), 1'000u);
    EXPECT_GE(took, Duration::seconds(4));
    EXPECT_LT(took, Duration::seconds(5));
    // Asked at first and for each piece of news; nothing spins.
    EXPECT_LE(forwards_of(world.node(1), "fetch_forward_count"), before + 8);
  });
}

TEST(Forwarding, AFetchOfSeveralLeadersOpensNoConnectionForEachRequest) {
  NodesWorld world(true);
  world.run([&](NodesVisit& visit) {
    make_spread_topic(*visit.connect(1), "t");
    const auto consumer = visit.connect(1);
    const auto producer = visit.connect(1);
    std::uint64_t accepted = 0;
    for (std::int64_t i = 0; i < 40; ++i) {
      FetchRequest request = spread_fetch({0, 1, 2}, 500, 0);
      for (std::size_t p = 0; p < 3; ++p) {
        request.topics[0].partitions[p].fetch_offset = Offset(p == 0 ? i : 0);
      }
      fiber::FiberScope scope;
      scope.spawn({"fetch", 0},
                  [&] { EXPECT_GT(bytes_of(ask<FetchResponse>(*consumer, request, kForwardedFetchVersion)), 0u); });
      ASSERT_TRUE(fiber::sleep(Duration::milliseconds(20)).ok());
      EXPECT_EQ(produce(*producer, "t", 0, batch_of({"x"})).error_code, ErrorCode::kNone);
      ASSERT_TRUE(scope.join(patience()).ok());
      if (i == 10) {
        accepted = world.node(2).server().accepted();
      }
    }
    EXPECT_EQ(world.node(2).server().accepted(), accepted);
  });
}

TEST(Forwarding, IdleLinksAreClosed) {
  NodesWorld world(true, [](node::NodeConfig& config) { config.broker["connections.max.idle.ms"] = "60000"; });
  world.run([&](NodesVisit& visit) {
    make_spread_topic(*visit.connect(1), "t");
    const std::size_t before = world.node(2).server().connections();
    EXPECT_EQ(produce(*visit.connect(1), "t", 1, batch_of({"x"})).error_code, ErrorCode::kNone);
    EXPECT_EQ(world.node(2).server().connections(), before + 1);
    ASSERT_TRUE(fiber::sleep(Duration::seconds(70)).ok());
    EXPECT_EQ(world.node(2).server().connections(), before);
    EXPECT_EQ(produce(*visit.connect(1), "t", 1, batch_of({"y"})).error_code, ErrorCode::kNone);
  });
}

}  // namespace
}  // namespace chronik::broker::testing
