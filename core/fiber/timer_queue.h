// Timers of one shard, by the moment at which they are due.
//
// Nearly all timers are deadlines that never pass: set some seconds ahead, rounded to the scheduler's granularity, and
// called off soon after. So many share a moment; setting one mostly finds its moment among the few used last, and
// calling one off unlinks it. A timer that is called off leaves at once and neither advances time nor shows anywhere
// (rule S13). Timers due at the same moment fire in the order in which they were set.
#pragma once

#include <absl/container/btree_map.h>

#include <array>
#include <cstddef>
#include <memory>
#include <vector>

#include "core/base/intrusive_list.h"
#include "core/base/time.h"

namespace chronik::fiber {

class TimerQueue;
struct TimerMoment;

class Timer : public ListHook<struct TimerTag> {
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
  TimerMoment* moment_ = nullptr;
};

struct TimerMoment {
  MonotonicTime at;
  IntrusiveList<Timer, TimerTag> timers;  // in the order of arming
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
  MonotonicTime next() const { return moments_.empty() ? MonotonicTime::never() : moments_.begin()->first; }
  // Takes out the first timer if it is due at `now`; else null.
  Timer* take_due(MonotonicTime now);
  std::size_t size() const { return armed_; }

 private:
  static constexpr std::size_t kSpareMax = 1024;

  TimerMoment& moment(MonotonicTime at);

  absl::btree_map<MonotonicTime, std::unique_ptr<TimerMoment>> moments_;  // none is empty
  std::array<TimerMoment*, 4> recent_{};                                  // those looked up last; null: none
  std::size_t next_recent_ = 0;
  std::vector<std::unique_ptr<TimerMoment>> spare_;
  std::size_t armed_ = 0;
};

}  // namespace chronik::fiber
