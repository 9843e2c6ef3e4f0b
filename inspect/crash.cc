#include "inspect/crash.h"

#include <fmt/core.h>
#include <signal.h>

#include <array>
#include <cstdio>
#include <span>
#include <string>

#include "core/base/check.h"
#include "inspect/frames.h"

namespace chronik::inspect {

namespace {

constexpr std::size_t kStackFramesMost = 64;

const char* signal_name(int number) {
  switch (number) {
    case SIGSEGV: return "SIGSEGV";
    case SIGBUS: return "SIGBUS";
    case SIGFPE: return "SIGFPE";
    case SIGILL: return "SIGILL";
    default: return "a signal";
  }
}

// Of a process that ends anyway, so whatever it may not do in a handler matters little.
void say_stack_and_die(int number) {
  std::array<void*, kStackFramesMost> returns{};
  const std::size_t count = gather_returns(returns);
  fmt::print(stderr, "{} struck in\n", signal_name(number));
  for (const std::string& frame : frames_of_struck_thread(std::span(returns).first(count))) {
    fmt::print(stderr, "      {}\n", frame);
  }
  std::fflush(stderr);
}

}  // namespace

void say_where_it_crashes() {
  struct sigaction present {};
  CHECK_EQ(sigaction(SIGSEGV, nullptr, &present), 0);
  if (present.sa_handler != SIG_DFL) {
    return;  // a sanitizer's
  }
  static std::array<char, 256 * 1024> stack;  // the one that it strikes on may be full
  stack_t alternate{};
  alternate.ss_sp = stack.data();
  alternate.ss_size = stack.size();
  CHECK_EQ(sigaltstack(&alternate, nullptr), 0);
  struct sigaction action {};
  action.sa_handler = say_stack_and_die;
  action.sa_flags = SA_ONSTACK | static_cast<int>(SA_RESETHAND);  // then the instruction strikes again
  for (const int number : {SIGSEGV, SIGBUS, SIGFPE, SIGILL}) {
    CHECK_EQ(sigaction(number, &action, nullptr), 0);
  }
}

}  // namespace chronik::inspect
