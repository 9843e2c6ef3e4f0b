#include "core/fiber/timer_queue.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <memory>
#include <vector>

namespace chronik::fiber {
namespace {

struct Numbered final : Timer {
  void on_timer() override {}
  int number = 0;
  std::int64_t at = 0;
};

// The same as a list that is searched: the earliest first, among equals the one that was armed first.
RC_GTEST_PROP(TimerQueue, FiresInTheOrderOfMomentsThenOfArming, ()) {
  TimerQueue queue;
  std::vector<std::unique_ptr<Numbered>> model;  // in the order of arming
  const auto earliest = [&model] {
    return std::min_element(model.begin(), model.end(), [](const auto& a, const auto& b) { return a->at < b->at; });
  };
  const auto steps = *rc::gen::container<std::vector<std::pair<int, int>>>(
      rc::gen::pair(rc::gen::inRange(0, 4), rc::gen::inRange(0, 12)));
  int numbers = 0;
  for (const auto& [what, value] : steps) {
    if (what < 2) {
      auto timer = std::make_unique<Numbered>();
      timer->number = ++numbers;
      timer->at = value;
      queue.arm(*timer, MonotonicTime::from_nanoseconds(value));
      model.push_back(std::move(timer));
    } else if (what == 2 && !model.empty()) {
      model.erase(model.begin() + value % static_cast<int>(model.size()));  // its destructor calls it off
    } else {
      Timer* due = queue.take_due(MonotonicTime::from_nanoseconds(value));
      const auto expected = earliest();
      RC_ASSERT((due != nullptr) == (expected != model.end() && (*expected)->at <= value));
      if (due != nullptr) {
        RC_ASSERT(static_cast<Numbered*>(due)->number == (*expected)->number);
        RC_ASSERT(!due->armed());
        model.erase(expected);
      }
    }
    RC_ASSERT(queue.size() == model.size());
    const auto next = earliest();
    RC_ASSERT(queue.next() ==
              (next == model.end() ? MonotonicTime::never() : MonotonicTime::from_nanoseconds((*next)->at)));
  }
}

}  // namespace
}  // namespace chronik::fiber
