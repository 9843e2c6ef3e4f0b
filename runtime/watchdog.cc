#include "runtime/watchdog.h"

#include <fmt/core.h>
#include <pthread.h>

#include <chrono>

#include "runtime/masked_signals.h"
#include "runtime/system_clock.h"

namespace chronik::runtime {

Watchdog::Watchdog(Duration limit, LogSink* log)
    : limit_(limit), log_(log), thread_(masked_thread([this] { watch(); })) {}

Watchdog::~Watchdog() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    dozing_ = false;
  }
  changed_.notify_all();
  thread_.join();
}

void Watchdog::turn_began(MonotonicTime now) {
  started_.store(now.nanoseconds(), std::memory_order_relaxed);
  // Sequentially consistent, as the watchdog's own pair in sleep_until_turn(): one of the two sees the other.
  turn_.fetch_add(1);
  if (dozing_.load()) [[unlikely]] {
    {
      const std::lock_guard lock(mutex_);
      dozing_ = false;
    }
    changed_.notify_all();
  }
}

void Watchdog::turn_ended() { started_.store(0, std::memory_order_relaxed); }

void Watchdog::on_resume(const fiber::Fiber& fiber) {
  // The two may be of two fibers where the watchdog reads just now; then the turn was not stuck in one.
  fiber_kind_.store(fiber.fiber_name().kind, std::memory_order_relaxed);
  fiber_index_.store(fiber.fiber_name().index, std::memory_order_relaxed);
}

void Watchdog::watch() {
  ::pthread_setname_np(::pthread_self(), "watchdog");
  const auto period = std::chrono::nanoseconds(limit_.nanoseconds() / 2);
  std::uint64_t seen = 0;
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const std::uint64_t turn = turn_.load();
    const bool idle = turn == seen && started_.load(std::memory_order_relaxed) == 0;
    seen = turn;
    if (idle) {
      sleep_until_turn(seen, lock);
    } else {
      look(turn);
    }
    changed_.wait_for(lock, period, [this] { return stopping_; });
  }
}

void Watchdog::sleep_until_turn(std::uint64_t seen, std::unique_lock<std::mutex>& lock) {
  dozing_ = true;
  if (turn_.load() != seen) {
    dozing_ = false;
    return;
  }
  changed_.wait(lock, [this] { return !dozing_.load(); });
}

void Watchdog::look(std::uint64_t turn) {
  const std::int64_t started = started_.load(std::memory_order_relaxed);
  const bool same = turn_.load() == turn;
  const Duration lasted = SystemClock::read_monotonic() - MonotonicTime::from_nanoseconds(started);
  if (started != 0 && same && lasted >= limit_ && reported_ != turn) {
    reported_ = turn;
    overdue_.fetch_add(1, std::memory_order_relaxed);
    report(lasted.milliseconds());
  }
}

std::string Watchdog::what_runs() const {
  const std::int64_t started = started_.load(std::memory_order_relaxed);
  if (started == 0) {
    return "No turn is under way.";
  }
  const Duration lasted = SystemClock::read_monotonic() - MonotonicTime::from_nanoseconds(started);
  return fmt::format("A turn has lasted for {} ms; {}-{} runs, or ran last.", lasted.milliseconds(),
                     fiber_kind_.load(std::memory_order_relaxed), fiber_index_.load(std::memory_order_relaxed));
}

void Watchdog::report(std::int64_t milliseconds) {
  if (log_ != nullptr) {
    log_->write(LogLevel::kWarn,
                fmt::format("turn overdue fiber={}-{} lasting_ms={}", fiber_kind_.load(std::memory_order_relaxed),
                            fiber_index_.load(std::memory_order_relaxed), milliseconds));
  }
}

}  // namespace chronik::runtime
