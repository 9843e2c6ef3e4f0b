#include "sim/strategy.h"

#include <algorithm>
#include <array>

#include "core/base/mix.h"

namespace chronik::sim {

namespace {
using fiber::ChoicePoint;
constexpr std::array<std::uint32_t, 5> kDeviations{2'000, 30'000, 150'000, 500'000, 1'000'000};
constexpr std::array<std::uint32_t, 3> kSuspensions{0, 20'000, 300'000};
}  // namespace

ShardStrategy::ShardStrategy(const WorldOptions& options, std::uint64_t shard, Draws draws)
    : kind_(options.schedule),
      shard_(shard),
      salt_(draws.next()),
      replay_(options.replay),
      record_(options.record),
      choices_(options.choices) {
  deviation_ = {kDeviations[draws.below(kDeviations.size())]};
  suspension_ = {kSuspensions[draws.below(kSuspensions.size())]};
  if (kind_ == ScheduleKind::kPct) {
    const std::int64_t depth = draws.between(1, 5);
    for (std::int64_t i = 0; i < depth; ++i) {
      change_points_.insert(static_cast<std::uint64_t>(draws.magnitude(16, 200'000)));
    }
    deviation_ = {100'000};  // of the points that are no choice between fibers
  }
}

ChoiceKey ShardStrategy::key_of(ChoicePoint point, std::uint64_t who, std::size_t ways) {
  // Operations have numbers of their own, so the first of a batch and the batch's length name the choice.
  const std::uint64_t nth =
      point == ChoicePoint::kCompletionOrder ? ways : counters_[mix(static_cast<std::uint64_t>(point), who)]++;
  return {shard_, point, who, nth};
}

std::uint64_t ShardStrategy::decide(const ChoiceKey& key, std::size_t ways) const {
  if (replay_ != nullptr) {
    const auto found = replay_->find(key);
    return found == replay_->end() || found->second >= ways ? 0 : found->second;
  }
  if (kind_ == ScheduleKind::kFifo) {
    return 0;
  }
  const std::uint64_t bits = mix(mix(salt_, static_cast<std::uint64_t>(key.point)), key.who, key.nth);
  const PerMillion probability = key.point == ChoicePoint::kSuspendAnyway ? suspension_ : deviation_;
  if (chronik::below(bits, 1'000'000) >= probability.value) {
    return 0;
  }
  return chronik::below(mix(bits), ways);
}

std::size_t ShardStrategy::settle(const ChoiceKey& key, std::size_t ways, std::uint64_t chosen) {
  if (choices_ != nullptr) {
    choices_->push_back({key, ways});
  }
  if (chosen != 0 && record_ != nullptr) {
    record_->emplace(key, chosen);
  }
  return static_cast<std::size_t>(chosen);
}

std::size_t ShardStrategy::choose(ChoicePoint point, std::uint64_t who, std::size_t ways) {
  const ChoiceKey key = key_of(point, who, ways);
  return settle(key, ways, decide(key, ways));
}

std::size_t ShardStrategy::choose_next(std::span<const std::uint64_t> ready) {
  const ChoiceKey key = key_of(ChoicePoint::kNextFiber, ready.front(), ready.size());
  return settle(key, ready.size(), by_priority(ready));
}

std::uint64_t ShardStrategy::priority(std::uint64_t lineage) const {
  // A fiber that was lowered comes behind all that never were, and behind those lowered before it.
  const auto found = lowered_.find(lineage);
  return found != lowered_.end() ? found->second : (mix(salt_, lineage) >> 1) + (std::uint64_t{1} << 32);
}

std::uint64_t ShardStrategy::by_priority(std::span<const std::uint64_t> ready) {
  std::size_t best = 0;
  for (std::size_t i = 1; i < ready.size(); ++i) {
    if (priority(ready[i]) > priority(ready[best])) {
      best = i;
    }
  }
  if (change_points_.contains(++steps_)) {
    lowered_[ready[best]] = (std::uint64_t{1} << 32) - 1 - steps_;
  }
  return best;
}

}  // namespace chronik::sim
