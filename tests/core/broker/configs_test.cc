// DescribeConfigs, AlterConfigs, IncrementalAlterConfigs.
#include <algorithm>

#include "core/cluster/config_defs.h"
#include "core/protocol/messages/alter_configs.h"
#include "core/protocol/messages/describe_configs.h"
#include "core/protocol/messages/incremental_alter_configs.h"
#include "tests/core/broker/broker_world.h"

namespace chronik::broker::testing {
namespace {

using protocol::DescribeConfigsEntry;
using protocol::DescribeConfigsRequest;
using protocol::DescribeConfigsResponse;
using protocol::DescribeConfigsResult;
using protocol::ErrorCode;

constexpr std::int8_t kTopicResource = 2;
constexpr std::int8_t kBrokerResource = 4;
constexpr std::int8_t kSet = 0;
constexpr std::int8_t kDelete = 1;
constexpr std::int8_t kAppend = 2;

// The answer about one resource.
DescribeConfigsResult describe(client::Client& client, std::int8_t type, const std::string& name,
                               std::optional<std::vector<std::string>> keys = std::nullopt, std::int16_t version = 4) {
  DescribeConfigsRequest request;
  request.include_synonyms = true;
  request.include_documentation = version >= 3;
  request.resources.push_back({.resource_type = type, .resource_name = name, .configuration_keys = std::move(keys)});
  auto response = ask<DescribeConfigsResponse>(client, request, version);
  EXPECT_EQ(response.results.size(), 1u);
  return response.results.size() == 1 ? response.results[0] : DescribeConfigsResult{};
}

DescribeConfigsEntry entry_of(const DescribeConfigsResult& result, const std::string& name) {
  const auto found = std::find_if(result.configs.begin(), result.configs.end(),
                                  [&](const DescribeConfigsEntry& entry) { return entry.name == name; });
  EXPECT_NE(found, result.configs.end()) << name;
  return found == result.configs.end() ? DescribeConfigsEntry{} : *found;
}

std::vector<std::string> synonyms_of(const DescribeConfigsEntry& entry) {
  std::vector<std::string> all;
  for (const protocol::DescribeConfigsSynonym& synonym : entry.synonyms) {
    all.push_back(synonym.name + "=" + synonym.value.value_or("null") + "@" + std::to_string(synonym.source));
  }
  return all;
}

protocol::IncrementalAlterConfigsResult increment(client::Client& client, std::int8_t type, const std::string& name,
                                                  const std::vector<protocol::IncrementalAlterConfigsEntry>& changes,
                                                  bool validate_only = false) {
  protocol::IncrementalAlterConfigsRequest request;
  request.validate_only = validate_only;
  request.resources.push_back({.resource_type = type, .resource_name = name, .configs = changes});
  const auto response = ask<protocol::IncrementalAlterConfigsResponse>(client, request, 1);
  EXPECT_EQ(response.responses.size(), 1u);
  return response.responses.size() == 1 ? response.responses[0] : protocol::IncrementalAlterConfigsResult{};
}

protocol::AlterConfigsResult replace(client::Client& client, std::int8_t type, const std::string& name,
                                     const std::vector<protocol::AlterConfigsEntry>& values,
                                     bool validate_only = false) {
  protocol::AlterConfigsRequest request;
  request.validate_only = validate_only;
  request.resources.push_back({.resource_type = type, .resource_name = name, .configs = values});
  const auto response = ask<protocol::AlterConfigsResponse>(client, request, 2);
  EXPECT_EQ(response.responses.size(), 1u);
  return response.responses.size() == 1 ? response.responses[0] : protocol::AlterConfigsResult{};
}

TEST(DescribeConfigs, ATopicsValuesComeWithTheirSources) {
  node::NodeConfig config = small_node();
  config.broker["log.retention.hours"] = "48";
  BrokerWorld world(config);
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    make_topic(*client, "t", 1, {{"segment.bytes", "100000"}});
    const DescribeConfigsResult result = describe(*client, kTopicResource, "t");
    EXPECT_EQ(result.error_code, ErrorCode::kNone);
    EXPECT_EQ(result.resource_name, "t");
    EXPECT_EQ(result.configs.size(), cluster::topic_configs().size());
    const DescribeConfigsEntry segment = entry_of(result, "segment.bytes");
    EXPECT_EQ(segment.value, "100000");
    EXPECT_EQ(segment.config_source, 1);  // an override of the topic
    EXPECT_FALSE(segment.read_only);
    EXPECT_FALSE(segment.is_sensitive);
    EXPECT_EQ(segment.config_type, 3);  // INT
    EXPECT_FALSE(segment.documentation.value_or("").empty());
    EXPECT_EQ(synonyms_of(segment),
              (std::vector<std::string>{"segment.bytes=100000@1", "log.segment.bytes=1073741824@5"}));
    // Hours in the file are milliseconds of the topic, and stay hours under their own name.
    const DescribeConfigsEntry retention = entry_of(result, "retention.ms");
    EXPECT_EQ(retention.value, "172800000");
    EXPECT_EQ(retention.config_source, 4);  // the broker's file
    EXPECT_EQ(retention.config_type, 5);    // LONG
    EXPECT_EQ(synonyms_of(retention),
              (std::vector<std::string>{"log.retention.hours=48@4", "log.retention.hours=168@5"}));
    EXPECT_EQ(entry_of(result, "cleanup.policy").config_source, 5);
    EXPECT_EQ(entry_of(result, "cleanup.policy").config_type, 7);  // LIST
  });
}

TEST(DescribeConfigs, OfABrokerSaysWhatCanBeAlteredWhileItRuns) {
  node::NodeConfig config = small_node();
  config.broker["broker.rack"] = "cellar";
  config.broker["broker.session.timeout.ms"] = "2000";
  BrokerWorld world(config);
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    const DescribeConfigsResult result = describe(*client, kBrokerResource, "1");
    EXPECT_EQ(result.error_code, ErrorCode::kNone);
    EXPECT_EQ(result.configs.size(), cluster::broker_configs().size() + 7);  // who and where it is
    EXPECT_EQ(entry_of(result, "broker.rack").value, "cellar");
    EXPECT_TRUE(entry_of(result, "broker.rack").read_only);
    EXPECT_EQ(entry_of(result, "broker.session.timeout.ms").value, "2000");
    EXPECT_TRUE(entry_of(result, "broker.session.timeout.ms").read_only);
    EXPECT_EQ(entry_of(result, "replica.lag.time.max.ms").value, "30000");
    EXPECT_EQ(entry_of(result, "num.partitions").value, "2");
    EXPECT_EQ(entry_of(result, "num.partitions").config_source, 4);
    EXPECT_FALSE(entry_of(result, "log.retention.ms").read_only);
    EXPECT_EQ(entry_of(result, "log.retention.ms").value, std::nullopt);
    EXPECT_EQ(entry_of(result, "log.retention.ms").config_source, 5);
    // All brokers together have what was set for all of them.
    EXPECT_TRUE(describe(*client, kBrokerResource, "").configs.empty());
    EXPECT_EQ(increment(*client, kBrokerResource, "", {{"log.retention.ms", kSet, "5000"}}).error_code,
              ErrorCode::kNone);
    const DescribeConfigsResult all = describe(*client, kBrokerResource, "");
    EXPECT_EQ(all.configs.size(), 1u);
    EXPECT_EQ(entry_of(all, "log.retention.ms").value, "5000");
    EXPECT_EQ(entry_of(all, "log.retention.ms").config_source, 3);
  });
}

TEST(DescribeConfigs, OfABrokerSaysWhoAndWhereItIs) {
  node::NodeConfig config = small_node();
  config.advertised_host = "example.org";
  config.advertised_port = 19'092;
  config.log_directory = "/data/logs";
  BrokerWorld world(config);
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    const DescribeConfigsResult result = describe(*client, kBrokerResource, "1");
    const DescribeConfigsEntry advertised = entry_of(result, "advertised.listeners");
    EXPECT_EQ(advertised.value, "PLAINTEXT://example.org:19092");
    EXPECT_TRUE(advertised.read_only);
    EXPECT_FALSE(advertised.is_sensitive);
    EXPECT_EQ(advertised.config_source, 4);  // the broker's file
    EXPECT_EQ(advertised.config_type, 7);    // LIST
    EXPECT_FALSE(advertised.documentation.value_or("").empty());
    EXPECT_EQ(synonyms_of(advertised),
              (std::vector<std::string>{"advertised.listeners=PLAINTEXT://example.org:19092@4"}));
    EXPECT_EQ(entry_of(result, "listeners").value, "PLAINTEXT://" + world.node().address().to_string());
    EXPECT_EQ(entry_of(result, "node.id").value, "1");
    EXPECT_EQ(entry_of(result, "log.dirs").value, "/data/logs");
    // They are no settings: nobody sets them here.
    EXPECT_EQ(describe(*client, kBrokerResource, "1", {{"listeners"}}).configs.size(), 1u);
    EXPECT_EQ(increment(*client, kBrokerResource, "1", {{"listeners", kSet, "PLAINTEXT://:1"}}).error_code,
              ErrorCode::kInvalidConfig);
  });
}

TEST(DescribeConfigs, GivesOnlyWhatIsAskedForAndRefusesWhatIsNotThere) {
  BrokerWorld world;
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    make_topic(*client, "t", 1);
    const auto some = describe(*client, kTopicResource, "t", std::vector<std::string>{"retention.ms", "nonsense"});
    ASSERT_EQ(some.configs.size(), 1u);
    EXPECT_EQ(some.configs[0].name, "retention.ms");
    for (std::int16_t version = 1; version <= 4; ++version) {
      EXPECT_EQ(describe(*client, kTopicResource, "t", std::vector<std::string>{}, version).configs.size(),
                cluster::topic_configs().size());
    }
    EXPECT_EQ(describe(*client, kTopicResource, "absent").error_code, ErrorCode::kUnknownTopicOrPartition);
    EXPECT_EQ(describe(*client, kTopicResource, "a/b").error_code, ErrorCode::kInvalidTopicException);
    EXPECT_EQ(describe(*client, kBrokerResource, "7").error_code, ErrorCode::kInvalidRequest);
    EXPECT_EQ(describe(*client, kBrokerResource, "x").error_code, ErrorCode::kInvalidRequest);
    EXPECT_EQ(describe(*client, 8, "1").error_code, ErrorCode::kInvalidRequest);
    EXPECT_FALSE(describe(*client, 8, "1").error_message.value_or("").empty());
  });
}

TEST(AlterConfigs, ReplacesAllOverridesOfATopicAndSurvivesAKill) {
  BrokerWorld world;
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    make_topic(*client, "t", 1, {{"segment.bytes", "100000"}});
    EXPECT_EQ(replace(*client, kTopicResource, "t", {{"retention.ms", "777"}}, true).error_code, ErrorCode::kNone);
    EXPECT_EQ(entry_of(describe(*client, kTopicResource, "t"), "retention.ms").config_source, 5) << "only validated";
    EXPECT_EQ(replace(*client, kTopicResource, "t", {{"retention.ms", "777"}}).error_code, ErrorCode::kNone);
    EXPECT_EQ(replace(*client, kTopicResource, "t", {{"retention.ms", std::nullopt}}).error_code,
              ErrorCode::kInvalidRequest);
  });
  world.kill(sim::Death::kPowerLoss);
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    const DescribeConfigsResult now = describe(*client, kTopicResource, "t");
    EXPECT_EQ(entry_of(now, "retention.ms").value, "777");
    EXPECT_EQ(entry_of(now, "segment.bytes").config_source, 5) << "was not named, so it went";
  });
}

TEST(IncrementalAlterConfigs, ChangesWhatIsNamedAllOrNothing) {
  BrokerWorld world;
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    make_topic(*client, "t", 1, {{"segment.bytes", "100000"}});
    EXPECT_EQ(increment(*client, kTopicResource, "t", {{"retention.ms", kSet, "777"}}).error_code, ErrorCode::kNone);
    const auto refused =
        increment(*client, kTopicResource, "t", {{"retention.ms", kSet, "888"}, {"max.message.bytes", kSet, "many"}});
    EXPECT_EQ(refused.error_code, ErrorCode::kInvalidConfig);
    EXPECT_NE(refused.error_message.value_or("").find("max.message.bytes"), std::string::npos);
    EXPECT_EQ(increment(*client, kTopicResource, "t", {{"retention.ms", kSet, "999"}}, true).error_code,
              ErrorCode::kNone);
    DescribeConfigsResult now = describe(*client, kTopicResource, "t");
    EXPECT_EQ(entry_of(now, "retention.ms").value, "777");
    EXPECT_EQ(entry_of(now, "segment.bytes").value, "100000");
    EXPECT_EQ(increment(*client, kTopicResource, "t", {{"segment.bytes", kDelete, std::nullopt}}).error_code,
              ErrorCode::kNone);
    EXPECT_EQ(increment(*client, kTopicResource, "t", {{"cleanup.policy", kAppend, "delete"}}).error_code,
              ErrorCode::kNone);
    now = describe(*client, kTopicResource, "t");
    EXPECT_EQ(entry_of(now, "segment.bytes").config_source, 5);
    EXPECT_EQ(entry_of(now, "cleanup.policy").value, "delete");
  });
}

TEST(IncrementalAlterConfigs, RefusesEachWithTheReason) {
  BrokerWorld world;
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    make_topic(*client, "t", 1);
    const auto error = [&](std::int8_t type, const std::string& name,
                           const std::vector<protocol::IncrementalAlterConfigsEntry>& changes) {
      const auto result = increment(*client, type, name, changes);
      EXPECT_FALSE(result.error_message.value_or("").empty());
      return result.error_code;
    };
    EXPECT_EQ(error(kTopicResource, "absent", {{"retention.ms", kSet, "1"}}), ErrorCode::kUnknownTopicOrPartition);
    EXPECT_EQ(error(kTopicResource, "t", {{"nonsense", kSet, "1"}}), ErrorCode::kInvalidConfig);
    EXPECT_EQ(error(kTopicResource, "t", {{"file.delete.delay.ms", kSet, "1"}}), ErrorCode::kInvalidConfig);
    EXPECT_EQ(error(kTopicResource, "t", {{"retention.ms", kSet, std::nullopt}}), ErrorCode::kInvalidRequest);
    EXPECT_EQ(error(kTopicResource, "t", {{"retention.ms", kSet, "1"}, {"retention.ms", kSet, "2"}}),
              ErrorCode::kInvalidRequest);
    EXPECT_EQ(error(kTopicResource, "t", {{"retention.ms", 9, "1"}}), ErrorCode::kInvalidRequest);
    EXPECT_EQ(error(kBrokerResource, "1", {{"num.partitions", kSet, "4"}}), ErrorCode::kInvalidRequest);
    EXPECT_EQ(error(kBrokerResource, "1", {{"nonsense", kSet, "4"}}), ErrorCode::kInvalidConfig);
    EXPECT_EQ(error(kTopicResource, "", {{"retention.ms", kSet, "1"}}), ErrorCode::kInvalidRequest);
    EXPECT_EQ(error(kTopicResource, "a/b", {{"retention.ms", kSet, "1"}}), ErrorCode::kInvalidTopicException);
    EXPECT_EQ(error(kBrokerResource, "9", {{"log.retention.ms", kSet, "4"}}), ErrorCode::kInvalidRequest);
    EXPECT_EQ(error(16, "metrics", {{"interval.ms", kSet, "4"}}), ErrorCode::kInvalidRequest);
    const auto unset = increment(*client, kTopicResource, "t", {{"nonsense", kDelete, std::nullopt}});
    EXPECT_EQ(unset.error_code, ErrorCode::kNone) << "what does not exist is not set";
  });
}

TEST(IncrementalAlterConfigs, TakesEffectAtOnce) {
  BrokerWorld world;
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    make_topic(*client, "t", 1);
    const std::string value(2000, 'x');
    EXPECT_EQ(produce(*client, "t", 0, batch_of({value})).error_code, ErrorCode::kNone);
    EXPECT_EQ(increment(*client, kTopicResource, "t", {{"max.message.bytes", kSet, "1000"}}).error_code,
              ErrorCode::kNone);
    EXPECT_EQ(produce(*client, "t", 0, batch_of({value})).error_code, ErrorCode::kMessageTooLarge);
    EXPECT_EQ(increment(*client, kTopicResource, "t", {{"max.message.bytes", kDelete, std::nullopt}}).error_code,
              ErrorCode::kNone);
    EXPECT_EQ(increment(*client, kBrokerResource, "", {{"message.max.bytes", kSet, "1000"}}).error_code,
              ErrorCode::kNone);
    EXPECT_EQ(produce(*client, "t", 0, batch_of({value})).error_code, ErrorCode::kMessageTooLarge);
    EXPECT_EQ(increment(*client, kBrokerResource, "1", {{"message.max.bytes", kSet, "5000"}}).error_code,
              ErrorCode::kNone);
    EXPECT_EQ(produce(*client, "t", 0, batch_of({value})).error_code, ErrorCode::kNone);
  });
}

}  // namespace
}  // namespace chronik::broker::testing
