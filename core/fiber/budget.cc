#include "core/fiber/budget.h"

#include <algorithm>

namespace chronik::fiber {

StatusOr<Budget::Hold> Budget::take(std::uint64_t amount, const Deadline& deadline) {
  amount = std::min(amount, capacity_);
  if (waiting_.empty() && used_ + amount <= capacity_) {
    used_ += amount;
    return Hold(*this, amount);
  }
  Waiter waiter;
  Entry entry(waiter, amount);
  waiting_.push_back(entry);
  const Wake wake = waiter.wait(WaitKey{WaitKind::kBudget, number_, amount, 0}, deadline);
  if (wake != Wake::kSignalled) {
    entry.unlink();
    admit();  // whoever stood behind may fit
    return wake_status(wake);
  }
  return Hold(*this, amount);  // admit() has counted it
}

void Budget::give_back(std::uint64_t amount) {
  CHECK_LE(amount, used_);
  used_ -= amount;
  admit();
}

void Budget::admit() {
  while (!waiting_.empty()) {
    Entry& first = waiting_.front();
    if (used_ + first.amount > capacity_) {
      return;
    }
    first.unlink();
    if (first.waiter.fire(Wake::kSignalled)) {
      used_ += first.amount;
    }
  }
}

}  // namespace chronik::fiber
