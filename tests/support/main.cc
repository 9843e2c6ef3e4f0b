#include <gtest/gtest.h>

#include <cstdlib>

#include "core/base/ambient.h"

// Every test runs as if on shard 0 of a world without log, observer or named points. Properties draw the same cases
// each time, so that a change is judged by itself and not by luck; RC_PARAMS of the caller's own draws others.
int main(int argc, char** argv) {
  ::setenv("RC_PARAMS", "seed=1", 0);
  testing::InitGoogleTest(&argc, argv);
  chronik::ShardContext context{.shard = chronik::ShardId(0), .node = chronik::NodeId(0)};
  chronik::Ambient ambient{.context = &context, .name = "test"};
  const chronik::AmbientGuard guard(ambient);
  return RUN_ALL_TESTS();
}
