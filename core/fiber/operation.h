// An operation that the outside world carries out and whose end comes in with a later turn, as (number, result) (rule
// S1).
//
// Numbers are given in the order of calls, so a log of turns names each operation. An operation is known to its
// scheduler from begin_operation() until it completes or is forgotten.
#pragma once

#include <cstdint>

#include "core/base/ids.h"

namespace chronik::fiber {

class Scheduler;

class Operation {
 public:
  Operation() = default;
  virtual ~Operation() = default;
  Operation(const Operation&) = delete;
  Operation& operator=(const Operation&) = delete;

  // Called once, in the turn that delivers the result, on the operation's shard. Must not suspend; may delete this.
  virtual void on_complete(std::int64_t result) = 0;

  OpNumber number() const { return number_; }

 private:
  friend class Scheduler;
  OpNumber number_;
};

struct Completion {
  OpNumber number;
  std::int64_t result = 0;
};

}  // namespace chronik::fiber
