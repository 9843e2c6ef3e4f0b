// The conformance suite on the simulated world, some seeds of it.
#include "tests/conformance/clause.h"
#include "tests/sim/simulated_world.h"

namespace chronik::conformance::conformance_test {

class SimulatedConformance : public testing::TestWithParam<Clause> {};

TEST_P(SimulatedConformance, holds) {
  judge(
      GetParam(), [](std::uint64_t seed) { return std::make_unique<sim::SimulatedWorld>(seed); }, 12);
}

INSTANTIATE_TEST_SUITE_P(network, SimulatedConformance, testing::ValuesIn(network_clauses()), clause_name);
INSTANTIATE_TEST_SUITE_P(clock, SimulatedConformance, testing::ValuesIn(clock_clauses()), clause_name);
INSTANTIATE_TEST_SUITE_P(random, SimulatedConformance, testing::ValuesIn(random_clauses()), clause_name);
INSTANTIATE_TEST_SUITE_P(mailbox, SimulatedConformance, testing::ValuesIn(mailbox_clauses()), clause_name);

}  // namespace chronik::conformance::conformance_test
