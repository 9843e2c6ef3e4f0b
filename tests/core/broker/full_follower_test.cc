// A follower whose disk has no room asks for what it cannot take ever more rarely, and goes on once there is room.
#include "sim/disk.h"
#include "tests/core/broker/nodes_world.h"

namespace chronik::broker::testing {
namespace {

using protocol::ErrorCode;

std::uint64_t failures(NodesWorld& world, int number) {
  for (const MetricsRegistry::Entry& entry : world.node(number).metrics().entries()) {
    if (entry.name == "replica_fetch_failures_total") {
      return entry.counter->value();
    }
  }
  ADD_FAILURE() << "no such metric";
  return 0;
}

TEST(FullFollower, AsksEverMoreRarelyForWhatItCannotTake) {
  NodesWorld world(/*forward=*/false);
  auto& disk = dynamic_cast<sim::SimulatedDisk&>(*world.machine(2).disk());
  world.run([&](NodesVisit& visit) {
    const auto leader = visit.connect(1);
    make_topic_of_two(*leader, 1, 2, {});
    ASSERT_EQ(produce(*leader, "t", 0, batch_of({"a"}), -1).error_code, ErrorCode::kNone);
    disk.model().set_free(0);
    // So much that the follower asks its disk how much room is left.
    for (int i = 0; i < 10; ++i) {
      ASSERT_EQ(produce(*leader, "t", 0, batch_of({std::string(50'000, 'b')}), 1).error_code, ErrorCode::kNone);
    }
    ASSERT_TRUE(fiber::sleep(Duration::seconds(5)).ok());
    const std::uint64_t before = failures(world, 2);
    ASSERT_TRUE(fiber::sleep(Duration::seconds(10)).ok());
    const std::uint64_t asked = failures(world, 2) - before;
    EXPECT_GE(asked, 10u) << "it goes on asking, twice a second";
    EXPECT_LE(asked, 30u);
    disk.model().set_free(std::uint64_t{64} << 30);
    EXPECT_EQ(produce(*leader, "t", 0, batch_of({"c"}), -1).error_code, ErrorCode::kNone) << "both have it";
  });
}

}  // namespace
}  // namespace chronik::broker::testing
