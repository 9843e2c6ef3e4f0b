#include "tests/conformance/clause.h"

namespace chronik::conformance {

void judge(const Clause& clause, const MakeWorld& make_world, std::uint64_t seeds) {
  bool reached = false;
  bool simulated = false;
  for (std::uint64_t seed = 1; seed <= seeds && !reached; ++seed) {
    const std::unique_ptr<ConformanceWorld> world = make_world(seed);
    simulated = world->simulated();
    if (clause.needs.has_value() && !world->can(*clause.needs)) {
      GTEST_SKIP() << "this world cannot do what the clause needs";
    }
    const bool observed = clause.observe(*world);
    switch (clause.mark) {
      case Mark::kAlways: ASSERT_TRUE(observed) << clause.name << ", seed " << seed; break;
      case Mark::kNever: ASSERT_FALSE(observed) << clause.name << ", seed " << seed; break;
      case Mark::kAllowed: reached = observed; break;
    }
  }
  if (clause.mark == Mark::kAllowed && simulated) {
    EXPECT_TRUE(reached) << clause.name << ": the real world may, so the simulated one must within " << seeds
                         << " seeds";
  }
}

}  // namespace chronik::conformance
