// An image that grows command by command, every step checked against the invariants. Shared by the tests of this
// folder.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "core/base/mix.h"
#include "core/cluster/apply.h"
#include "core/cluster/image.h"
#include "core/cluster/invariants.h"
#include "core/ports/random.h"

namespace chronik::cluster {

class CountingRandom final : public Random {
 public:
  explicit CountingRandom(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() override { return mix(++state_); }

 private:
  std::uint64_t state_;
};

inline Uuid uuid_of(std::uint64_t n) { return Uuid::from_random(mix(n), mix(n, 1)); }

class ImageWorld {
 public:
  explicit ImageWorld(bool check_invariants = true)
      : image_(empty_image(uuid_of(99))), check_invariants_(check_invariants) {}

  const ImageRef& image() const { return image_; }
  LogIndex next_index() const { return image_->applied.next(); }

  // The next proposal of the node's current incarnation.
  Command command(std::int32_t node, CommandBody body) {
    const Broker* broker = image_->find_broker(NodeId(node));
    const IncarnationId incarnation = broker == nullptr ? uuid_of(0) : broker->incarnation;
    return {.proposal = {NodeId(node), incarnation, sequence_++}, .body = std::move(body)};
  }

  CommandResult apply(const Command& command) {
    Applied applied = cluster::apply(image_, next_index(), command);
    if (check_invariants_) {
      EXPECT_EQ(broken_invariants(*applied.image), std::vector<std::string>());
      EXPECT_EQ(broken_invariants(*image_, *applied.image), std::vector<std::string>());
    }
    image_ = std::move(applied.image);
    return std::move(applied.result);
  }
  CommandResult propose(std::int32_t node, CommandBody body) { return apply(command(node, std::move(body))); }

  // A start of the node with the directory that belongs to it, or another one.
  CommandResult start(std::int32_t node, std::uint64_t directory = 0, std::string rack = "") {
    ++starts_;
    const auto n = static_cast<std::uint64_t>(node);
    RegisterBroker body{.directory = uuid_of(mix(n, directory)),
                        .start_counter = starts_,
                        .endpoints = {{"PLAINTEXT", "host", static_cast<std::uint16_t>(9092 + node)}},
                        .rack = std::move(rack)};
    return apply({.proposal = {NodeId(node), uuid_of(1'000'000 + static_cast<std::uint64_t>(starts_)), 0},
                  .body = std::move(body)});
  }

  // A topic whose id follows from its name.
  static CreateTopics::Topic topic(const std::string& name, const std::vector<std::vector<std::int32_t>>& assignment) {
    CreateTopics::Topic topic{.name = name, .id = uuid_of(mix_text(name)), .partitions = {}, .configs = {}};
    for (const std::vector<std::int32_t>& nodes : assignment) {
      ReplicaList replicas;
      for (const std::int32_t node : nodes) {
        replicas.push_back(NodeId(node));
      }
      topic.partitions.push_back(std::move(replicas));
    }
    return topic;
  }
  CommandResult create(const std::string& name, const std::vector<std::vector<std::int32_t>>& assignment) {
    const std::int32_t proposer = assignment.at(0).at(0);
    return propose(proposer, CreateTopics{.topics = {topic(name, assignment)}});
  }
  const Partition& partition(const std::string& name, std::int32_t index) const {
    const Topic* topic = image_->find_topic(name);
    CHECK(topic != nullptr);
    const Partition* partition = topic->partitions.find(PartitionId(index));
    CHECK(partition != nullptr);
    return *partition;
  }

 private:
  ImageRef image_;
  bool check_invariants_;
  std::int64_t sequence_ = 1;
  std::int64_t starts_ = 0;
};

}  // namespace chronik::cluster
