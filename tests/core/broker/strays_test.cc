// Rule R12: what a node has of a topic that was deleted while it was away is set aside, and goes after a delay.
#include "core/protocol/messages/delete_topics.h"
#include "sim/disk.h"
#include "tests/core/broker/nodes_world.h"

namespace chronik::broker::testing {
namespace {

std::vector<std::string> names_in(NodesWorld& world, int number, const std::string& directory) {
  const sim::DiskModel& disk = static_cast<sim::SimulatedDisk&>(*world.machine(number).disk()).model();
  const StatusOr<std::vector<std::string>> names = disk.list_directory(directory);
  return names.ok() ? *names : std::vector<std::string>();
}

TEST(Strays, OfATopicThatWasDeletedMeanwhileAreSetAsideAndGoAfterTheDelay) {
  NodesWorld world(/*forward=*/false,
                   [](node::NodeConfig& config) { config.logs.stray_delay = Duration::seconds(20); });
  world.run([&](NodesVisit& visit) {
    const auto client = visit.connect(1);
    make_spread_topic(*client, "t");
    ASSERT_EQ(produce(*visit.connect(3), "t", 2, batch_of({"a"})).error_code, protocol::ErrorCode::kNone);
    world.kill(3, sim::Death::kProcessKill);
    ASSERT_TRUE(fiber::sleep(Duration::seconds(3)).ok());
    protocol::DeleteTopicsRequest request;
    request.timeout_ms = 10'000;
    request.topics.push_back({.name = "t"});
    EXPECT_EQ(ask<protocol::DeleteTopicsResponse>(*client, request, 6).responses.at(0).error_code,
              protocol::ErrorCode::kNone);
    ASSERT_TRUE(fiber::sleep(Duration::seconds(3)).ok());
    EXPECT_EQ(names_in(world, 1, "logs").size(), 0u) << "who was there deletes it at once";
    EXPECT_EQ(names_in(world, 1, "strays").size(), 0u);
  });
  world.run([&](NodesVisit&) {
    ASSERT_TRUE(fiber::sleep(Duration::seconds(5)).ok());
    EXPECT_EQ(names_in(world, 3, "logs").size(), 0u);
    const std::vector<std::string> strays = names_in(world, 3, "strays");
    ASSERT_EQ(strays.size(), 1u);
    EXPECT_NE(strays[0].find("-2.1/"), std::string::npos) << strays[0];
    const std::vector<std::string> files = names_in(world, 3, "strays/" + strays[0].substr(0, strays[0].size() - 1));
    EXPECT_EQ(files, std::vector<std::string>{"00000000000000000000.log"}) << "what was only in memory is there, too";
    world.kill(3, sim::Death::kProcessKill);
    ASSERT_TRUE(fiber::sleep(Duration::seconds(1)).ok());
  });
  world.run([&](NodesVisit&) {
    ASSERT_TRUE(fiber::sleep(Duration::seconds(15)).ok());
    EXPECT_EQ(names_in(world, 3, "strays").size(), 1u) << "each start begins the delay anew";
    ASSERT_TRUE(fiber::sleep(Duration::seconds(10)).ok());
    EXPECT_EQ(names_in(world, 3, "strays").size(), 0u);
  });
}

}  // namespace
}  // namespace chronik::broker::testing
