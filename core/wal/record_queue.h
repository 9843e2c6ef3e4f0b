// Records that wait for a flush, in the order of their LSNs: a ring that grows up to a bound and is then never
// allocated again.
#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "core/base/check.h"
#include "core/base/slice.h"
#include "core/wal/record.h"

namespace chronik::wal {

struct QueuedRecord {
  RecordType type = RecordType::kAppend;
  LogKey key;
  Slice payload;
};

class RecordQueue {
 public:
  std::size_t size() const { return count_; }
  bool empty() const { return count_ == 0; }
  const QueuedRecord& at(std::size_t i) const {
    CHECK_LT(i, count_);
    return ring_[(head_ + i) & (ring_.size() - 1)];
  }
  void push(QueuedRecord record) {
    if (count_ == ring_.size()) {
      grow();
    }
    ring_[(head_ + count_) & (ring_.size() - 1)] = std::move(record);
    ++count_;
  }
  void pop_front(std::size_t n) {
    CHECK_LE(n, count_);
    for (std::size_t i = 0; i < n; ++i) {
      ring_[head_].payload = Slice();
      head_ = (head_ + 1) & (ring_.size() - 1);
      --count_;
    }
  }

 private:
  void grow() {
    std::vector<QueuedRecord> bigger(std::max<std::size_t>(64, ring_.size() * 2));  // a power of two
    for (std::size_t i = 0; i < count_; ++i) {
      bigger[i] = std::move(ring_[(head_ + i) & (ring_.size() - 1)]);
    }
    ring_ = std::move(bigger);
    head_ = 0;
  }

  std::vector<QueuedRecord> ring_;
  std::size_t head_ = 0;
  std::size_t count_ = 0;
};

}  // namespace chronik::wal
