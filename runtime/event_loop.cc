#include "runtime/event_loop.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "core/base/check.h"

namespace chronik::runtime {

namespace {
// A bound on one sleep, so that a timer years away fits the call.
constexpr std::int64_t kLongestSleepMs = 3'600'000;
}  // namespace

EventLoop::EventLoop(SystemClock& clock) : clock_(clock), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  CHECK(epoll_.open());
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  event.data.ptr = nullptr;  // the inbox: nothing to call, take() asks it anyway
  CHECK_EQ(::epoll_ctl(epoll_.number(), EPOLL_CTL_ADD, inbox_.descriptor(), &event), 0);
}

bool EventLoop::watch(int descriptor, ReadinessTarget& target) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.ptr = &target;
  if (::epoll_ctl(epoll_.number(), EPOLL_CTL_ADD, descriptor, &event) == 0) {
    return true;
  }
  CHECK(errno == ENOSPC || errno == ENOMEM);
  return false;
}

int EventLoop::timeout_ms(const fiber::Scheduler& scheduler, bool more) {
  if (more || !posted_.empty()) {
    return 0;
  }
  std::int64_t timeout = -1;
  if (const MonotonicTime next = scheduler.next_timer(); next != MonotonicTime::never()) {
    const std::int64_t left = (next - SystemClock::read_monotonic()).nanoseconds();
    // Rounded up: waking before the timer is due would only mean waiting again.
    timeout = left <= 0 ? 0 : std::min((left + 999'999) / 1'000'000, kLongestSleepMs);
  }
  if (timeout != 0 && !inbox_.prepare_to_sleep()) {
    timeout = 0;
  }
  return static_cast<int>(timeout);
}

void EventLoop::gather(int timeout) {
  batch_.clear();
  std::swap(batch_, posted_);
  ++waits_;
  const int ready = ::epoll_wait(epoll_.number(), events_.data(), static_cast<int>(events_.size()), timeout);
  CHECK(ready >= 0 || errno == EINTR);
  for (int i = 0; i < ready; ++i) {
    const epoll_event& event = events_[static_cast<std::size_t>(i)];
    if (event.data.ptr != nullptr) {
      static_cast<ReadinessTarget*>(event.data.ptr)->on_ready(event.events, batch_);
    }
  }
  inbox_.take(batch_);
}

void EventLoop::run(fiber::Scheduler& scheduler, TurnWitness* witness) {
  stopping_ = false;
  bool more = !scheduler.idle();
  while (!stopping_) {
    gather(timeout_ms(scheduler, more));
    const MonotonicTime now = clock_.tick();
    if (batch_.empty() && !more && scheduler.next_timer() > now) {
      continue;  // an edge that nobody waits for: no turn of it
    }
    ++turns_;
    if (witness != nullptr) {
      witness->turn_began(now);
    }
    more = scheduler.run_turn(now, batch_);
    if (witness != nullptr) {
      witness->turn_ended();
    }
    for (absl::AnyInvocable<void()>& task : std::exchange(after_turn_, {})) {
      task();
    }
  }
}

}  // namespace chronik::runtime
