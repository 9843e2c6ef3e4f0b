// How a simulated shard chooses where the order of things is open (rule S1), and how its choices are written down
// (S10).
//
// A schedule is first-in-first-out plus deviations from it. A choice is known by its shard, its point, whom it is
// about, and which choice of that kind about that one it is; so a deviation still means the same when others are taken
// away.
#pragma once

#include <absl/container/btree_map.h>
#include <absl/container/btree_set.h>
#include <absl/container/flat_hash_map.h>

#include <compare>
#include <cstdint>
#include <span>
#include <vector>

#include "core/fiber/strategy.h"
#include "sim/decision.h"
#include "sim/world.h"

namespace chronik::sim {

struct ChoiceKey {
  std::uint64_t shard = 0;  // Shard::lineage()
  fiber::ChoicePoint point = fiber::ChoicePoint::kNextFiber;
  std::uint64_t who = 0;
  std::uint64_t nth = 0;
  friend auto operator<=>(const ChoiceKey&, const ChoiceKey&) = default;
};

// Deviations (world.h): the choices that differ from first-in-first-out.

// Between how many ways a schedule had to choose.
struct MadeChoice {
  ChoiceKey key;
  std::size_t ways = 0;
};

class ShardStrategy final : public fiber::Strategy {
 public:
  // Of `options`: the kind of schedule; what decides alone where it is there; who is told of deviations, of choices.
  ShardStrategy(const WorldOptions& options, std::uint64_t shard, Draws draws);

  std::size_t choose(fiber::ChoicePoint point, std::uint64_t who, std::size_t ways) override;
  bool looks_at_all() const override { return replay_ == nullptr && kind_ == ScheduleKind::kPct; }
  std::size_t choose_next(std::span<const std::uint64_t> ready) override;

 private:
  std::uint64_t decide(const ChoiceKey& key, std::size_t ways) const;
  std::uint64_t by_priority(std::span<const std::uint64_t> ready);
  std::uint64_t priority(std::uint64_t lineage) const;
  ChoiceKey key_of(fiber::ChoicePoint point, std::uint64_t who, std::size_t ways);
  std::size_t settle(const ChoiceKey& key, std::size_t ways, std::uint64_t chosen);

  ScheduleKind kind_;
  std::uint64_t shard_;
  std::uint64_t salt_;
  PerMillion deviation_;  // of a random schedule: how often it leaves first-in-first-out
  PerMillion suspension_;
  const Deviations* replay_;
  Deviations* record_;
  std::vector<MadeChoice>* choices_;
  absl::flat_hash_map<std::uint64_t, std::uint64_t> counters_;  // looked up, never iterated
  // PCT (Burckhardt et al. 2010): a priority per fiber, lowered at a few moments that are drawn beforehand.
  absl::btree_set<std::uint64_t> change_points_;
  absl::flat_hash_map<std::uint64_t, std::uint64_t> lowered_;  // looked up, never iterated
  std::uint64_t steps_ = 0;
};

}  // namespace chronik::sim
