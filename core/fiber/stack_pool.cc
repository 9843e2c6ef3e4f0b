#include "core/fiber/stack_pool.h"

#include <algorithm>
#include <cstring>

#include "core/base/check.h"
#include "core/fiber/context.h"

namespace chronik::fiber {

namespace {
constexpr std::uint8_t kPaint = 0xa5;
}  // namespace

StackPool::~StackPool() {
  CHECK_EQ(taken_, std::size_t{0});
  for (const StackMemory& stack : idle_) {
    source_.release(stack);
  }
}

StackMemory StackPool::take() {
  ++taken_;
  StackMemory stack;
  if (idle_.empty()) {
    stack = source_.allocate(options_.stack_bytes * stack_scale());
  } else {
    stack = idle_.back();
    idle_.pop_back();
  }
  if (options_.measure) {
    std::memset(stack.bottom, kPaint, stack.size);
  }
  return stack;
}

void StackPool::give_back(StackMemory stack) {
  CHECK_GT(taken_, std::size_t{0});
  --taken_;
  forget_frames(stack.bottom, stack.size);
  if (options_.measure) {
    const std::uint8_t* deepest =
        std::find_if(stack.bottom, stack.top(), [](std::uint8_t byte) { return byte != kPaint; });
    high_water_bytes_ = std::max(high_water_bytes_, static_cast<std::size_t>(stack.top() - deepest));
  }
  if (idle_.size() < options_.idle_max) {
    idle_.push_back(stack);
  } else {
    source_.release(stack);
  }
}

}  // namespace chronik::fiber
