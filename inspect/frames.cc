#include "inspect/frames.h"

#include <absl/debugging/symbolize.h>
#include <execinfo.h>

#include <algorithm>
#include <array>
#include <initializer_list>
#include <iterator>
#include <string_view>

namespace chronik::inspect {

namespace {

std::string function_at(const void* instruction) {
  std::array<char, 512> name{};
  return absl::Symbolize(instruction, name.data(), static_cast<int>(name.size())) ? std::string(name.data()) : "?";
}

// Behind a call that never returns the address may be the next function's.
std::string function_before(const void* return_address) {
  return function_at(static_cast<const char*>(return_address) - 1);
}

bool has_any(std::string_view name, std::initializer_list<std::string_view> parts) {
  return std::any_of(parts.begin(), parts.end(),
                     [name](std::string_view part) { return name.find(part) != std::string_view::npos; });
}

// What every wait has above its own function: whoever looks, the scheduler.
bool suspends(std::string_view name) {
  return has_any(
      name, {"Unwinder::on_stack", "gather_returns", "backtrace", "Scheduler::suspend_current", "fiber::Waiter::wait"});
}

// What every fiber has below its body.
bool starts(std::string_view name) {
  return has_any(name, {"Scheduler::create<", "Scheduler::enter", "fiber::(anonymous namespace)::begin",
                        "make_fcontext", "internal_any_invocable"});
}

std::vector<std::string> names_of(std::span<void* const> returns) {
  std::vector<std::string> names;
  names.reserve(returns.size());
  std::transform(returns.begin(), returns.end(), std::back_inserter(names), function_before);
  return names;
}

}  // namespace

void initialize_symbols(const char* program) { absl::InitializeSymbolizer(program); }

std::size_t gather_returns(std::span<void*> into) {
  return static_cast<std::size_t>(std::max(backtrace(into.data(), static_cast<int>(into.size())), 0));
}

std::vector<std::string> frames_of_waiting_fiber(std::span<void* const> returns) {
  std::vector<std::string> names = names_of(returns);
  const auto is_suspension = [](const std::string& name) { return suspends(name); };
  const auto body = std::find_if(names.rbegin(), names.rend(), is_suspension).base();
  names.erase(names.begin(), body);
  while (!names.empty() && (starts(names.back()) || names.back() == "?")) {
    names.pop_back();
  }
  return names;
}

std::vector<std::string> frames_of_struck_thread(std::span<void* const> returns) {
  std::vector<std::string> names = names_of(returns);
  const auto is_the_kernels = [](const std::string& name) { return name == "?" || name == "__restore_rt"; };
  const auto kernel = std::find_if(names.begin(), names.end(), is_the_kernels);
  if (kernel != names.end() && kernel + 1 != names.end()) {
    // No call has led there: the address is that of the instruction itself, which may be its function's first.
    *(kernel + 1) = function_at(returns[static_cast<std::size_t>(kernel + 1 - names.begin())]);
  }
  names.erase(names.begin(), kernel == names.end() ? kernel : kernel + 1);
  std::erase_if(names, [](const std::string& name) { return name == "?" || starts(name); });
  return names;
}

}  // namespace chronik::inspect
