// A 128-bit identifier, as Kafka's topic ids, directory ids and incarnation ids.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>

namespace chronik {

struct Uuid {
  std::array<std::uint8_t, 16> bytes{};

  constexpr bool is_zero() const {
    for (const std::uint8_t byte : bytes) {
      if (byte != 0) {
        return false;
      }
    }
    return true;
  }
  // A version 4 (random) UUID out of 128 random bits.
  static Uuid from_random(std::uint64_t high, std::uint64_t low);
  // 22 characters of URL-safe base64 without padding, as Kafka prints them.
  std::string to_string() const;
  friend constexpr auto operator<=>(const Uuid&, const Uuid&) = default;
};

// Ids of topics, data directories and clusters are all UUIDs; the alias says which is meant.
using TopicId = Uuid;
using DirectoryId = Uuid;

}  // namespace chronik
