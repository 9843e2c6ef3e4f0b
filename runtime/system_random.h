// Random from the operating system's entropy, fetched a buffer at a time.
#pragma once

#include <array>
#include <cstddef>

#include "core/ports/random.h"

namespace chronik::runtime {

class SystemRandom final : public Random {
 public:
  std::uint64_t next() override;

 private:
  void refill();

  std::array<std::uint64_t, 32> buffer_{};
  std::size_t left_ = 0;
};

}  // namespace chronik::runtime
