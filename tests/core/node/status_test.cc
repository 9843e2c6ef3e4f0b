// What a node counts of its cluster's partitions.
#include "core/node/status.h"

#include <gtest/gtest.h>

#include "tests/core/cluster/image_world.h"

namespace chronik::node {
namespace {

using cluster::ImageWorld;

class PartitionCountsTest : public ::testing::Test {
 protected:
  PartitionCountsTest() {
    for (const std::int32_t node : {1, 2, 3}) {
      world.start(node);
    }
    cluster::CreateTopics::Topic topic = ImageWorld::topic("t", {{1, 2, 3}, {2, 3, 1}, {1, 2}});
    topic.configs["min.insync.replicas"] = "2";
    world.propose(1, cluster::CreateTopics{.topics = {topic}});
  }
  void fence(std::int32_t node) {
    const BrokerEpoch epoch = world.image()->find_broker(NodeId(node))->epoch;
    world.propose(3, cluster::ChangeBrokers{{{.node = NodeId(node), .epoch = epoch, .live = false}}});
  }
  PartitionCounts count(std::int32_t self) const { return count_partitions(*world.image(), NodeId(self)); }

  ImageWorld world;
};

TEST_F(PartitionCountsTest, EachNodeCountsWhatItLeadsAndWhatItFollows) {
  const PartitionCounts first = count(1);
  EXPECT_EQ(first.all, 3u);
  EXPECT_EQ(first.led, 2u);
  EXPECT_EQ(first.followed, 1u);
  EXPECT_EQ(first.under_replicated, 0u);
  EXPECT_EQ(first.offline, 0u);
  EXPECT_EQ(count(3).led, 0u);
  EXPECT_EQ(count(3).followed, 2u);
  EXPECT_EQ(count(4).led + count(4).followed, 0u);
}

TEST_F(PartitionCountsTest, AFencedBrokerLeavesPartitionsUnderReplicatedWithTheirLeaders) {
  fence(1);
  const PartitionCounts second = count(2);
  EXPECT_EQ(second.led, 3u);
  EXPECT_EQ(second.led_under_replicated, 3u);
  EXPECT_EQ(second.under_replicated, 3u);
  EXPECT_EQ(second.led_under_min_isr, 1u) << "of two replicas one is left";
  EXPECT_EQ(second.offline, 0u);
  EXPECT_EQ(count(3).led_under_replicated, 0u) << "it leads nothing, and counts for nobody else";
}

TEST_F(PartitionCountsTest, APartitionThatNobodyLeadsIsOfflineForEveryNode) {
  fence(1);
  fence(2);
  for (const std::int32_t node : {1, 2, 3}) {
    EXPECT_EQ(count(node).offline, 1u);
  }
  EXPECT_EQ(count(3).led, 2u);
  EXPECT_EQ(count(1).followed, 2u) << "what nobody leads is not followed";
}

}  // namespace
}  // namespace chronik::node
