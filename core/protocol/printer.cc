#include "core/protocol/printer.h"

namespace chronik::protocol {

// A client chooses these bytes: a log line stays one line of printable characters whatever they are.
void Printer::quote(std::string_view in) {
  text_ += '"';
  for (const char c : in.substr(0, kStringMax)) {
    if (c == '"' || c == '\\') {
      text_ += '\\';
      text_ += c;
    } else if (c >= ' ' && c <= '~') {
      text_ += c;
    } else {
      fmt::format_to(std::back_inserter(text_), "\\x{:02x}", static_cast<std::uint8_t>(c));
    }
  }
  text_ += '"';
  if (in.size() > kStringMax) {
    fmt::format_to(std::back_inserter(text_), "and {} bytes more", in.size() - kStringMax);
  }
}

}  // namespace chronik::protocol
