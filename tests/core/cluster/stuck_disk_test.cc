// A broker whose disk is stuck gives up its duties until it goes on: rule R10.
#include <gtest/gtest.h>

#include "core/base/codec.h"
#include "core/cluster/broker_sessions.h"
#include "core/cluster/snapshot.h"
#include "tests/core/cluster/three_brokers.h"

namespace chronik::cluster {
namespace {

ErrorCode say_stuck(Three& three, std::int32_t node, bool stuck) {
  return three.world
      .propose(1, ChangeBrokers{{{.node = NodeId(node), .epoch = three.epoch_of(node), .live = true, .stuck = stuck}}})
      .items.at(0)
      .error;
}

TEST(StuckDisk, OthersLeadAndAreInSyncAlone) {
  Three three;
  EXPECT_EQ(say_stuck(three, 1, true), ErrorCode::kNone);
  EXPECT_EQ(three.partition().leader, NodeId(2));
  EXPECT_EQ(three.partition().isr, nodes({2, 3}));
  EXPECT_TRUE(three.world.image()->is_live(NodeId(1)));
  EXPECT_FALSE(three.world.image()->is_well(NodeId(1)));
  const auto back = decode_snapshot(as_bytes(encode_snapshot(*three.world.image())));
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(**back, *three.world.image());
}

TEST(StuckDisk, NobodyTakesItBackBeforeItGoesOn) {
  Three three;
  say_stuck(three, 3, true);
  EXPECT_EQ(three.partition().leader, NodeId(1));
  EXPECT_EQ(three.partition().isr, nodes({1, 2}));
  EXPECT_EQ(three.alter(three.wish({1, 2, 3}), 1), ErrorCode::kIneligibleReplica);
  EXPECT_EQ(say_stuck(three, 3, false), ErrorCode::kNone);
  EXPECT_EQ(three.partition().isr, nodes({1, 2})) << "the ordinary way back";
  EXPECT_EQ(three.alter(three.wish({1, 2, 3}), 1), ErrorCode::kNone);
  EXPECT_EQ(three.partition().isr, nodes({1, 2, 3}));
}

TEST(StuckDisk, TheLastInSyncGoesOnUntilAnotherIs) {
  Three three;
  three.fence(2, 1);
  three.fence(3, 1);
  ASSERT_EQ(three.partition().elr, nodes({3}));
  say_stuck(three, 1, true);
  EXPECT_EQ(three.partition().leader, NodeId(1));
  EXPECT_EQ(three.partition().isr, nodes({1}));
  three.revive(3);
  EXPECT_EQ(three.alter(three.wish({1, 3}), 1), ErrorCode::kNone);
  EXPECT_EQ(three.partition().leader, NodeId(3));
  EXPECT_EQ(three.partition().isr, nodes({3}));
  EXPECT_EQ(three.partition().elr, nodes({1})) << "it has everything; too few are in sync to commit more";
}

TEST(StuckDisk, TheFirstOfTwoEligibleIsTheOneWhoseDiskGoes) {
  Three three;
  three.fence(1, 2);
  three.fence(2, 3);
  three.fence(3, 3);
  ASSERT_EQ(three.partition().elr, nodes({2, 3}));
  // Both are live again in one command, 2 with a stuck disk.
  three.world.propose(1, ChangeBrokers{{{.node = NodeId(3), .epoch = three.epoch_of(3), .live = true},
                                        {.node = NodeId(2), .epoch = three.epoch_of(2), .live = true, .stuck = true}}});
  EXPECT_EQ(three.partition().leader, NodeId(3));
}

TEST(StuckDisk, ANewPartitionIsLedByOthers) {
  Three three;
  say_stuck(three, 1, true);
  three.world.propose(2, CreateTopics{.topics = {ImageWorld::topic("new", {{1, 2, 3}, {1}})}});
  EXPECT_EQ(three.world.partition("new", 0).leader, NodeId(2));
  EXPECT_EQ(three.world.partition("new", 0).isr, nodes({2, 3}));
  EXPECT_EQ(three.world.partition("new", 1).leader, NodeId(1)) << "there is nobody else";
}

TEST(StuckDisk, AnotherIncarnationBeginsWell) {
  Three three;
  say_stuck(three, 1, true);
  three.world.start(1);
  EXPECT_TRUE(three.world.image()->is_well(NodeId(1)));
}

TEST(StuckDisk, FollowsFromSignsOfLife) {
  Three three;
  const auto at = [](std::int64_t ms) { return MonotonicTime() + Duration::seconds(100) + Duration::milliseconds(ms); };
  BrokerSessions sessions(NodeId(1), Duration::seconds(1));
  sessions.begin(*three.world.image(), at(0), NodeId::none(), {});
  const auto hear = [&](std::int32_t node, bool stuck, std::int64_t ms) {
    sessions.hear(NodeId(node), {.epoch = three.epoch_of(node), .leaving = false, .stuck = stuck}, at(ms));
    return sessions.due(*three.world.image(), at(ms));
  };
  EXPECT_TRUE(hear(2, false, 10).empty());
  const auto due = hear(2, true, 20);
  ASSERT_EQ(due.size(), 1u);
  EXPECT_TRUE(due[0].live && due[0].stuck);
  say_stuck(three, 2, true);
  EXPECT_TRUE(hear(2, true, 30).empty());
  const auto goes_on = hear(2, false, 40);
  ASSERT_EQ(goes_on.size(), 1u);
  EXPECT_TRUE(goes_on[0].live && !goes_on[0].stuck);
}

// What a program of before could not read is sent only where it says something.
TEST(StuckDisk, ASignOfLifeOfBeforeIsRead) {
  const SignOfLife well{.epoch = BrokerEpoch(7), .leaving = true};
  const std::string bytes = encode_sign(well);
  EXPECT_EQ(bytes.size(), 9u);
  const auto back = decode_sign(as_bytes(bytes));
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(back->epoch, BrokerEpoch(7));
  EXPECT_TRUE(back->leaving);
  EXPECT_FALSE(back->stuck);
  const auto stuck = decode_sign(as_bytes(encode_sign({.epoch = BrokerEpoch(7), .leaving = false, .stuck = true})));
  ASSERT_TRUE(stuck.has_value());
  EXPECT_TRUE(stuck->stuck);
  EXPECT_FALSE(decode_sign(as_bytes(bytes.substr(0, 8))).has_value());
  EXPECT_FALSE(decode_sign(as_bytes(bytes + "\1\1")).has_value());
}

}  // namespace
}  // namespace chronik::cluster
