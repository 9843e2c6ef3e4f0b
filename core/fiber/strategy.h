// Who decides where the order of things is open (rule S1).
//
// Production has no strategy: first in, first out. The simulator's strategies draw, replay or search. A choice is known
// by where it is made, by whom (a lineage that does not shift when others come and go, rule S10) and by how many ways
// there are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace chronik::fiber {

enum class ChoicePoint : std::uint8_t {
  kNextFiber,        // which ready fiber runs next; who: the first in line
  kCompletionOrder,  // which of a batch's completions is delivered next
  kTimersFirst,      // 0: completions before due timers, 1: timers first
  kWakeWaiter,       // which waiter notify_one() wakes
  kSuspendAnyway,    // 0: a call that could finish at once does so, 1: it suspends first
};

class Strategy {
 public:
  virtual ~Strategy() = default;
  // One of 0 … ways-1; 0 is what production does. ways >= 2. `who` is the lineage of the entity that the choice is
  // about.
  virtual std::size_t choose(ChoicePoint point, std::uint64_t who, std::size_t ways) = 0;
  // Whether the choice of the next fiber needs the lineages of all who are ready, not the first one's alone.
  virtual bool looks_at_all() const { return false; }
  virtual std::size_t choose_next(std::span<const std::uint64_t> ready) {
    return choose(ChoicePoint::kNextFiber, ready.front(), ready.size());
  }
};

}  // namespace chronik::fiber
