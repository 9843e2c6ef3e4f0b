// Three brokers, or some more, and a partition that they replicate. Shared by the tests of this folder.
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "tests/core/cluster/image_world.h"

namespace chronik::cluster {

inline ReplicaList nodes(const std::vector<std::int32_t>& ids) {
  ReplicaList list;
  for (const std::int32_t id : ids) {
    list.push_back(NodeId(id));
  }
  return list;
}

// Three brokers or more, and a topic of one partition on some of them of which two must be in sync.
class Three {
 public:
  explicit Three(const std::vector<std::int32_t>& replicas = {1, 2, 3}, std::int32_t brokers = 3) {
    for (std::int32_t node = 1; node <= brokers; ++node) {
      world.start(node);
    }
    CreateTopics::Topic topic = ImageWorld::topic("t", {replicas});
    topic.configs["min.insync.replicas"] = "2";
    world.propose(1, CreateTopics{.topics = {topic}});
  }

  BrokerEpoch epoch_of(std::int32_t node) const { return world.image()->find_broker(NodeId(node))->epoch; }
  ErrorCode change(std::int32_t node, bool live, std::int32_t proposer) {
    const CommandResult result =
        world.propose(proposer, ChangeBrokers{{{.node = NodeId(node), .epoch = epoch_of(node), .live = live}}});
    return result.items.at(0).error;
  }
  void fence(std::int32_t node, std::int32_t proposer) { EXPECT_EQ(change(node, false, proposer), ErrorCode::kNone); }
  void revive(std::int32_t node) { EXPECT_EQ(change(node, true, node), ErrorCode::kNone); }
  const Partition& partition() const { return world.partition("t", 0); }
  AlterPartitions::Partition wish(const std::vector<std::int32_t>& isr) const {
    AlterPartitions::Partition wish{.topic = uuid_of(mix_text("t")),
                                    .partition = PartitionId(0),
                                    .leader_epoch = partition().leader_epoch,
                                    .epoch = partition().epoch,
                                    .isr = {}};
    for (const std::int32_t node : isr) {
      wish.isr.push_back({.node = NodeId(node), .epoch = epoch_of(node)});
    }
    return wish;
  }
  ErrorCode alter(const AlterPartitions::Partition& wish, std::int32_t proposer) {
    return world.propose(proposer, AlterPartitions{{wish}}).items.at(0).error;
  }

  ErrorCode report(std::int32_t node, bool lost) {
    const CommandResult result = world.propose(
        node, ReportDamage{.epoch = epoch_of(node),
                           .replicas = {{.topic = uuid_of(mix_text("t")), .partition = PartitionId(0), .lost = lost}}});
    return result.items.at(0).error;
  }

  void configure(const std::string& name, const std::string& value) {
    const CommandResult result =
        world.propose(1, AlterConfigs{{{.of = uuid_of(mix_text("t")), .changes = {{name, value}}}}});
    EXPECT_EQ(result.items.at(0).error, ErrorCode::kNone);
  }
  ErrorCode elect(bool unclean, std::int32_t proposer) {
    return world
        .propose(proposer, ElectLeaders{.unclean = unclean,
                                        .partitions = {{.topic = uuid_of(mix_text("t")), .partition = PartitionId(0)}}})
        .items.at(0)
        .error;
  }
  ErrorCode reassign(const std::optional<ReplicaList>& target, bool may_change_factor = true,
                     std::int32_t proposer = 1) {
    return world
        .propose(proposer,
                 AlterReassignments{
                     .may_change_factor = may_change_factor,
                     .partitions = {{.topic = uuid_of(mix_text("t")), .partition = PartitionId(0), .target = target}}})
        .items.at(0)
        .error;
  }

  ImageWorld world;
};

}  // namespace chronik::cluster
