#include "core/cluster/leader_balance.h"

#include <absl/container/btree_map.h>

#include "core/cluster/partition_state.h"

namespace chronik::cluster {

std::vector<ElectLeaders::Partition> imbalanced_partitions(const Image& image, std::int32_t imbalance_percentage_max,
                                                           std::size_t limit) {
  struct Share {
    std::int64_t preferred = 0;
    std::int64_t lacking = 0;
  };
  absl::btree_map<NodeId, Share> shares;
  image.topics.for_each([&](const TopicRef& topic) {
    topic->partitions.for_each([&](const Partition& partition) {
      Share& share = shares[partition.replicas.front()];
      ++share.preferred;
      share.lacking += partition.leader == partition.replicas.front() ? 0 : 1;
    });
  });
  std::vector<ElectLeaders::Partition> found;
  image.topics.for_each([&](const TopicRef& topic) {
    topic->partitions.for_each([&](const Partition& partition) {
      const Share& share = shares.at(partition.replicas.front());
      const bool imbalanced = 100 * share.lacking > imbalance_percentage_max * share.preferred;
      Partition tried = partition;
      if (imbalanced && found.size() < limit && elect_preferred(image, tried).ok()) {
        found.push_back({.topic = topic->id, .partition = partition.index});
      }
    });
  });
  return found;
}

}  // namespace chronik::cluster
