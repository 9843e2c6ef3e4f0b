#include "core/log/tail.h"

#include <algorithm>
#include <utility>

#include "core/base/check.h"

namespace chronik::log {

void Tail::push(TailBatch batch) {
  CHECK(empty() || batch.base > last_);
  last_ = batch.last;
  bytes_ += batch.bytes.size();
  batches_.push_back(std::move(batch));
}

void Tail::pop_front(std::size_t count) {
  CHECK_LE(count, size());
  for (std::size_t i = 0; i < count; ++i) {
    bytes_ -= batches_[first_ + i].bytes.size();
    batches_[first_ + i].bytes = Slice();
  }
  first_ += count;
  if (empty()) {
    batches_ = {};  // an idle log keeps no memory
    first_ = 0;
  } else if (first_ > batches_.size() / 2) {
    batches_.erase(batches_.begin(), batches_.begin() + static_cast<std::ptrdiff_t>(first_));
    first_ = 0;
  }
}

void Tail::truncate(Offset to) {
  while (!empty() && back().last >= to) {
    bytes_ -= back().bytes.size();
    batches_.pop_back();
  }
  if (empty()) {
    batches_ = {};
    first_ = 0;
  } else {
    last_ = back().last;
  }
}

std::size_t Tail::find(Offset offset) const {
  const auto begin = batches_.begin() + static_cast<std::ptrdiff_t>(first_);
  const auto found = std::lower_bound(begin, batches_.end(), offset,
                                      [](const TailBatch& batch, Offset asked) { return batch.last < asked; });
  return static_cast<std::size_t>(found - begin);
}

}  // namespace chronik::log
