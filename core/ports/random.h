// Port: numbers that nobody predicts (production) or that a seed determines (simulation).
#pragma once

#include <cstdint>

namespace chronik {

class Random {
 public:
  virtual ~Random() = default;
  // 64 uniform bits. Does not suspend, does not fail.
  virtual std::uint64_t next() = 0;
};

}  // namespace chronik
