// Signals are for the thread of the shard: every other one masks them.
#pragma once

#include <signal.h>

namespace chronik::runtime {

// While one lives, its thread takes no signals; threads that it starts never do.
class MaskedSignals {
 public:
  MaskedSignals();
  ~MaskedSignals();
  MaskedSignals(const MaskedSignals&) = delete;
  MaskedSignals& operator=(const MaskedSignals&) = delete;

 private:
  sigset_t before_;
};

}  // namespace chronik::runtime
