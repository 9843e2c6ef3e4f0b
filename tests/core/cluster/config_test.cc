#include <gtest/gtest.h>

#include <algorithm>

#include "core/cluster/config_defs.h"
#include "core/cluster/config_values.h"
#include "core/cluster/settings.h"
#include "tests/core/cluster/image_world.h"

namespace chronik::cluster {
namespace {

TEST(ConfigDefs, AreSortedByNameAndTheirDefaultsAreGood) {
  for (const auto defs : {topic_configs(), broker_configs()}) {
    EXPECT_TRUE(std::is_sorted(defs.begin(), defs.end(), [](const auto& a, const auto& b) { return a.name < b.name; }));
    for (const ConfigDef& def : defs) {
      EXPECT_FALSE(def.documentation.empty()) << def.name;
      if (def.default_value.has_value()) {
        EXPECT_TRUE(check_config_value(def, *def.default_value).ok()) << check_config_value(def, *def.default_value);
      }
    }
  }
}

TEST(ConfigDefs, EveryTopicSettingHasABrokersNameOfTheSameMeaning) {
  for (const ConfigDef& def : topic_configs()) {
    ASSERT_FALSE(def.broker_names.empty()) << def.name;
    for (const BrokerName& broker_name : def.broker_names) {
      const ConfigDef* broker = find_broker_config(broker_name.name);
      ASSERT_NE(broker, nullptr) << broker_name.name;
      EXPECT_EQ(broker->dynamic, broker_name.factor == 1) << broker_name.name;
      if (broker->default_value.has_value()) {
        EXPECT_EQ(scaled_config_value(std::string(*broker->default_value), broker_name.factor), *def.default_value);
      }
      EXPECT_TRUE(std::equal(broker->choices.begin(), broker->choices.end(), def.choices.begin(), def.choices.end()));
    }
  }
}

TEST(ConfigDefs, WhatCannotBeHonouredIsRefusedWithAReason) {
  const auto message = [](std::string_view name, std::string_view value) {
    const Status status = check_topic_config(name, value);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << name << "=" << value;
    return std::string(status.message());
  };
  EXPECT_EQ(message("segment.bytes", "abc"), "segment.bytes = 'abc': it must be a whole number from 14 to 2147483647");
  EXPECT_EQ(message("cleanup.policy", "shrink"), "cleanup.policy = 'shrink': it must be 'compact' or 'delete'");
  EXPECT_EQ(message("min.cleanable.dirty.ratio", "1.5"),
            "min.cleanable.dirty.ratio = '1.5': it must be a number from 0 to 1");
  EXPECT_EQ(message("no.such.setting", "1"), "there is no topic setting 'no.such.setting'");
  for (const auto& [name, value] :
       std::vector<std::pair<const char*, const char*>>{{"cleanup.policy", "delete,shrink"},
                                                        {"cleanup.policy", ""},
                                                        {"min.cleanable.dirty.ratio", "half"},
                                                        {"min.cleanable.dirty.ratio", "nan"},
                                                        {"min.cleanable.dirty.ratio", "-0.1"},
                                                        {"delete.retention.ms", "-1"},
                                                        {"max.compaction.lag.ms", "0"},
                                                        {"compression.type", "brotli"},
                                                        {"flush.messages", "1"},
                                                        {"flush.ms", "1000"},
                                                        {"unclean.leader.election.enable", "maybe"},
                                                        {"min.insync.replicas", "0"},
                                                        {"segment.bytes", "2147483648"},
                                                        {"segment.bytes", "13"},
                                                        {"retention.ms", "-2"},
                                                        {"retention.ms", "1e3"},
                                                        {"retention.ms", " 1"},
                                                        {"retention.ms", "9223372036854775808"},
                                                        {"message.timestamp.type", "createtime"}}) {
    EXPECT_NE(message(name, value), "");
  }
  EXPECT_TRUE(check_topic_config("cleanup.policy", "delete").ok());
  EXPECT_TRUE(check_topic_config("cleanup.policy", "compact, delete").ok());
  EXPECT_TRUE(check_topic_config("min.cleanable.dirty.ratio", "0.01").ok());
  EXPECT_TRUE(check_broker_config("log.cleaner.io.max.bytes.per.second", "1.7976931348623157E308").ok());
  EXPECT_TRUE(check_topic_config("flush.ms", "9223372036854775807").ok());
  EXPECT_TRUE(check_topic_config("retention.ms", "-1").ok());
  EXPECT_TRUE(check_topic_config("unclean.leader.election.enable", "true").ok());
}

TEST(ConfigDefs, OnlySomeBrokerSettingsMayBeAlteredWhileRunning) {
  EXPECT_TRUE(check_dynamic_broker_config("log.retention.ms", "1000").ok());
  EXPECT_FALSE(check_dynamic_broker_config("log.retention.ms", "x").ok());
  EXPECT_FALSE(check_dynamic_broker_config("num.partitions", "5").ok());
  EXPECT_TRUE(check_broker_config("num.partitions", "5").ok());
  EXPECT_FALSE(check_dynamic_broker_config("segment.bytes", "1000").ok()) << "the topic's name for it";
}

TEST(ConfigLookup, TheNearestLayerWinsAndTheOthersAreListed) {
  const ConfigMap topic{{"segment.bytes", "100"}};
  const ConfigMap broker{{"log.segment.bytes", "200"}};
  const ConfigMap all{{"log.segment.bytes", "300"}};
  const ConfigMap file{{"log.segment.bytes", "400"}};
  const ConfigDef& def = *find_topic_config("segment.bytes");
  const ConfigLayers layers{&topic, &broker, &all, &file};
  EXPECT_EQ(config_entries(def, layers),
            (std::vector<ConfigEntry>{{"segment.bytes", "100", ConfigSource::kTopic},
                                      {"log.segment.bytes", "200", ConfigSource::kBroker},
                                      {"log.segment.bytes", "300", ConfigSource::kAllBrokers},
                                      {"log.segment.bytes", "400", ConfigSource::kFile},
                                      {"log.segment.bytes", "1073741824", ConfigSource::kDefault}}));
  EXPECT_EQ(config_value(def, layers), "100");
  EXPECT_EQ(config_value(def, {nullptr, nullptr, &all, &file}), "300");
  EXPECT_EQ(config_value(def, {}), "1073741824");
}

TEST(ConfigLookup, MillisecondsGoBeforeMinutesBeforeHours) {
  const ConfigDef& def = *find_topic_config("retention.ms");
  const ConfigMap hours{{"log.retention.hours", "2"}};
  const ConfigMap minutes{{"log.retention.hours", "2"}, {"log.retention.minutes", "3"}};
  const ConfigMap endless{{"log.retention.hours", "-1"}};
  const ConfigMap ms{{"log.retention.ms", "4"}};
  EXPECT_EQ(config_value(def, {nullptr, nullptr, nullptr, &hours}), "7200000");
  EXPECT_EQ(config_value(def, {nullptr, nullptr, nullptr, &minutes}), "180000");
  EXPECT_EQ(config_value(def, {nullptr, nullptr, nullptr, &endless}), "-1");
  EXPECT_EQ(config_value(def, {nullptr, nullptr, &ms, &minutes}), "4");
}

TEST(ConfigLookup, ABrokerSettingWithoutADefaultHasNoValue) {
  EXPECT_EQ(config_value(*find_broker_config("broker.rack"), {}), std::nullopt);
  EXPECT_TRUE(config_entries(*find_broker_config("broker.rack"), {}).empty());
}

TEST(Settings, DefaultsAreKafkasAndThreePartitions) {
  const BrokerSettings broker = broker_settings({});
  EXPECT_TRUE(broker.auto_create_topics);
  EXPECT_TRUE(broker.delete_topics);
  EXPECT_EQ(broker.num_partitions, 3);
  EXPECT_EQ(broker.default_replication_factor, 1);
  EXPECT_EQ(broker.request_bytes_max, 104'857'600u);
  EXPECT_EQ(broker.connection_idle_max, Duration::seconds(600));
  EXPECT_EQ(broker.rack, "");
  EXPECT_TRUE(broker.rebalance.enabled);
  EXPECT_EQ(broker.rebalance.check_interval, Duration::seconds(300));
  EXPECT_EQ(broker.rebalance.imbalance_percentage_max, 10);
  EXPECT_EQ(broker.timing.heartbeat, Duration::milliseconds(250));
  EXPECT_EQ(broker.timing.election_min, Duration::seconds(1));
  EXPECT_EQ(broker.timing.election_max, Duration::milliseconds(1500));
  EXPECT_EQ(broker.timing.session, Duration::seconds(1));
  EXPECT_EQ(broker.timing.fetch_wait_max, Duration::seconds(5));
  EXPECT_EQ(broker.timing.lag_max, Duration::seconds(30));
  const TopicSettings topic = topic_settings({});
  EXPECT_EQ(topic.segment_bytes, 1u << 30);
  EXPECT_EQ(topic.retention_age, Duration::seconds(7 * 24 * 3600));
  EXPECT_EQ(topic.retention_bytes, -1);
  EXPECT_EQ(topic.max_message_bytes, 1'048'588u);
  EXPECT_FALSE(topic.log_append_time);
  EXPECT_EQ(topic.min_insync_replicas, 1);
  EXPECT_FALSE(topic.unclean_leader_election);
}

TEST(Settings, TimesMustGoTogether) {
  EXPECT_TRUE(check_broker_settings({}).ok());
  EXPECT_TRUE(
      check_broker_settings({{"broker.heartbeat.interval.ms", "500"}, {"broker.session.timeout.ms", "1000"}}).ok());
  EXPECT_EQ(check_broker_settings({{"broker.heartbeat.interval.ms", "501"}}).message(),
            "controller.quorum.election.timeout.ms = '1000': it must be at least twice broker.heartbeat.interval.ms, "
            "which is 501");
  EXPECT_EQ(check_broker_settings({{"broker.session.timeout.ms", "499"}}).message(),
            "broker.session.timeout.ms = '499': it must be at least twice broker.heartbeat.interval.ms, which is 250");
  EXPECT_EQ(check_broker_settings({{"replica.lag.time.max.ms", "4999"}}).message(),
            "replica.lag.time.max.ms = '4999': it must be at least replica.fetch.wait.max.ms, which is 5000");
  EXPECT_TRUE(check_broker_settings({{"replica.lag.time.max.ms", "9223372036854775807"}}).ok());
}

TEST(Settings, FollowTheImage) {
  ImageWorld world;
  world.start(1);
  world.create("t", {{1}});
  const ConfigMap file{{"log.retention.hours", "1"}, {"num.partitions", "7"}};
  const auto now = [&] {
    return topic_settings(topic_layers(*world.image(), NodeId(1), file, *world.image()->find_topic("t")));
  };
  EXPECT_EQ(now().retention_age, Duration::seconds(3600));
  world.propose(1, AlterConfigs{{{.of = NodeId::none(), .changes = {{"log.retention.ms", "5"}}}}});
  EXPECT_EQ(now().retention_age, Duration::milliseconds(5));
  world.propose(1, AlterConfigs{{{.of = NodeId(1), .changes = {{"log.retention.ms", "6"}}}}});
  EXPECT_EQ(now().retention_age, Duration::milliseconds(6));
  world.propose(1, AlterConfigs{{{.of = world.image()->find_topic("t")->id, .changes = {{"retention.ms", "-1"}}}}});
  EXPECT_EQ(now().retention_age, Duration::infinite());
  EXPECT_EQ(broker_settings(broker_layers(*world.image(), NodeId(1), file)).num_partitions, 7);
}

TEST(ConfigValues, ListsAreCutAtCommasAndJoinedAgain) {
  EXPECT_EQ(parse_list(" a, b ,,c"), (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(parse_list(""), std::vector<std::string>());
  EXPECT_EQ(format_list({"a", "b"}), "a,b");
}

}  // namespace
}  // namespace chronik::cluster
