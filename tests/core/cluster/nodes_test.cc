// Nodes that come and go, as the image has it, and where replicas go when they do.
#include <gtest/gtest.h>

#include <map>

#include "core/cluster/replica_moves.h"
#include "core/cluster/snapshot.h"
#include "tests/core/cluster/three_brokers.h"

namespace chronik::cluster {
namespace {

constexpr std::size_t kAll = 10'000;

// Brokers 1 to `count`, all live.
struct Brokers {
  explicit Brokers(std::int32_t count) {
    for (std::int32_t node = 1; node <= count; ++node) {
      world.start(node);
    }
  }
  BrokerEpoch epoch_of(std::int32_t node) const { return world.image()->find_broker(NodeId(node))->epoch; }
  void fence(std::int32_t node) {
    world.propose(1, ChangeBrokers{{{.node = NodeId(node), .epoch = epoch_of(node), .live = false}}});
  }
  ErrorCode remove(std::int32_t node, bool force = false) {
    return world.propose(1, RemoveNode{.node = NodeId(node), .epoch = epoch_of(node), .force = force}).whole.error;
  }
  ErrorCode add(std::int32_t node) { return add_as_of(world.image()->applied, node); }
  ErrorCode add_as_of(LogIndex seen, std::int32_t node) {
    return world.propose(1, AddNode{.node = NodeId(node), .host = "host", .port = 9093, .as_of = seen}).whole.error;
  }
  ErrorCode forget(std::int32_t node) { return world.propose(1, ForgetNode{NodeId(node)}).whole.error; }
  // Plans and does all at once; whoever is new is in sync at once.
  std::size_t move(const std::vector<AlterReassignments::Partition>& moves) {
    world.propose(1, AlterReassignments{.may_change_factor = true, .partitions = moves});
    for (const AlterReassignments::Partition& move : moves) {
      const Partition& partition = *world.image()->find_partition(move.topic, move.partition);
      AlterPartitions::Partition wish{.topic = move.topic,
                                      .partition = move.partition,
                                      .leader_epoch = partition.leader_epoch,
                                      .epoch = partition.epoch,
                                      .isr = {}};
      for (const NodeId node : partition.replicas) {
        if (world.image()->is_live(node)) {
          wish.isr.push_back({.node = node, .epoch = epoch_of(node.value())});
        }
      }
      world.propose(partition.leader.value(), AlterPartitions{{wish}});
    }
    return moves.size();
  }
  std::map<std::int32_t, int> replicas() const {
    std::map<std::int32_t, int> counts;
    world.image()->topics.for_each([&](const TopicRef& topic) {
      topic->partitions.for_each([&](const Partition& partition) {
        for (const NodeId node : partition.replicas) {
          ++counts[node.value()];
        }
      });
    });
    return counts;
  }
  std::map<std::int32_t, int> preferred() const {
    std::map<std::int32_t, int> counts;
    world.image()->topics.for_each([&](const TopicRef& topic) {
      topic->partitions.for_each([&](const Partition& partition) { ++counts[partition.replicas.front().value()]; });
    });
    return counts;
  }
  ImageWorld world;
};

TEST(Nodes, OneIsExpectedUntilItRegisters) {
  Brokers brokers(3);
  EXPECT_EQ(brokers.add(4), ErrorCode::kNone);
  EXPECT_NE(brokers.world.image()->joining.find(NodeId(4)), nullptr);
  brokers.world.start(4);
  EXPECT_TRUE(brokers.world.image()->joining.empty());
  EXPECT_EQ(brokers.add(4), ErrorCode::kDuplicateBrokerRegistration);
}

// An operator has asked twice, and the second time is long under way: what it finds is another cluster.
TEST(Nodes, ALateAdditionDoesNotUndoARemoval) {
  Brokers brokers(3);
  const LogIndex seen = brokers.world.image()->applied;
  EXPECT_EQ(brokers.add_as_of(seen, 4), ErrorCode::kNone);
  EXPECT_EQ(brokers.add_as_of(seen, 4), ErrorCode::kNone) << "it is the same";
  brokers.world.start(4);
  EXPECT_EQ(brokers.remove(4), ErrorCode::kNone);
  EXPECT_EQ(brokers.add_as_of(seen, 4), ErrorCode::kInvalidRequest);
  EXPECT_EQ(brokers.forget(4), ErrorCode::kNone);
  EXPECT_EQ(brokers.add_as_of(seen, 4), ErrorCode::kInvalidRequest) << "nothing is known of node 4 any more";
  EXPECT_TRUE(brokers.world.image()->joining.empty());
  EXPECT_EQ(brokers.add(4), ErrorCode::kNone) << "whoever asks now has seen that it went";
  EXPECT_EQ(brokers.add_as_of(LogIndex(-1), 4), ErrorCode::kNone) << "an earlier version does not say";
}

TEST(Nodes, OneThatLeavesGivesItsReplicasAwayAndIsForgotten) {
  Brokers brokers(4);
  brokers.world.create("t", {{1, 2, 3}, {2, 3, 4}, {4, 1, 2}});
  EXPECT_EQ(brokers.remove(2), ErrorCode::kNone);
  EXPECT_EQ(brokers.forget(2), ErrorCode::kInvalidRequest) << "it has replicas";
  EXPECT_EQ(brokers.move(moves_off_departing(*brokers.world.image(), kAll)), 3u);
  EXPECT_EQ(brokers.replicas().count(2), 0u);
  EXPECT_EQ(brokers.world.partition("t", 1).replicas.front(), NodeId(1))
      << "in its place: also as the preferred leader";
  EXPECT_EQ(brokers.forget(2), ErrorCode::kNone);
  EXPECT_EQ(brokers.world.image()->find_broker(NodeId(2)), nullptr);
  EXPECT_TRUE(brokers.world.image()->departing.empty());
}

TEST(Nodes, NothingIsPlacedOnOneThatLeaves) {
  Brokers brokers(4);
  EXPECT_EQ(brokers.remove(2), ErrorCode::kNone);
  EXPECT_FALSE(brokers.world.image()->may_be_given_more(NodeId(2)));
  EXPECT_TRUE(brokers.world.image()->is_live(NodeId(2)));
}

TEST(Nodes, TooFewForTheReplicasIsRefused) {
  Brokers brokers(3);
  brokers.world.create("t", {{1, 2, 3}});
  EXPECT_EQ(brokers.remove(3), ErrorCode::kInvalidReplicationFactor);
  brokers.fence(3);
  EXPECT_EQ(brokers.remove(3), ErrorCode::kInvalidRequest) << "a dead one must be forced";
  EXPECT_TRUE(brokers.world.image()->departing.empty());
}

// A machine of three is replaced: its place in the partitions is kept.
TEST(Nodes, OneThatIsLostIsReplacedUnderItsNumber) {
  Brokers brokers(3);
  brokers.world.create("t", {{1, 2, 3}});
  brokers.fence(3);
  EXPECT_EQ(brokers.remove(3, /*force=*/true), ErrorCode::kNone);
  EXPECT_TRUE(moves_off_departing(*brokers.world.image(), kAll).empty()) << "there is nowhere to go";
  EXPECT_EQ(brokers.add(3), ErrorCode::kDuplicateBrokerRegistration) << "it is a member yet, for all that is known";
  EXPECT_EQ(brokers.forget(3), ErrorCode::kNone);
  EXPECT_EQ(brokers.world.start(3).whole.error, ErrorCode::kInvalidRegistration);
  EXPECT_EQ(brokers.world.start(3, /*directory=*/7).whole.error, ErrorCode::kInvalidRegistration) << "nobody added it";
  EXPECT_EQ(brokers.add(3), ErrorCode::kNone);
  EXPECT_EQ(brokers.world.start(3, /*directory=*/7).whole.error, ErrorCode::kNone);
  EXPECT_TRUE(brokers.world.image()->departing.empty());
  EXPECT_EQ(brokers.world.partition("t", 0).replicas, nodes({1, 2, 3}));
  EXPECT_EQ(brokers.world.partition("t", 0).isr, nodes({1, 2})) << "it has nothing yet";
}

TEST(Nodes, OneThatIsLostIsNotLiveAgain) {
  Brokers brokers(4);
  brokers.world.create("t", {{1, 2, 3}});
  brokers.fence(3);
  EXPECT_EQ(brokers.remove(3, /*force=*/true), ErrorCode::kNone);
  const ChangeBrokers revive{{{.node = NodeId(3), .epoch = brokers.epoch_of(3), .live = true}}};
  EXPECT_EQ(brokers.world.propose(1, revive).items.at(0).error, ErrorCode::kStaleBrokerEpoch);
  EXPECT_EQ(brokers.move(moves_off_departing(*brokers.world.image(), kAll)), 1u);
  EXPECT_EQ(brokers.world.partition("t", 0).replicas, nodes({1, 2, 4}));
}

TEST(Nodes, TheLastCopyIsNotGivenUp) {
  Brokers brokers(3);
  brokers.world.create("t", {{3}});
  brokers.fence(3);
  EXPECT_EQ(brokers.remove(3, /*force=*/true), ErrorCode::kIneligibleReplica);
}

TEST(Nodes, AnotherIncarnationIsNotMeant) {
  Brokers brokers(4);
  const RemoveNode late{.node = NodeId(3), .epoch = brokers.epoch_of(3), .force = false};
  brokers.world.start(3);
  EXPECT_EQ(brokers.world.propose(1, late).whole.error, ErrorCode::kStaleBrokerEpoch);
}

TEST(Nodes, AnImageWithThemComesBackFromItsSnapshot) {
  Brokers brokers(4);
  brokers.add(5);
  brokers.remove(2);
  brokers.world.propose(1, Rebalance{.begin = true});
  const std::string bytes = encode_snapshot(*brokers.world.image());
  const StatusOr<ImageRef> back = decode_snapshot(as_bytes(bytes));
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_TRUE(**back == *brokers.world.image());
}

// ---- balance ----

TEST(Balance, ANewNodeGetsItsShareAndNoMore) {
  Brokers brokers(3);
  brokers.world.create("t", {{1, 2, 3}, {2, 3, 1}, {3, 1, 2}, {1, 2, 3}, {2, 3, 1}, {3, 1, 2}, {1, 2, 3}, {2, 3, 1}});
  brokers.world.start(4);
  const auto moves = moves_to_balance(*brokers.world.image(), kAll);
  std::size_t moved = 0;
  for (const AlterReassignments::Partition& move : moves) {
    moved += contains(*move.target, NodeId(4)) ? 1u : 0u;
  }
  EXPECT_EQ(moved, 6u) << "of 24 replicas, for four nodes";
  brokers.move(moves);
  EXPECT_EQ(brokers.replicas(), (std::map<std::int32_t, int>{{1, 6}, {2, 6}, {3, 6}, {4, 6}}));
  EXPECT_EQ(brokers.preferred(), (std::map<std::int32_t, int>{{1, 2}, {2, 2}, {3, 2}, {4, 2}}));
  EXPECT_TRUE(moves_to_balance(*brokers.world.image(), kAll).empty()) << "it is even";
}

TEST(Balance, PortionsComeToTheSame) {
  Brokers brokers(3);
  brokers.world.create("t", {{1, 2}, {1, 2}, {1, 2}, {1, 2}, {1, 2}, {1, 2}});
  std::size_t portions = 0;
  while (brokers.move(moves_to_balance(*brokers.world.image(), 1)) > 0) {
    ASSERT_LT(++portions, 20u) << "it does not end";
  }
  EXPECT_EQ(brokers.replicas(), (std::map<std::int32_t, int>{{1, 4}, {2, 4}, {3, 4}}));
}

TEST(Balance, RacksStayApart) {
  Brokers brokers(0);
  brokers.world.start(1, 0, "a");
  brokers.world.start(2, 0, "a");
  brokers.world.start(3, 0, "b");
  brokers.world.create("t", {{1, 3}, {1, 3}, {1, 3}, {2, 3}});
  brokers.move(moves_to_balance(*brokers.world.image(), kAll));
  for (std::int32_t index = 0; index < 4; ++index) {
    EXPECT_TRUE(contains(brokers.world.partition("t", index).replicas, NodeId(3)))
        << "the other rack has one node for all of them";
  }
  EXPECT_EQ(brokers.replicas(), (std::map<std::int32_t, int>{{1, 2}, {2, 2}, {3, 4}}));
}

}  // namespace
}  // namespace chronik::cluster
