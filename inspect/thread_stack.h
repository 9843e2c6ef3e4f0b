// Where a thread of this process is that does not answer: a signal makes it say so.
#pragma once

#include <pthread.h>

#include <array>
#include <atomic>
#include <string>
#include <vector>

#include "core/base/time.h"

namespace chronik::inspect {

// While one lives, the thread that made it can be asked, by SIGUSR2, which it takes from then on even where it masked
// all signals. One at a time in a process.
class AskableThread {
 public:
  AskableThread();
  ~AskableThread();
  AskableThread(const AskableThread&) = delete;
  AskableThread& operator=(const AskableThread&) = delete;

  // From another thread, one at a time: the functions that it is in now, the innermost first. Empty: it did not say so
  // within `patience`, as one does not that is stuck in the kernel.
  std::vector<std::string> stack(Duration patience);

 private:
  static void say(int number);

  pthread_t thread_;
  std::array<void*, 64> returns_{};
  std::size_t count_ = 0;
  std::atomic<bool> said_{false};
};

}  // namespace chronik::inspect
