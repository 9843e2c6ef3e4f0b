#include "core/replication/followers.h"

#include <gtest/gtest.h>

namespace chronik::replication {
namespace {

MonotonicTime at(std::int64_t seconds) { return MonotonicTime() + Duration::seconds(seconds); }

// Rule R10: not what it asks for counts, but what it has on its disk.
TEST(Followers, OneThatIsAlwaysALittleBehindKeepsUpAndOneWhoseDiskStandsStillDoesNot) {
  Followers followers;
  followers.begin({NodeId(2), NodeId(3)}, at(0));
  for (std::int64_t t = 1; t <= 20; ++t) {
    // The log grows by ten a second; node 2 is durable with what was there a second ago, and says so twice.
    const Offset end(10 * t);
    followers.hear(NodeId(2), BrokerEpoch(1), Offset(10 * (t - 1)), end, at(t));
    followers.hear(NodeId(2), BrokerEpoch(1), Offset(10 * (t - 1)), end, at(t));
    followers.hear(NodeId(3), BrokerEpoch(1), Offset(5), end, at(t));
  }
  EXPECT_GE(followers.find(NodeId(2))->caught_up, at(18));
  EXPECT_LE(followers.find(NodeId(3))->caught_up, at(1));
}

TEST(Followers, OneThatHadEverythingWasCaughtUpUntilTheLogGrew) {
  Followers followers;
  followers.begin({NodeId(2)}, at(0));
  followers.hear(NodeId(2), BrokerEpoch(1), Offset(10), Offset(10), at(1));
  followers.grows(Offset(10), at(100));
  EXPECT_EQ(followers.find(NodeId(2))->caught_up, at(100));
  followers.grows(Offset(11), at(200));
  EXPECT_EQ(followers.find(NodeId(2))->caught_up, at(100));
}

TEST(Followers, WhoIsNoReplicaIsNotHeard) {
  Followers followers;
  followers.begin({NodeId(2)}, at(0));
  EXPECT_EQ(followers.hear(NodeId(4), BrokerEpoch(1), Offset(1), Offset(1), at(1)), nullptr);
  followers.keep({NodeId(2), NodeId(4)}, at(2));
  EXPECT_NE(followers.hear(NodeId(4), BrokerEpoch(1), Offset(1), Offset(1), at(3)), nullptr);
  followers.begin({NodeId(4)}, at(4));
  EXPECT_EQ(followers.find(NodeId(4))->durable_end, Offset::none()) << "a new epoch forgets";
}

}  // namespace
}  // namespace chronik::replication
