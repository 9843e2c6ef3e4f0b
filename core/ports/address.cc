#include <fmt/core.h>

#include <algorithm>

#include "core/base/mix.h"
#include "core/ports/network.h"

namespace chronik {

namespace {
constexpr std::array<std::uint8_t, 12> kMappedPrefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
}  // namespace

Address Address::ipv4(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d, std::uint16_t port) {
  Address address;
  std::copy(kMappedPrefix.begin(), kMappedPrefix.end(), address.ip.begin());
  address.ip[12] = a;
  address.ip[13] = b;
  address.ip[14] = c;
  address.ip[15] = d;
  address.port = port;
  return address;
}

bool Address::is_ipv4() const { return std::equal(kMappedPrefix.begin(), kMappedPrefix.end(), ip.begin()); }

bool Address::is_loopback() const {
  if (is_ipv4()) {
    return ip[12] == 127;
  }
  for (std::size_t i = 0; i < 15; ++i) {
    if (ip[i] != 0) {
      return false;
    }
  }
  return ip[15] == 1;
}

std::string Address::host() const {
  if (is_ipv4()) {
    return fmt::format("{}.{}.{}.{}", ip[12], ip[13], ip[14], ip[15]);
  }
  std::string text;
  for (std::size_t i = 0; i < 16; i += 2) {
    text += fmt::format("{}{:x}", i == 0 ? "" : ":", static_cast<unsigned>(ip[i]) << 8 | ip[i + 1]);
  }
  return text;
}

std::string Address::to_string() const {
  return is_ipv4() ? fmt::format("{}:{}", host(), port) : fmt::format("[{}]:{}", host(), port);
}

std::uint64_t Address::key() const {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  for (std::size_t i = 0; i < 8; ++i) {
    high = high << 8 | ip[i];
    low = low << 8 | ip[8 + i];
  }
  return mix(high, low, port);
}

}  // namespace chronik
