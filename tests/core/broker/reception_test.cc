// A node that does not serve yet: what a client that connects is told, and that it goes on once there is a quorum.
#include "core/protocol/messages/api_versions.h"
#include "core/protocol/messages/find_coordinator.h"
#include "core/protocol/messages/init_producer_id.h"
#include "core/protocol/messages/list_offsets.h"
#include "core/protocol/messages/metadata.h"
#include "tests/core/broker/nodes_world.h"

namespace chronik::broker::testing {
namespace {

using protocol::ErrorCode;

constexpr std::int16_t kAskedMetadataVersion = 12;

double seconds_since(MonotonicTime began) { return (fiber::Scheduler::current().now() - began).seconds(); }

protocol::MetadataResponse ask_for_metadata(client::Client& client) {
  return ask<protocol::MetadataResponse>(client, protocol::MetadataRequest{}, kAskedMetadataVersion);
}

// As every client does it: again until there are brokers.
void wait_for_brokers(client::Client& client) {
  for (int i = 0; i < 100 && ask_for_metadata(client).brokers.empty(); ++i) {
    ASSERT_TRUE(fiber::sleep(Duration::milliseconds(100)).ok());
  }
}

// Whether the node ends the connection, as if it were not there.
template <typename Response, typename Request>
void expect_refused(const NodesVisit& visit, const Request& request, std::int16_t version) {
  const auto client = visit.connect(1);
  const MonotonicTime began = fiber::Scheduler::current().now();
  EXPECT_TRUE(absl::IsUnavailable(client->call<Response>(request, version, patience()).status()));
  EXPECT_TRUE(client->broken());
  EXPECT_LT(seconds_since(began), 0.1) << "whoever asks looks for another leader soon";
}

protocol::FetchRequest fetch_of_first() {
  protocol::FetchRequest request;
  request.max_wait_ms = 0;
  request.topics.push_back({.topic = "t", .partitions = {{.partition = PartitionId(0), .partition_max_bytes = 1000}}});
  return request;
}

void expect_nothing_is_served(const NodesVisit& visit) {
  protocol::ProduceRequest produce;
  produce.acks = 1;
  produce.timeout_ms = 1000;
  produce.topic_data.push_back(
      {.name = "t", .partition_data = {{.index = PartitionId(0), .records = batch_of({"b"})}}});
  expect_refused<protocol::ProduceResponse>(visit, produce, 9);
  expect_refused<protocol::FetchResponse>(visit, fetch_of_first(), 12);
  protocol::ListOffsetsRequest offsets;
  offsets.topics.push_back({.name = "t", .partitions = {{.timestamp = protocol::kLatestTimestamp}}});
  expect_refused<protocol::ListOffsetsResponse>(visit, offsets, 7);
  expect_refused<protocol::CreateTopicsResponse>(visit, protocol::CreateTopicsRequest{}, 7);
}

TEST(Reception, ANodeThatWaitsForTheOthersSaysWhatItSpeaksAndWhoeverAsksGoesOnWhenTheyAreThere) {
  NodesWorld world(/*forward=*/false);
  world.run_client([&](NodesVisit& visit) {
    world.start(1);
    ASSERT_TRUE(fiber::sleep(Duration::seconds(1)).ok());
    EXPECT_EQ(world.begun(1)->state(), "waiting for quorum (1 of 3)");
    const auto client = visit.connect(1);
    MonotonicTime began = fiber::Scheduler::current().now();
    const auto versions = ask<protocol::ApiVersionsResponse>(
        *client, protocol::ApiVersionsRequest{.client_software_name = "test", .client_software_version = "1"}, 3);
    EXPECT_EQ(versions.error_code, ErrorCode::kNone);
    EXPECT_GT(versions.api_keys.size(), 30u);
    EXPECT_LT(seconds_since(began), 0.1);

    began = fiber::Scheduler::current().now();
    const auto metadata = ask_for_metadata(*client);
    EXPECT_TRUE(metadata.brokers.empty()) << "clients take that for no metadata, and ask again";
    EXPECT_TRUE(metadata.topics.empty());
    EXPECT_EQ(metadata.controller_id, NodeId::none());
    EXPECT_NEAR(seconds_since(began), 1, 0.1);
    protocol::FindCoordinatorRequest find;
    find.coordinator_keys = {"g"};
    const auto found = ask<protocol::FindCoordinatorResponse>(*client, find, 4).coordinators.at(0);
    EXPECT_EQ(found.error_code, ErrorCode::kCoordinatorNotAvailable);
    EXPECT_EQ(found.key, "g");
    EXPECT_EQ(ask<protocol::InitProducerIdResponse>(*client, protocol::InitProducerIdRequest{}, 4).error_code,
              ErrorCode::kCoordinatorLoadInProgress);
    expect_nothing_is_served(visit);

    world.start(2);
    world.start(3);
    wait_for_brokers(*client);
    EXPECT_FALSE(client->broken()) << "over the same connection";
    EXPECT_FALSE(ask_for_metadata(*client).brokers.empty());
    ASSERT_TRUE(fiber::sleep(Duration::seconds(2)).ok());
    make_topic(*client, "made", 1);
  });
}

TEST(Reception, NothingIsServedOfWhatANodeKnewBeforeItHasAQuorumAgain) {
  NodesWorld world(/*forward=*/false);
  world.run([&](NodesVisit& visit) {
    const auto client = visit.connect(1);
    make_spread_topic(*client, "t");
    ASSERT_EQ(produce(*client, "t", 0, batch_of({"a"})).error_code, ErrorCode::kNone);
    for (const int number : {1, 2, 3}) {
      world.kill(number, sim::Death::kProcessKill);
    }
    ASSERT_TRUE(fiber::sleep(Duration::milliseconds(100)).ok());
  });
  world.run_client([&](NodesVisit& visit) {
    world.start(1);
    ASSERT_TRUE(fiber::sleep(Duration::seconds(2)).ok());
    EXPECT_EQ(ask_for_metadata(*visit.connect(1)).brokers.size(), 0u);
    expect_nothing_is_served(visit);
    world.start(2);
    const auto client = visit.connect(1);
    wait_for_brokers(*client);
    ASSERT_TRUE(fiber::sleep(Duration::seconds(2)).ok());
    EXPECT_EQ(read_values(*client, "t", 0), std::vector<std::string>{"a"});
  });
}

TEST(Reception, WhoeverAsksJustBeforeThereIsAQuorumIsAnsweredWithIt) {
  NodesWorld world(/*forward=*/false);
  world.run_client([&](NodesVisit& visit) {
    world.start(1);
    ASSERT_TRUE(fiber::sleep(Duration::seconds(1)).ok());
    const auto client = visit.connect(1);
    fiber::FiberScope scope;
    std::size_t brokers_told = 0;
    for (int i = 0; i < 60; ++i) {  // one of them is there when it happens
      scope.spawn({"asker", static_cast<std::uint64_t>(i)}, [&, i] {
        ASSERT_TRUE(fiber::sleep(Duration::milliseconds(100 * i)).ok());
        const auto own = visit.connect(1);
        const MonotonicTime began = fiber::Scheduler::current().now();
        const bool told = !ask_for_metadata(*own).brokers.empty();
        // It waited, and not until its time was over.
        brokers_told += told && seconds_since(began) > 0.05 && seconds_since(began) < 0.95 ? 1U : 0U;
      });
    }
    world.start(2);
    world.start(3);
    ASSERT_TRUE(scope.join(patience()).ok());
    EXPECT_GT(brokers_told, 0u);
  });
}

}  // namespace
}  // namespace chronik::broker::testing
