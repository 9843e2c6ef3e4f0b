// Variable-length integers: 7 bits a byte, low bits first, high bit set on all but the last byte.
//
// Kafka uses them unsigned (compact lengths, tags) and zig-zag (fields of a record).
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/base/slice.h"

namespace chronik {

inline constexpr std::size_t kVarint32BytesMax = 5;
inline constexpr std::size_t kVarint64BytesMax = 10;

constexpr std::uint32_t zigzag_encode(std::int32_t n) {
  return (static_cast<std::uint32_t>(n) << 1) ^ static_cast<std::uint32_t>(n >> 31);
}
constexpr std::int32_t zigzag_decode(std::uint32_t n) {
  return static_cast<std::int32_t>(n >> 1) ^ -static_cast<std::int32_t>(n & 1);
}
constexpr std::uint64_t zigzag_encode(std::int64_t n) {
  return (static_cast<std::uint64_t>(n) << 1) ^ static_cast<std::uint64_t>(n >> 63);
}
constexpr std::int64_t zigzag_decode(std::uint64_t n) {
  return static_cast<std::int64_t>(n >> 1) ^ -static_cast<std::int64_t>(n & 1);
}

constexpr std::size_t varint_size(std::uint64_t n) {
  std::size_t size = 1;
  while (n >= 0x80) {
    n >>= 7;
    ++size;
  }
  return size;
}

// Writes n at `to`, which has room for kVarint64BytesMax, and returns the bytes used.
inline std::size_t varint_write(std::uint8_t* to, std::uint64_t n) {
  std::size_t size = 0;
  while (n >= 0x80) {
    to[size++] = static_cast<std::uint8_t>(n | 0x80);
    n >>= 7;
  }
  to[size++] = static_cast<std::uint8_t>(n);
  return size;
}

// Reads a varint of at most `bits` (32 or 64) bits at the start of `from`. Returns the bytes used; 0 where the input
// ends too early or the number has more bits.
template <int bits>
std::size_t varint_read(ByteSpan from, std::uint64_t& n) {
  static_assert(bits == 32 || bits == 64);
  constexpr std::size_t kBytesMax = bits == 32 ? kVarint32BytesMax : kVarint64BytesMax;
  constexpr std::uint8_t kLastByteMax = bits == 32 ? 0x0f : 0x01;
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < kBytesMax && i < from.size(); ++i) {
    const std::uint8_t byte = from[i];
    if (i + 1 == kBytesMax && byte > kLastByteMax) {
      return 0;
    }
    value |= static_cast<std::uint64_t>(byte & 0x7f) << (7 * i);
    if ((byte & 0x80) == 0) {
      n = value;
      return i + 1;
    }
  }
  return 0;
}

}  // namespace chronik
