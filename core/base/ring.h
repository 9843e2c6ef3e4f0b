// A queue in one array that grows by doubling and then is never allocated again. References to its members hold until
// the next push().
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "core/base/check.h"

namespace chronik {

// T() must not throw: it stands where there is no member.
template <typename T>
class Ring {
 public:
  std::size_t size() const { return count_; }
  bool empty() const { return count_ == 0; }
  T& operator[](std::size_t i) {
    CHECK_LT(i, count_);
    return items_[place(i)];
  }
  const T& operator[](std::size_t i) const {
    CHECK_LT(i, count_);
    return items_[place(i)];
  }
  T& front() { return (*this)[0]; }
  const T& front() const { return (*this)[0]; }
  T& push(T item) {
    if (count_ == items_.size()) {
      grow();
    }
    return items_[place(count_++)] = std::move(item);
  }
  void pop_front(std::size_t n = 1) {
    CHECK_LE(n, count_);
    for (; n > 0; --n) {
      std::destroy_at(&items_[head_]);
      std::construct_at(&items_[head_]);
      head_ = (head_ + 1) & (items_.size() - 1);
      --count_;
    }
  }

 private:
  std::size_t place(std::size_t i) const { return (head_ + i) & (items_.size() - 1); }
  void grow() {
    std::vector<T> bigger(std::max<std::size_t>(2, items_.size() * 2));  // a power of two
    for (std::size_t i = 0; i < count_; ++i) {
      bigger[i] = std::move(items_[place(i)]);
    }
    items_ = std::move(bigger);
    head_ = 0;
  }

  std::vector<T> items_;
  std::size_t head_ = 0;
  std::size_t count_ = 0;
};

}  // namespace chronik
