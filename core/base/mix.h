// Mixing integers into well-spread integers: the base of decisions (rule S10), fiber lineages and fingerprints.
// Deterministic across processes and compilers; not for anything that an attacker must not predict.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/base/slice.h"

namespace chronik {

// The finaliser of splitmix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
constexpr std::uint64_t mix(std::uint64_t n) {
  n += 0x9e3779b97f4a7c15;
  n = (n ^ (n >> 30)) * 0xbf58476d1ce4e5b9;
  n = (n ^ (n >> 27)) * 0x94d049bb133111eb;
  return n ^ (n >> 31);
}
constexpr std::uint64_t mix(std::uint64_t a, std::uint64_t b) { return mix(mix(a) ^ b); }
constexpr std::uint64_t mix(std::uint64_t a, std::uint64_t b, std::uint64_t c) { return mix(mix(a, b) ^ c); }

// FNV-1a, for short names.
constexpr std::uint64_t mix_text(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) {
    hash = (hash ^ static_cast<std::uint8_t>(c)) * 0x100000001b3;
  }
  return mix(hash);
}

// An integer in [0, n) out of 64 random bits; n > 0. (Lemire's multiply-shift; the bias is below 2^-32 for n < 2^32.)
__extension__ using Uint128 = unsigned __int128;
constexpr std::uint64_t below(std::uint64_t bits, std::uint64_t n) {
  return static_cast<std::uint64_t>((static_cast<Uint128>(bits) * n) >> 64);
}

}  // namespace chronik
