// What must happen by a time, or else NO-STUCK: an answer to a request, the end of a join. Kept by clients, judged by
// the world.
#pragma once

#include <absl/container/btree_map.h>

#include <cstdint>
#include <string>

#include "core/base/time.h"
#include "sim/event_queue.h"

namespace chronik::sim {

class World;

class Obligations {
 public:
  explicit Obligations(World& world) : world_(world) {}

  // `what` must be settled within `limit` of the world's time.
  std::uint64_t open(std::string what, Duration limit);
  // Settled, or dropped because whoever waited for it is gone.
  void settle(std::uint64_t id);
  std::size_t count() const { return open_.size(); }

 private:
  struct Open {
    std::string what;
    EventId alarm;
  };
  World& world_;
  absl::btree_map<std::uint64_t, Open> open_;
  std::uint64_t next_ = 1;
};

}  // namespace chronik::sim
