// A bounded amount of something (bytes, slots) that fibers take and give back, first come, first served.
#pragma once

#include <cstdint>
#include <utility>

#include "core/fiber/wait.h"

namespace chronik::fiber {

class Budget {
 public:
  // number: names the budget in the wait-for graph.
  Budget(std::uint64_t capacity, std::uint64_t number) : capacity_(capacity), number_(number) {
    CHECK_GT(capacity, std::uint64_t{0});
  }

  // What was taken; gives it back when destroyed.
  class Hold {
   public:
    Hold() = default;
    Hold(Hold&& other) noexcept
        : budget_(std::exchange(other.budget_, nullptr)), amount_(std::exchange(other.amount_, 0)) {}
    Hold& operator=(Hold&& other) noexcept {
      std::swap(budget_, other.budget_);
      std::swap(amount_, other.amount_);
      return *this;
    }
    ~Hold() {
      if (budget_ != nullptr) {
        budget_->give_back(amount_);
      }
    }
    std::uint64_t amount() const { return amount_; }
    // Gives back what is above `amount`.
    void shrink_to(std::uint64_t amount) {
      if (budget_ != nullptr && amount < amount_) {
        budget_->give_back(amount_ - amount);
        amount_ = amount;
      }
    }

   private:
    friend class Budget;
    Hold(Budget& budget, std::uint64_t amount) : budget_(&budget), amount_(amount) {}
    Budget* budget_ = nullptr;
    std::uint64_t amount_ = 0;
  };

  // Waits for its turn and for room. An amount above the capacity counts as the whole capacity: it gets in alone.
  StatusOr<Hold> take(std::uint64_t amount, const Deadline& deadline);

  std::uint64_t used() const { return used_; }
  std::uint64_t capacity() const { return capacity_; }

 private:
  struct Entry : ListHook<struct BudgetTag> {
    Entry(Waiter& who, std::uint64_t what) : waiter(who), amount(what) {}
    Waiter& waiter;
    std::uint64_t amount;
  };
  void give_back(std::uint64_t amount);
  void admit();

  std::uint64_t capacity_;
  std::uint64_t number_;
  std::uint64_t used_ = 0;
  IntrusiveList<Entry, BudgetTag> waiting_;
};

}  // namespace chronik::fiber
