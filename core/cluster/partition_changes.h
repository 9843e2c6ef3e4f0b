// How apply() changes partitions: on copies, each of which takes the place of the original as one step.
#pragma once

#include <algorithm>
#include <optional>
#include <utility>

#include "core/cluster/image.h"
#include "core/cluster/reassignment.h"
#include "core/cluster/result.h"

namespace chronik::cluster {

// One command is one step, whatever happens in it: a new partition epoch, and one new leader epoch at most.
inline void number_step(const Partition& before, Partition& after) {
  after.epoch = before.epoch.next();
  if (before.leader_epoch < after.leader_epoch) {
    after.unclean_epoch = std::min(after.unclean_epoch, before.leader_epoch.next());
    after.leader_epoch = before.leader_epoch.next();
  }
}

// Calls change(partition, election rules) on a copy of each partition; where that says true, the copy takes its place.
template <typename Change>
std::optional<TopicRef> with_changed_partitions(const Image& image, const Topic& topic, Change change) {
  const ElectionRules rules = image.election_rules_of(topic);
  bool touched = false;
  PartitionSet partitions = topic.partitions.with_each([&](const Partition& before) -> std::optional<Partition> {
    Partition after = before;
    if (!change(after, rules)) {
      return std::nullopt;
    }
    complete_reassignment(image, after, rules);
    number_step(before, after);
    touched = true;
    return after;
  });
  if (!touched) {
    return std::nullopt;
  }
  Topic next = topic;
  next.partitions = std::move(partitions);
  return TopicRef::make(next);
}

// The same for all partitions of all topics.
template <typename Change>
void change_partitions(Image& image, Change change) {
  // Both orders in one pass each: this may touch every topic there is.
  image.topics =
      image.topics.with_each([&](const TopicRef& topic) { return with_changed_partitions(image, *topic, change); });
  image.topics_by_id = image.topics_by_id.with_each([&](const TopicRef& topic) -> std::optional<TopicRef> {
    const TopicRef& now = *image.topics.find(TopicNameKey{topic->name});
    return now == topic ? std::nullopt : std::optional<TopicRef>(now);
  });
}

inline void put_partition(Image& image, const Topic& topic, const Partition& before, Partition after) {
  number_step(before, after);
  Topic next = topic;
  next.partitions = next.partitions.with(std::move(after));
  image.put_topic(TopicRef::make(next));
}

// Calls change(partition, election rules) on a copy of the partition, which takes its place unless that is refused.
template <typename Change>
ItemResult change_partition(Image& image, const TopicId& id, PartitionId index, Change change) {
  const Topic* topic = image.find_topic(id);
  const Partition* known = topic == nullptr ? nullptr : topic->partitions.find(index);
  if (known == nullptr) {
    return refused(ErrorCode::kUnknownTopicOrPartition, "the topic was deleted");
  }
  Partition changed = *known;
  ItemResult result = change(changed, image.election_rules_of(*topic));
  if (result.ok() && !(changed == *known)) {
    put_partition(image, *topic, *known, std::move(changed));
  }
  return result;
}

}  // namespace chronik::cluster
