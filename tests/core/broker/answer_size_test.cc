// Answers that would be larger than one may be: their connections are closed, and the node serves all others.
#include "core/protocol/messages/describe_configs.h"
#include "core/protocol/messages/describe_groups.h"
#include "core/protocol/messages/describe_producers.h"
#include "core/protocol/messages/find_coordinator.h"
#include "core/protocol/messages/join_group.h"
#include "core/protocol/messages/metadata.h"
#include "core/protocol/messages/offset_fetch.h"
#include "core/protocol/messages/produce.h"
#include "core/protocol/messages/sync_group.h"
#include "tests/core/broker/broker_world.h"

namespace chronik::broker::testing {
namespace {

using protocol::ErrorCode;

constexpr std::size_t kBytesMax = 20'000;

// How often an answer was given up before all of it was made.
class GivenUp final : public LogSink {
 public:
  void write(LogLevel /*level*/, std::string_view line) override {
    times_ += line.find("and that is not all of it") != std::string_view::npos ? 1 : 0;
  }
  int times() const { return times_; }

 private:
  int times_ = 0;
};

void with_small_answers(int given_up, const std::function<void(Visit&)>& test) {
  node::NodeConfig config = small_node();
  config.limits.answer_bytes_max = kBytesMax;
  GivenUp log;
  BrokerWorld world(config, &log);
  world.run(test);
  EXPECT_EQ(log.times(), given_up);
}

template <typename M>
bool closes(Visit& visit, const M& request, std::int16_t version) {
  const auto raw = visit.connect_raw();
  EXPECT_TRUE(raw->send(request, version, 1).ok());
  return !raw->receive().ok();
}

// Of one member, which says so many bytes of itself.
void make_group(client::Client& client, const std::string& name, std::size_t bytes) {
  protocol::FindCoordinatorRequest find;
  find.coordinator_keys = {name};
  while (ask<protocol::FindCoordinatorResponse>(client, find, 4).coordinators.at(0).error_code != ErrorCode::kNone) {
    ASSERT_TRUE(fiber::sleep(Duration::milliseconds(50)).ok());
  }
  protocol::JoinGroupRequest join;
  join.group_id = name;
  join.session_timeout_ms = join.rebalance_timeout_ms = 100'000;
  join.protocol_type = "consumer";
  join.protocols.push_back({.name = "range", .metadata = Slice::copy_of(std::string(bytes, 'm'))});
  const auto joined = ask<protocol::JoinGroupResponse>(client, join, 3);
  ASSERT_EQ(joined.error_code, ErrorCode::kNone);
  protocol::SyncGroupRequest sync;
  sync.group_id = name;
  sync.generation_id = joined.generation_id;
  sync.member_id = joined.member_id;
  ASSERT_EQ(ask<protocol::SyncGroupResponse>(client, sync, 3).error_code, ErrorCode::kNone);
}

TEST(AnswerSize, AsManyGroupsAreDescribedAsAnAnswerHolds) {
  with_small_answers(2, [](Visit& visit) {
    const auto client = visit.connect();
    protocol::DescribeGroupsRequest request;
    for (const char* name : {"a", "b", "c"}) {
      make_group(*client, name, kBytesMax / 3);
      request.groups.emplace_back(name);
    }
    EXPECT_TRUE(closes(visit, request, 5));
    request.groups = {"a", "a", "a"};
    EXPECT_TRUE(closes(visit, request, 5)) << "one that is named again takes room again";
    request.groups = {"a", "b"};
    const auto told = ask<protocol::DescribeGroupsResponse>(*client, request, 5).groups;
    ASSERT_EQ(told.size(), 2u);
    EXPECT_EQ(told[1].members.at(0).member_metadata.size(), kBytesMax / 3);
  });
}

TEST(AnswerSize, AsManyConfigurationsAreDescribedAsAnAnswerHolds) {
  with_small_answers(1, [](Visit& visit) {
    const auto client = visit.connect();
    protocol::DescribeConfigsRequest request;
    request.include_documentation = request.include_synonyms = true;
    for (int i = 0; i < 10; ++i) {
      const std::string name = "t" + std::to_string(i);
      make_topic(*client, name, 1);
      request.resources.push_back({.resource_type = 2, .resource_name = name, .configuration_keys = std::nullopt});
    }
    EXPECT_TRUE(closes(visit, request, 4));
    request.resources.resize(1);
    EXPECT_FALSE(ask<protocol::DescribeConfigsResponse>(*client, request, 4).results.at(0).configs.empty());
  });
}

TEST(AnswerSize, WhatIsNotThereIsAnsweredAsOftenAsAnAnswerHolds) {
  with_small_answers(3, [](Visit& visit) {
    const auto client = visit.connect();
    make_topic(*client, "t", 1);
    make_group(*client, "g", 1);
    protocol::DescribeProducersRequest producers;
    producers.topics.push_back({.name = "t", .partition_indexes = {}});
    protocol::OffsetFetchRequest offsets;
    offsets.groups.resize(1);
    offsets.groups[0].group_id = "g";
    offsets.groups[0].topics = {{{.name = "t", .partition_indexes = {}}}};
    protocol::MetadataRequest metadata;
    metadata.topics.emplace();
    for (std::int32_t i = 0; i < 5000; ++i) {
      producers.topics[0].partition_indexes.emplace_back(i);
      offsets.groups[0].topics->at(0).partition_indexes.emplace_back(i);
      metadata.topics->push_back(
          {.topic_id = Uuid::from_random(7, static_cast<std::uint64_t>(i)), .name = std::nullopt});
    }
    EXPECT_TRUE(closes(visit, producers, 0));
    EXPECT_TRUE(closes(visit, offsets, 8));
    EXPECT_TRUE(closes(visit, metadata, 12));
    offsets.groups[0].topics->at(0).partition_indexes.resize(10);
    EXPECT_EQ(ask<protocol::OffsetFetchResponse>(*client, offsets, 8).groups.at(0).topics.at(0).partitions.size(), 10u);
  });
}

TEST(AnswerSize, AnyThatIsTooLargeClosesItsConnectionAlone) {
  with_small_answers(0, [](Visit& visit) {
    const auto client = visit.connect();
    make_topic(*client, "t", 1);
    const std::string value(2 * kBytesMax, 'v');
    EXPECT_EQ(produce(*client, "t", 0, batch_of({value})).error_code, ErrorCode::kNone);
    EXPECT_EQ(read_values(*client, "t", 0), std::vector<std::string>{value}) << "records are bounded otherwise";
    protocol::ProduceRequest request;
    request.acks = 1;
    request.timeout_ms = 1000;
    request.topic_data.push_back({.name = "t", .partition_data = {}});
    for (int i = 0; i < 2000; ++i) {
      request.topic_data[0].partition_data.push_back({.index = PartitionId(1), .records = std::nullopt});
    }
    EXPECT_TRUE(closes(visit, request, 9));
    make_topic(*client, "large", 1000);
    EXPECT_TRUE(closes(visit, protocol::MetadataRequest{}, 12));
    protocol::MetadataRequest one;
    one.topics.emplace().push_back({.topic_id = {}, .name = "t"});
    EXPECT_EQ(ask<protocol::MetadataResponse>(*client, one, 12).topics.size(), 1u);
  });
}

}  // namespace
}  // namespace chronik::broker::testing
