// A deadline: until when a wait may last, what it means when it passes, and who may call the wait off.
//
// Every wait takes one and none has a default (rules S3, S7).
#pragma once

#include <cstdint>

#include "core/base/cancel.h"
#include "core/base/time.h"

namespace chronik {

// What the passing of a deadline says about the program.
enum class Expiry : std::uint8_t {
  kNormal,  // expected: a sleep, a long poll, an election timeout
  kPeer,    // a fault elsewhere may cause it; after faults have ended it is a finding
  kNever,   // always a finding: only a bug of ours lets this wait expire
};

class Deadline {
 public:
  // Waits until `at`; `source` calls the wait off. The source must outlive the wait.
  Deadline(MonotonicTime at, Expiry meaning, CancelSource& source) : at_(at), meaning_(meaning), source_(&source) {}

  MonotonicTime at() const { return at_; }
  Expiry meaning() const { return meaning_; }
  CancelSource& source() const { return *source_; }
  bool cancelled() const { return source_->cancelled(); }

  // The same wait, ending no later than `at`.
  Deadline no_later_than(MonotonicTime at, Expiry meaning) const {
    return at < at_ ? Deadline(at, meaning, *source_) : *this;
  }

 private:
  MonotonicTime at_;
  Expiry meaning_;
  CancelSource* source_;
};

}  // namespace chronik
