// Bytes in, bytes out, in order: a socket's buffer.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "core/base/slice.h"

namespace chronik::sim {

class ByteQueue {
 public:
  std::size_t size() const { return bytes_.size() - head_; }
  bool empty() const { return size() == 0; }
  void push(ByteSpan bytes) { bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()); }
  // Moves up to into.size() bytes out; returns how many.
  std::size_t pop(MutableByteSpan into) {
    const std::size_t n = std::min(into.size(), size());
    if (n > 0) {
      std::memcpy(into.data(), bytes_.data() + head_, n);
    }
    head_ += n;
    if (head_ == bytes_.size()) {
      bytes_.clear();
      head_ = 0;
    } else if (head_ > 64 * 1024 && head_ > bytes_.size() / 2) {
      bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(head_));
      head_ = 0;
    }
    return n;
  }
  void clear() {
    bytes_.clear();
    head_ = 0;
  }

 private:
  std::vector<std::uint8_t> bytes_;
  std::size_t head_ = 0;
};

}  // namespace chronik::sim
