// The settings in force, as numbers: what the broker works with. Texts and their sources are in config_defs.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/base/time.h"
#include "core/cluster/config_defs.h"
#include "core/cluster/image.h"
#include "core/protocol/record_batch.h"

namespace chronik::cluster {

struct TopicSettings {
  std::uint32_t segment_bytes = 0;
  Duration segment_age;
  std::int64_t retention_bytes = 0;  // -1: no limit
  Duration retention_age;            // infinite(): no limit
  std::uint32_t index_interval_bytes = 0;
  std::uint32_t segment_index_bytes = 0;
  std::uint32_t max_message_bytes = 0;
  std::optional<protocol::Codec> codec;  // of what is stored; none: whatever the producer chose
  bool log_append_time = false;
  std::int64_t timestamp_before_ms_max = 0;
  std::int64_t timestamp_after_ms_max = 0;
  std::int32_t min_insync_replicas = 0;
  bool unclean_leader_election = false;
  bool deletes = false;
  bool compacts = false;
  Duration compaction_lag_min;
  Duration compaction_lag_max;  // infinite(): no limit
  Duration tombstones_last;
  double dirty_ratio_min = 0;

  friend bool operator==(const TopicSettings&, const TopicSettings&) = default;
};

// How the controller gives partitions back to their preferred leaders.
struct RebalanceSettings {
  bool enabled = false;
  Duration check_interval;
  std::int32_t imbalance_percentage_max = 0;  // 0 to 100, of the partitions that prefer a broker

  friend bool operator==(const RebalanceSettings&, const RebalanceSettings&) = default;
};

// How soon one node notices that another is not there.
struct TimingSettings {
  Duration heartbeat;
  Duration election_min;  // a node draws from here to election_max
  Duration election_max;
  Duration session;
  Duration fetch_wait_max;
  Duration lag_max;

  friend bool operator==(const TimingSettings&, const TimingSettings&) = default;
};

// Of consumer groups and of what they commit.
struct GroupSettings {
  Duration session_min;
  Duration session_max;
  Duration initial_delay;
  std::size_t size_max = 0;
  std::size_t metadata_max = 0;
  Duration retention;
  Duration expiry_interval;
  Duration commit_timeout;

  friend bool operator==(const GroupSettings&, const GroupSettings&) = default;
};

// Of the topic that keeps them.
struct GroupTopicSettings {
  std::int32_t partitions = 0;
  std::int16_t replication_factor = 0;
  std::int32_t segment_bytes = 0;

  friend bool operator==(const GroupTopicSettings&, const GroupTopicSettings&) = default;
};

// Of compaction.
struct CleanerSettings {
  bool enabled = false;
  Duration backoff;
  double bytes_per_second = 0;
  std::uint64_t dedupe_bytes_max = 0;

  friend bool operator==(const CleanerSettings&, const CleanerSettings&) = default;
};

struct BrokerSettings {
  bool auto_create_topics = false;
  bool delete_topics = false;
  std::int32_t num_partitions = 0;
  std::int16_t default_replication_factor = 0;
  std::uint32_t fetch_bytes_max = 0;
  std::size_t fetch_sessions_max = 0;
  std::uint32_t request_bytes_max = 0;
  Duration connection_idle_max;
  Duration retention_check_interval;
  Duration producer_expiry;
  std::string rack;  // empty: none
  RebalanceSettings rebalance;
  TimingSettings timing;
  CleanerSettings cleaner;
  std::int32_t catch_up_share = 0;  // in hundredths of a leader's time, 1 to 100

  friend bool operator==(const BrokerSettings&, const BrokerSettings&) = default;
};

// Where this broker's settings come from. `file` was checked with check_broker_config().
ConfigLayers broker_layers(const Image& image, NodeId node, const ConfigMap& file);
ConfigLayers topic_layers(const Image& image, NodeId node, const ConfigMap& file, const Topic& topic);

// Every value in the layers must have been checked when it was set.
TopicSettings topic_settings(const ConfigLayers& layers);
BrokerSettings broker_settings(const ConfigLayers& layers);
GroupSettings group_settings(const ConfigLayers& layers);
GroupTopicSettings group_topic_settings(const ConfigLayers& layers);

// Whether values that are right one by one go together; kInvalidArgument, with a sentence for people. `file` was
// checked with check_broker_config().
Status check_broker_settings(const ConfigMap& file);

}  // namespace chronik::cluster
