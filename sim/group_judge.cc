#include "sim/group_judge.h"

#include <fmt/core.h>

#include <algorithm>

namespace chronik::sim {

std::int64_t GroupJudge::known_before(const std::vector<Seen>& seen, VirtualTime asked) {
  std::int64_t largest = -1;
  for (const Seen& one : seen) {
    if (one.at < asked) {
      largest = std::max(largest, one.value);
    }
  }
  return largest;
}

void GroupJudge::assigned(const std::string& group, std::int32_t generation, const std::string& member,
                          const std::set<int>& partitions, VirtualTime asked) {
  GroupHistory& history = groups_[group];
  const std::int64_t before = known_before(history.generations, asked);
  if (generation < before) {
    world_.fail("GEN-MONO", fmt::format("{} of {} is told what it owns in generation {} though generation {} was told "
                                        "before it asked",
                                        member, group, generation, before));
  }
  for (const int partition : partitions) {
    const auto [owner, first] = history.owners[generation].emplace(partition, member);
    if (!first && owner->second != member) {
      world_.fail("GEN-MONO", fmt::format("partition {} belongs to {} and to {} in generation {} of {}", partition,
                                          owner->second, member, generation, group));
    }
  }
  history.generations.push_back({.at = world_.now(), .value = generation});
}

void GroupJudge::commits(const std::string& group, int partition, std::int64_t offset) {
  groups_[group].partitions[partition].attempted.insert(offset);
}

void GroupJudge::committed(const std::string& group, std::int32_t generation, int partition, std::int64_t offset,
                           VirtualTime asked) {
  GroupHistory& history = groups_[group];
  const std::int64_t before = known_before(history.generations, asked);
  if (generation < before) {
    world_.fail("GEN-MONO",
                fmt::format("a commit of generation {} of {} for partition {} is accepted though generation "
                            "{} was told before it was sent",
                            generation, group, partition, before));
  }
  PartitionHistory& of = history.partitions[partition];
  of.known.push_back({.at = world_.now(), .value = offset});
  of.acknowledged.push_back(world_.now());
}

void GroupJudge::fetched(const std::string& group, int partition, std::int64_t offset, VirtualTime asked) {
  PartitionHistory& of = groups_[group].partitions[partition];
  const std::int64_t before = known_before(of.known, asked);
  if (offset < before) {
    world_.fail("OFFSETS-COMMIT", fmt::format("{} fetches offset {} of partition {}; {} was known before it asked",
                                              group, offset, partition, before));
  } else if (offset >= 0 && !of.attempted.contains(offset)) {
    world_.fail("OFFSETS-COMMIT",
                fmt::format("{} fetches offset {} of partition {}, which nobody committed", group, offset, partition));
  }
  of.known.push_back({.at = world_.now(), .value = offset});
}

void GroupJudge::keeps(const std::string& group, int partition, std::int64_t offset) {
  kept_[group].partitions[partition].open.insert(offset);
}

void GroupJudge::kept(const std::string& group, int partition, std::int64_t offset) {
  KeptGroup& of = kept_[group];
  of.at = world_.now();
  KeptPartition& one = of.partitions[partition];
  one.open.erase(one.open.find(offset));
  one.settled = offset;
}

void GroupJudge::kept_fetched(const std::string& group, int partition, std::int64_t offset) {
  const KeptPartition& one = kept_[group].partitions[partition];
  if (offset != one.settled && !one.open.contains(offset)) {
    world_.fail("OFFSETS-COMMIT",
                fmt::format("the keeper of {} fetches offset {} of partition {}; it kept {} last, and "
                            "{} others are of unknown outcome",
                            group, offset, partition, one.settled, one.open.size()));
  }
}

VirtualTime GroupJudge::kept_at(const std::string& group) const {
  const auto found = kept_.find(group);
  return found == kept_.end() ? VirtualTime::zero() : found->second.at;
}

std::uint64_t GroupJudge::commits_since(const std::string& group, int partition, VirtualTime since) const {
  const auto history = groups_.find(group);
  if (history == groups_.end() || !history->second.partitions.contains(partition)) {
    return 0;
  }
  const std::vector<VirtualTime>& acknowledged = history->second.partitions.at(partition).acknowledged;
  return static_cast<std::uint64_t>(
      std::count_if(acknowledged.begin(), acknowledged.end(), [since](VirtualTime at) { return at >= since; }));
}

std::int32_t GroupJudge::latest_generation(const std::string& group) const {
  const auto history = groups_.find(group);
  return history == groups_.end()
             ? -1
             : static_cast<std::int32_t>(known_before(history->second.generations, VirtualTime::never()));
}

}  // namespace chronik::sim
