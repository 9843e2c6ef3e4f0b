// How soon nodes notice each other, as Kafka's settings of the configuration file say it.
#include "core/protocol/messages/delete_records.h"
#include "core/protocol/messages/list_offsets.h"
#include "core/protocol/messages/metadata.h"
#include "core/protocol/messages/produce.h"
#include "tests/core/broker/nodes_world.h"

namespace chronik::broker::testing {
namespace {

constexpr Duration kLook = Duration::milliseconds(10);  // so exact are the times

std::function<void(node::NodeConfig&)> with(const cluster::ConfigMap& settings) {
  return [settings](node::NodeConfig& config) {
    for (const auto& [name, value] : settings) {
      config.broker[name] = value;
    }
  };
}

int metadata_leader(NodesWorld& world) {
  for (int number = 1; number <= NodesWorld::kNodes; ++number) {
    if (world.node(number).raft().leadership().here) {
      return number;
    }
  }
  ADD_FAILURE() << "nobody leads the metadata";
  return 1;
}

int other_than(int a, int b) { return a != 1 && b != 1 ? 1 : a != 2 && b != 2 ? 2 : 3; }

// Until holds(); at most a minute.
template <typename Holds>
double seconds_until(Holds&& holds) {
  const fiber::Scheduler& scheduler = fiber::Scheduler::current();
  const MonotonicTime began = scheduler.now();
  while (!holds() && scheduler.now() - began < Duration::seconds(60)) {
    EXPECT_TRUE(fiber::sleep(kLook).ok());
  }
  return (scheduler.now() - began).seconds();
}

protocol::MetadataResponse metadata_of(client::Client& client) {
  return ask<protocol::MetadataResponse>(client, protocol::MetadataRequest{}, 12);
}

// Fenced ones are not told.
bool is_live(client::Client& at, int number) {
  for (const protocol::MetadataBroker& broker : metadata_of(at).brokers) {
    if (broker.node_id == NodeId(number)) {
      return true;
    }
  }
  return false;
}

std::uint64_t requests_of(const node::Node& node) {
  for (const MetricsRegistry::Entry& entry : node.metrics().entries()) {
    if (entry.name == "requests_total") {
      return entry.counter->value();
    }
  }
  ADD_FAILURE() << "no such metric";
  return 0;
}

// A topic with one partition, on all nodes and led by the first.
void make_replicated_topic(client::Client& client) {
  protocol::CreateTopicsRequest request;
  request.timeout_ms = 30'000;
  auto& topic = request.topics.emplace_back();
  topic.name = "t";
  topic.num_partitions = topic.replication_factor = -1;
  topic.assignments.push_back({.partition_index = PartitionId(0), .broker_ids = {NodeId(1), NodeId(2), NodeId(3)}});
  const auto response = ask<protocol::CreateTopicsResponse>(client, request, 7);
  ASSERT_EQ(response.topics.at(0).error_code, protocol::ErrorCode::kNone);
  ASSERT_TRUE(fiber::sleep(Duration::seconds(1)).ok());
}

TEST(Timing, ASilentBrokerIsFencedAfterItsSession) {
  NodesWorld world(false, with({{"broker.session.timeout.ms", "3000"}}));
  world.run([&](NodesVisit& visit) {
    const int leader = metadata_leader(world);
    const int silent = other_than(leader, leader);
    const auto client = visit.connect(leader);
    world.suspend(silent);
    const double seconds = seconds_until([&] { return !is_live(*client, silent); });
    EXPECT_GT(seconds, 2.7);  // its last sign of life may be a heartbeat old
    EXPECT_LT(seconds, 3.2);
  });
}

TEST(Timing, ASilentLeaderOfTheMetadataIsReplacedAfterTheElectionTimeout) {
  NodesWorld world(false, with({{"controller.quorum.election.timeout.ms", "4000"}}));
  world.run([&](NodesVisit&) {
    const int silent = metadata_leader(world);
    const int second = other_than(silent, silent);
    const int third = other_than(silent, second);
    world.suspend(silent);
    const double seconds = seconds_until(
        [&] { return world.node(second).raft().leadership().here || world.node(third).raft().leadership().here; });
    EXPECT_GT(seconds, 3.7);
    EXPECT_LT(seconds, 6.5);  // one and a half times as much, and the votes
  });
}

TEST(Timing, NodesHearOfEachOtherWithEachHeartbeat) {
  NodesWorld world(false, with({{"broker.heartbeat.interval.ms", "500"}}));
  world.run([&](NodesVisit&) {
    const int leader = metadata_leader(world);
    const NodeId follower(other_than(leader, leader));
    MonotonicTime heard = world.node(leader).raft().last_heard(follower);
    int times = 0;
    for (int i = 0; i < 1000; ++i) {
      ASSERT_TRUE(fiber::sleep(kLook).ok());
      times += std::exchange(heard, world.node(leader).raft().last_heard(follower)) != heard ? 1 : 0;
    }
    EXPECT_GE(times, 18);
    EXPECT_LE(times, 22);
  });
}

TEST(Timing, AnIdleReplicaAsksAsOftenAsItsWaitSays) {
  const auto requests_in_20_s = [](const std::string& wait_ms) {
    NodesWorld world(false, with({{"replica.fetch.wait.max.ms", wait_ms}}));
    std::uint64_t count = 0;
    world.run([&](NodesVisit& visit) {
      const auto client = visit.connect(1);
      make_replicated_topic(*client);
      const std::uint64_t before = requests_of(world.node(1));
      ASSERT_TRUE(fiber::sleep(Duration::seconds(20)).ok());
      count = requests_of(world.node(1)) - before;
    });
    return count;
  };
  const std::uint64_t often = requests_in_20_s("1000");
  EXPECT_GE(often, 2u * 18);
  EXPECT_LE(often, 2u * 2 * 22);  // a replica may keep two requests waiting
  EXPECT_LE(requests_in_20_s("10000"), 2u * 2 * 3);
}

TEST(Timing, AReplicaThatLagsLeavesTheIsrAfterTheLagTime) {
  NodesWorld world(false, with({{"replica.lag.time.max.ms", "2000"},
                                {"replica.fetch.wait.max.ms", "1000"},
                                {"broker.session.timeout.ms", "60000"}}));
  world.run([&](NodesVisit& visit) {
    const auto client = visit.connect(1);
    make_replicated_topic(*client);
    world.suspend(other_than(1, metadata_leader(world)));
    ASSERT_TRUE(fiber::sleep(Duration::milliseconds(100)).ok());
    protocol::ProduceRequest request;
    request.acks = 1;
    request.timeout_ms = 1000;
    request.topic_data.push_back(
        {.name = "t", .partition_data = {{.index = PartitionId(0), .records = batch_of({"a"})}}});
    const auto told = ask<protocol::ProduceResponse>(*client, request, 9);
    ASSERT_EQ(told.responses.at(0).partition_responses.at(0).error_code, protocol::ErrorCode::kNone);
    const double seconds =
        seconds_until([&] { return metadata_of(*client).topics.at(0).partitions.at(0).isr_nodes.size() == 2; });
    EXPECT_GT(seconds, 1.9);
    EXPECT_LT(seconds, 3.5);  // it is looked at twice in that time
  });
}

TEST(Timing, AReplicaThatWasAwayReadsFilesForTheSetShareOfTheLeadersTime) {
  const auto seconds_until_whole = [](const std::string& share) {
    NodesWorld world(false, with({{"leader.catch.up.time.percentage", share}}));
    world.run([&](NodesVisit& visit) {
      const auto client = visit.connect(1);
      make_replicated_topic(*client);
      world.kill(2, sim::Death::kProcessKill);
      const std::string value(60'000, 'v');
      for (int i = 0; i < 150; ++i) {
        ASSERT_EQ(produce(*client, "t", 0, batch_of({value}), 1).error_code, protocol::ErrorCode::kNone);
      }
    });
    double seconds = 0;
    world.run([&](NodesVisit& visit) {
      const auto client = visit.connect(1);
      seconds = seconds_until([&] { return metadata_of(*client).topics.at(0).partitions.at(0).isr_nodes.size() == 3; });
    });
    return seconds;
  };
  const double quick = seconds_until_whole("100");
  EXPECT_GT(seconds_until_whole("1"), 2 * quick);
}

// ---- how long a node waits for the others ----

double seconds_of_a_creation_without_quorum(std::int64_t proposal_seconds) {
  NodesWorld world(false,
                   [&](node::NodeConfig& config) { config.metadata.proposal = Duration::seconds(proposal_seconds); });
  double seconds = 0;
  world.run([&](NodesVisit& visit) {
    const auto client = visit.connect(1);
    world.suspend(2);
    world.suspend(3);
    ASSERT_TRUE(fiber::sleep(Duration::milliseconds(100)).ok());
    protocol::CreateTopicsRequest request;
    request.timeout_ms = 50'000;
    request.topics.push_back({.name = "t", .num_partitions = 1, .replication_factor = 1});
    seconds = seconds_until([&] {
      const auto told = ask<protocol::CreateTopicsResponse>(*client, request, 7);
      return told.topics.at(0).error_code != protocol::ErrorCode::kNone;
    });
  });
  return seconds;
}

TEST(Timing, AChangeThatNoQuorumTakesIsGivenUpAfterTheProposalTimeout) {
  EXPECT_NEAR(seconds_of_a_creation_without_quorum(2), 2, 0.3);
  EXPECT_NEAR(seconds_of_a_creation_without_quorum(7), 7, 0.3);
}

// Of what is asked of node 1 about the partition that node 2 leads: where it ends, and to delete records of it, for
// which a client waits nine seconds.
protocol::ErrorCode end_through_first(client::Client& client) {
  protocol::ListOffsetsRequest request;
  request.topics.push_back({.name = "t",
                            .partitions = {{.partition_index = PartitionId(1),
                                            .current_leader_epoch = LeaderEpoch::none(),
                                            .timestamp = protocol::kLatestTimestamp}}});
  return ask<protocol::ListOffsetsResponse>(client, request, 7).topics.at(0).partitions.at(0).error_code;
}
protocol::ErrorCode deletion_through_first(client::Client& client) {
  protocol::DeleteRecordsRequest request;
  request.timeout_ms = 9'000;
  request.topics.push_back({.name = "t", .partitions = {{.partition_index = PartitionId(1), .offset = Offset(0)}}});
  return ask<protocol::DeleteRecordsResponse>(client, request, 2).topics.at(0).partitions.at(0).error_code;
}

// How long node 1 waits for node 2 for a client, which is cut off and not missed yet. linked: it was asked before.
double seconds_of_forwarding(bool linked, std::int64_t connect_seconds, std::int64_t read_seconds,
                             protocol::ErrorCode (*through_first)(client::Client& client) = end_through_first) {
  NodesWorld world(true, [&](node::NodeConfig& config) {
    config.broker["broker.session.timeout.ms"] = "100000";
    config.node_connect = Duration::seconds(connect_seconds);
    config.limits.node_answer = Duration::seconds(read_seconds);
  });
  double seconds = 0;
  world.run([&](NodesVisit& visit) {
    const auto client = visit.connect(1);
    make_spread_topic(*client, "t");
    if (linked) {
      EXPECT_EQ(through_first(*client), protocol::ErrorCode::kNone);
    }
    world.cut(1, 2);
    ASSERT_TRUE(fiber::sleep(Duration::milliseconds(100)).ok());
    seconds = seconds_until([&] { return through_first(*client) != protocol::ErrorCode::kNone; });
  });
  return seconds;
}

TEST(Timing, AConnectionToAnotherNodeIsGivenUpAfterTheConnectTimeout) {
  EXPECT_NEAR(seconds_of_forwarding(false, 2, 60), 2, 0.2);
  EXPECT_NEAR(seconds_of_forwarding(false, 6, 60), 6, 0.2);
}

TEST(Timing, AnAnswerOfAnotherNodeIsGivenUpAfterTheReadTimeout) {
  EXPECT_NEAR(seconds_of_forwarding(true, 5, 3), 3, 0.2);
  EXPECT_NEAR(seconds_of_forwarding(true, 5, 9), 9, 0.2);
}

TEST(Timing, WhatARequestIsToWaitForItselfIsAddedToTheReadTimeout) {
  EXPECT_NEAR(seconds_of_forwarding(true, 5, 3, deletion_through_first), 9, 0.2) << "nobody waits longer than asked to";
}

const Histogram& apply_durations(const node::Node& node) {
  for (const MetricsRegistry::Entry& entry : node.metrics().entries()) {
    if (entry.name == "raft_apply_duration") {
      return *entry.histogram;
    }
  }
  CHECK(false);
}

TEST(Timing, EachTurnThatAppliesMetadataIsCountedWithItsLengthOnEveryNode) {
  NodesWorld world(false);
  world.run([&](NodesVisit& visit) {
    const auto client = visit.connect(1);
    for (int i = 0; i < 5; ++i) {
      std::array<std::uint64_t, NodesWorld::kNodes> before{};
      for (int number = 1; number <= NodesWorld::kNodes; ++number) {
        before.at(static_cast<std::size_t>(number - 1)) = apply_durations(world.node(number)).count();
      }
      make_topic(*client, "t" + std::to_string(i), 10);
      ASSERT_TRUE(fiber::sleep(Duration::seconds(1)).ok());
      for (int number = 1; number <= NodesWorld::kNodes; ++number) {
        const Histogram& now = apply_durations(world.node(number));
        EXPECT_EQ(now.count(), before.at(static_cast<std::size_t>(number - 1)) + 1) << "one change, one turn";
        EXPECT_GT(now.sum(), 0u);
        EXPECT_LT(now.max(), 100'000'000u) << "no more than a turn: the node is idle for most of that second";
      }
    }
  });
}

}  // namespace
}  // namespace chronik::broker::testing
