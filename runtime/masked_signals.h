// Signals interrupt no thread of a server: each masks them from its first instruction on, and StopSignals waits for
// those that mean something.
#pragma once

#include <signal.h>

#include <thread>
#include <utility>

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

// A thread that takes no signals. One that masked them itself could be interrupted before it comes to that.
template <typename Body>
std::thread masked_thread(Body body) {
  const MaskedSignals masked;
  return std::thread(std::move(body));
}

}  // namespace chronik::runtime
