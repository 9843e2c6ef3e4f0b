// SipHash-2-4 with 128 bits (Aumasson, Bernstein: "SipHash: a fast short-input PRF", 2012).
//
// For tables that know keys by their hash alone: without `HashKey` nobody finds two inputs of one hash, so 128 bits are
// as good as the input itself. The same everywhere for the same key.
#pragma once

#include <cstdint>

#include "core/base/slice.h"

namespace chronik {

struct HashKey {
  std::uint64_t first = 0;
  std::uint64_t second = 0;
};

struct Hash128 {
  std::uint64_t first = 0;
  std::uint64_t second = 0;
  friend bool operator==(const Hash128&, const Hash128&) = default;
};

Hash128 keyed_hash(const HashKey& key, ByteSpan bytes);

}  // namespace chronik
