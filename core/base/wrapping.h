// Signed arithmetic that wraps: for sums of numbers that came from outside, where an overflow must be a wrong number
// that a check refuses, not undefined behaviour.
#pragma once

#include <cstdint>

namespace chronik {

constexpr std::int64_t wrapping_add(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
}
constexpr std::int64_t wrapping_subtract(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) - static_cast<std::uint64_t>(b));
}

}  // namespace chronik
