// The settings of topics and of brokers that this program honours, by Kafka's names, and where a value in force comes
// from.
//
// A setting that is not in these tables is refused wherever it is set; so is a value that we could not honour, with a
// message that says what would be right. Nothing is accepted and then ignored.
// A topic's setting is looked for in its own overrides, then under the names that brokers give it (segment.bytes is
// log.segment.bytes there), in the dynamic configuration of the broker, in that of all brokers, in the configuration
// file, and last comes the default.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "core/cluster/command.h"

namespace chronik::cluster {

// Numbers as DescribeConfigs sends them.
enum class ConfigType : std::int8_t { kBoolean = 1, kString = 2, kInt = 3, kLong = 5, kDouble = 6, kList = 7 };
enum class ConfigSource : std::int8_t {
  kTopic = 1,       // an override of the topic
  kBroker = 2,      // dynamic, of this broker
  kAllBrokers = 3,  // dynamic, of all brokers
  kFile = 4,        // this broker's configuration file
  kDefault = 5,
};

// A broker's setting that stands in for a topic's one, and by how much to multiply it (hours to milliseconds).
struct BrokerName {
  std::string_view name;
  std::int64_t factor = 1;
};

struct ConfigDef {
  std::string_view name;
  ConfigType type = ConfigType::kString;
  std::optional<std::string_view> default_value;
  std::string_view documentation;
  std::int64_t min = std::numeric_limits<std::int64_t>::min();
  std::int64_t max = std::numeric_limits<std::int64_t>::max();
  std::span<const std::string_view> choices = {};  // of a string or of a list's elements; empty: anything
  std::string_view why_not = {};                   // for people: why Kafka's other values are refused
  std::span<const BrokerName> broker_names = {};   // of a topic's setting, the first that is set counts
  bool dynamic = false;                            // of a broker's setting: may be altered while it runs
};

// In the order of their names.
std::span<const ConfigDef> topic_configs();
std::span<const ConfigDef> broker_configs();
// Null: no such setting.
const ConfigDef* find_topic_config(std::string_view name);
const ConfigDef* find_broker_config(std::string_view name);

// kInvalidArgument, with a sentence for people: unknown name, or a value that cannot be honoured.
Status check_topic_config(std::string_view name, std::string_view value);
// For the configuration file.
Status check_broker_config(std::string_view name, std::string_view value);
// For AlterConfigs of one broker or of all: also refuses what cannot be altered while running.
Status check_dynamic_broker_config(std::string_view name, std::string_view value);

// Where values may be set; null: nothing is set there.
struct ConfigLayers {
  const ConfigMap* topic = nullptr;
  const ConfigMap* broker = nullptr;
  const ConfigMap* all_brokers = nullptr;
  const ConfigMap* file = nullptr;
};

// One place where a value of the setting is set.
struct ConfigEntry {
  std::string_view name;  // under which it is set there
  std::string value;      // as it is set there
  ConfigSource source = ConfigSource::kDefault;
  std::int64_t factor = 1;  // what the value is multiplied by to mean the same of the setting that was asked about

  friend bool operator==(const ConfigEntry&, const ConfigEntry&) = default;
};
// All places in the order of precedence, the one in force first. Empty: a broker's setting without a default.
std::vector<ConfigEntry> config_entries(const ConfigDef& def, const ConfigLayers& layers);
// The value in force; empty: none.
std::optional<std::string> config_value(const ConfigDef& def, const ConfigLayers& layers);

}  // namespace chronik::cluster
