#include "sim/obligations.h"

#include <fmt/core.h>

#include <utility>

#include "sim/world.h"

namespace chronik::sim {

std::uint64_t Obligations::open(std::string what, Duration limit) {
  const std::uint64_t id = next_++;
  const EventId alarm = world_.after(limit, [this, id, limit] {
    world_.fail("NO-STUCK", fmt::format("not settled within {} ms: {}\n{}", limit.milliseconds(), open_.at(id).what,
                                        world_.describe_waits()));
    open_.erase(id);
  });
  open_.emplace(id, Open{std::move(what), alarm});
  return id;
}

void Obligations::settle(std::uint64_t id) {
  const auto found = open_.find(id);
  if (found == open_.end()) {
    CHECK(!world_.findings().empty());  // not in time, which is told
    return;
  }
  world_.cancel(found->second.alarm);
  open_.erase(found);
}

}  // namespace chronik::sim
