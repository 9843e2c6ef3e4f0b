// How much of its time a leader reads for replicas that are behind: what they lack is no longer in memory, and whoever
// is in sync, and clients, need the disk meanwhile.
//
// Of the time from one such read to the next at most the share goes into reads: after one that took a time, the next
// waits as long as the share demands. Times are the shard's own clock's.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/base/time.h"

namespace chronik::replication {

class CatchUp {
 public:
  // share: in hundredths, 1 to 100; with 100 nothing waits.
  explicit CatchUp(std::int32_t share) : share_(share) {}

  // A read that ends now took that long. Those that run at the same time count one after the other.
  void note(Duration took, MonotonicTime now) {
    const std::int64_t rest = took.nanoseconds() / share_ * (kWhole - share_);
    next_ = std::max(next_, now) + Duration::nanoseconds(rest);
  }
  // No read is to begin before.
  MonotonicTime next() const { return next_; }

 private:
  static constexpr std::int64_t kWhole = 100;
  std::int64_t share_;
  MonotonicTime next_;
};

}  // namespace chronik::replication
