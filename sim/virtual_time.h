// The time of a simulated world: nanoseconds since its beginning. No node sees it; each has a clock that drifts against
// it.
#pragma once

#include <fmt/core.h>

#include <compare>
#include <cstdint>
#include <limits>
#include <string>

#include "core/base/time.h"

namespace chronik::sim {

class VirtualTime {
 public:
  constexpr VirtualTime() = default;
  static constexpr VirtualTime from_nanoseconds(std::int64_t ns) { return VirtualTime(ns); }
  static constexpr VirtualTime zero() { return VirtualTime(0); }
  static constexpr VirtualTime never() { return VirtualTime(std::numeric_limits<std::int64_t>::max()); }
  constexpr std::int64_t nanoseconds() const { return ns_; }

  friend constexpr auto operator<=>(VirtualTime, VirtualTime) = default;
  friend constexpr VirtualTime operator+(VirtualTime t, Duration d) {
    std::int64_t sum = 0;
    return __builtin_add_overflow(t.ns_, d.nanoseconds(), &sum) ? never() : VirtualTime(sum);
  }
  friend constexpr Duration operator-(VirtualTime a, VirtualTime b) { return Duration::nanoseconds(a.ns_ - b.ns_); }

  std::string to_string() const { return fmt::format("{}.{:09}s", ns_ / 1'000'000'000, ns_ % 1'000'000'000); }

 private:
  constexpr explicit VirtualTime(std::int64_t ns) : ns_(ns) {}
  std::int64_t ns_ = 0;
};

}  // namespace chronik::sim
