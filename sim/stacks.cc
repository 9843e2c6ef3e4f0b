#include "sim/stacks.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

#include "core/base/check.h"

namespace chronik::sim {

namespace {
std::size_t page_bytes() {
  static const std::size_t kPage = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return kPage;
}
// A frame larger than a page can jump over one: sixteen.
std::size_t guard_bytes() { return 16 * page_bytes(); }
}  // namespace

StackArena::~StackArena() {
  for (const auto& [size, stacks] : idle_) {
    for (const StackMemory& stack : stacks) {
      CHECK_EQ(munmap(stack.bottom - guard_bytes(), stack.size + guard_bytes()), 0);
    }
  }
}

StackMemory StackArena::allocate(std::size_t size) {
  size = (size + page_bytes() - 1) / page_bytes() * page_bytes();
  std::vector<StackMemory>& idle = idle_[size];
  StackMemory stack;
  if (idle.empty()) {
    void* mapped =
        mmap(nullptr, size + guard_bytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(mapped != MAP_FAILED);
    CHECK_EQ(mprotect(mapped, guard_bytes(), PROT_NONE), 0);
    stack = {static_cast<std::uint8_t*>(mapped) + guard_bytes(), size};
  } else {
    stack = idle.back();
    idle.pop_back();
  }
  if (filling_) {
    std::memset(stack.bottom, fill_, stack.size);
  }
  return stack;
}

void StackArena::release(StackMemory stack) { idle_[stack.size].push_back(stack); }

}  // namespace chronik::sim
