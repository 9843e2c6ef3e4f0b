#include "server/values.h"

#include <arpa/inet.h>
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <utility>
#include <vector>

namespace chronik::server {

namespace {

Status must_be(std::string_view what) { return absl::InvalidArgumentError(fmt::format("must be {}", what)); }

// The number at the start of `text`, which is left behind it.
std::optional<std::uint64_t> take_number(std::string_view& text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) {
    return std::nullopt;
  }
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return number;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return out;
}

template <typename Unit, std::size_t n>
std::optional<Unit> find_unit(const std::array<std::pair<std::string_view, Unit>, n>& units, std::string_view name) {
  for (const auto& [known, unit] : units) {
    if (known == name) {
      return unit;
    }
  }
  return std::nullopt;
}

}  // namespace

std::string HostPort::to_string() const {
  const std::string shown = host.find(':') == std::string::npos ? host : "[" + host + "]";
  return port.has_value() ? fmt::format("{}:{}", shown, *port) : shown;
}

bool HostPort::is_loopback() const {
  in_addr four{};
  in6_addr six{};
  if (::inet_pton(AF_INET, host.c_str(), &four) == 1) {
    return ntohl(four.s_addr) >> 24 == 127;
  }
  if (::inet_pton(AF_INET6, host.c_str(), &six) == 1) {
    return IN6_IS_ADDR_LOOPBACK(&six);
  }
  return host == "localhost";
}

StatusOr<HostPort> parse_host_port(std::string_view text) {
  const Status wrong = must_be("HOST or HOST:PORT, such as 127.0.0.1:9092, localhost or [::1]:9092");
  HostPort out;
  std::string_view rest;
  if (text.starts_with('[')) {
    const std::size_t end = text.find(']');
    if (end == std::string_view::npos) {
      return wrong;
    }
    out.host = text.substr(1, end - 1);
    rest = text.substr(end + 1);
  } else if (std::count(text.begin(), text.end(), ':') > 1) {
    out.host = text;
  } else {
    const std::size_t colon = std::min(text.find(':'), text.size());
    out.host = text.substr(0, colon);
    rest = text.substr(colon);
  }
  if (out.host.empty() || out.host.find_first_of(" \t/,") != std::string::npos) {
    return wrong;
  }
  if (!rest.empty()) {
    rest.remove_prefix(1);
    const StatusOr<std::int64_t> port = parse_whole_number(rest, 0, 65535);
    if (!port.ok()) {
      return must_be("HOST:PORT with a port from 0 (any that is free) to 65535");
    }
    out.port = static_cast<std::uint16_t>(*port);
  }
  return out;
}

StatusOr<std::int64_t> parse_whole_number(std::string_view text, std::int64_t min, std::int64_t max) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < min || number > max) {
    return must_be(max == std::numeric_limits<std::int64_t>::max()
                       ? fmt::format("a whole number, at least {}", min)
                       : fmt::format("a whole number from {} to {}", min, max));
  }
  return number;
}

StatusOr<std::uint64_t> parse_size(std::string_view text) {
  static constexpr std::array<std::pair<std::string_view, std::uint64_t>, 8> kUnits{{{"", 1},
                                                                                     {"b", 1},
                                                                                     {"kb", 1'000},
                                                                                     {"mb", 1'000'000},
                                                                                     {"gb", 1'000'000'000},
                                                                                     {"kib", 1 << 10},
                                                                                     {"mib", 1 << 20},
                                                                                     {"gib", 1 << 30}}};
  const std::optional<std::uint64_t> number = take_number(text);
  const std::optional<std::uint64_t> unit = find_unit(kUnits, lower(text));
  std::uint64_t bytes = 0;
  if (!number.has_value() || !unit.has_value() || __builtin_mul_overflow(*number, *unit, &bytes)) {
    return must_be("a size such as 250MB, 64MiB or 1048576");
  }
  return bytes;
}

StatusOr<Duration> parse_duration(std::string_view text) {
  static constexpr std::array<std::pair<std::string_view, std::int64_t>, 4> kMilliseconds{
      {{"ms", 1}, {"s", 1'000}, {"m", 60'000}, {"h", 3'600'000}}};
  constexpr std::uint64_t kMost = std::uint64_t{1} << 40;
  const std::optional<std::uint64_t> number = take_number(text);
  if (number == 0 && text.empty()) {
    return Duration::zero();
  }
  const std::optional<std::int64_t> unit = find_unit(kMilliseconds, text);
  if (!number.has_value() || *number > kMost || !unit.has_value()) {
    return must_be("a time such as 500ms, 30s, 5m or 2h");
  }
  return Duration::milliseconds(*unit) * static_cast<std::int64_t>(*number);
}

StatusOr<LogLevel> parse_log_level(std::string_view text) {
  static constexpr std::array<std::pair<std::string_view, LogLevel>, 5> kLevels{{{"trace", LogLevel::kTrace},
                                                                                 {"debug", LogLevel::kDebug},
                                                                                 {"info", LogLevel::kInfo},
                                                                                 {"warn", LogLevel::kWarn},
                                                                                 {"error", LogLevel::kError}}};
  const std::optional<LogLevel> level = find_unit(kLevels, lower(text));
  if (!level.has_value()) {
    return must_be("trace, debug, info, warn or error");
  }
  return *level;
}

StatusOr<bool> parse_switch(std::string_view text) {
  const std::string word = lower(text);
  if (word == "on" || word == "true") {
    return true;
  }
  return word == "off" || word == "false" ? StatusOr<bool>(false) : must_be("on or off, true or false");
}

bool looks_like(std::string_view a, std::string_view b) {
  // Levenshtein's distance, one row at a time.
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) {
    row[j] = j;
  }
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back() <= std::max<std::size_t>(1, std::min(a.size(), b.size()) / 4);
}

}  // namespace chronik::server
