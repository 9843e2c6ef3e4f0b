// What HW-MONO says of a replica's own high watermarks.
#include "sim/watermark_checker.h"

#include "tests/sim/sim_support.h"

namespace chronik::sim::watermark_checker_test {
namespace {

struct WatermarkCheckerTest : ::testing::Test {
  WatermarkCheckerTest() {
    checker = &small.world.checkers().add(std::make_unique<WatermarkChecker>(
        small.world, WatermarkChecker::Views{
                         .replica = [](const Machine&, const PartitionRef&) { return WatermarkChecker::Replica{}; },
                         .unclean_epoch = [this](const PartitionRef&) { return unclean; }}));
    machine = &small.machine("node", [](ProcessContext&) { CHECK_OK(fiber::sleep(Duration::seconds(600))); });
    machine->start();
    small.world.run_for(Duration::milliseconds(1));
  }
  Observer& life() { return *checker->observe(*machine->shards().front()); }

  SmallWorld small;
  LeaderEpoch unclean = LeaderEpoch::none();
  WatermarkChecker* checker = nullptr;
  Machine* machine = nullptr;
  PartitionRef p{TopicId{}, PartitionId(0)};
};

TEST_F(WatermarkCheckerTest, OneThatGoesBackIsFound) {
  Observer& node = life();
  node.on_high_watermark(p, LeaderEpoch(1), Offset(10));
  node.on_high_watermark(p, LeaderEpoch(1), Offset(12));
  EXPECT_EQ(small.checker(), "") << small.message();
  node.on_high_watermark(p, LeaderEpoch(2), Offset(11));
  EXPECT_EQ(small.checker(), "HW-MONO");
}

TEST_F(WatermarkCheckerTest, AnUncleanElectionSinceThenExcusesIt) {
  Observer& node = life();
  node.on_high_watermark(p, LeaderEpoch(1), Offset(10));
  unclean = LeaderEpoch(2);
  node.on_high_watermark(p, LeaderEpoch(2), Offset(5));
  EXPECT_EQ(small.checker(), "") << small.message();
}

TEST_F(WatermarkCheckerTest, AnEarlierUncleanElectionExcusesNothing) {
  Observer& node = life();
  unclean = LeaderEpoch(2);
  node.on_high_watermark(p, LeaderEpoch(2), Offset(10));
  node.on_high_watermark(p, LeaderEpoch(3), Offset(9));
  EXPECT_EQ(small.checker(), "HW-MONO");
}

TEST_F(WatermarkCheckerTest, AnotherLifeMayKnowLess) {
  life().on_high_watermark(p, LeaderEpoch(1), Offset(10));
  life().on_high_watermark(p, LeaderEpoch(2), Offset(3));
  EXPECT_EQ(small.checker(), "") << small.message();
}

}  // namespace
}  // namespace chronik::sim::watermark_checker_test
