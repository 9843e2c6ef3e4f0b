// A bounded queue between fibers. The sender never waits: at the bound it is told so and decides (rule: every queue a
// bound).
#pragma once

#include <deque>
#include <optional>
#include <utility>

#include "core/fiber/wait.h"

namespace chronik::fiber {

template <typename T>
class Channel {
 public:
  // key: what a receiver waits for, named by whoever owns the channel.
  Channel(std::size_t capacity, const WaitKey& key) : capacity_(capacity), key_(key) {
    CHECK_GT(capacity, std::size_t{0});
  }

  // Moves from `item` and returns true, or leaves it alone and returns false: full, or closed.
  [[nodiscard]] bool try_push(T&& item) {
    if (closed_ || items_.size() >= capacity_) {
      return false;
    }
    items_.push_back(std::move(item));
    event_.notify_one();
    return true;
  }
  // The oldest item. kOutOfRange: closed and empty.
  StatusOr<T> pop(const Deadline& deadline) {
    while (items_.empty()) {
      if (closed_) {
        return absl::OutOfRangeError("channel closed");
      }
      RETURN_IF_ERROR(event_.wait(key_, deadline));
    }
    T item = std::move(items_.front());
    items_.pop_front();
    return item;
  }
  // No more pushes; what is queued can still be popped.
  void close() {
    closed_ = true;
    event_.notify_all();
  }
  std::size_t size() const { return items_.size(); }
  bool empty() const { return items_.empty(); }
  bool full() const { return items_.size() >= capacity_; }

 private:
  std::size_t capacity_;
  WaitKey key_;
  std::deque<T> items_;
  bool closed_ = false;
  Event event_;
};

}  // namespace chronik::fiber
