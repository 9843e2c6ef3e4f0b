// What the tests of the simulated disk share: sizes, the survival that allows everything, draws by seed.
#pragma once

#include <cstdint>

#include "sim/disk_model.h"

namespace chronik::sim {

inline constexpr std::uint64_t kMiB = 1024 * 1024;
inline constexpr Survival kAnything{1, 1, 1};

inline Draws draws_of(std::uint64_t seed) { return Draws(seed, "test", 0); }

}  // namespace chronik::sim
