#include "runtime/stop_request.h"

#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/base/check.h"

namespace chronik::runtime {

namespace {

// What a signal handler may reach: the one request of the process, and whether a signal has come already.
std::atomic<StopRequest*> g_request{nullptr};
std::atomic<bool> g_signalled{false};

void on_signal(int number) {
  if (g_signalled.exchange(true)) {
    ::_exit(128 + number);
  }
  if (StopRequest* request = g_request.load()) {
    request->ask();
  }
}

void handle(void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  ::sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  for (const int number : {SIGTERM, SIGINT}) {
    CHECK_EQ(::sigaction(number, &action, nullptr), 0);
  }
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

Status StopFlag::wait(const Deadline& deadline) {
  return asked_.wait({WaitKind::kEvent, static_cast<std::uint64_t>(number().value()), 0, 0}, deadline);
}

StopSignals::StopSignals(StopRequest& request) {
  StopRequest* nobody = nullptr;
  CHECK(g_request.compare_exchange_strong(nobody, &request));
  g_signalled = false;
  handle(&on_signal);
}

StopSignals::~StopSignals() {
  handle(SIG_DFL);
  g_request = nullptr;
}

}  // namespace chronik::runtime
