// Bytes that are shared, not copied: a reference-counted buffer and slices of it.
//
// Lifetime: a buffer lives as long as any slice of it. The count is not atomic: a buffer has a home shard, and only
// that shard takes or drops references (rule S5; asserted). Helper threads get raw pointers while the home shard keeps
// a slice; another shard gets a copy or a Foreign<T>. Invariant: bytes of a slice are not written to once two slices
// may see them, but for Slice::mutable_data(), whose caller answers for that (a leader rewriting the base offset of a
// batch that nobody else has seen yet).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <utility>

#include "core/base/ambient.h"
#include "core/base/check.h"

namespace chronik {

using ByteSpan = std::span<const std::uint8_t>;
using MutableByteSpan = std::span<std::uint8_t>;

inline ByteSpan as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
inline std::string_view as_text(ByteSpan bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

class Slice {
 public:
  Slice() = default;
  ~Slice() { release(); }
  Slice(const Slice& other) : block_(other.block_), data_(other.data_), size_(other.size_) { retain(); }
  Slice(Slice&& other) noexcept
      : block_(std::exchange(other.block_, nullptr)),
        data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)) {}
  Slice& operator=(Slice other) noexcept {
    std::swap(block_, other.block_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }

  // A fresh buffer of `size` bytes, not initialised.
  static Slice allocate(std::size_t size);
  static Slice copy_of(ByteSpan bytes);
  static Slice copy_of(std::string_view text) { return copy_of(as_bytes(text)); }
  // Bytes that live for ever, such as a literal. Not counted.
  static Slice of_static(ByteSpan bytes) {
    Slice slice;
    slice.data_ = const_cast<std::uint8_t*>(bytes.data());  // NOLINT: never written, mutable_data() checks for a block
    slice.size_ = bytes.size();
    return slice;
  }

  const std::uint8_t* data() const { return data_; }
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  ByteSpan bytes() const { return {data_, size_}; }
  std::string_view text() const { return as_text(bytes()); }
  std::uint8_t operator[](std::size_t i) const {
    CHECK_LT(i, size_);
    return data_[i];
  }

  // The same bytes, writable. Whoever calls answers for nobody else looking at them.
  std::uint8_t* mutable_data() const {
    CHECK(block_ != nullptr || size_ == 0);
    return data_;
  }
  MutableByteSpan mutable_bytes() const { return {mutable_data(), size_}; }

  // A part of this slice. offset + size must lie within it.
  Slice sub(std::size_t offset, std::size_t size) const {
    CHECK_LE(offset, size_);
    CHECK_LE(size, size_ - offset);
    Slice part(*this);
    part.data_ += offset;
    part.size_ = size;
    return part;
  }
  Slice from(std::size_t offset) const { return sub(offset, size_ - offset); }

  // How many bytes of memory the slice keeps alive, at least its own size.
  std::size_t held_bytes() const { return block_ == nullptr ? 0 : block_->capacity; }

  friend bool operator==(const Slice& a, const Slice& b) {
    return a.size_ == b.size_ && (a.size_ == 0 || std::memcmp(a.data_, b.data_, a.size_) == 0);
  }

 private:
  struct Block {
    std::size_t capacity;
    std::uint32_t references;
    ShardId home;
  };

  void retain() const {
    if (block_ != nullptr) {
      CHECK_EQ(block_->home, current_shard());
      ++block_->references;
    }
  }
  void release() {
    if (block_ != nullptr) {
      CHECK_EQ(block_->home, current_shard());
      if (--block_->references == 0) {
        free_block(block_);
      }
    }
  }
  static void free_block(Block* block);

  Block* block_ = nullptr;
  std::uint8_t* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace chronik
