#include "runtime/system_random.h"

#include <sys/random.h>

#include <cerrno>

#include "core/base/check.h"

namespace chronik::runtime {

std::uint64_t SystemRandom::next() {
  if (left_ == 0) {
    refill();
  }
  return buffer_[--left_];
}

void SystemRandom::refill() {
  // 256 bytes are given whole or, while the kernel's pool is not ready, interrupted.
  const std::size_t bytes = sizeof(buffer_);
  for (;;) {
    const ssize_t got = ::getrandom(buffer_.data(), bytes, 0);
    if (got == static_cast<ssize_t>(bytes)) {
      break;
    }
    CHECK(got >= 0 || errno == EINTR);
  }
  left_ = buffer_.size();
}

}  // namespace chronik::runtime
