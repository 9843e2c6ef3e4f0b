#include "core/base/log_line.h"

#include <algorithm>

namespace chronik::log_detail {

LogSink* sink_for(LogLevel level) {
  const Ambient* now = ambient();
  if (now == nullptr || now->context == nullptr || now->context->log == nullptr) {
    return nullptr;
  }
  LogSink* sink = now->context->log;
  return level < sink->level() ? nullptr : sink;
}

void append_value(std::string& line, std::string_view name, std::string_view value) {
  line += ' ';
  line += name;
  line += '=';
  // A value with spaces or control characters (a client's topic name, say) is quoted, so that a line stays a line.
  const bool plain = !value.empty() && std::all_of(value.begin(), value.end(),
                                                   [](char c) { return c > ' ' && c < 0x7f && c != '"' && c != '\\'; });
  if (plain) {
    line += value;
    return;
  }
  line += '"';
  for (const char c : value) {
    if (c == '"' || c == '\\') {
      line += '\\';
      line += c;
    } else if (c >= ' ' && c != 0x7f) {
      line += c;
    } else {
      line += fmt::format("\\x{:02x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    }
  }
  line += '"';
}

}  // namespace chronik::log_detail
