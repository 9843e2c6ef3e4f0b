#include "runtime/log_session.h"

#include <fmt/core.h>

#include <array>

#include "core/base/check.h"
#include "core/base/crc32c.h"
#include "core/base/mix.h"
#include "runtime/io_wait.h"

namespace chronik::runtime {

namespace {

enum Step : std::uint64_t { kTurn = 1, kResume, kOperation, kExpiry, kCall, kReturn };

constexpr std::array kNames{
    "monotonic", "wall",       "random",    "listen",       "connect",   "resolve",      "accept",
    "read",      "write",      "shutdown",  "close",        "open",      "change names", "list",
    "free",      "file run",   "file read", "file change",  "file size", "store get",    "store commit",
    "snapshot",  "store scan", "mail send", "mail receive", "fatal",
};

}  // namespace

const char* port_call_name(PortCall call) { return kNames.at(static_cast<std::size_t>(call)); }

std::uint64_t LogSession::mix_in(std::uint64_t what) const { return mix(fingerprint_, what); }

void LogSession::on_turn(MonotonicTime now, std::span<const fiber::Completion> batch) {
  note(mix(kTurn, static_cast<std::uint64_t>(now.nanoseconds()), batch.size()));
  if (mode_ == Mode::kRecord) {
    log_.turns.push_back({now, {batch.begin(), batch.end()}});
  }
}

void LogSession::on_resume(const fiber::Fiber& fiber) { note(mix(kResume, fiber.lineage(), fiber.resumes())); }

void LogSession::on_operation(OpNumber number) {
  note(mix(kOperation, static_cast<std::uint64_t>(number.value())));
  if (mode_ == Mode::kReplay) {
    return;
  }
  const auto found = under_way_.find(fiber::Fiber::current_or_null());
  if (found != under_way_.end()) {
    log_.calls[found->second].operations.push_back(number);
  }
}

void LogSession::on_expiry(const fiber::Fiber& fiber, const WaitKey& /*key*/, Expiry meaning) {
  note(mix(kExpiry, fiber.lineage(), static_cast<std::uint64_t>(meaning)));
}

std::size_t LogSession::begin(PortCall kind, std::uint64_t arguments) {
  note(mix(kCall, static_cast<std::uint64_t>(kind), arguments));
  const std::size_t number = next_call_++;
  if (mode_ == Mode::kRecord) {
    log_.calls.push_back({.kind = kind, .arguments = arguments});
    return number;
  }
  if (number >= log_.calls.size()) {
    diverge(fmt::format("call {} ({}) is not in the log", number, port_call_name(kind)));
  }
  const LoggedCall& logged = log_.calls[number];
  if (logged.kind != kind || logged.arguments != arguments) {
    diverge(fmt::format("call {} is {}, in the log {}{}", number, port_call_name(kind), port_call_name(logged.kind),
                        logged.kind == kind ? " of something else" : ""));
  }
  return number;
}

void LogSession::end(std::size_t call, const PortReturn& returned) {
  note(mix(kReturn, mix(call, static_cast<std::uint64_t>(returned.status.code())), crc32c(as_bytes(returned.data))));
  if (mode_ == Mode::kRecord) {
    log_.calls[call].returned = returned;
  }
}

PortReturn LogSession::replay(std::size_t call, const Deadline* deadline) {
  const LoggedCall& logged = log_.calls[call];
  for (const OpNumber number : logged.operations) {
    CHECK(deadline != nullptr);
    IoWait wait;
    if (wait.number() != number) {
      diverge(fmt::format("call {} waits for operation {}, in the log for {}", call, wait.number().value(),
                          number.value()));
    }
    // How the wait ends is no news: the log knows what the call made of it.
    static_cast<void>(wait.wait({WaitKind::kEvent, static_cast<std::uint64_t>(number.value()), 0, 0}, *deadline));
  }
  if (!logged.returned.has_value()) {
    park();
  }
  end(call, *logged.returned);
  return *logged.returned;
}

void LogSession::diverge(std::string how) {
  if (divergence_.empty()) {
    divergence_ = std::move(how);
  }
  park();
}

void LogSession::park() {
  fiber::Waiter waiter;
  // By the scheduler's own source: no scope's cancellation wakes it.
  waiter.wait({WaitKind::kEvent, 0, 0, 0},
              Deadline(MonotonicTime::never(), Expiry::kNormal, fiber::Scheduler::current().root_cancel()));
  UNREACHABLE("a parked fiber went on");
}

}  // namespace chronik::runtime
