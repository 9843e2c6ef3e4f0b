// Numbers that travel get a type each, so that an offset is never taken for an epoch. No implicit conversion either
// way.
#pragma once

#include <fmt/core.h>

#include <compare>
#include <cstdint>
#include <string>

namespace chronik {

// An identifier: compared and printed, never calculated with.
template <typename Tag, typename T>
class StrongId {
 public:
  using value_type = T;
  constexpr StrongId() = default;
  constexpr explicit StrongId(T value) : value_(value) {}
  constexpr T value() const { return value_; }
  // The value that means "none" in Kafka's protocol.
  static constexpr StrongId none() { return StrongId(static_cast<T>(-1)); }
  friend constexpr auto operator<=>(StrongId, StrongId) = default;

 protected:
  T value_ = static_cast<T>(-1);
};

// A position: also differs from its like by a plain count, and moves by one.
template <typename Tag, typename T>
class StrongOrdinal : public StrongId<Tag, T> {
 public:
  using StrongId<Tag, T>::StrongId;
  constexpr StrongOrdinal(StrongId<Tag, T> id) : StrongId<Tag, T>(id) {}  // NOLINT: the same type, one floor below
  static constexpr StrongOrdinal none() { return StrongOrdinal(static_cast<T>(-1)); }
  constexpr StrongOrdinal next() const { return StrongOrdinal(static_cast<T>(this->value_ + 1)); }
  friend constexpr StrongOrdinal operator+(StrongOrdinal a, T n) { return StrongOrdinal(static_cast<T>(a.value_ + n)); }
  friend constexpr StrongOrdinal operator-(StrongOrdinal a, T n) { return StrongOrdinal(static_cast<T>(a.value_ - n)); }
  friend constexpr T operator-(StrongOrdinal a, StrongOrdinal b) { return static_cast<T>(a.value_ - b.value_); }
};

}  // namespace chronik

// Through format_to: a formatter's own format() is defined in fmt/format.h, which costs every file that prints an id.
template <typename Tag, typename T>
struct fmt::formatter<chronik::StrongId<Tag, T>> {
  constexpr auto parse(fmt::format_parse_context& context) { return context.begin(); }
  template <typename Context>
  auto format(chronik::StrongId<Tag, T> id, Context& context) const {
    return fmt::format_to(context.out(), "{}", id.value());
  }
};
template <typename Tag, typename T>
struct fmt::formatter<chronik::StrongOrdinal<Tag, T>> : fmt::formatter<chronik::StrongId<Tag, T>> {};
