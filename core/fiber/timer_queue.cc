#include "core/fiber/timer_queue.h"

#include <algorithm>
#include <utility>

#include "core/base/check.h"

namespace chronik::fiber {

Timer::~Timer() { disarm(); }

void Timer::disarm() {
  if (queue_ != nullptr) {
    queue_->disarm(*this);
  }
}

TimerQueue::~TimerQueue() { CHECK_EQ(armed_, std::size_t{0}); }

TimerMoment& TimerQueue::moment(MonotonicTime at) {
  for (TimerMoment* known : recent_) {
    if (known != nullptr && known->at == at) {
      return *known;
    }
  }
  std::unique_ptr<TimerMoment>& found = moments_[at];
  if (found == nullptr) {
    if (spare_.empty()) {
      found = std::make_unique<TimerMoment>();
    } else {
      found = std::move(spare_.back());
      spare_.pop_back();
    }
    found->at = at;
  }
  recent_[next_recent_] = found.get();
  next_recent_ = (next_recent_ + 1) % recent_.size();
  return *found;
}

void TimerQueue::arm(Timer& timer, MonotonicTime at) {
  CHECK(!timer.armed());
  timer.queue_ = this;
  timer.moment_ = &moment(at);
  timer.moment_->timers.push_back(timer);
  ++armed_;
}

void TimerQueue::disarm(Timer& timer) {
  CHECK(timer.queue_ == this);
  TimerMoment& moment = *timer.moment_;
  timer.ListHook<TimerTag>::unlink();
  timer.queue_ = nullptr;
  --armed_;
  if (!moment.timers.empty()) {
    return;
  }
  std::replace(recent_.begin(), recent_.end(), &moment, static_cast<TimerMoment*>(nullptr));
  const auto found = moments_.find(moment.at);
  if (spare_.size() < kSpareMax) {
    spare_.push_back(std::move(found->second));
  }
  moments_.erase(found);
}

Timer* TimerQueue::take_due(MonotonicTime now) {
  if (moments_.empty() || moments_.begin()->first > now) {
    return nullptr;
  }
  Timer& timer = moments_.begin()->second->timers.front();
  disarm(timer);
  return &timer;
}

}  // namespace chronik::fiber
