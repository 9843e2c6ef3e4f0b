// CHECK: an assertion that stays on in every build.
//
// A failed CHECK means the program is wrong, never that its input is: bad input is answered with an error. It prints
// the expression, both operands and (in a simulation) the line that replays the run, then aborts.
#pragma once

#include <fmt/core.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

namespace chronik {

// Prints the failure with the context of the current shard and aborts. `operands` may be empty.
[[noreturn]] void check_failed(const char* file, int line, const char* expression, std::string_view operands);

namespace check_detail {

template <typename T>
std::string printable(const T& value) {
  if constexpr (std::is_enum_v<T>) {
    return fmt::format("{}", static_cast<std::int64_t>(value));
  } else if constexpr (
      requires { value.value(); } && requires { fmt::format("{}", value.value()); }) {
    return fmt::format("{}", value.value());
  } else if constexpr (std::is_same_v<T, std::nullptr_t>) {
    return "nullptr";
  } else if constexpr (std::is_pointer_v<T> && !std::is_convertible_v<T, const char*>) {
    return value == nullptr ? "nullptr" : "non-null";  // an address would differ between runs
  } else if constexpr (fmt::is_formattable<T>::value) {
    return fmt::format("{}", value);
  } else {
    return "?";
  }
}

template <typename A, typename B>
[[noreturn]] void compare_failed(const char* file, int line, const char* expression, const A& a, const B& b) {
  check_failed(file, line, expression, fmt::format("{} vs {}", printable(a), printable(b)));
}

}  // namespace check_detail

#define CHECK(condition)                                                        \
  do {                                                                          \
    if (!(condition)) [[unlikely]] {                                            \
      ::chronik::check_failed(__FILE__, __LINE__, "CHECK(" #condition ")", {}); \
    }                                                                           \
  } while (false)

#define CHRONIK_CHECK_OP(op, a, b)                                                                                 \
  do {                                                                                                             \
    const auto& chronik_check_a = (a);                                                                             \
    const auto& chronik_check_b = (b);                                                                             \
    if (!(chronik_check_a op chronik_check_b)) [[unlikely]] {                                                      \
      ::chronik::check_detail::compare_failed(__FILE__, __LINE__, "CHECK(" #a " " #op " " #b ")", chronik_check_a, \
                                              chronik_check_b);                                                    \
    }                                                                                                              \
  } while (false)

#define CHECK_EQ(a, b) CHRONIK_CHECK_OP(==, a, b)
#define CHECK_NE(a, b) CHRONIK_CHECK_OP(!=, a, b)
#define CHECK_LT(a, b) CHRONIK_CHECK_OP(<, a, b)
#define CHECK_LE(a, b) CHRONIK_CHECK_OP(<=, a, b)
#define CHECK_GT(a, b) CHRONIK_CHECK_OP(>, a, b)
#define CHECK_GE(a, b) CHRONIK_CHECK_OP(>=, a, b)

// For a switch that must be exhaustive and the like.
#define UNREACHABLE(what) ::chronik::check_failed(__FILE__, __LINE__, "UNREACHABLE", what)

}  // namespace chronik
