#include "runtime/system_clock.h"

#include <time.h>

namespace chronik::runtime {

namespace {
timespec read_clock(clockid_t which) {
  timespec at{};
  ::clock_gettime(which, &at);  // cannot fail for these clocks
  return at;
}
}  // namespace

MonotonicTime SystemClock::read_monotonic() {
  const timespec at = read_clock(CLOCK_MONOTONIC);
  return MonotonicTime::from_nanoseconds(at.tv_sec * 1'000'000'000 + at.tv_nsec);
}

MonotonicTime SystemClock::tick() {
  wall_.reset();
  return monotonic_ = read_monotonic();
}

WallTime SystemClock::wall() const {
  if (!wall_.has_value()) {
    const timespec at = read_clock(CLOCK_REALTIME);
    wall_ = WallTime::from_milliseconds(at.tv_sec * 1'000 + at.tv_nsec / 1'000'000);
  }
  return *wall_;
}

}  // namespace chronik::runtime
