#include <gtest/gtest.h>

#include "core/base/ambient.h"

// Every test runs as if on shard 0 of a world without log, observer or named points.
int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  chronik::ShardContext context{.shard = chronik::ShardId(0), .node = chronik::NodeId(0)};
  chronik::Ambient ambient{.context = &context, .name = "test"};
  const chronik::AmbientGuard guard(ambient);
  return RUN_ALL_TESTS();
}
