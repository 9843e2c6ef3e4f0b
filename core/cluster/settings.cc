#include "core/cluster/settings.h"

#include <fmt/core.h>

#include <algorithm>

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
Duration broker_duration(std::string_view name, const ConfigLayers& layers) {
  return Duration::milliseconds(broker_number<std::int64_t>(name, layers));
}
bool broker_flag(std::string_view name, const ConfigLayers& layers) {
  return text_of(find_broker_config(name), layers) == "true";
}

double double_of(const ConfigDef* def, const ConfigLayers& layers) {
  const std::optional<double> number = parse_double(text_of(def, layers));
  CHECK(number.has_value());
  return *number;
}
bool has_policy(std::string_view policy, const ConfigLayers& layers) {
  const std::vector<std::string> policies = parse_list(text_of(find_topic_config("cleanup.policy"), layers));
  return std::find(policies.begin(), policies.end(), policy) != policies.end();
}

std::optional<protocol::Codec> codec_of(const std::string& compression_type) {
  using protocol::Codec;
  if (compression_type == "uncompressed") {
    return Codec::kNone;
  }
  for (const Codec codec : {Codec::kGzip, Codec::kSnappy, Codec::kLz4, Codec::kZstd}) {
    if (compression_type == protocol::codec_name(codec)) {
      return codec;
    }
  }
  return std::nullopt;  // producer
}

CleanerSettings cleaner_settings(const ConfigLayers& layers) {
  return {.enabled = broker_flag("log.cleaner.enable", layers),
          .backoff = broker_duration("log.cleaner.backoff.ms", layers),
          .bytes_per_second = double_of(find_broker_config("log.cleaner.io.max.bytes.per.second"), layers),
          .dedupe_bytes_max = broker_number<std::uint64_t>("log.cleaner.dedupe.buffer.size", layers)};
}

constexpr std::string_view kHeartbeat = "broker.heartbeat.interval.ms";
constexpr std::string_view kElection = "controller.quorum.election.timeout.ms";
constexpr std::string_view kSession = "broker.session.timeout.ms";
constexpr std::string_view kFetchWait = "replica.fetch.wait.max.ms";
constexpr std::string_view kLongestSession = "group.max.session.timeout.ms";
constexpr std::string_view kShortestSession = "group.min.session.timeout.ms";
constexpr std::string_view kLag = "replica.lag.time.max.ms";

TimingSettings timing_settings(const ConfigLayers& layers) {
  const Duration election = broker_duration(kElection, layers);
  return {.heartbeat = broker_duration(kHeartbeat, layers),
          .election_min = election,
          .election_max = election + election / 2,
          .session = broker_duration(kSession, layers),
          .fetch_wait_max = broker_duration(kFetchWait, layers),
          .lag_max = broker_duration(kLag, layers)};
}

Status check_at_least(std::string_view larger, std::int64_t times, std::string_view smaller, const ConfigMap& file) {
  const ConfigLayers layers{.file = &file};
  const auto value = broker_number<std::int64_t>(larger, layers);
  const auto least = broker_number<std::int64_t>(smaller, layers);
  return value / times >= least
             ? ok()
             : absl::InvalidArgumentError(fmt::format("{} = '{}': it must be at least {}{}, which is {}", larger, value,
                                                      times == 1 ? "" : "twice ", smaller, least));
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
          .codec = codec_of(text_of(find_topic_config("compression.type"), layers)),
          .log_append_time = text_of(find_topic_config("message.timestamp.type"), layers) == "LogAppendTime",
          .timestamp_before_ms_max = topic_number<std::int64_t>("message.timestamp.before.max.ms", layers),
          .timestamp_after_ms_max = topic_number<std::int64_t>("message.timestamp.after.max.ms", layers),
          .min_insync_replicas = topic_number<std::int32_t>("min.insync.replicas", layers),
          .unclean_leader_election = text_of(find_topic_config("unclean.leader.election.enable"), layers) == "true",
          .deletes = has_policy("delete", layers),
          .compacts = has_policy("compact", layers),
          .compaction_lag_min = topic_duration("min.compaction.lag.ms", layers),
          .compaction_lag_max = topic_duration("max.compaction.lag.ms", layers),
          .tombstones_last = topic_duration("delete.retention.ms", layers),
          .dirty_ratio_min = double_of(find_topic_config("min.cleanable.dirty.ratio"), layers)};
}

BrokerSettings broker_settings(const ConfigLayers& layers) {
  return {.auto_create_topics = broker_flag("auto.create.topics.enable", layers),
          .delete_topics = broker_flag("delete.topic.enable", layers),
          .num_partitions = broker_number<std::int32_t>("num.partitions", layers),
          .default_replication_factor = broker_number<std::int16_t>("default.replication.factor", layers),
          .fetch_bytes_max = broker_number<std::uint32_t>("fetch.max.bytes", layers),
          .fetch_sessions_max = broker_number<std::size_t>("max.incremental.fetch.session.cache.slots", layers),
          .request_bytes_max = broker_number<std::uint32_t>("socket.request.max.bytes", layers),
          .connection_idle_max = broker_duration("connections.max.idle.ms", layers),
          .retention_check_interval = broker_duration("log.retention.check.interval.ms", layers),
          .producer_expiry = broker_duration("producer.id.expiration.ms", layers),
          .rack = text_of(find_broker_config("broker.rack"), layers),
          .rebalance = {.enabled = broker_flag("auto.leader.rebalance.enable", layers),
                        .check_interval = Duration::seconds(
                            broker_number<std::int64_t>("leader.imbalance.check.interval.seconds", layers)),
                        .imbalance_percentage_max =
                            broker_number<std::int32_t>("leader.imbalance.per.broker.percentage", layers)},
          .timing = timing_settings(layers),
          .cleaner = cleaner_settings(layers),
          .catch_up_share = broker_number<std::int32_t>("leader.catch.up.time.percentage", layers)};
}

GroupSettings group_settings(const ConfigLayers& layers) {
  return {.session_min = broker_duration(kShortestSession, layers),
          .session_max = broker_duration(kLongestSession, layers),
          .initial_delay = broker_duration("group.initial.rebalance.delay.ms", layers),
          .size_max = broker_number<std::size_t>("group.max.size", layers),
          .metadata_max = broker_number<std::size_t>("offset.metadata.max.bytes", layers),
          .retention = Duration::seconds(broker_number<std::int64_t>("offsets.retention.minutes", layers)) * 60,
          .expiry_interval = broker_duration("offsets.retention.check.interval.ms", layers),
          .commit_timeout = broker_duration("offsets.commit.timeout.ms", layers)};
}

GroupTopicSettings group_topic_settings(const ConfigLayers& layers) {
  return {.partitions = broker_number<std::int32_t>("offsets.topic.num.partitions", layers),
          .replication_factor = broker_number<std::int16_t>("offsets.topic.replication.factor", layers),
          .segment_bytes = broker_number<std::int32_t>("offsets.topic.segment.bytes", layers)};
}

// Twice: one heartbeat may be lost. Kafka asks the last one, too.
Status check_broker_settings(const ConfigMap& file) {
  RETURN_IF_ERROR(check_at_least(kElection, 2, kHeartbeat, file));
  RETURN_IF_ERROR(check_at_least(kSession, 2, kHeartbeat, file));
  RETURN_IF_ERROR(check_at_least(kLongestSession, 1, kShortestSession, file));
  return check_at_least(kLag, 1, kFetchWait, file);
}

}  // namespace chronik::cluster
