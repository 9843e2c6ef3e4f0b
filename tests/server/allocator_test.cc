#include "server/allocator.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <memory>
#include <thread>
#include <vector>

#if CHRONIK_JEMALLOC
#include <jemalloc/jemalloc.h>
#endif

namespace chronik::server {
namespace {

#if CHRONIK_JEMALLOC

std::size_t resident_bytes() {
  std::size_t all = 0;
  std::size_t resident = 0;
  std::ifstream("/proc/self/statm") >> all >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

TEST(Allocator, WhatIsFreeGoesBackToTheKernelThoughNobodyAllocates) {
  ASSERT_EQ(allocator_text().substr(0, 9), "jemalloc ");
  ssize_t decay_ms = 100;  // by default 10 s
  ASSERT_EQ(::mallctl("arenas.dirty_decay_ms", nullptr, nullptr, &decay_ms, sizeof(decay_ms)), 0);
  ASSERT_EQ(::mallctl("arena.0.dirty_decay_ms", nullptr, nullptr, &decay_ms, sizeof(decay_ms)), 0);
  ASSERT_EQ(::mallctl("arena.0.muzzy_decay_ms", nullptr, nullptr, &decay_ms, sizeof(decay_ms)), 0);
  constexpr std::size_t kBlocks = 100'000;
  constexpr std::size_t kBlockBytes = 512;
  std::vector<std::unique_ptr<char[]>> blocks;
  for (std::size_t i = 0; i < kBlocks; ++i) {
    blocks.push_back(std::make_unique<char[]>(kBlockBytes));
  }
  const std::unique_ptr<char[]> above_them = std::make_unique<char[]>(kBlockBytes);
  const std::size_t full = resident_bytes();
  blocks.clear();
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  const auto given_back = [&] { return resident_bytes() + kBlocks * kBlockBytes / 2 < full; };
  while (!given_back() && std::chrono::steady_clock::now() < until) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  EXPECT_TRUE(given_back());
}

#else

TEST(Allocator, UnderASanitizerItIsNotJemalloc) { EXPECT_EQ(allocator_text(), "the C library's allocator"); }

#endif

}  // namespace
}  // namespace chronik::server
