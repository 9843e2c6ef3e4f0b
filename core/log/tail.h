// The end of a log that is not in segments yet: its batches, in memory, in order.
#pragma once

#include <cstdint>
#include <vector>

#include "core/base/ids.h"
#include "core/base/slice.h"
#include "core/base/time.h"

namespace chronik::log {

struct TailBatch {
  Offset base;
  Offset last;
  Lsn lsn;
  LeaderEpoch epoch;
  WallTime max_timestamp;
  Offset offset_of_max;  // absolute
  Slice bytes;
};

// A queue that is also an array: taken from the front, pushed at the back, searched by offset.
class Tail {
 public:
  bool empty() const { return first_ == batches_.size(); }
  std::size_t size() const { return batches_.size() - first_; }
  const TailBatch& operator[](std::size_t i) const { return batches_[first_ + i]; }
  const TailBatch& front() const { return batches_[first_]; }
  const TailBatch& back() const { return batches_.back(); }
  std::uint64_t bytes() const { return bytes_; }

  void push(TailBatch batch);
  void pop_front(std::size_t count);
  // Takes out batches that begin at or above `to`.
  void truncate(Offset to);
  // The first batch that ends at or above the offset; size() where there is none.
  std::size_t find(Offset offset) const;

 private:
  std::vector<TailBatch> batches_;
  std::size_t first_ = 0;  // before it: taken
  std::uint64_t bytes_ = 0;
  Offset last_;  // of back(), beside what a push touches anyway: with many logs the batch itself is in no cache
};

}  // namespace chronik::log
