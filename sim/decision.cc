#include "sim/decision.h"

#include <algorithm>
#include <bit>

namespace chronik::sim {

std::size_t Draws::pick(std::span<const std::uint32_t> weights) {
  std::uint64_t total = 0;
  for (const std::uint32_t weight : weights) {
    total += weight;
  }
  CHECK_GT(total, std::uint64_t{0});
  std::uint64_t drawn = below(total);
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (drawn < weights[i]) {
      return i;
    }
    drawn -= weights[i];
  }
  UNREACHABLE("a pick beyond the sum of the weights");
}

std::int64_t Draws::magnitude(std::int64_t low, std::int64_t high) {
  CHECK_GE(low, std::int64_t{1});
  CHECK_LE(low, high);
  const std::int64_t least = 63 - std::countl_zero(static_cast<std::uint64_t>(low));
  const std::int64_t most = 63 - std::countl_zero(static_cast<std::uint64_t>(high));
  const std::int64_t power = between(least, most);
  const std::int64_t bottom = std::int64_t{1} << power;
  const std::int64_t top = power >= 62 ? high : (std::int64_t{1} << (power + 1)) - 1;
  return between(std::max(low, bottom), std::min(high, top));
}

Duration Draws::heavy_tailed(Duration typical, Duration most) {
  const std::int64_t usual = std::max<std::int64_t>(typical.nanoseconds(), 2);
  const std::uint64_t kind = below(1000);
  std::int64_t drawn = 0;
  if (kind < 2 && most > typical) {
    drawn = magnitude(usual, std::max(usual, most.nanoseconds()));
  } else if (kind < 50) {
    drawn = between(usual, usual * 8);
  } else {
    drawn = between(usual / 2, usual * 2);
  }
  return Duration::nanoseconds(std::min(drawn, most.nanoseconds()));
}

}  // namespace chronik::sim
