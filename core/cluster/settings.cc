#include "core/cluster/settings.h"

#include "core/cluster/config_values.h"

namespace chronik::cluster {

namespace {

std::string text_of(const ConfigDef* def, const ConfigLayers& layers) {
  CHECK(def != nullptr);
  return config_value(*def, layers).value_or("");
}

std::int64_t number_of(const ConfigDef* def, const ConfigLayers& layers) {
  const std::optional<std::int64_t> number = parse_number(text_of(def, layers));
  CHECK(number.has_value());
  return *number;
}

template <typename T>
T topic_number(std::string_view name, const ConfigLayers& layers) {
  return static_cast<T>(number_of(find_topic_config(name), layers));
}
Duration topic_duration(std::string_view name, const ConfigLayers& layers) {
  const auto ms = topic_number<std::int64_t>(name, layers);
  return ms < 0 ? Duration::infinite() : Duration::milliseconds(ms);
}
template <typename T>
T broker_number(std::string_view name, const ConfigLayers& layers) {
  return static_cast<T>(number_of(find_broker_config(name), layers));
}
bool broker_flag(std::string_view name, const ConfigLayers& layers) {
  return text_of(find_broker_config(name), layers) == "true";
}

}  // namespace

ConfigLayers broker_layers(const Image& image, NodeId node, const ConfigMap& file) {
  return {.topic = nullptr,
          .broker = image.configs_of_broker(node),
          .all_brokers = image.configs_of_all_brokers(),
          .file = &file};
}

ConfigLayers topic_layers(const Image& image, NodeId node, const ConfigMap& file, const Topic& topic) {
  ConfigLayers layers = broker_layers(image, node, file);
  layers.topic = &topic.configs;
  return layers;
}

TopicSettings topic_settings(const ConfigLayers& layers) {
  return {.segment_bytes = topic_number<std::uint32_t>("segment.bytes", layers),
          .segment_age = topic_duration("segment.ms", layers),
          .retention_bytes = topic_number<std::int64_t>("retention.bytes", layers),
          .retention_age = topic_duration("retention.ms", layers),
          .index_interval_bytes = topic_number<std::uint32_t>("index.interval.bytes", layers),
          .segment_index_bytes = topic_number<std::uint32_t>("segment.index.bytes", layers),
          .max_message_bytes = topic_number<std::uint32_t>("max.message.bytes", layers),
          .log_append_time = text_of(find_topic_config("message.timestamp.type"), layers) == "LogAppendTime",
          .timestamp_before_ms_max = topic_number<std::int64_t>("message.timestamp.before.max.ms", layers),
          .timestamp_after_ms_max = topic_number<std::int64_t>("message.timestamp.after.max.ms", layers),
          .min_insync_replicas = topic_number<std::int32_t>("min.insync.replicas", layers),
          .unclean_leader_election = text_of(find_topic_config("unclean.leader.election.enable"), layers) == "true"};
}

BrokerSettings broker_settings(const ConfigLayers& layers) {
  return {.auto_create_topics = broker_flag("auto.create.topics.enable", layers),
          .delete_topics = broker_flag("delete.topic.enable", layers),
          .num_partitions = broker_number<std::int32_t>("num.partitions", layers),
          .default_replication_factor = broker_number<std::int16_t>("default.replication.factor", layers),
          .fetch_bytes_max = broker_number<std::uint32_t>("fetch.max.bytes", layers),
          .request_bytes_max = broker_number<std::uint32_t>("socket.request.max.bytes", layers),
          .connection_idle_max = Duration::milliseconds(broker_number<std::int64_t>("connections.max.idle.ms", layers)),
          .retention_check_interval =
              Duration::milliseconds(broker_number<std::int64_t>("log.retention.check.interval.ms", layers)),
          .rack = text_of(find_broker_config("broker.rack"), layers),
          .rebalance = {.enabled = broker_flag("auto.leader.rebalance.enable", layers),
                        .check_interval = Duration::seconds(
                            broker_number<std::int64_t>("leader.imbalance.check.interval.seconds", layers)),
                        .imbalance_percentage_max =
                            broker_number<std::int32_t>("leader.imbalance.per.broker.percentage", layers)}};
}

}  // namespace chronik::cluster
