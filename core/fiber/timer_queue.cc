#include "core/fiber/timer_queue.h"

#include "core/base/check.h"

namespace chronik::fiber {

Timer::~Timer() { disarm(); }

void Timer::disarm() {
  if (queue_ != nullptr) {
    queue_->disarm(*this);
  }
}

TimerQueue::~TimerQueue() { CHECK(heap_.empty()); }

void TimerQueue::place(std::size_t position, Timer& timer) {
  heap_[position] = &timer;
  timer.position_ = position;
}

void TimerQueue::sift_up(std::size_t position) {
  Timer& timer = *heap_[position];
  while (position > 0) {
    const std::size_t parent = (position - 1) / 2;
    if (!earlier(timer, *heap_[parent])) {
      break;
    }
    place(position, *heap_[parent]);
    position = parent;
  }
  place(position, timer);
}

void TimerQueue::sift_down(std::size_t position) {
  Timer& timer = *heap_[position];
  for (;;) {
    std::size_t child = 2 * position + 1;
    if (child >= heap_.size()) {
      break;
    }
    if (child + 1 < heap_.size() && earlier(*heap_[child + 1], *heap_[child])) {
      ++child;
    }
    if (!earlier(*heap_[child], timer)) {
      break;
    }
    place(position, *heap_[child]);
    position = child;
  }
  place(position, timer);
}

void TimerQueue::arm(Timer& timer, MonotonicTime at) {
  CHECK(!timer.armed());
  timer.queue_ = this;
  timer.at_ = at;
  timer.sequence_ = next_sequence_++;
  heap_.push_back(&timer);
  sift_up(heap_.size() - 1);
}

void TimerQueue::disarm(Timer& timer) {
  CHECK(timer.queue_ == this);
  const std::size_t position = timer.position_;
  CHECK(heap_[position] == &timer);
  Timer& last = *heap_.back();
  heap_.pop_back();
  timer.queue_ = nullptr;
  if (&last != &timer) {
    place(position, last);
    sift_up(position);
    sift_down(last.position_);
  }
}

Timer* TimerQueue::take_due(MonotonicTime now) {
  if (heap_.empty() || heap_.front()->at_ > now) {
    return nullptr;
  }
  Timer* timer = heap_.front();
  disarm(*timer);
  return timer;
}

}  // namespace chronik::fiber
