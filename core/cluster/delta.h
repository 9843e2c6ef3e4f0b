// What changed between two images, so that a broker reacts to the change and does not look through everything.
#pragma once

#include <vector>

#include "core/base/ids.h"
#include "core/cluster/image.h"

namespace chronik::cluster {

struct PartitionChange {
  TopicRef topic;  // as it is afterwards
  PartitionId partition;
  const Partition* before;  // null: new
  const Partition* after;   // never null: partitions go with their topic
};

// The pointers into images are good as long as the delta, which holds both images.
struct Delta {
  ImageRef before;
  ImageRef after;
  std::vector<TopicRef> created;            // with all their partitions; in the order of names
  std::vector<TopicRef> deleted;            // a topic deleted and created again under one name is in both
  std::vector<PartitionChange> partitions;  // of topics that were there before and still are
  std::vector<TopicRef> configs;            // topics whose overrides changed, as they are afterwards
  std::vector<NodeId> brokers;              // registered, changed or gone
  std::vector<NodeId> broker_configs;       // whose dynamic configuration changed; none: that of all brokers

  bool empty() const {
    return created.empty() && deleted.empty() && partitions.empty() && configs.empty() && brokers.empty() &&
           broker_configs.empty();
  }
};

// Costs O(changes * log(size)) where `after` grew out of `before` by apply().
Delta difference(const ImageRef& before, const ImageRef& after);

}  // namespace chronik::cluster
