#include "server/heap.h"

#include <gtest/gtest.h>
#include <malloc.h>
#include <unistd.h>

#include <ctime>
#include <fstream>
#include <memory>
#include <vector>

#include "tests/support/fiber_world.h"

namespace chronik::server {
namespace {

std::size_t resident_bytes() {
  std::size_t all = 0;
  std::size_t resident = 0;
  std::ifstream("/proc/self/statm") >> all >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

void work_for(double seconds) {
  const std::clock_t until = std::clock() + static_cast<std::clock_t>(seconds * CLOCKS_PER_SEC);
  while (std::clock() < until) {
  }
}

TEST(Heap, WhatIsFreeIsGivenBackOnceTheProcessRests) {
  constexpr std::size_t kBlocks = 100'000;
  constexpr std::size_t kBlockBytes = 512;
  keep_freed_memory();
  testing::FiberWorld world;
  world.spawn("heap", [] { give_back_at_rest(); });
  world.run_for(Duration::seconds(1));
  std::vector<std::unique_ptr<char[]>> blocks;
  for (std::size_t i = 0; i < kBlocks; ++i) {
    blocks.push_back(std::make_unique<char[]>(kBlockBytes));
  }
  const std::unique_ptr<char[]> above_them = std::make_unique<char[]>(kBlockBytes);
  const std::size_t full = resident_bytes();
  blocks.clear();
  if (::mallinfo2().fordblks < kBlocks * kBlockBytes) {
    world.scheduler.kill_all();
    GTEST_SKIP() << "not the C library's allocator";
  }
  work_for(0.5);
  world.run_for(Duration::seconds(11));
  EXPECT_GT(resident_bytes() + kBlocks * kBlockBytes / 2, full) << "given back amid work";
  world.run_for(Duration::seconds(10));
  EXPECT_LT(resident_bytes() + kBlocks * kBlockBytes / 2, full);
  world.scheduler.kill_all();
}

}  // namespace
}  // namespace chronik::server
