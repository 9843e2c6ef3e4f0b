// The groups that this broker coordinates: for each partition of __consumer_offsets that is led here, what runs it.
//
// A group belongs to the partition that Kafka's hash of its name gives, and to whoever leads that (tools rely on it).
// Usage: follow() for every such partition whenever the image has spoken; stop() before what it refers to goes.
#pragma once

#include <absl/container/btree_map.h>

#include <string_view>
#include <utility>

#include "core/fiber/scope.h"
#include "core/group/group_partition.h"

namespace chronik::group {

inline constexpr std::string_view kGroupsTopic = "__consumer_offsets";

// Of `partitions`, at least one: by the absolute value of java.lang.String.hashCode() of the name.
PartitionId partition_of(std::string_view group, std::int32_t partitions);

class Groups {
 public:
  // logs and clock outlive it.
  Groups(log::LogManager& logs, const Clock& clock, const GroupPartitionOptions& options, TopicIsGone topic_is_gone)
      : logs_(logs), clock_(clock), options_(options), topic_is_gone_(std::move(topic_is_gone)) {}

  // The partition as the image has it now; null: not hosted here. Does not suspend.
  void follow(PartitionId index, const Ref<replication::Partition>& partition);
  // A topic was deleted. Does not suspend.
  void forget_topic(const std::string& topic);
  void stop();

  // Null: not coordinated here.
  Ref<GroupPartition> find(PartitionId index) const;
  // All that are led here, in the order of their numbers.
  std::vector<Ref<GroupPartition>> all() const;
  std::size_t led() const { return led_.size(); }
  const GroupMetrics& metrics() const { return metrics_; }

 private:
  void lead(PartitionId index, const Ref<replication::Partition>& partition);

  log::LogManager& logs_;
  const Clock& clock_;
  GroupPartitionOptions options_;
  TopicIsGone topic_is_gone_;
  GroupMetrics metrics_;
  absl::btree_map<PartitionId, Ref<GroupPartition>> led_;
  fiber::FiberScope scope_;
};

}  // namespace chronik::group
