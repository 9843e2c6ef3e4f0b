#include "core/cluster/delta.h"

namespace chronik::cluster {

namespace {

void add_changes(const Topic& before, const TopicRef& after, Delta& delta) {
  if (before.configs != after->configs) {
    delta.configs.push_back(after);
  }
  PartitionSet::differences(before.partitions, after->partitions, [&](const Partition* was, const Partition* is) {
    CHECK(is != nullptr);
    delta.partitions.push_back({.topic = after, .partition = is->index, .before = was, .after = is});
  });
}

}  // namespace

Delta difference(const ImageRef& before, const ImageRef& after) {
  Delta delta{.before = before,
              .after = after,
              .created = {},
              .deleted = {},
              .partitions = {},
              .configs = {},
              .brokers = {},
              .broker_configs = {}};
  decltype(Image::topics)::differences(before->topics, after->topics, [&](const TopicRef* was, const TopicRef* is) {
    if (was != nullptr && is != nullptr && (*was)->id == (*is)->id) {
      add_changes(**was, *is, delta);
      return;
    }
    if (was != nullptr) {
      delta.deleted.push_back(*was);
    }
    if (is != nullptr) {
      delta.created.push_back(*is);
    }
  });
  decltype(Image::brokers)::differences(before->brokers, after->brokers, [&](const Broker* was, const Broker* is) {
    delta.brokers.push_back(is != nullptr ? is->node : was->node);
  });
  decltype(Image::broker_configs)::differences(before->broker_configs, after->broker_configs,
                                               [&](const BrokerConfigs* was, const BrokerConfigs* is) {
                                                 delta.broker_configs.push_back(is != nullptr ? is->node : was->node);
                                               });
  return delta;
}

}  // namespace chronik::cluster
