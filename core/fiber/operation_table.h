// The operations that are under way on a shard, by their numbers: found without a search.
//
// A number is how many operations began before, and the place in the table: no two under way share one, and each is
// greater than those before it for longer than a process lives.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "core/base/check.h"
#include "core/fiber/operation.h"

namespace chronik::fiber {

class OperationTable {
 public:
  OpNumber add(Operation& operation) {
    if (free_.empty()) {
      CHECK_LT(entries_.size(), std::size_t{1} << kPlaceBits);
      free_.push_back(static_cast<std::uint32_t>(entries_.size()));
      entries_.emplace_back();
    }
    const std::uint32_t place = free_.back();
    free_.pop_back();
    Entry& entry = entries_[place];
    entry.number = OpNumber(static_cast<std::int64_t>((++begun_ & kBegunMask) << kPlaceBits | place));
    entry.operation = &operation;
    ++size_;
    return entry.number;
  }
  // Takes the operation out. Null where no operation of that number is under way.
  Operation* take(OpNumber number) {
    const std::size_t place = static_cast<std::uint64_t>(number.value()) & ((std::uint64_t{1} << kPlaceBits) - 1);
    if (place >= entries_.size() || entries_[place].number != number || entries_[place].operation == nullptr) {
      return nullptr;
    }
    --size_;
    free_.push_back(static_cast<std::uint32_t>(place));
    return std::exchange(entries_[place].operation, nullptr);
  }
  std::size_t size() const { return size_; }
  void clear() {
    entries_.clear();
    free_.clear();
    size_ = 0;
  }

 private:
  static constexpr int kPlaceBits = 20;
  static constexpr std::uint64_t kBegunMask = (std::uint64_t{1} << (63 - kPlaceBits)) - 1;
  struct Entry {
    OpNumber number;
    Operation* operation = nullptr;
  };

  std::vector<Entry> entries_;
  std::vector<std::uint32_t> free_;
  std::uint64_t begun_ = 0;
  std::size_t size_ = 0;
};

}  // namespace chronik::fiber
