#include "core/cluster/image.h"

#include <algorithm>

#include "core/cluster/config_values.h"

namespace chronik::cluster {

const Topic* Image::find_topic(std::string_view name) const {
  const Topic* topic = colliding_topic(name);
  return topic != nullptr && topic->name == name ? topic : nullptr;
}

const Topic* Image::colliding_topic(std::string_view name) const {
  const TopicRef* topic = topics.find(TopicNameKey{name});
  return topic == nullptr ? nullptr : topic->get();
}

const Topic* Image::find_topic(const TopicId& id) const {
  const TopicRef* topic = topics_by_id.find(id);
  return topic == nullptr ? nullptr : topic->get();
}

const Partition* Image::find_partition(const TopicId& id, PartitionId index) const {
  const Topic* topic = find_topic(id);
  return topic == nullptr ? nullptr : topic->partitions.find(index);
}

bool Image::is_live(NodeId node) const {
  const Broker* broker = find_broker(node);
  return broker != nullptr && !broker->fenced;
}

bool Image::is_well(NodeId node) const {
  const Broker* broker = find_broker(node);
  return broker != nullptr && !broker->fenced && !broker->stuck;
}

const ConfigMap* Image::configs_of_broker(NodeId node) const {
  const BrokerConfigs* configs = broker_configs.find(node);
  return configs == nullptr ? nullptr : &configs->values;
}

std::size_t Image::min_insync_replicas_of(const Topic& topic) const {
  const std::string* set = value_for(topic, "min.insync.replicas");
  const std::optional<std::int64_t> number = set == nullptr ? std::nullopt : parse_number(*set);
  return static_cast<std::size_t>(std::max<std::int64_t>(number.value_or(min_insync_replicas), 1));
}

bool Image::unclean_leader_election_of(const Topic& topic) const {
  const std::string* set = value_for(topic, "unclean.leader.election.enable");
  return set == nullptr ? unclean_leader_election : *set == "true";
}

const std::string* Image::value_for(const Topic& topic, std::string_view name) const {
  for (const ConfigMap* configs : {&topic.configs, configs_of_all_brokers()}) {
    if (configs == nullptr) {
      continue;
    }
    if (const auto found = configs->find(name); found != configs->end()) {
      return &found->second;
    }
  }
  return nullptr;
}

void Image::put_topic(const TopicRef& topic) {
  topics = topics.with(topic);
  topics_by_id = topics_by_id.with(topic);
}

void Image::remove_topic(const Topic& topic) {
  // The argument may live in the sets only.
  const TopicRef held = *topics_by_id.find(topic.id);
  topics = topics.without(TopicNameKey{held->name});
  topics_by_id = topics_by_id.without(held->id);
}

bool operator==(const Image& a, const Image& b) {
  bool equal = a.cluster == b.cluster && a.applied == b.applied && a.next_producer_id == b.next_producer_id &&
               a.min_insync_replicas == b.min_insync_replicas &&
               a.unclean_leader_election == b.unclean_leader_election && a.brokers == b.brokers &&
               a.broker_configs == b.broker_configs && a.proposers == b.proposers && a.joining == b.joining &&
               a.departing == b.departing && a.last_removal == b.last_removal && a.rebalancing == b.rebalancing &&
               a.topics.size() == b.topics.size() && a.topics_by_id.size() == b.topics_by_id.size();
  // Elements are references, equal when they are the same object: here their contents count.
  decltype(Image::topics)::differences(a.topics, b.topics, [&equal](const TopicRef* left, const TopicRef* right) {
    equal = equal && left != nullptr && right != nullptr && **left == **right;
  });
  return equal;
}

ImageRef empty_image(const ClusterId& cluster) {
  Image image;
  image.cluster = cluster;
  return ImageRef::make(image);
}

}  // namespace chronik::cluster
