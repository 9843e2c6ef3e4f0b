#include "runtime/completion_inbox.h"

#include <sys/eventfd.h>

#include <cstdint>
#include <utility>

#include "core/base/check.h"

namespace chronik::runtime {

CompletionInbox::CompletionInbox() : event_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) { CHECK(event_.open()); }

void CompletionInbox::post(fiber::Completion completion) {
  bool must_signal = false;
  {
    const std::lock_guard lock(mutex_);
    arrived_.push_back(completion);
    must_signal = std::exchange(sleeping_, false);
  }
  if (must_signal) {
    signal();
  }
}

void CompletionInbox::wake() {
  bool must_signal = false;
  {
    const std::lock_guard lock(mutex_);
    woken_ = true;
    must_signal = std::exchange(sleeping_, false);
  }
  if (must_signal) {
    signal();
  }
}

void CompletionInbox::signal() {
  // The loop watches edges and never reads the counter: every write is an edge, and it cannot overflow in our lifetime.
  const std::uint64_t one = 1;
  CHECK_EQ(::write(event_.number(), &one, sizeof(one)), ssize_t{sizeof(one)});
}

void CompletionInbox::take(std::vector<fiber::Completion>& batch) {
  const std::lock_guard lock(mutex_);
  batch.insert(batch.end(), arrived_.begin(), arrived_.end());
  arrived_.clear();
  woken_ = false;
  sleeping_ = false;
}

bool CompletionInbox::prepare_to_sleep() {
  const std::lock_guard lock(mutex_);
  if (woken_ || !arrived_.empty()) {
    return false;
  }
  sleeping_ = true;
  return true;
}

}  // namespace chronik::runtime
