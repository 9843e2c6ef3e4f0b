#include "core/protocol/message.h"

namespace chronik::protocol {

Slice Frame::flat() const {
  if (parts.size() == 1) {
    return parts.front();
  }
  Slice whole = Slice::allocate(size);
  std::size_t at = 0;
  for (const Slice& part : parts) {
    CHECK_LE(part.size(), size - at);
    std::memcpy(whole.mutable_data() + at, part.data(), part.size());
    at += part.size();
  }
  CHECK_EQ(at, size);
  return whole;
}

}  // namespace chronik::protocol
