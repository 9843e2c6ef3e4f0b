// Leaders that have just been elected: what they say of an end that they do not know yet, and an unclean election.
#include "core/protocol/messages/elect_leaders.h"
#include "core/protocol/messages/list_offsets.h"
#include "core/protocol/messages/metadata.h"
#include "tests/core/broker/nodes_world.h"

namespace chronik::broker::testing {
namespace {

using protocol::ErrorCode;

protocol::MetadataPartition partition_at(client::Client& client) {
  const auto topic = client.metadata("t", patience());
  CHECK_OK(topic.status());
  return topic->partitions.at(0);
}

template <typename Holds>
void wait_for(Holds&& holds) {
  for (int i = 0; i < 600 && !holds(); ++i) {
    ASSERT_TRUE(fiber::sleep(Duration::milliseconds(100)).ok());
  }
  ASSERT_TRUE(holds()) << "not within a minute";
}

protocol::ListOffsetsPartitionResponse latest(client::Client& client, std::int16_t version) {
  protocol::ListOffsetsRequest request;
  request.topics.push_back({.name = "t",
                            .partitions = {{.partition_index = PartitionId(0),
                                            .current_leader_epoch = LeaderEpoch::none(),
                                            .timestamp = protocol::kLatestTimestamp}}});
  return ask<protocol::ListOffsetsResponse>(client, request, version).topics.at(0).partitions.at(0);
}

TEST(NewLeader, SaysOfAnEndThatItDoesNotKnowYetThatItIsNotAvailable) {
  NodesWorld world(/*forward=*/false);
  world.run([&](NodesVisit& visit) {
    const auto first = visit.connect(1);
    make_topic_of_two(*first, 1, 2, {{"min.insync.replicas", "2"}});
    ASSERT_EQ(produce(*first, "t", 0, batch_of({"a"}), -1).error_code, ErrorCode::kNone);
    world.kill(1, sim::Death::kProcessKill);  // the other has the record, and has not heard that it is committed
    const auto second = visit.connect(2);
    wait_for([&] { return partition_at(*second).leader_id == NodeId(2); });
    for (int i = 0; i < 20; ++i) {  // alone in sync it does not come to know
      EXPECT_EQ(latest(*second, 5).error_code, ErrorCode::kOffsetNotAvailable);
      EXPECT_EQ(latest(*second, 4).error_code, ErrorCode::kLeaderNotAvailable) << "what older clients know";
      ASSERT_TRUE(fiber::sleep(Duration::milliseconds(100)).ok());
    }
    const MonotonicTime began = fiber::Scheduler::current().now();
    const auto fetched =
        second->fetch_waiting("t", PartitionId(0), Offset(0), 1000, Duration::milliseconds(500), patience());
    ASSERT_TRUE(fetched.ok()) << fetched.status();
    EXPECT_EQ(fetched->error_code, ErrorCode::kNone);
    EXPECT_EQ(fetched->records.value_or(Slice()).size(), 0u) << "it may not be committed";
    EXPECT_NEAR((fiber::Scheduler::current().now() - began).seconds(), 0.5, 0.1);
  });
  world.run([&](NodesVisit& visit) {
    const auto second = visit.connect(2);
    wait_for([&] { return latest(*second, 5).error_code == ErrorCode::kNone; });
    EXPECT_EQ(latest(*second, 5).offset, Offset(1));
    EXPECT_EQ(read_values(*second, "t", 0), std::vector<std::string>{"a"});
  });
}

std::uint64_t unclean_elections(const node::Node& node) {
  for (const MetricsRegistry::Entry& entry : node.metrics().entries()) {
    if (entry.name == "unclean_leader_elections_total") {
      return entry.counter->value();
    }
  }
  ADD_FAILURE() << "no such metric";
  return 0;
}

std::size_t led_uncleanly(const node::Node& node) {
  return node::count_partitions(*node.metadata().image(), NodeId::none()).led_uncleanly;
}

TEST(NewLeader, ThatWasElectedUncleanlyIsDeclaredInMetricStatusAndAnswer) {
  NodesWorld world(/*forward=*/false, [](node::NodeConfig& config) {
    config.broker["replica.lag.time.max.ms"] = "2000";
    config.broker["replica.fetch.wait.max.ms"] = "1000";
  });
  world.run([&](NodesVisit& visit) {
    int leads_metadata = 1;
    while (!world.node(leads_metadata).raft().leadership().here) {
      ++leads_metadata;
    }
    const int first = leads_metadata == 1 ? 2 : 1;
    const int second = leads_metadata == 3 ? 2 : 3;
    const auto client = visit.connect(first);
    make_topic_of_two(*client, first, second,
                      {{"min.insync.replicas", "1"}, {"unclean.leader.election.enable", "true"}});
    world.cut(first, second);
    ASSERT_TRUE(fiber::sleep(Duration::milliseconds(100)).ok());
    ASSERT_EQ(produce(*client, "t", 0, batch_of({"behind which the other lags"}), 1).error_code, ErrorCode::kNone);
    wait_for([&] { return partition_at(*client).isr_nodes.size() == 1; });
    ASSERT_EQ(produce(*client, "t", 0, batch_of({"lost"}), -1).error_code, ErrorCode::kNone);
    EXPECT_EQ(led_uncleanly(world.node(second)), 0u);
    world.kill(first, sim::Death::kProcessKill);
    const auto other = visit.connect(second);
    wait_for([&] { return partition_at(*other).leader_id == NodeId(second); });
    EXPECT_EQ(unclean_elections(world.node(second)), 1u);
    EXPECT_EQ(unclean_elections(world.node(leads_metadata)), 0u) << "the sum over the nodes is the cluster's";
    EXPECT_EQ(led_uncleanly(world.node(second)), 1u);
    protocol::ElectLeadersRequest request;
    request.election_type = 1;
    request.timeout_ms = 10'000;
    request.topic_partitions = {{.topic = "t", .partitions = {PartitionId(0)}}};
    const auto told = ask<protocol::ElectLeadersResponse>(*other, request, 2);
    const auto& answer = told.replica_election_results.at(0).partition_result.at(0);
    EXPECT_EQ(answer.error_code, ErrorCode::kElectionNotNeeded);
    EXPECT_NE(answer.error_message.value_or("").find("elected uncleanly"), std::string::npos)
        << answer.error_message.value_or("");
  });
}

}  // namespace
}  // namespace chronik::broker::testing
