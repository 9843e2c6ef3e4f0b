#include "core/base/slice.h"

#include <cstdlib>
#include <new>

namespace chronik {

namespace {
void count_buffers(std::int64_t buffers, std::size_t bytes) {
  Ambient* now = ambient();
  if (now != nullptr && now->context != nullptr) {
    now->context->live_buffers += buffers;
    now->context->live_buffer_bytes += buffers * static_cast<std::int64_t>(bytes);
  }
}
}  // namespace

Slice Slice::allocate(std::size_t size) {
  void* memory = std::malloc(sizeof(Block) + size);
  CHECK(memory != nullptr);
  Slice slice;
  slice.block_ = new (memory) Block{size, 1, current_shard()};
  slice.data_ = reinterpret_cast<std::uint8_t*>(slice.block_ + 1);
  slice.size_ = size;
  count_buffers(1, size);
  return slice;
}

Slice Slice::copy_of(ByteSpan bytes) {
  Slice slice = allocate(bytes.size());
  if (!bytes.empty()) {
    std::memcpy(slice.data_, bytes.data(), bytes.size());
  }
  return slice;
}

void Slice::free_block(Block* block) {
  count_buffers(-1, block->capacity);
  std::free(block);
}

}  // namespace chronik
