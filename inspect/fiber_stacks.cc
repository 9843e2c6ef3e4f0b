#include "inspect/fiber_stacks.h"

#include <absl/container/btree_map.h>
#include <fmt/core.h>

#include <array>

#include "inspect/frames.h"

namespace chronik::inspect {

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
    const std::size_t count = gather_returns(returns);
    found.push_back({&fiber, std::vector<void*>(returns.data(), returns.data() + count)});
  }
  std::vector<Found> found;
};

}  // namespace

void collect_stacks(fiber::Scheduler& scheduler, std::string_view place, std::vector<FiberStack>& into) {
  Unwinder unwinder;
  scheduler.visit_stacks(unwinder);
  for (const Unwinder::Found& found : unwinder.found) {
    into.push_back(
        {.place = std::string(place), .path = found.fiber->path(), .frames = frames_of_waiting_fiber(found.returns)});
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

}  // namespace chronik::inspect
