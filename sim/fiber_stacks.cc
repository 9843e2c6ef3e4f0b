#include "sim/fiber_stacks.h"

#include <absl/container/btree_map.h>
#include <absl/debugging/symbolize.h>
#include <execinfo.h>
#include <fmt/core.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <string_view>

#include "core/base/check.h"

namespace chronik::sim {

namespace {

constexpr std::size_t kFramesMost = 64;
constexpr std::size_t kNamesShown = 4;  // of fibers with the same stack

// Runs on the stack of the fiber that it looks at; gathers addresses and nothing else.
class Unwinder final : public fiber::StackVisitor {
 public:
  struct Found {
    const fiber::Fiber* fiber;
    std::vector<void*> returns;
  };
  void on_stack(const fiber::Fiber& fiber) override {
    std::array<void*, kFramesMost> returns{};
    const int count = backtrace(returns.data(), static_cast<int>(returns.size()));
    found.push_back({&fiber, std::vector<void*>(returns.begin(), returns.begin() + std::max(count, 0))});
  }
  std::vector<Found> found;
};

std::string function_at(void* return_address) {
  std::array<char, 512> name{};
  // Behind a call that never returns the address may be the next function's.
  const void* call = static_cast<const char*>(return_address) - 1;
  return absl::Symbolize(call, name.data(), static_cast<int>(name.size())) ? std::string(name.data()) : "?";
}

bool has_any(std::string_view name, std::initializer_list<std::string_view> parts) {
  return std::any_of(parts.begin(), parts.end(),
                     [name](std::string_view part) { return name.find(part) != std::string_view::npos; });
}

// What every wait has above its own function: this file, the scheduler.
bool suspends(std::string_view name) {
  return has_any(name, {"Unwinder::on_stack", "backtrace", "Scheduler::suspend_current", "fiber::Waiter::wait"});
}

// What every fiber has below its body.
bool starts(std::string_view name) {
  return has_any(name, {"Scheduler::create<", "Scheduler::enter", "fiber::(anonymous namespace)::begin",
                        "make_fcontext", "internal_any_invocable"});
}

std::vector<std::string> frames_of(const std::vector<void*>& returns) {
  std::vector<std::string> names;
  names.reserve(returns.size());
  for (void* one : returns) {
    names.push_back(function_at(one));
  }
  const auto is_suspension = [](const std::string& name) { return suspends(name); };
  const auto body = std::find_if(names.rbegin(), names.rend(), is_suspension).base();
  names.erase(names.begin(), body);
  while (!names.empty() && (starts(names.back()) || names.back() == "?")) {
    names.pop_back();
  }
  return names;
}

// Of a process that ends anyway, so whatever it may not do in a handler matters little.
void say_stack_and_die(int /*number*/) {
  std::array<void*, kFramesMost> returns{};
  const int count = backtrace(returns.data(), static_cast<int>(returns.size()));
  bool struck = false;
  for (int i = 0; i < count; ++i) {
    const std::string name = function_at(returns[static_cast<std::size_t>(i)]);
    if (struck && !starts(name) && name != "?") {
      fmt::print(stderr, "      {}\n", name);
    }
    struck = struck || name == "?" || name == "__restore_rt";  // the kernel's frame
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

void initialize_symbols(const char* program) { absl::InitializeSymbolizer(program); }

void collect_stacks(fiber::Scheduler& scheduler, std::string_view place, std::vector<FiberStack>& into) {
  Unwinder unwinder;
  scheduler.visit_stacks(unwinder);
  for (const Unwinder::Found& found : unwinder.found) {
    into.push_back({.place = std::string(place), .path = found.fiber->path(), .frames = frames_of(found.returns)});
  }
}

std::string describe_stacks(std::span<const FiberStack> stacks) {
  absl::btree_map<std::vector<std::string>, std::size_t> groups;  // frames -> place in `members`
  std::vector<std::vector<const FiberStack*>> members;
  for (const FiberStack& stack : stacks) {
    const auto [at, fresh] = groups.emplace(stack.frames, members.size());
    if (fresh) {
      members.emplace_back();
    }
    members[at->second].push_back(&stack);
  }
  std::string text;
  for (const std::vector<const FiberStack*>& group : members) {
    for (std::size_t i = 0; i < group.size() && i < kNamesShown; ++i) {
      text += fmt::format("{}{} {}", i == 0 ? "  " : ", ", group[i]->place, group[i]->path);
    }
    text += group.size() > kNamesShown ? fmt::format(" and {} more are in\n", group.size() - kNamesShown)
                                       : (group.size() > 1 ? " are in\n" : " is in\n");
    for (const std::string& frame : group.front()->frames) {
      text += fmt::format("      {}\n", frame);
    }
  }
  return text;
}

}  // namespace chronik::sim
