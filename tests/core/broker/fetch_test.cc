// Fetches that wait, and how much they return.
#include "core/protocol/messages/fetch.h"
#include "core/protocol/messages/delete_topics.h"
#include "tests/core/broker/broker_world.h"

namespace chronik::broker::testing {
namespace {

using protocol::ErrorCode;
using protocol::FetchRequest;
using protocol::FetchResponse;

constexpr std::int16_t kVersion = 12;

FetchRequest fetch_of(const std::string& topic, std::int32_t partitions, std::int32_t max_wait_ms,
                      std::int32_t min_bytes = 1) {
  FetchRequest request;
  request.max_wait_ms = max_wait_ms;
  request.min_bytes = min_bytes;
  request.max_bytes = 1 << 20;
  auto& asked = request.topics.emplace_back();
  asked.topic = topic;
  for (std::int32_t p = 0; p < partitions; ++p) {
    asked.partitions.push_back(
        {.partition = PartitionId(p), .fetch_offset = Offset(0), .partition_max_bytes = 1 << 20});
  }
  return request;
}

std::size_t bytes_in(const FetchResponse& response) {
  std::size_t bytes = 0;
  for (const auto& topic : response.responses) {
    for (const auto& partition : topic.partitions) {
      bytes += partition.records.value_or(Slice()).size();
    }
  }
  return bytes;
}

// A fetch in a fiber of its own, and when its answer came.
class Waiting {
 public:
  Waiting(Visit& visit, const FetchRequest& request) : client_(visit.connect()) {
    scope_.spawn({"fetch", 0}, [this, &visit, request] {
      const MonotonicTime began = visit.ports.clock.monotonic();
      response_ = ask<FetchResponse>(*client_, request, kVersion);
      took_ = visit.ports.clock.monotonic() - began;
      answered_ = true;
    });
  }
  ~Waiting() { scope_.cancel_and_join(); }

  bool answered() const { return answered_; }
  const FetchResponse& join() {
    EXPECT_TRUE(scope_.join(patience()).ok());
    return response_;
  }
  Duration took() const { return took_; }

 private:
  std::unique_ptr<client::Client> client_;
  FetchResponse response_;
  Duration took_;
  bool answered_ = false;
  fiber::FiberScope scope_;
};

TEST(Fetch, WithNothingToReadWaitsAsLongAsAsked) {
  BrokerWorld world;
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    make_topic(*client, "t", 1);
    Waiting fetch(visit, fetch_of("t", 1, 2000));
    const FetchResponse& answer = fetch.join();
    EXPECT_GE(fetch.took(), Duration::milliseconds(1990));
    EXPECT_LT(fetch.took(), Duration::milliseconds(2500));
    EXPECT_EQ(answer.responses.at(0).partitions.at(0).error_code, ErrorCode::kNone);
    EXPECT_EQ(bytes_in(answer), 0u);
    // Nobody waits who did not ask for it.
    for (const FetchRequest& request : {fetch_of("t", 1, 0), fetch_of("t", 1, 5000, 0), fetch_of("t", 0, 5000)}) {
      Waiting at_once(visit, request);
      at_once.join();
      EXPECT_LT(at_once.took(), Duration::milliseconds(500));
    }
  });
}

TEST(Fetch, IsWokenByAnAppend) {
  BrokerWorld world;
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    make_topic(*client, "t", 1);
    Waiting fetch(visit, fetch_of("t", 1, 30'000));
    ASSERT_TRUE(fiber::sleep(Duration::seconds(3)).ok());
    EXPECT_FALSE(fetch.answered());
    const Slice batch = batch_of({"a"});
    produce(*client, "t", 0, batch);
    const FetchResponse& answer = fetch.join();
    EXPECT_LT(fetch.took(), Duration::milliseconds(3500));
    EXPECT_EQ(bytes_in(answer), batch.size());
    EXPECT_EQ(answer.responses.at(0).partitions.at(0).high_watermark, Offset(1));
  });
}

TEST(Fetch, WaitsForAsManyBytesAsAsked) {
  BrokerWorld world;
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    make_topic(*client, "t", 2);
    Waiting fetch(visit, fetch_of("t", 2, 30'000, 2500));
    for (std::int32_t i = 0; i < 3; ++i) {
      ASSERT_TRUE(fiber::sleep(Duration::seconds(1)).ok());
      EXPECT_FALSE(fetch.answered()) << i;
      produce(*client, "t", i % 2, batch_of({std::string(1000, 'x')}));
    }
    EXPECT_GE(bytes_in(fetch.join()), 3000u);
    EXPECT_LT(fetch.took(), Duration::milliseconds(3500));
    // What is there when the time is over is given, if it is less.
    Waiting late(visit, fetch_of("t", 2, 1000, 1 << 20));
    EXPECT_GE(bytes_in(late.join()), 3000u);
    EXPECT_GE(late.took(), Duration::milliseconds(990));
  });
}

TEST(Fetch, AnErrorOfOnePartitionIsAnsweredAtOnce) {
  BrokerWorld world;
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    make_topic(*client, "t", 2);
    Waiting unknown(visit, fetch_of("t", 3, 30'000));
    EXPECT_EQ(unknown.join().responses.at(0).partitions.at(2).error_code, ErrorCode::kUnknownTopicOrPartition);
    EXPECT_LT(unknown.took(), Duration::milliseconds(500));
    FetchRequest beyond = fetch_of("t", 2, 30'000);
    beyond.topics[0].partitions[1].fetch_offset = Offset(5);
    Waiting out_of_range(visit, beyond);
    EXPECT_EQ(out_of_range.join().responses.at(0).partitions.at(1).error_code, ErrorCode::kOffsetOutOfRange);
    EXPECT_LT(out_of_range.took(), Duration::milliseconds(500));
    // The topic goes while somebody waits for it.
    Waiting orphan(visit, fetch_of("t", 2, 30'000));
    ASSERT_TRUE(fiber::sleep(Duration::seconds(1)).ok());
    protocol::DeleteTopicsRequest deletion;
    deletion.topics.push_back({.name = "t"});
    deletion.timeout_ms = 10'000;
    EXPECT_EQ(ask<protocol::DeleteTopicsResponse>(*client, deletion, 6).responses.at(0).error_code, ErrorCode::kNone);
    EXPECT_NE(orphan.join().responses.at(0).partitions.at(0).error_code, ErrorCode::kNone);
    EXPECT_LT(orphan.took(), Duration::milliseconds(2000));
  });
}

TEST(Fetch, IsNamedWithWhoServesItInTheWaitForGraph) {
  BrokerWorld world;
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    make_topic(*client, "t", 1);
    Waiting parked(visit, fetch_of("t", 1, 2'000));
    ASSERT_TRUE(fiber::sleep(Duration::seconds(1)).ok());
    const std::string graph = world.world().describe_waits();
    const std::size_t wait = graph.find("(Fetch to ");
    ASSERT_NE(wait, std::string::npos) << graph;
    const std::string line = graph.substr(wait, graph.find('\n', wait) - wait);
    EXPECT_NE(line.find("/fetch-"), std::string::npos) << "the fiber that serves it: " << line;
    parked.join();
  });
}

TEST(Fetch, OfAThousandPartitionsWaitsOnceAndIsWokenByAnyOfThem) {
  BrokerWorld world;
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    make_topic(*client, "wide", 1000);
    const fiber::Scheduler& node = world.node_machine().shards().at(0)->scheduler();
    for (const std::int32_t partition : {0, 777, 999}) {
      const std::size_t before = node.fibers();
      FetchRequest request = fetch_of("wide", 1000, 30'000);
      if (partition > 0) {
        request.topics[0].partitions[0].fetch_offset = Offset(1);
      }
      if (partition > 777) {
        request.topics[0].partitions[777].fetch_offset = Offset(1);
      }
      Waiting fetch(visit, request);
      ASSERT_TRUE(fiber::sleep(Duration::seconds(1)).ok());
      EXPECT_FALSE(fetch.answered());
      EXPECT_LE(node.fibers(), before + 4) << "a fiber for each partition?";
      const Slice batch = batch_of({"x"});
      produce(*client, "wide", partition, batch);
      const FetchResponse& answer = fetch.join();
      EXPECT_LT(fetch.took(), Duration::milliseconds(1500));
      ASSERT_EQ(answer.responses.at(0).partitions.size(), 1000u);
      EXPECT_EQ(bytes_in(answer), batch.size());
      const auto& woken = answer.responses[0].partitions[static_cast<std::size_t>(partition)];
      EXPECT_EQ(woken.records.value_or(Slice()).size(), batch.size());
    }
  });
}

TEST(Fetch, ReturnsNoMoreThanTheBrokerAllowsButAFirstBatchWhole) {
  node::NodeConfig config = small_node();
  config.broker["fetch.max.bytes"] = "25000";
  BrokerWorld world(config);
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    make_topic(*client, "t", 4);
    for (std::int32_t p = 0; p < 4; ++p) {
      produce(*client, "t", p, batch_of({std::string(p == 3 ? 40'000 : 10'000, 'x')}));
    }
    Waiting fetch(visit, fetch_of("t", 4, 0));
    const auto& partitions = fetch.join().responses.at(0).partitions;
    EXPECT_GT(partitions.at(0).records.value_or(Slice()).size(), 10'000u);
    EXPECT_GT(partitions.at(1).records.value_or(Slice()).size(), 10'000u);
    EXPECT_EQ(partitions.at(2).records.value_or(Slice()).size(), 0u);
    FetchRequest large = fetch_of("t", 4, 0);
    large.topics[0].partitions.erase(large.topics[0].partitions.begin(), large.topics[0].partitions.begin() + 3);
    Waiting whole(visit, large);
    EXPECT_GT(bytes_in(whole.join()), 40'000u);
  });
}

}  // namespace
}  // namespace chronik::broker::testing
