#include "sim/tripwire.h"

#include <fmt/core.h>

#include "core/base/check.h"
#include "core/fiber/fiber.h"

namespace chronik::sim {

namespace {
int g_armed = 0;
}  // namespace

Tripwire::Tripwire() { ++g_armed; }
Tripwire::~Tripwire() { --g_armed; }

void tripwire_check(const char* what) {
  if (g_armed == 0) {
    return;
  }
  const fiber::Fiber* fiber = fiber::Fiber::current_or_null();
  if (fiber != nullptr && fiber->system_policy() == fiber::SystemPolicy::kAllowed) {
    return;
  }
  g_armed = 0;  // the report may ask for the time
  UNREACHABLE(fmt::format("simulated code called {}", what));
}

}  // namespace chronik::sim
