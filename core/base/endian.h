// Integers in bytes: big-endian as Kafka sends them, little-endian as our own files hold them.
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace chronik {

template <std::integral T>
constexpr T swap_bytes(T value) {
  using U = std::make_unsigned_t<T>;
  if constexpr (sizeof(T) == 1) {
    return value;
  } else if constexpr (sizeof(T) == 2) {
    return static_cast<T>(__builtin_bswap16(static_cast<U>(value)));
  } else if constexpr (sizeof(T) == 4) {
    return static_cast<T>(__builtin_bswap32(static_cast<U>(value)));
  } else {
    return static_cast<T>(__builtin_bswap64(static_cast<U>(value)));
  }
}

static_assert(std::endian::native == std::endian::little, "written for little-endian machines");

template <std::integral T>
T load_big(const std::uint8_t* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return swap_bytes(value);
}
template <std::integral T>
void store_big(std::uint8_t* to, T value) {
  value = swap_bytes(value);
  std::memcpy(to, &value, sizeof value);
}
template <std::integral T>
T load_little(const std::uint8_t* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}
template <std::integral T>
void store_little(std::uint8_t* to, T value) {
  std::memcpy(to, &value, sizeof value);
}

}  // namespace chronik
