// The conformance suite on the real world. What ends processes is judged in process/process_test.cc.
#include "tests/conformance/clause.h"
#include "tests/runtime/real_world.h"

namespace chronik::conformance {

class RealConformance : public testing::TestWithParam<Clause> {};

TEST_P(RealConformance, holds) {
  judge(
      GetParam(), [](std::uint64_t) { return std::make_unique<runtime::RealWorld>(); }, 1);
}

INSTANTIATE_TEST_SUITE_P(disk, RealConformance, testing::ValuesIn(disk_clauses()), clause_name);
INSTANTIATE_TEST_SUITE_P(store, RealConformance, testing::ValuesIn(store_clauses()), clause_name);
INSTANTIATE_TEST_SUITE_P(network, RealConformance, testing::ValuesIn(network_clauses()), clause_name);
INSTANTIATE_TEST_SUITE_P(clock, RealConformance, testing::ValuesIn(clock_clauses()), clause_name);
INSTANTIATE_TEST_SUITE_P(random, RealConformance, testing::ValuesIn(random_clauses()), clause_name);
INSTANTIATE_TEST_SUITE_P(mailbox, RealConformance, testing::ValuesIn(mailbox_clauses()), clause_name);
INSTANTIATE_TEST_SUITE_P(echo, RealConformance, testing::ValuesIn(echo_clauses()), clause_name);

}  // namespace chronik::conformance
