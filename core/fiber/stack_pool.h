// Stacks for fibers: taken from a StackSource once, then used again and again.
//
// Why a pool: mapping and protecting a stack costs microseconds, taking one from the pool nanoseconds. In measuring
// mode a stack is painted before use and read afterwards, so that the deepest use is known.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/ports/process.h"

namespace chronik::fiber {

struct StackPoolOptions {
  std::size_t stack_bytes = 128 * 1024;  // times stack_scale() under a sanitizer
  std::size_t idle_max = 4096;           // stacks kept for reuse; more are given back
  bool measure = false;                  // paint and read: costs microseconds a fiber
};

class StackPool {
 public:
  StackPool(StackSource& source, const StackPoolOptions& options) : source_(source), options_(options) {}
  ~StackPool();
  StackPool(const StackPool&) = delete;
  StackPool& operator=(const StackPool&) = delete;

  StackMemory take();
  void give_back(StackMemory stack);

  std::size_t taken() const { return taken_; }
  // The most bytes any stack has used, in measuring mode; else 0.
  std::size_t high_water_bytes() const { return high_water_bytes_; }

 private:
  StackSource& source_;
  StackPoolOptions options_;
  std::vector<StackMemory> idle_;
  std::size_t taken_ = 0;
  std::size_t high_water_bytes_ = 0;
};

}  // namespace chronik::fiber
