// How C++ types appear on Kafka's wire: the one classification that reader, writer and the other operators share.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include "core/base/endian.h"
#include "core/base/slice.h"
#include "core/base/uuid.h"

namespace chronik::protocol {

template <typename T>
concept StrongIdType = requires {
  typename T::value_type;
  { T::none() } -> std::same_as<T>;
};

// One big-endian integer, or what is sent as one.
template <typename T>
concept NumberType = std::is_integral_v<T> || std::is_enum_v<T> || StrongIdType<T>;

template <typename T>
concept ArrayType = !std::is_same_v<T, std::string> && requires(T & t) {
  typename T::value_type;
  t.emplace_back();
  t.reserve(1);
};

template <typename T>
concept StructType = std::is_class_v<T> && !NumberType<T> && !ArrayType<T> && !std::is_same_v<T, std::string> &&
                     !std::is_same_v<T, Slice> && !std::is_same_v<T, Uuid>;

template <typename T>
struct NumberOf {
  using type = T;
};
template <typename T>
requires std::is_enum_v<T>
struct NumberOf<T> {
  using type = std::underlying_type_t<T>;
};
template <>
struct NumberOf<bool> {
  using type = std::int8_t;
};
template <StrongIdType T>
struct NumberOf<T> {
  using type = typename T::value_type;
};
// The integer that stands for T on the wire.
template <NumberType T>
using Number = typename NumberOf<T>::type;

template <NumberType T>
constexpr Number<T> to_number(T value) {
  if constexpr (StrongIdType<T>) {
    return value.value();
  } else {
    return static_cast<Number<T>>(value);
  }
}
template <NumberType T>
constexpr T from_number(Number<T> number) {
  if constexpr (std::is_same_v<T, bool>) {
    return number != 0;
  } else {
    return static_cast<T>(number);
  }
}

// Kafka's limit for every string, compact or not.
inline constexpr std::size_t kStringBytesMax = std::numeric_limits<std::int16_t>::max();

inline std::string_view sendable(std::string_view text) { return text.substr(0, kStringBytesMax); }

// What stands in an array's place where a version has but one element: the first, or one with all defaults.
template <ArrayType A>
void visit_sole(const A& array, auto visit) {
  if (array.empty()) {
    visit(typename A::value_type{});
  } else {
    visit(array.front());
  }
}

// The least that one element takes on the wire: what a count is checked against before anything is reserved.
template <typename T>
constexpr std::size_t element_bytes_min() {
  if constexpr (NumberType<T>) {
    return sizeof(Number<T>);
  } else if constexpr (std::is_same_v<T, Uuid>) {
    return 16;
  } else if constexpr (std::is_same_v<T, double>) {
    return 8;
  } else {
    return 1;
  }
}

}  // namespace chronik::protocol
