// The controller's decisions: what a client asks for, checked against an image, becomes an answer for each item and one
// command for those that are well.
//
// Pure: nothing is changed or waited for. The caller proposes plan.command (unless the request only validates, or the
// plan is empty) and calls settle() with what became of it. apply() checks again what may have changed in between.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/cluster/command.h"
#include "core/cluster/config_defs.h"
#include "core/cluster/image.h"
#include "core/cluster/result.h"
#include "core/cluster/settings.h"
#include "core/ports/random.h"

namespace chronik::cluster {

template <typename Body>
struct Plan {
  std::vector<ItemResult> items;    // one for each item of the request, in its order
  Body command;                     // for the items that are well
  std::vector<std::size_t> origin;  // of each item of the command: its place in the request

  bool empty() const { return origin.empty(); }
  // What became of the command, brought home to the request's items.
  void settle(const CommandResult& result) {
    for (std::size_t i = 0; i < origin.size(); ++i) {
      items[origin[i]] = result.whole.ok() ? result.items.at(i) : result.whole;
    }
  }
  // There is nothing to be done but to say so.
  void give_up(const ItemResult& all) {
    items.assign(items.size(), all);
    origin.clear();
  }
  // The command was not answered: the same for each of its items.
  void settle(const ItemResult& all) {
    for (const std::size_t item : origin) {
      items[item] = all;
    }
  }
};

struct TopicRequest {
  struct Assignment {
    std::int32_t partition = 0;
    std::vector<NodeId> replicas;
  };
  struct Config {
    std::string name;
    std::optional<std::string> value;
  };
  std::string name;
  std::int32_t partitions = -1;          // -1: the default, or as assigned
  std::int16_t replication_factor = -1;  // -1: the default, or as assigned
  std::vector<Assignment> assignments;   // empty: placed by the controller
  std::vector<Config> configs;
};
// Ids of topics and places of replicas are drawn from `random`.
Plan<CreateTopics> plan_create_topics(const Image& image, const BrokerSettings& settings,
                                      const std::vector<TopicRequest>& topics, Random& random);

// By name, or by id where the name is missing.
struct TopicDeletion {
  std::optional<std::string> name;
  TopicId id;
};
Plan<DeleteTopics> plan_delete_topics(const Image& image, const BrokerSettings& settings,
                                      const std::vector<TopicDeletion>& topics);

struct PartitionsRequest {
  std::string name;
  std::int32_t count = 0;  // partitions that there shall be in all
  std::optional<std::vector<std::vector<NodeId>>>
      assignments;  // replicas of each new one; none: placed by the controller
};
Plan<CreatePartitions> plan_create_partitions(const Image& image, const std::vector<PartitionsRequest>& topics,
                                              Random& random);

struct NamedPartition {
  std::string topic;
  PartitionId index;
};
// A partition that has the leader it is to have is refused with kElectionNotNeeded.
Plan<ElectLeaders> plan_elect_leaders(const Image& image, bool unclean, const std::vector<NamedPartition>& partitions);

struct ReassignmentRequest {
  NamedPartition partition;
  std::optional<std::vector<NodeId>> replicas;  // none: the reassignment that is under way is called off
};
Plan<AlterReassignments> plan_alter_reassignments(const Image& image, bool may_change_factor,
                                                  const std::vector<ReassignmentRequest>& partitions);

// Numbers as in Kafka's requests.
enum class ResourceType : std::int8_t { kTopic = 2, kBroker = 4 };
enum class ConfigOperation : std::int8_t { kSet = 0, kDelete = 1, kAppend = 2, kSubtract = 3 };

struct ConfigRequest {
  struct Change {
    std::string name;
    ConfigOperation operation = ConfigOperation::kSet;
    std::optional<std::string> value;
  };
  ResourceType type = ResourceType::kTopic;  // may hold any number: that of an unknown type is refused
  std::string name;                          // of a topic; of a broker its id, or empty for all brokers
  std::vector<Change> changes;
  bool replace = false;  // AlterConfigs of old: overrides that are not named go
};
// Each resource's changes are done together or not at all.
Plan<AlterConfigs> plan_alter_configs(const Image& image, const std::vector<ConfigRequest>& resources);

}  // namespace chronik::cluster
