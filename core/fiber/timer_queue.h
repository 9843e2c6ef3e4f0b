// Timers of one shard: a heap that knows where each member is, so that a timer that is called off leaves at once and
// neither advances time nor shows anywhere (rule S13). Timers due at the same moment fire in the order in which they
// were set.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/base/time.h"

namespace chronik::fiber {

class TimerQueue;

class Timer {
 public:
  Timer() = default;
  virtual ~Timer();
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  // Called once, when due, from the scheduler's loop. Must not suspend.
  virtual void on_timer() = 0;
  bool armed() const { return queue_ != nullptr; }
  void disarm();

 private:
  friend class TimerQueue;
  TimerQueue* queue_ = nullptr;
  std::size_t position_ = 0;
  std::uint64_t sequence_ = 0;
  MonotonicTime at_;
};

class TimerQueue {
 public:
  TimerQueue() = default;
  ~TimerQueue();
  TimerQueue(const TimerQueue&) = delete;
  TimerQueue& operator=(const TimerQueue&) = delete;

  void arm(Timer& timer, MonotonicTime at);
  void disarm(Timer& timer);
  // When the first timer is due; never() without timers.
  MonotonicTime next() const { return heap_.empty() ? MonotonicTime::never() : heap_.front()->at_; }
  // Takes out the first timer if it is due at `now`; else null.
  Timer* take_due(MonotonicTime now);
  std::size_t size() const { return heap_.size(); }

 private:
  static bool earlier(const Timer& a, const Timer& b) {
    return a.at_ != b.at_ ? a.at_ < b.at_ : a.sequence_ < b.sequence_;
  }
  void place(std::size_t position, Timer& timer);
  void sift_up(std::size_t position);
  void sift_down(std::size_t position);

  std::vector<Timer*> heap_;
  std::uint64_t next_sequence_ = 0;
};

}  // namespace chronik::fiber
