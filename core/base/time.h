// Durations and points in time. Core never asks what time it is: it is told, by the Clock port or by the turn.
//
// MonotonicTime drifts but never steps; every deadline uses it. WallTime may step either way; only record timestamps
// and retention use it (rule S13). The two do not mix.
#pragma once

#include <compare>
#include <cstdint>
#include <limits>

namespace chronik {

// The least or the largest number, where the sum or the product has no place between them.
constexpr std::int64_t saturating_add(std::int64_t a, std::int64_t b) {
  using Limits = std::numeric_limits<std::int64_t>;
  std::int64_t sum = 0;
  return !__builtin_add_overflow(a, b, &sum) ? sum : a < 0 ? Limits::min() : Limits::max();
}
constexpr std::int64_t saturating_subtract(std::int64_t a, std::int64_t b) {
  using Limits = std::numeric_limits<std::int64_t>;
  std::int64_t difference = 0;
  return !__builtin_sub_overflow(a, b, &difference) ? difference : a < 0 ? Limits::min() : Limits::max();
}
constexpr std::int64_t saturating_multiply(std::int64_t a, std::int64_t b) {
  using Limits = std::numeric_limits<std::int64_t>;
  std::int64_t product = 0;
  return !__builtin_mul_overflow(a, b, &product) ? product : (a < 0) != (b < 0) ? Limits::min() : Limits::max();
}

// A span of time in nanoseconds. Arithmetic saturates, upwards at infinite(), downwards as far from zero.
class Duration {
 public:
  constexpr Duration() = default;
  static constexpr Duration nanoseconds(std::int64_t n) { return Duration(n); }
  static constexpr Duration microseconds(std::int64_t n) { return Duration(saturating_multiply(n, 1'000)); }
  static constexpr Duration milliseconds(std::int64_t n) { return Duration(saturating_multiply(n, 1'000'000)); }
  static constexpr Duration seconds(std::int64_t n) { return Duration(saturating_multiply(n, 1'000'000'000)); }
  static constexpr Duration zero() { return Duration(0); }
  static constexpr Duration infinite() { return Duration(std::numeric_limits<std::int64_t>::max()); }

  constexpr std::int64_t nanoseconds() const { return ns_; }
  constexpr std::int64_t microseconds() const { return ns_ / 1'000; }
  constexpr std::int64_t milliseconds() const { return ns_ / 1'000'000; }
  constexpr double seconds() const { return static_cast<double>(ns_) / 1e9; }

  friend constexpr auto operator<=>(Duration, Duration) = default;
  friend constexpr Duration operator+(Duration a, Duration b) { return Duration(saturating_add(a.ns_, b.ns_)); }
  friend constexpr Duration operator-(Duration a, Duration b) { return Duration(saturating_subtract(a.ns_, b.ns_)); }
  friend constexpr Duration operator*(Duration a, std::int64_t n) { return Duration(saturating_multiply(a.ns_, n)); }
  friend constexpr Duration operator/(Duration a, std::int64_t n) { return Duration(a.ns_ / n); }

 private:
  constexpr explicit Duration(std::int64_t ns) : ns_(ns) {}
  std::int64_t ns_ = 0;
};

// A point on the shard's own monotonic clock. Its zero means nothing.
class MonotonicTime {
 public:
  constexpr MonotonicTime() = default;
  static constexpr MonotonicTime from_nanoseconds(std::int64_t ns) { return MonotonicTime(ns); }
  static constexpr MonotonicTime never() { return MonotonicTime(std::numeric_limits<std::int64_t>::max()); }
  constexpr std::int64_t nanoseconds() const { return ns_; }

  friend constexpr auto operator<=>(MonotonicTime, MonotonicTime) = default;
  friend constexpr MonotonicTime operator+(MonotonicTime t, Duration d) {
    return MonotonicTime(saturating_add(t.ns_, d.nanoseconds()));
  }
  friend constexpr Duration operator-(MonotonicTime a, MonotonicTime b) {
    return Duration::nanoseconds(saturating_subtract(a.ns_, b.ns_));
  }

 private:
  constexpr explicit MonotonicTime(std::int64_t ns) : ns_(ns) {}
  std::int64_t ns_ = 0;
};

// Milliseconds since 1970-01-01 UTC, the unit of record timestamps.
class WallTime {
 public:
  constexpr WallTime() = default;
  static constexpr WallTime from_milliseconds(std::int64_t ms) { return WallTime(ms); }
  constexpr std::int64_t milliseconds() const { return ms_; }
  friend constexpr auto operator<=>(WallTime, WallTime) = default;
  // Record timestamps are whatever a client says: one that is given in nanoseconds lies too far ahead for a Duration.
  friend constexpr Duration operator-(WallTime a, WallTime b) {
    return Duration::milliseconds(saturating_subtract(a.ms_, b.ms_));
  }

 private:
  constexpr explicit WallTime(std::int64_t ms) : ms_(ms) {}
  std::int64_t ms_ = 0;
};

}  // namespace chronik
