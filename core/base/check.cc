#include "core/base/check.h"

#include <cstdio>
#include <cstdlib>

#include "core/base/ambient.h"

namespace chronik {

void check_failed(const char* file, int line, const char* expression, std::string_view operands) {
  std::string text = fmt::format("{}:{}: {} failed", file, line, expression);
  if (!operands.empty()) {
    text += fmt::format(" ({})", operands);
  }
  if (const Ambient* now = ambient(); now != nullptr) {
    if (!now->name.empty()) {
      text += fmt::format("\n  in fiber {}", now->name);
    }
    if (now->context != nullptr && !now->context->replay_line.empty()) {
      text += fmt::format("\n  replay: {}", now->context->replay_line);
    }
  }
  text += '\n';
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
  std::abort();
}

}  // namespace chronik
