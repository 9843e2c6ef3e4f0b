// In which order turnstiles are taken: two that are taken in both orders are a deadlock that has not happened yet (rule
// S8).
#pragma once

#include <absl/container/btree_map.h>

#include <string>
#include <string_view>
#include <utility>

#include "core/base/ids.h"
#include "core/fiber/fiber.h"

namespace chronik::sim {

class TurnstileOrders {
 public:
  // `fiber`, of a process's shard, wants to enter `turnstile`.
  void note(ShardId shard, std::string_view place, const fiber::Fiber& fiber, const WaitKey& turnstile,
            const char* name);
  // The first turnstiles that were taken in a circle, and by whom; empty: there are none.
  const std::string& circle() const { return circle_; }

 private:
  using Place = std::pair<ShardId, WaitKey>;  // a shard's number is of one life of one process
  struct Step {
    std::string who;
    std::string name;  // of the turnstile that it leads to
  };
  using Steps = absl::btree_map<Place, Step>;

  bool find_way(const Place& from, const Place& to, std::string& way) const;

  absl::btree_map<Place, Steps> after_;  // turnstile -> those that were entered from inside it
  std::string circle_;
};

}  // namespace chronik::sim
