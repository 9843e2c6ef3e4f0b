// Structured log lines: an event in a few words and its fields, `topic created topic=orders partitions=3`.
//
// Never on the success path of a request: a message that is produced or fetched logs nothing.
#pragma once

#include <fmt/core.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/ambient.h"
#include "core/base/check.h"

namespace chronik {

enum class LogLevel : std::uint8_t { kTrace, kDebug, kInfo, kWarn, kError };

class LogSink {
 public:
  virtual ~LogSink() = default;
  // `line` has no time, level or newline: the sink adds what it wants. Must not suspend.
  virtual void write(LogLevel level, std::string_view line) = 0;
  LogLevel level() const { return level_; }
  void set_level(LogLevel level) { level_ = level; }

 private:
  LogLevel level_ = LogLevel::kInfo;
};

template <typename T>
struct LogField {
  std::string_view name;
  const T& value;
};
template <typename T>
LogField<T> field(std::string_view name, const T& value) {
  return {name, value};
}

namespace log_detail {
LogSink* sink_for(LogLevel level);
void append_value(std::string& line, std::string_view name, std::string_view value);
}  // namespace log_detail

template <typename... T>
void log_line(LogLevel level, std::string_view event, LogField<T>... fields) {
  LogSink* sink = log_detail::sink_for(level);
  if (sink == nullptr) {
    return;
  }
  std::string line(event);
  (log_detail::append_value(line, fields.name, check_detail::printable(fields.value)), ...);
  sink->write(level, line);
}
template <typename... T>
void log_debug(std::string_view event, LogField<T>... fields) {
  log_line(LogLevel::kDebug, event, fields...);
}
template <typename... T>
void log_info(std::string_view event, LogField<T>... fields) {
  log_line(LogLevel::kInfo, event, fields...);
}
template <typename... T>
void log_warn(std::string_view event, LogField<T>... fields) {
  log_line(LogLevel::kWarn, event, fields...);
}
template <typename... T>
void log_error(std::string_view event, LogField<T>... fields) {
  log_line(LogLevel::kError, event, fields...);
}

}  // namespace chronik
