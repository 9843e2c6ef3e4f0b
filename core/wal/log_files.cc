#include "core/wal/log_files.h"

#include <fmt/core.h>

#include <algorithm>

namespace chronik::wal {

namespace {
constexpr std::string_view kPrefix = "slot-";
constexpr std::string_view kSuffix = ".wal";
constexpr std::size_t kDigits = 6;
}  // namespace

std::string slot_path(std::string_view directory, std::uint32_t number) {
  return fmt::format("{}/{}{:06}{}", directory, kPrefix, number, kSuffix);
}

bool parse_slot_name(std::string_view name, std::uint32_t& number) {
  if (name.size() != kPrefix.size() + kDigits + kSuffix.size() || !name.starts_with(kPrefix) ||
      !name.ends_with(kSuffix)) {
    return false;
  }
  number = 0;
  for (const char digit : name.substr(kPrefix.size(), kDigits)) {
    if (digit < '0' || digit > '9') {
      return false;
    }
    number = number * 10 + static_cast<std::uint32_t>(digit - '0');
  }
  return true;
}

}  // namespace chronik::wal
