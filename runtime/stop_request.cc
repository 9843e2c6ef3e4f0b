#include "runtime/stop_request.h"

#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <utility>

#include "core/base/check.h"

namespace chronik::runtime {

namespace {

sigset_t awaited_signals() {
  sigset_t signals;
  ::sigemptyset(&signals);
  ::sigaddset(&signals, SIGTERM);
  ::sigaddset(&signals, SIGINT);
  ::sigaddset(&signals, SIGUSR1);
  return signals;
}

}  // namespace

StopRequest::StopRequest(EventLoop& loop) : event_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  CHECK(event_.open());
  CHECK(loop.watch(event_.number(), *this));
}

void StopRequest::ask() {
  const std::uint64_t one = 1;
  // Cannot fail but where it has been asked nearly 2^64 times.
  [[maybe_unused]] const ssize_t written = ::write(event_.number(), &one, sizeof(one));
}

void StopRequest::on_ready(std::uint32_t events, std::vector<fiber::Completion>& batch) {
  if ((events & EPOLLIN) != 0) {
    batch.push_back({flag_.number(), 0});  // a second time nobody waits for it
  }
}

void StopFlag::on_complete(std::int64_t /*result*/) {
  asked_.set();
  source_.cancel();
}

Status StopFlag::wait(const Deadline& deadline) { return asked_.wait({WaitKind::kWork, 0, 0, 0}, deadline); }

StopSignals::StopSignals(StopRequest& request, absl::AnyInvocable<void()> report)
    : request_(request), report_(std::move(report)), thread_([this] { serve(); }) {}

StopSignals::~StopSignals() {
  ending_ = true;
  // Waited for, it ends no process.
  CHECK_EQ(::pthread_kill(thread_.native_handle(), SIGTERM), 0);  // NOLINT(bugprone-bad-signal-to-kill-thread)
  thread_.join();
}

void StopSignals::serve() {
  ::pthread_setname_np(::pthread_self(), "signals");
  const sigset_t signals = awaited_signals();
  bool asked = false;
  for (;;) {
    int number = 0;
    CHECK_EQ(::sigwait(&signals, &number), 0);
    if (ending_) {
      return;
    }
    if (number == SIGUSR1) {
      report_();
      continue;
    }
    if (asked) {
      ::_exit(128 + number);
    }
    asked = true;
    request_.ask();
  }
}

}  // namespace chronik::runtime
