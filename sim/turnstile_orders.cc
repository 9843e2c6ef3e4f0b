#include "sim/turnstile_orders.h"

#include <fmt/core.h>

namespace chronik::sim {

void TurnstileOrders::note(ShardId shard, std::string_view place, const fiber::Fiber& fiber, const WaitKey& turnstile,
                           const char* name) {
  const Place entered{shard, turnstile};
  fiber.provides().for_each([&](const fiber::Provides& provides) {
    if (provides.key().kind != WaitKind::kTurnstile) {
      return;
    }
    const Place inside{shard, provides.key()};
    const auto [step, fresh] = after_[inside].try_emplace(entered);
    if (!fresh) {
      return;
    }
    step->second = {.who = fmt::format("{} {}", place, fiber.path()), .name = name};
    std::string way;
    if (circle_.empty() && find_way(entered, inside, way)) {
      circle_ =
          fmt::format("{} enters {} from inside turnstile {}, and {}", step->second.who, name, provides.key().a, way);
    }
  });
}

// Depth first; the steps are few and free of circles, but for the one that is looked for.
bool TurnstileOrders::find_way(const Place& from, const Place& to, std::string& way) const {
  const auto steps = after_.find(from);
  if (steps == after_.end()) {
    return false;
  }
  for (const auto& [next, step] : steps->second) {
    std::string rest;
    if (next == to || find_way(next, to, rest)) {
      way = fmt::format("{} enters {} from inside turnstile {}{}{}", step.who, step.name, from.second.a,
                        rest.empty() ? "" : ", and ", rest);
      return true;
    }
  }
  return false;
}

}  // namespace chronik::sim
