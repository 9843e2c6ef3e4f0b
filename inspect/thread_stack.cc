#include "inspect/thread_stack.h"

#include <signal.h>

#include <chrono>
#include <span>
#include <thread>

#include "core/base/check.h"
#include "inspect/frames.h"

namespace chronik::inspect {

namespace {

constexpr int kAsks = SIGUSR2;
std::atomic<AskableThread*> asked_thread{nullptr};  // taken by whoever answers, or gives up

void take_the_signal(int how) {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, kAsks);
  CHECK_EQ(::pthread_sigmask(how, &set, nullptr), 0);
}

}  // namespace

void AskableThread::say(int /*number*/) {
  AskableThread* asked = asked_thread.exchange(nullptr);
  if (asked != nullptr) {
    asked->count_ = gather_returns(asked->returns_);
    asked->said_.store(true);
  }
}

AskableThread::AskableThread() : thread_(::pthread_self()) {
  static_cast<void>(gather_returns(returns_));  // the first call loads libraries, which a handler may not
  struct sigaction action {};
  action.sa_handler = say;
  action.sa_flags = SA_RESTART;
  CHECK_EQ(::sigaction(kAsks, &action, nullptr), 0);
  take_the_signal(SIG_UNBLOCK);
}

AskableThread::~AskableThread() { take_the_signal(SIG_BLOCK); }

std::vector<std::string> AskableThread::stack(Duration patience) {
  said_ = false;
  asked_thread = this;
  CHECK_EQ(::pthread_kill(thread_, kAsks), 0);
  const auto end = std::chrono::steady_clock::now() + std::chrono::nanoseconds(patience.nanoseconds());
  while (!said_.load()) {
    // Once it is taken, the answer is being written, and is waited for.
    if (std::chrono::steady_clock::now() > end && asked_thread.exchange(nullptr) != nullptr) {
      return {};
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return frames_of_struck_thread(std::span(returns_).first(count_));
}

}  // namespace chronik::inspect
