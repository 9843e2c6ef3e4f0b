// Clock on the operating system's clocks, read once a turn.
#pragma once

#include <optional>

#include "core/ports/clock.h"

namespace chronik::runtime {

class SystemClock final : public Clock {
 public:
  SystemClock() { tick(); }

  // Begins a turn: reads the monotonic clock. The wall clock is read when it is first asked for in a turn.
  MonotonicTime tick();

  MonotonicTime monotonic() const override { return monotonic_; }
  WallTime wall() const override;

  // Now, whatever the turn: for measuring, never for core.
  static MonotonicTime read_monotonic();

 private:
  MonotonicTime monotonic_;
  mutable std::optional<WallTime> wall_;
};

}  // namespace chronik::runtime
