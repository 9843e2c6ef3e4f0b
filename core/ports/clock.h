// Port: what time it is.
#pragma once

#include "core/base/time.h"

namespace chronik {

// May go wrong: the monotonic clock drifts against other nodes' (it never steps back); the wall clock steps either way,
// by any amount, at any time. A suspended process sees both jump forward. Neither call suspends (rule S13).
class Clock {
 public:
  virtual ~Clock() = default;
  // Read once a turn: two calls in one turn give the same answer.
  virtual MonotonicTime monotonic() const = 0;
  virtual WallTime wall() const = 0;
};

}  // namespace chronik
