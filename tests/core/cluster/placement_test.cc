#include "core/cluster/placement.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "tests/core/cluster/image_world.h"

namespace chronik::cluster {
namespace {

RC_GTEST_PROP(Placement, WithoutRacksLeadersAndReplicasAreEvenlySpread, (std::uint64_t seed)) {
  CountingRandom random(seed);
  ImageWorld world;
  const auto brokers = static_cast<std::size_t>(1 + below(random.next(), 7));
  const auto factor = static_cast<std::size_t>(1 + below(random.next(), brokers));
  const std::size_t rounds = 1 + below(random.next(), 5);
  for (std::size_t node = 0; node < brokers; ++node) {
    world.start(static_cast<std::int32_t>(10 + node));
  }
  std::map<NodeId, std::size_t> leads;
  std::map<NodeId, std::size_t> holds;
  for (const ReplicaList& replicas : place_replicas(*world.image(), rounds * brokers, factor, random)) {
    RC_ASSERT(replicas.size() == factor);
    RC_ASSERT(std::set<NodeId>(replicas.begin(), replicas.end()).size() == factor);
    ++leads[replicas.front()];
    for (const NodeId node : replicas) {
      ++holds[node];
    }
  }
  RC_ASSERT(leads.size() == brokers);
  for (const auto& [node, count] : leads) {
    RC_ASSERT(count == rounds);
  }
  for (const auto& [node, count] : holds) {
    RC_ASSERT(count == rounds * factor);
  }
}

RC_GTEST_PROP(Placement, ReplicasAreInAsManyRacksAsThereAre, (std::uint64_t seed)) {
  CountingRandom random(seed);
  ImageWorld world;
  const std::size_t racks = 1 + below(random.next(), 4);
  const std::size_t brokers = racks + below(random.next(), 5);
  std::map<NodeId, std::string> rack_of;
  for (std::size_t i = 0; i < brokers; ++i) {
    const std::string rack(1, static_cast<char>('a' + (i < racks ? i : below(random.next(), racks))));
    world.start(static_cast<std::int32_t>(i), 0, rack);
    rack_of[NodeId(static_cast<std::int32_t>(i))] = rack;
  }
  const auto factor = static_cast<std::size_t>(1 + below(random.next(), brokers));
  for (const ReplicaList& replicas : place_replicas(*world.image(), 20, factor, random)) {
    std::set<std::string> seen;
    for (const NodeId node : replicas) {
      seen.insert(rack_of.at(node));
    }
    RC_ASSERT(std::set<NodeId>(replicas.begin(), replicas.end()).size() == factor);
    RC_ASSERT(seen.size() == std::min(factor, racks));
  }
}

TEST(Placement, TheSameDrawsGiveTheSamePlaces) {
  ImageWorld world;
  for (const std::int32_t node : {1, 2, 3, 4}) {
    world.start(node);
  }
  CountingRandom one(5);
  CountingRandom other(5);
  EXPECT_EQ(place_replicas(*world.image(), 10, 3, one), place_replicas(*world.image(), 10, 3, other));
}

}  // namespace
}  // namespace chronik::cluster
