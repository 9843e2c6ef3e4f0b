#include "core/fiber/fiber.h"

#include <fmt/core.h>

#include "core/fiber/scheduler.h"

namespace chronik::fiber {

Fiber* Fiber::current_or_null() {
  Ambient* now = ambient();
  return now != nullptr && now->is_fiber ? static_cast<Fiber*>(now) : nullptr;
}

Fiber& Fiber::current() {
  Fiber* fiber = current_or_null();
  CHECK(fiber != nullptr);
  return *fiber;
}

std::string Fiber::path() const {
  return *parent_.kind == '\0' ? fmt::format("{}-{}", name_.kind, name_.index)
                               : fmt::format("{}-{}/{}-{}", parent_.kind, parent_.index, name_.kind, name_.index);
}

void Fiber::run() { scheduler_->resume(*this); }

Provides::Provides(const WaitKey& key) : key_(key) { Fiber::current().provides_.push_back(*this); }

NoSuspend::NoSuspend() : fiber_(Fiber::current_or_null()) {
  if (fiber_ != nullptr) {
    ++fiber_->no_suspend_;
  }
}

NoSuspend::~NoSuspend() {
  if (fiber_ != nullptr) {
    --fiber_->no_suspend_;
  }
}

}  // namespace chronik::fiber
