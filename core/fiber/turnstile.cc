#include "core/fiber/turnstile.h"

namespace chronik::fiber {

Status Turnstile::enter(std::optional<Pass>& pass, const Deadline& deadline) {
  CHECK(!pass.has_value());
  Fiber& fiber = Fiber::current();
  if (fiber.scheduler().watch() != nullptr && !fiber.provides().empty()) {
    fiber.scheduler().watch()->on_entering(fiber, key_, name_);
  }
  if (held_) {
    // leave() keeps `held_` set when it lets a waiter in, so nobody who comes later slips in between.
    RETURN_IF_ERROR(event_.wait(key_, deadline, this));
    CHECK_GT(handed_over_, std::size_t{0});
    --handed_over_;
  }
  held_ = true;
  pass.emplace(*this);
  return ok();
}

void Turnstile::leave() {
  CHECK(held_);
  if (event_.notify_one()) {
    ++handed_over_;
  } else {
    held_ = false;
  }
}

}  // namespace chronik::fiber
