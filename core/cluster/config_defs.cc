#include "core/cluster/config_defs.h"

#include <algorithm>
#include <array>
#include <utility>

#include "core/cluster/config_choices.h"
#include "core/cluster/config_values.h"

namespace chronik::cluster {

namespace {

using enum ConfigType;

constexpr std::array<BrokerName, 1> kCleanupPolicy{{{"log.cleanup.policy"}}};
constexpr std::array<BrokerName, 1> kCompressionType{{{"compression.type"}}};
constexpr std::array<BrokerName, 1> kFlushMessages{{{"log.flush.interval.messages"}}};
constexpr std::array<BrokerName, 1> kFlushMs{{{"log.flush.interval.ms"}}};
constexpr std::array<BrokerName, 1> kIndexInterval{{{"log.index.interval.bytes"}}};
constexpr std::array<BrokerName, 1> kDirtyRatio{{{"log.cleaner.min.cleanable.ratio"}}};
constexpr std::array<BrokerName, 1> kLagMax{{{"log.cleaner.max.compaction.lag.ms"}}};
constexpr std::array<BrokerName, 1> kLagMin{{{"log.cleaner.min.compaction.lag.ms"}}};
constexpr std::array<BrokerName, 1> kTombstonesLast{{{"log.cleaner.delete.retention.ms"}}};
constexpr std::array<BrokerName, 1> kMessageMax{{{"message.max.bytes"}}};
constexpr std::array<BrokerName, 1> kTimestampAfter{{{"log.message.timestamp.after.max.ms"}}};
constexpr std::array<BrokerName, 1> kTimestampBefore{{{"log.message.timestamp.before.max.ms"}}};
constexpr std::array<BrokerName, 1> kTimestampType{{{"log.message.timestamp.type"}}};
constexpr std::array<BrokerName, 1> kMinInsync{{{"min.insync.replicas"}}};
constexpr std::array<BrokerName, 1> kRetentionBytes{{{"log.retention.bytes"}}};
constexpr std::array<BrokerName, 3> kRetentionMs{
    {{"log.retention.ms"}, {"log.retention.minutes", kMinuteMs}, {"log.retention.hours", kHourMs}}};
constexpr std::array<BrokerName, 1> kSegmentBytes{{{"log.segment.bytes"}}};
constexpr std::array<BrokerName, 1> kSegmentIndex{{{"log.index.size.max.bytes"}}};
constexpr std::array<BrokerName, 2> kSegmentMs{{{"log.roll.ms"}, {"log.roll.hours", kHourMs}}};
constexpr std::array<BrokerName, 1> kUnclean{{{"unclean.leader.election.enable"}}};

constexpr std::array kTopicConfigs = std::to_array<ConfigDef>({
    {.name = "cleanup.policy",
     .type = kList,
     .default_value = "delete",
     .documentation =
         "What becomes of old segments: 'delete' removes them by age and size, 'compact' keeps of each key "
         "the last record.",
     .choices = kCleanupPolicies,
     .broker_names = kCleanupPolicy},
    {.name = "compression.type",
     .type = kString,
     .default_value = "producer",
     .documentation = "How records are compressed on disk: 'producer' keeps what the producer sent; batches in "
                      "another codec than the one named here are recompressed when they are produced.",
     .choices = kCompressionTypes,
     .broker_names = kCompressionType},
    {.name = "delete.retention.ms",
     .type = kLong,
     .default_value = "86400000",
     .documentation = "How long a compacted topic keeps a record without value once it was compacted for the first "
                      "time: whoever reads everything within that time sees that the key was deleted.",
     .min = 0,
     .broker_names = kTombstonesLast},
    {.name = "flush.messages",
     .type = kLong,
     .default_value = kLongMaxText,
     .documentation = "After how many records to sync. Everything is synced before it is acknowledged; only the "
                      "default is accepted.",
     .min = kLongMax,
     .why_not = kAlwaysSynced,
     .broker_names = kFlushMessages},
    {.name = "flush.ms",
     .type = kLong,
     .default_value = kLongMaxText,
     .documentation =
         "After how long to sync. Everything is synced before it is acknowledged; only the default is accepted.",
     .min = kLongMax,
     .why_not = kAlwaysSynced,
     .broker_names = kFlushMs},
    {.name = "index.interval.bytes",
     .type = kInt,
     .default_value = "4096",
     .documentation = "An entry is added to the offset index for about every so many bytes of records.",
     .min = 0,
     .max = kIntMax,
     .broker_names = kIndexInterval},
    {.name = "max.compaction.lag.ms",
     .type = kLong,
     .default_value = kLongMaxText,
     .documentation = "How old a record of a compacted topic may become before it is compacted, however little there "
                      "is; segments end at that age, too.",
     .min = 1,
     .broker_names = kLagMax},
    {.name = "max.message.bytes",
     .type = kInt,
     .default_value = "1048588",
     .documentation = "The largest record batch that is accepted, compressed as it comes.",
     .min = 0,
     .max = kIntMax,
     .broker_names = kMessageMax},
    {.name = "message.timestamp.after.max.ms",
     .type = kLong,
     .default_value = "3600000",
     .documentation = "How far a record's timestamp may lie in the future of the broker's clock.",
     .min = 0,
     .broker_names = kTimestampAfter},
    {.name = "message.timestamp.before.max.ms",
     .type = kLong,
     .default_value = kLongMaxText,
     .documentation = "How far a record's timestamp may lie in the past of the broker's clock.",
     .min = 0,
     .broker_names = kTimestampBefore},
    {.name = "message.timestamp.type",
     .type = kString,
     .default_value = "CreateTime",
     .documentation = "Whether records keep the producer's timestamp or get the time at which they are appended.",
     .choices = kTimestampTypes,
     .broker_names = kTimestampType},
    {.name = "min.cleanable.dirty.ratio",
     .type = kDouble,
     .default_value = "0.5",
     .documentation = "How much of a compacted log must not have been compacted before it is worth while.",
     .min = 0,
     .max = 1,
     .broker_names = kDirtyRatio},
    {.name = "min.compaction.lag.ms",
     .type = kLong,
     .default_value = "0",
     .documentation = "How long a record of a compacted topic stays at least.",
     .min = 0,
     .broker_names = kLagMin},
    {.name = "min.insync.replicas",
     .type = kInt,
     .default_value = "1",
     .documentation = "With acks=all, how many replicas must hold a record durably before it is acknowledged.",
     .min = 1,
     .max = kIntMax,
     .broker_names = kMinInsync},
    {.name = "retention.bytes",
     .type = kLong,
     .default_value = "-1",
     .documentation = "How large a partition may grow before its oldest segments are removed; -1: no limit.",
     .min = -1,
     .broker_names = kRetentionBytes},
    {.name = "retention.ms",
     .type = kLong,
     .default_value = "604800000",
     .documentation = "How old a segment's newest record may become before the segment is removed; -1: no limit.",
     .min = -1,
     .broker_names = kRetentionMs},
    {.name = "segment.bytes",
     .type = kInt,
     .default_value = "1073741824",
     .documentation = "The size at which a segment file ends and the next begins.",
     .min = 14,
     .max = kIntMax,
     .broker_names = kSegmentBytes},
    {.name = "segment.index.bytes",
     .type = kInt,
     .default_value = "10485760",
     .documentation = "The size of the offset index at which a segment ends and the next begins.",
     .min = 4,
     .max = kIntMax,
     .broker_names = kSegmentIndex},
    {.name = "segment.ms",
     .type = kLong,
     .default_value = "604800000",
     .documentation = "The age at which a segment file ends and the next begins.",
     .min = 1,
     .broker_names = kSegmentMs},
    {.name = "unclean.leader.election.enable",
     .type = kBoolean,
     .default_value = "false",
     .documentation = "Whether a replica that may lack acknowledged records leads where no other is left.",
     .broker_names = kUnclean},
});

const ConfigDef* find(std::span<const ConfigDef> defs, std::string_view name) {
  const auto found = std::lower_bound(defs.begin(), defs.end(), name,
                                      [](const ConfigDef& def, std::string_view n) { return def.name < n; });
  return found != defs.end() && found->name == name ? &*found : nullptr;
}

Status check(const char* what, const ConfigDef* def, std::string_view name, std::string_view value) {
  if (def == nullptr) {
    return absl::InvalidArgumentError(fmt::format("there is no {} setting '{}'", what, name));
  }
  return check_config_value(*def, value);
}

// The values of one layer under the broker's names for a setting.
void add_layer(const ConfigDef& def, const ConfigMap* values, ConfigSource source, std::vector<ConfigEntry>& entries) {
  if (values == nullptr) {
    return;
  }
  const auto add = [&](std::string_view name, std::int64_t factor) {
    if (const auto found = values->find(name); found != values->end()) {
      entries.push_back({.name = name, .value = found->second, .source = source, .factor = factor});
    }
  };
  if (source == ConfigSource::kTopic || def.broker_names.empty()) {
    add(def.name, 1);
    return;
  }
  for (const BrokerName& broker_name : def.broker_names) {
    add(broker_name.name, broker_name.factor);
  }
}

}  // namespace

std::span<const ConfigDef> topic_configs() { return kTopicConfigs; }
const ConfigDef* find_topic_config(std::string_view name) { return find(kTopicConfigs, name); }
const ConfigDef* find_broker_config(std::string_view name) { return find(broker_configs(), name); }

Status check_topic_config(std::string_view name, std::string_view value) {
  return check("topic", find_topic_config(name), name, value);
}

Status check_broker_config(std::string_view name, std::string_view value) {
  return check("broker", find_broker_config(name), name, value);
}

Status check_dynamic_broker_config(std::string_view name, std::string_view value) {
  RETURN_IF_ERROR(check_broker_config(name, value));
  if (!find_broker_config(name)->dynamic) {
    return absl::InvalidArgumentError(
        fmt::format("'{}' cannot be altered while the broker runs; set it in its configuration file", name));
  }
  return ok();
}

std::vector<ConfigEntry> config_entries(const ConfigDef& def, const ConfigLayers& layers) {
  std::vector<ConfigEntry> entries;
  add_layer(def, layers.topic, ConfigSource::kTopic, entries);
  add_layer(def, layers.broker, ConfigSource::kBroker, entries);
  add_layer(def, layers.all_brokers, ConfigSource::kAllBrokers, entries);
  add_layer(def, layers.file, ConfigSource::kFile, entries);
  if (def.default_value.has_value()) {
    const BrokerName name = def.broker_names.empty() ? BrokerName{def.name} : def.broker_names.back();
    std::string value(*def.default_value);
    if (name.factor != 1) {
      value = fmt::format("{}", parse_number(value).value_or(0) / name.factor);
    }
    entries.push_back(
        {.name = name.name, .value = std::move(value), .source = ConfigSource::kDefault, .factor = name.factor});
  }
  return entries;
}

std::optional<std::string> config_value(const ConfigDef& def, const ConfigLayers& layers) {
  const std::vector<ConfigEntry> entries = config_entries(def, layers);
  if (entries.empty()) {
    return std::nullopt;
  }
  return scaled_config_value(entries.front().value, entries.front().factor);
}

}  // namespace chronik::cluster
