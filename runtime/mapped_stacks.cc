#include "runtime/mapped_stacks.h"

#include <sys/mman.h>
#include <unistd.h>

#include "core/base/check.h"

namespace chronik::runtime {

namespace {
std::size_t page_bytes() { return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)); }
}  // namespace

StackMemory MappedStacks::allocate(std::size_t size) {
  const std::size_t page = page_bytes();
  const std::size_t whole = (size + page - 1) / page * page;
  void* base =
      ::mmap(nullptr, whole + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  CHECK(base != MAP_FAILED);
  CHECK_EQ(::mprotect(base, page, PROT_NONE), 0);
  return {static_cast<std::uint8_t*>(base) + page, whole};
}

void MappedStacks::release(StackMemory stack) {
  const std::size_t page = page_bytes();
  CHECK_EQ(::munmap(stack.bottom - page, stack.size + page), 0);
}

}  // namespace chronik::runtime
