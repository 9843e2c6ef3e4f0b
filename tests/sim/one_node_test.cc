// What the scenarios of one node draw, and when bit-rot's damage strikes: a run that the node cannot pass judges
// nothing.
#include <vector>

#include "sim/knobs.h"
#include "sim/run.h"
#include "sim/scenario.h"
#include "tests/sim/sim_support.h"

namespace chronik::sim::one_node_test {
namespace {

constexpr std::size_t kLargestAnswer = 1 << 20;               // that the consumer asks for
constexpr Duration kTimeForAnAnswer = Duration::seconds(10);  // that the node gives it
constexpr std::uint16_t kBrokerPort = 99;

// How long the largest answer takes, with nothing broken.
Duration time_of_largest_answer(const NetworkKnobs& knobs) {
  SmallWorld small;
  small.world.network().knobs() = knobs;
  small.world.network().calm();
  Duration taken = Duration::infinite();
  Machine& server = small.machine("server", [](ProcessContext& process) {
    const auto listener = process.ports.network.listen(Address::ipv4(0, 0, 0, 0, kBrokerPort));
    ASSERT_TRUE(listener.ok());
    const auto connection = (*listener)->accept(fiber::for_ever());
    ASSERT_TRUE(connection.ok());
    const Slice answer = Slice::copy_of(std::string(kLargestAnswer, 'a'));
    CHECK_OK((*connection)->write({&answer, 1}, fiber::within(Duration::seconds(600), Expiry::kNormal)));
    CHECK_OK(fiber::sleep(Duration::seconds(600)));
  });
  Machine& client = small.machine("client", [&](ProcessContext& process) {
    const auto connection = process.ports.network.connect(Address::ipv4(10, 0, 0, 1, kBrokerPort), patience());
    ASSERT_TRUE(connection.ok());
    const VirtualTime begun = small.world.now();
    std::vector<std::uint8_t> into(65'536);
    for (std::size_t got = 0; got < kLargestAnswer;) {
      const StatusOr<std::size_t> read =
          (*connection)->read(into, fiber::within(Duration::seconds(600), Expiry::kNormal));
      ASSERT_TRUE(read.ok());
      got += *read;
    }
    taken = small.world.now() - begun;
  });
  server.start();
  small.world.run_for(Duration::milliseconds(1));
  client.start();
  small.world.run_for(Duration::seconds(600));
  return taken;
}

TEST(OneNode, TheLargestAnswerGetsThroughInTheTimeForIt) {
  // The plan whose connections are worst off: a window's bytes each two delays.
  Plan worst;
  std::int64_t least = INT64_MAX;
  for (std::uint64_t seed = 1; seed <= 2000; ++seed) {
    Plan plan = find_scenario("bit-rot")->generate(seed);
    const std::int64_t rate =
        plan.knob("network.receive_buffer", 0) * 1'000'000'000 / (2 * plan.knob("network.delay_ns", 1));
    if (rate < least) {
      least = rate;
      worst = std::move(plan);
    }
  }
  EXPECT_LT(time_of_largest_answer(network_knobs(worst.knobs)), kTimeForAnAnswer) << worst.seed;
}

// The faults of kind "unreadable-block" in a run of bit-rot in which the node is killed at 5 s, to come back at 5.5 s.
std::uint64_t blocks_spoilt_at(Duration when) {
  const Scenario& scenario = *find_scenario("bit-rot");
  Plan plan = scenario.generate(1);
  const auto fault = [](std::uint64_t id, Duration at, const char* kind) {
    return PlanFault{.id = id,
                     .at = VirtualTime::zero() + at,
                     .kind = kind,
                     .target = "node",
                     .other = "-",
                     .numbers = {{"power", 0}}};
  };
  plan.faults = {fault(1, Duration::seconds(5), "settled-death"), fault(2, when, "spoil-while-serving")};
  StackArena stacks;
  const RunResult result = run_plan(scenario, plan, stacks, {.until = VirtualTime::zero() + Duration::seconds(8)});
  EXPECT_TRUE(result.findings.empty());
  EXPECT_EQ(result.faults.at("process kill"), 1u);
  const auto found = result.faults.find("unreadable-block");
  return found == result.faults.end() ? 0 : found->second;
}

TEST(OneNode, DamageSparesWhatADeadNodeHasLeftInDoubt) {
  EXPECT_EQ(blocks_spoilt_at(Duration::milliseconds(5200)), 0u);
  EXPECT_EQ(blocks_spoilt_at(Duration::milliseconds(7000)), 1u);
}

}  // namespace
}  // namespace chronik::sim::one_node_test
