// Random histories of commands: what holds whatever happens.

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>

#include "core/base/crc32c.h"
#include "core/cluster/delta.h"
#include "core/cluster/snapshot.h"
#include "tests/core/cluster/image_world.h"

namespace chronik::cluster {
namespace {

// One random command: few nodes and names, so that commands meet; some of it wrong.
class History {
 public:
  explicit History(std::uint64_t seed) : random_(seed) {}

  Command next(const Image& image) {
    const std::int32_t node = pick(4);
    const std::uint64_t kind = below(random_.next(), 25);
    if (kind == 0 || image.find_broker(NodeId(node)) == nullptr) {
      return start(image, node);
    }
    if (!issued_.empty() && kind == 1) {
      return issued_[below(random_.next(), issued_.size())];  // a retry, perhaps a very late one
    }
    CommandBody next = body(image, NodeId(node), kind);
    NodeId proposer(node);
    if (const auto* alter = std::get_if<AlterPartitions>(&next); alter != nullptr) {
      const Partition* partition = image.find_partition(alter->partitions[0].topic, alter->partitions[0].partition);
      if (partition != nullptr && partition->leader != NodeId::none()) {
        proposer = partition->leader;
      }
    }
    Command command{{proposer, image.find_broker(proposer)->incarnation, ++sequence_}, std::move(next)};
    issued_.push_back(command);
    return command;
  }

 private:
  std::int32_t pick(std::uint64_t n) { return static_cast<std::int32_t>(below(random_.next(), n)); }
  std::string name() { return std::string(1, static_cast<char>('a' + pick(6))) + (pick(2) == 0 ? ".x" : "_x"); }
  TopicId some_topic(const Image& image) {
    const Topic* topic = image.find_topic(name());
    return topic == nullptr ? uuid_of(3) : topic->id;
  }
  ReplicaList replicas() {
    ReplicaList list;
    for (std::int32_t n = 1 + pick(3); n > 0; --n) {
      list.push_back(NodeId(pick(4)));
    }
    return list;
  }
  Command start(const Image& image, std::int32_t node) {
    const Broker* known = image.find_broker(NodeId(node));
    RegisterBroker body{
        .directory = known == nullptr || pick(5) == 0 ? Uuid::from_random(random_.next(), 1) : known->directory,
        .start_counter = known == nullptr ? 1 : known->start_counter + pick(3),
        .endpoints = {{"PLAINTEXT", "host", 9092}},
        .rack = ""};
    return {{NodeId(node), Uuid::from_random(random_.next(), 2), 0}, body};
  }
  CommandBody body(const Image& image, NodeId proposer, std::uint64_t kind) {
    if (kind < 6) {
      CreateTopics create;
      for (std::int32_t n = 1 + pick(2); n > 0; --n) {
        CreateTopics::Topic topic{
            .name = name(), .id = Uuid::from_random(random_.next(), 3), .partitions = {}, .configs = {}};
        for (std::int32_t p = pick(4); p > 0; --p) {
          topic.partitions.push_back(replicas());
        }
        create.topics.push_back(std::move(topic));
      }
      return create;
    }
    if (kind < 7) {
      return DeleteTopics{{some_topic(image)}};
    }
    if (kind < 9) {
      const TopicId id = some_topic(image);
      const Topic* topic = image.find_topic(id);
      const auto existing = topic == nullptr ? 0 : static_cast<std::int32_t>(topic->partitions.size());
      return CreatePartitions{{{.id = id, .existing = existing - (pick(8) == 0 ? 1 : 0), .added = {replicas()}}}};
    }
    if (kind < 11) {
      const std::optional<std::string> value = pick(3) == 0 ? std::nullopt : std::optional<std::string>(name());
      return AlterConfigs{{{.of = some_topic(image), .changes = {{name(), value}}},
                           {.of = NodeId(pick(4) - 1), .changes = {{name(), value}}}}};
    }
    if (kind < 12) {
      return AllocateProducerIds{pick(3) * 1000};
    }
    return body_of_replicas(image, proposer, kind);
  }
  // Brokers that come and go, ISRs, elections, reassignments.
  CommandBody body_of_replicas(const Image& image, NodeId proposer, std::uint64_t kind) {
    const TopicId topic = some_topic(image);
    const PartitionId partition(pick(2));
    if (kind < 16) {
      const NodeId node(pick(4));
      const Broker* broker = image.find_broker(node);
      return ChangeBrokers{
          {{.node = node, .epoch = broker == nullptr ? BrokerEpoch(0) : broker->epoch, .live = kind % 2 == 0}}};
    }
    if (kind < 19) {
      return AlterPartitions{{wish(image, topic, partition)}};
    }
    if (kind < 22) {
      const std::optional<ReplicaList> target = pick(4) == 0 ? std::nullopt : std::optional(replicas());
      return AlterReassignments{.may_change_factor = pick(4) != 0,
                                .partitions = {{.topic = topic, .partition = partition, .target = target}}};
    }
    if (pick(4) == 0) {
      return body_of_nodes(image, NodeId(pick(4)));
    }
    if (kind < 23) {
      const Broker* reporter = image.find_broker(proposer);
      return ReportDamage{.epoch = pick(8) == 0 ? BrokerEpoch(1) : reporter->epoch,
                          .replicas = {{.topic = topic, .partition = partition, .lost = pick(2) == 0}}};
    }
    if (kind < 24) {
      return ElectLeaders{.unclean = pick(2) == 0, .partitions = {{.topic = topic, .partition = partition}}};
    }
    return AlterConfigs{
        {{.of = topic, .changes = {{"unclean.leader.election.enable", pick(2) == 0 ? "true" : "false"}}}}};
  }
  CommandBody body_of_nodes(const Image& image, NodeId node) {
    const Broker* broker = image.find_broker(node);
    switch (pick(4)) {
      case 0:
        return AddNode{.node = node,
                       .host = "host",
                       .port = static_cast<std::uint16_t>(1 + pick(2)),
                       .as_of = LogIndex(pick(8) == 0 ? -1 : image.applied.value() - pick(4))};
      case 1: return ForgetNode{node};
      case 2: return Rebalance{.begin = pick(2) == 0};
      default:
        return RemoveNode{
            .node = node, .epoch = broker == nullptr ? BrokerEpoch::none() : broker->epoch, .force = pick(2) == 0};
    }
  }
  // Of the partition's leader: itself and some others.
  AlterPartitions::Partition wish(const Image& image, const TopicId& topic, PartitionId index) {
    AlterPartitions::Partition wish{.topic = topic, .partition = index, .leader_epoch = {}, .epoch = {}, .isr = {}};
    const Partition* partition = image.find_partition(topic, index);
    if (partition == nullptr) {
      return wish;
    }
    wish.leader_epoch = partition->leader_epoch;
    wish.epoch = partition->epoch;
    for (const NodeId node : partition->replicas) {
      if (node == partition->leader || pick(3) != 0) {
        wish.isr.push_back({.node = node, .epoch = image.find_broker(node)->epoch});
      }
    }
    return wish;
  }

  CountingRandom random_;
  std::int64_t sequence_ = 0;
  std::vector<Command> issued_;
};

constexpr int kSteps = 120;

RC_GTEST_PROP(RandomHistory, KeepsTheInvariants, (std::uint64_t seed)) {
  History history(seed);
  ImageRef image = empty_image(uuid_of(99));
  for (int step = 0; step < kSteps; ++step) {
    const Command command = history.next(*image);
    const Applied applied = apply(image, image->applied.next(), command);
    RC_ASSERT(broken_invariants(*applied.image) == std::vector<std::string>());
    RC_ASSERT(broken_invariants(*image, *applied.image) == std::vector<std::string>());
    image = applied.image;
  }
}

RC_GTEST_PROP(RandomHistory, TwoReplicasAndTheirSnapshotsAgreeToTheByte, (std::uint64_t seed)) {
  History history(seed);
  ImageRef one = empty_image(uuid_of(99));
  ImageRef other = one;
  for (int step = 0; step < kSteps; ++step) {
    const Command command = history.next(*one);
    const auto travelled = decode_command(as_bytes(encode_command(command)));
    RC_ASSERT(travelled.ok());
    Applied first = apply(one, one->applied.next(), command);
    Applied second = apply(other, other->applied.next(), *travelled);
    RC_ASSERT(first.result == second.result);
    one = first.image;
    other = second.image;
    if (step % 10 == 0) {  // one of them lives on from its snapshot
      const std::string bytes = encode_snapshot(*other);
      RC_ASSERT(bytes == encode_snapshot(*one));
      const auto restored = decode_snapshot(as_bytes(bytes));
      RC_ASSERT(restored.ok());
      other = *restored;
      RC_ASSERT(*one == *other);
    }
  }
}

RC_GTEST_PROP(RandomHistory, EveryCommandAppliedTwiceInARowIsTheSameAsOnce, (std::uint64_t seed)) {
  History history(seed);
  ImageRef image = empty_image(uuid_of(99));
  for (int step = 0; step < kSteps; ++step) {
    const Command command = history.next(*image);
    const Applied once = apply(image, image->applied.next(), command);
    const Applied twice = apply(once.image, once.image->applied.next(), command);
    RC_ASSERT(difference(once.image, twice.image).empty());
    RC_ASSERT(once.image->next_producer_id == twice.image->next_producer_id);
    if (once.result.whole.ok()) {
      RC_ASSERT(once.result == twice.result);
    }
    image = twice.image;
  }
}

// A broker that follows deltas only must end with the cluster's own picture.
RC_GTEST_PROP(RandomHistory, ReplayingDeltasGivesTheImage, (std::uint64_t seed)) {
  History history(seed);
  ImageRef image = empty_image(uuid_of(99));
  std::map<TopicId, std::map<PartitionId, Partition>> seen;
  for (int step = 0; step < kSteps; ++step) {
    const Applied applied = apply(image, image->applied.next(), history.next(*image));
    const Delta delta = difference(image, applied.image);
    for (const TopicRef& topic : delta.deleted) {
      RC_ASSERT(seen.erase(topic->id) == 1u);
    }
    for (const TopicRef& topic : delta.created) {
      topic->partitions.for_each([&](const Partition& partition) { seen[topic->id][partition.index] = partition; });
    }
    for (const PartitionChange& change : delta.partitions) {
      seen.at(change.topic->id)[change.partition] = *change.after;
    }
    image = applied.image;
  }
  std::map<TopicId, std::map<PartitionId, Partition>> truth;
  image->topics.for_each([&](const TopicRef& topic) {
    topic->partitions.for_each([&](const Partition& partition) { truth[topic->id][partition.index] = partition; });
  });
  RC_ASSERT(seen == truth);
}

ImageRef some_image() {
  History history(7);
  ImageRef image = empty_image(uuid_of(99));
  for (int step = 0; step < 60; ++step) {
    image = apply(image, image->applied.next(), history.next(*image)).image;
  }
  return image;
}

TEST(Snapshot, EveryTruncationAndEveryChangedByteIsRefused) {
  const std::string bytes = encode_snapshot(*some_image());
  ASSERT_GT(bytes.size(), 500u);
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    EXPECT_FALSE(decode_snapshot(as_bytes(bytes).first(at)).ok()) << at;
    std::string changed = bytes;
    changed[at] = static_cast<char>(changed[at] ^ 0x10);
    EXPECT_FALSE(decode_snapshot(as_bytes(changed)).ok()) << at;
  }
}

// With a right checksum, so that the decoder itself is what refuses.
TEST(Snapshot, DamageUnderARightChecksumIsRefusedOrIsAnotherImageInItsOneEncoding) {
  const std::string bytes = encode_snapshot(*some_image());
  const std::size_t body = bytes.size() - 4;
  int refused = 0;
  for (std::size_t at = 0; at < body; ++at) {
    std::string changed = bytes.substr(0, body);
    changed[at] = static_cast<char>(changed[at] ^ 0x81);
    const std::uint32_t crc = crc32c(as_bytes(changed));
    changed.append(reinterpret_cast<const char*>(&crc), sizeof crc);
    const auto image = decode_snapshot(as_bytes(changed));
    if (image.ok()) {
      EXPECT_EQ(encode_snapshot(**image), changed) << at;
    } else {
      ++refused;
    }
  }
  EXPECT_GT(refused, 100);
}

TEST(TopicNames, KafkasRules) {
  EXPECT_EQ(topic_name_problem("orders.2024-eu_1"), "");
  EXPECT_EQ(topic_name_problem(std::string(249, 'x')), "");
  for (const std::string& bad :
       {std::string(), std::string("."), std::string(".."), std::string(250, 'x'), std::string("a b"),
        std::string("a/b"), std::string("\xc3\xa4"), std::string("a\0b", 3)}) {
    EXPECT_NE(topic_name_problem(bad), "") << bad;
  }
}

}  // namespace
}  // namespace chronik::cluster
