#include "core/broker/partition_table.h"

#include <algorithm>
#include <utility>

#include "core/base/log_line.h"

namespace chronik::broker {

namespace {

absl::string_view id_bytes(const TopicId& id) {
  return {reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size()};
}

log::LogConfig log_config(const cluster::TopicSettings& settings) {
  return {.segment_bytes = settings.segment_bytes,
          // As Kafka: what is in the segment that is written now cannot be compacted.
          .segment_age =
              settings.compacts ? std::min(settings.segment_age, settings.compaction_lag_max) : settings.segment_age,
          .retention_bytes = settings.retention_bytes,
          .retention_age = settings.retention_age,
          .index_interval_bytes = settings.index_interval_bytes,
          .segment_index_bytes = settings.segment_index_bytes,
          .deletes = settings.deletes,
          .compacts = settings.compacts,
          .compaction_lag_min = settings.compaction_lag_min,
          .compaction_lag_max = settings.compaction_lag_max,
          .tombstones_last = settings.tombstones_last,
          .dirty_ratio_min = settings.dirty_ratio_min};
}

}  // namespace

protocol::ErrorCode HostedTopic::find(PartitionId index, Ref<replication::Partition>& partition) const {
  const auto at = static_cast<std::size_t>(index.value());
  if (index < PartitionId(0) || at >= partitions.size()) {
    return protocol::ErrorCode::kUnknownTopicOrPartition;
  }
  partition = partitions[at];
  if (partition) {
    return protocol::ErrorCode::kNone;
  }
  return lacking.contains(index) ? protocol::ErrorCode::kKafkaStorageError : protocol::ErrorCode::kNotLeaderOrFollower;
}

HostedTopic* PartitionTable::find(std::string_view name) const {
  const auto found = by_name_.find(absl::string_view(name.data(), name.size()));
  return found == by_name_.end() ? nullptr : found->second.get();
}

HostedTopic* PartitionTable::find(const TopicId& id) const {
  const auto found = by_id_.find(id_bytes(id));
  return found == by_id_.end() ? nullptr : found->second.get();
}

std::vector<log::LogKey> PartitionTable::apply(const cluster::Delta& delta) {
  for (const cluster::TopicRef& topic : delta.deleted) {
    drop(*topic);
  }
  for (const cluster::TopicRef& topic : delta.created) {
    host(*delta.after, *topic);
  }
  for (const cluster::PartitionChange& change : delta.partitions) {
    HostedTopic* hosted = find(change.topic->id);
    if (hosted == nullptr) {
      host(*delta.after, *change.topic);
    } else {
      assume(*hosted, *change.after);
    }
  }
  for (const cluster::TopicRef& topic : delta.configs) {
    configure(*delta.after, *topic);
  }
  if (!delta.broker_configs.empty()) {
    // A broker-wide setting may change the effective settings of any topic.
    for (const Ref<HostedTopic>& hosted : all_) {
      if (const cluster::Topic* topic = delta.after->find_topic(hosted->id); topic != nullptr) {
        configure(*delta.after, *topic);
      }
    }
  }
  return std::exchange(dropped_, {});
}

cluster::TopicSettings PartitionTable::settings_of(const cluster::Image& image, const cluster::Topic& topic) const {
  return cluster::topic_settings(cluster::topic_layers(image, self_, file_, topic));
}

void PartitionTable::host(const cluster::Image& image, const cluster::Topic& topic) {
  Ref<HostedTopic> hosted = Ref<HostedTopic>::make();
  hosted->name = topic.name;
  hosted->id = topic.id;
  hosted->settings = settings_of(image, topic);
  by_name_[hosted->name] = hosted;
  by_id_[std::string(id_bytes(hosted->id))] = hosted;
  all_.push_back(hosted);
  topic.partitions.for_each([&](const cluster::Partition& partition) { assume(*hosted, partition); });
}

void PartitionTable::configure(const cluster::Image& image, const cluster::Topic& topic) {
  HostedTopic* hosted = find(topic.id);
  if (hosted == nullptr) {
    return;
  }
  hosted->settings = settings_of(image, topic);
  topic.partitions.for_each([&](const cluster::Partition& partition) {
    logs_.configure({topic.id, partition.index}, log_config(hosted->settings));
    assume(*hosted, partition);
  });
}

void PartitionTable::assume(HostedTopic& hosted, const cluster::Partition& partition) {
  const auto index = static_cast<std::size_t>(partition.index.value());
  if (hosted.partitions.size() <= index) {
    hosted.partitions.resize(index + 1);
  }
  Ref<replication::Partition>& slot = hosted.partitions[index];
  const log::LogKey key{hosted.id, partition.index};
  hosted.lacking.erase(partition.index);
  lost_.erase(key);
  if (!cluster::contains(partition.replicas, self_)) {
    if (slot) {
      log_info("replica removed: others hold the partition from now on", field("topic", hosted.name),
               field("partition", partition.index));
      drop(slot);
    }
    return;
  }
  if (!slot && is_lost(key, partition)) {
    return note_lost(hosted, partition);
  }
  if (!slot) {
    Ref<log::PartitionLog> log = log_for(hosted, partition.index);
    if (!log) {
      if (partition.leader == self_) {
        hosted.lacking.insert(partition.index);
      }
      return;
    }
    given_up_.erase(key);
    slot = Ref<replication::Partition>::make(std::move(log), self_, replication_.host());
    ++partition_count_;
  }
  slot->assume({.leader = partition.leader,
                .epoch = partition.leader_epoch,
                .partition_epoch = partition.epoch,
                .replicas = std::vector<NodeId>(partition.replicas.begin(), partition.replicas.end()),
                .in_sync = std::vector<NodeId>(partition.isr.begin(), partition.isr.end()),
                .unclean_epoch = partition.unclean_epoch,
                .others_eligible = !partition.elr.empty(),
                .eligible = cluster::contains(partition.elr, self_),
                // Kafka's effective minimum: more than there are replicas cannot be in sync.
                .min_in_sync = std::min(hosted.settings.min_insync_replicas,
                                        static_cast<std::int32_t>(partition.replicas.size()))});
  replication_.follow(slot);
}

Ref<log::PartitionLog> PartitionTable::log_for(HostedTopic& hosted, PartitionId index) {
  const log::LogKey key{hosted.id, index};
  Status status = absl::UnavailableError("its former log has yet to go");
  if (!removals_.contains(key)) {
    if (Ref<log::PartitionLog> known = logs_.find(key); known) {
      logs_.configure(key, log_config(hosted.settings));
      return known;
    }
    StatusOr<Ref<log::PartitionLog>> created = logs_.create(key, hosted.name, log_config(hosted.settings));
    if (created.ok()) {
      made_logs_ = true;
      return *std::move(created);
    }
    status = created.status();
  }
  if (lacking_.empty() || lacking_.back().get() != &hosted) {
    log_warn("log cannot be created yet", field("topic", hosted.name), field("partition", index),
             field("why", status.ToString()));
    lacking_.push_back(by_id_[std::string(id_bytes(hosted.id))]);
  }
  return {};
}

// All logs were made that there should be when this partition had been made already, and its own is not there. Who is
// neither in sync nor eligible may begin empty in any case: nobody counts on what it had.
bool PartitionTable::is_lost(const log::LogKey& key, const cluster::Partition& partition) const {
  const bool counted_on = cluster::contains(partition.isr, self_) || cluster::contains(partition.elr, self_);
  return counted_on && partition.created <= logs_.assigned() && !given_up_.contains(key) && !removals_.contains(key) &&
         !logs_.find(key);
}

void PartitionTable::note_lost(HostedTopic& hosted, const cluster::Partition& partition) {
  if (partition.leader == self_) {
    hosted.lacking.insert(partition.index);
  }
  log_error("replica lost: its log is not there any more", field("topic", hosted.name),
            field("partition", partition.index), field("leader", partition.leader));
  lost_.insert({hosted.id, partition.index});
}

void PartitionTable::begin_lost_anew(const log::LogKey& key) {
  lost_.erase(key);
  given_up_.insert(key);
  if (const auto hosted = by_id_.find(id_bytes(key.topic)); hosted != by_id_.end()) {
    lacking_.push_back(hosted->second);
  }
}

void PartitionTable::make_missing_logs(const cluster::Image& image) {
  for (const Ref<HostedTopic>& hosted : std::exchange(lacking_, {})) {
    const cluster::Topic* topic = image.find_topic(hosted->id);
    if (topic != nullptr && find(hosted->id) == hosted.get()) {
      topic->partitions.for_each([&](const cluster::Partition& partition) { assume(*hosted, partition); });
    }
  }
}

void PartitionTable::drop(Ref<replication::Partition>& slot) {
  const log::LogKey key = slot->log().key();
  slot->close();
  replication_.forget(key);
  expect_removal(key);
  dropped_.push_back(key);
  --partition_count_;
  slot = {};
}

void PartitionTable::drop(const cluster::Topic& topic) {
  const auto found = by_id_.find(id_bytes(topic.id));
  if (found == by_id_.end()) {
    return;
  }
  const Ref<HostedTopic> hosted = found->second;
  by_id_.erase(found);
  // Of a topic that was made again under its old name, the name belongs to the new one.
  if (const auto named = by_name_.find(hosted->name); named != by_name_.end() && named->second == hosted) {
    by_name_.erase(named);
  }
  std::erase_if(all_, [&](const Ref<HostedTopic>& other) { return other == hosted; });
  for (Ref<replication::Partition>& partition : hosted->partitions) {
    if (partition) {
      drop(partition);
    }
  }
  hosted->partitions.clear();
  const auto of_topic = [&topic](const log::LogKey& key) { return key.topic == topic.id; };
  absl::erase_if(lost_, of_topic);
  absl::erase_if(given_up_, of_topic);
}

void PartitionTable::close_all() {
  for (const Ref<HostedTopic>& hosted : all_) {
    for (const Ref<replication::Partition>& partition : hosted->partitions) {
      if (partition) {
        partition->close();
      }
    }
  }
}

}  // namespace chronik::broker
