// Texts of settings and what they mean. An error says what would be right, beginning with "must be"; whoever asks adds
// the name and the value.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/log_line.h"
#include "core/base/status.h"
#include "core/base/time.h"

namespace chronik::server {

struct HostPort {
  std::string host;  // a name, an IPv4 address, or an IPv6 address without brackets
  std::optional<std::uint16_t> port = {};

  std::string to_string() const;  // "localhost:9092", "[::1]:9092"
  bool is_loopback() const;       // by its text: a name other than localhost is not looked up
  friend bool operator==(const HostPort&, const HostPort&) = default;
};

// "localhost", "10.0.0.1:9092", "[::1]:9092", "::1".
StatusOr<HostPort> parse_host_port(std::string_view text);
StatusOr<std::int64_t> parse_whole_number(std::string_view text, std::int64_t min, std::int64_t max);
// "250MB", "64KiB", "1048576": bytes, in powers of 1000 or of 1024.
StatusOr<std::uint64_t> parse_size(std::string_view text);
// "500ms", "30s", "5m", "2h", "0".
StatusOr<Duration> parse_duration(std::string_view text);
StatusOr<LogLevel> parse_log_level(std::string_view text);
// "on" or "true", "off" or "false".
StatusOr<bool> parse_switch(std::string_view text);

// What an error says; Abseil's own string view is not the standard's.
inline std::string message_of(const Status& status) { return std::string(status.message()); }

// Whether the two differ in a few letters only.
bool looks_like(std::string_view a, std::string_view b);

}  // namespace chronik::server
