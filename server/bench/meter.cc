#include "server/bench/meter.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "core/fiber/scope.h"
#include "runtime/system_clock.h"

namespace chronik::bench {

namespace {
// Finer than a turn, which is as fine as fibers see time.
MonotonicTime now() { return runtime::SystemClock::read_monotonic(); }
constexpr std::uint64_t kSecond = 1'000'000'000;
}  // namespace

Meter::Meter(const BenchOptions& options, MonotonicTime begin)
    : options_(options),
      begin_(begin),
      measure_from_(begin + options.warmup),
      stop_at_(measure_from_ + options.duration),
      last_finished_(measure_from_) {}

bool Meter::over(MonotonicTime at) const {
  // An operation of a consumer has many messages: what it got counts, not what it asked for.
  const std::uint64_t counted = options_.mode == Mode::kConsume ? tally_.messages.value() : claimed_;
  return stopped_ || at >= stop_at_ || (options_.message_count != 0 && counted >= options_.message_count);
}

bool Meter::warming_up() const { return now() < measure_from_; }

std::optional<Meter::Claim> Meter::claim() {
  MonotonicTime began = now();
  if (over(began)) {
    return std::nullopt;
  }
  if (options_.rate_limit != 0) {
    const std::uint64_t nth = due_++;
    const std::uint64_t ns =
        nth / options_.rate_limit * kSecond + nth % options_.rate_limit * kSecond / options_.rate_limit;
    const MonotonicTime due = begin_ + Duration::nanoseconds(static_cast<std::int64_t>(ns));
    if (due >= stop_at_) {
      return std::nullopt;
    }
    if (due > began) {
      const Deadline at(due, Expiry::kNormal, fiber::Fiber::current().scope().source());
      static_cast<void>(stopping_.wait({WaitKind::kSleep, 0, 0, 0}, at));  // whatever ended it is looked at below
      began = now();
      if (over(began)) {
        return std::nullopt;
      }
    } else {
      began = due;
    }
  }
  const bool counts = began >= measure_from_;
  claimed_ += counts ? 1 : 0;
  return Claim{.began = began, .counts = counts};
}

void Meter::finished(const Claim& claim, MonotonicTime at) {
  if (claim.counts) {
    last_finished_ = std::max(last_finished_, at);
  }
}

void Meter::succeeded(const Claim& claim, std::uint64_t units, std::uint64_t bytes) {
  const MonotonicTime at = now();
  finished(claim, at);
  interval_.succeed(units, bytes, at - claim.began);
  if (claim.counts) {
    tally_.succeed(units, bytes, at - claim.began);
  }
}

void Meter::failed(const Claim& claim, const std::string& why) {
  finished(claim, now());
  interval_.failed.add();
  if (claim.counts) {
    tally_.failed.add();
  }
  if (first_failure_.empty()) {
    first_failure_ = why;
  }
  if (options_.verbose) {
    fmt::print(stderr, "chronik-bench: {}\n", why);
  }
}

void Meter::stop() {
  stopped_ = true;
  stopping_.notify_all();
}

Tally Meter::take_interval() { return std::exchange(interval_, Tally{}); }

Result Meter::result() const {
  return {.tally = tally_,
          .duration = last_finished_ - measure_from_,
          .retries = retries_,
          .first_failure = first_failure_};
}

}  // namespace chronik::bench
