#include "sim/scenarios/group_watch.h"

#include <fmt/core.h>

#include <algorithm>

#include "core/base/crc32c.h"
#include "core/cluster/invariants.h"
#include "core/cluster/snapshot.h"
#include "sim/disk_faults.h"
#include "sim/in_sync_checker.h"
#include "sim/scenarios/bounds_checker.h"
#include "sim/segment_checker.h"
#include "sim/wal_checker.h"
#include "sim/watermark_checker.h"

namespace chronik::sim {

namespace {

// A cleaner that looks for work every few milliseconds takes its turns.
std::uint64_t idle_turns_of(const node::NodeConfig& config) {
  const auto backoff = config.broker.find("log.cleaner.backoff.ms");
  const std::uint64_t cleaner = backoff == config.broker.end() ? 0 : 2'000 / std::stoull(backoff->second);
  return BoundsChecker::kIdleTurns + cleaner;
}

}  // namespace

void ImageWatch::on_metadata(const cluster::Delta& delta) {
  note_partitions(delta);
  if (delta.after->applied <= std::exchange(latest_, delta.after->applied)) {
    state_.world->fail("META-LIN", fmt::format("an image of index {} after one of a later index, in one life of a node",
                                               delta.after->applied));
  }
  if (delta.before) {
    expect_whole(cluster::broken_invariants(*delta.before, *delta.after), *delta.after);
  }
  if (delta.after->applied.value() % 8 != 0) {
    return;
  }
  expect_whole(cluster::broken_invariants(*delta.after), *delta.after);
  const std::string bytes = cluster::encode_snapshot(*delta.after);
  const std::uint32_t checksum = crc32c(as_bytes(bytes));
  const auto [known, first] = state_.images.emplace(delta.after->applied, checksum);
  if (!first && known->second != checksum) {
    state_.world->fail("META-AGREE", fmt::format("two images of index {} differ", delta.after->applied));
  }
}

void ImageWatch::expect_whole(const std::vector<std::string>& broken, const cluster::Image& image) {
  for (const std::string& sentence : broken) {
    state_.world->fail("META-WHOLE", fmt::format("the image of index {}: {}", image.applied, sentence));
  }
}

void ImageWatch::note_partitions(const cluster::Delta& delta) {
  const auto note = [this](const cluster::Topic& topic, const cluster::Partition& partition) {
    if (partition.unclean_epoch != LeaderEpoch::none()) {
      LeaderEpoch& known = state_.unclean.try_emplace({topic.id, partition.index}, LeaderEpoch::none()).first->second;
      known = std::max(known, partition.unclean_epoch);
    }
    if (state_.on_partition) {
      state_.on_partition({topic.id, partition.index}, partition);
    }
  };
  for (const cluster::TopicRef& topic : delta.created) {
    topic->partitions.for_each([&](const cluster::Partition& partition) { note(*topic, partition); });
  }
  for (const cluster::PartitionChange& change : delta.partitions) {
    note(*change.topic, *change.after);
  }
}

void watch_node(World& world, Machine& machine, const GroupState& state) {
  world.checkers().add(std::make_unique<WalChecker>(world, machine, WalChecker::Excuses{.healed = state.healed}));
  world.checkers().add(std::make_unique<SegmentChecker>(world, machine));
  const auto node = [&machine, &state]() -> const node::Node* {
    const auto serving = state.serving.find(machine.name());
    return serving == state.serving.end() ? nullptr : serving->second;
  };
  const auto alone = [&world, &state] {
    const auto& machines = world.machines();
    return std::none_of(machines.begin(), machines.end(), [&state](const std::unique_ptr<Machine>& other) {
      return other->running() && !state.configs.contains(other->name());
    });
  };
  world.checkers().add(std::make_unique<BoundsChecker>(
      world, machine,
      BoundsChecker::Views{
          .node = node,
          .config = [&machine, &state]() -> const node::NodeConfig& { return state.configs.at(machine.name()); },
          .rots = [&machine] { return !disk_of(machine).model().damage().empty(); },
          .peers = [&state] { return state.configs.size() - 1; },
          .idle_turns = [&machine, &state] { return idle_turns_of(state.configs.at(machine.name())); },
          .between_looks = Duration::milliseconds(500),
          .alone = alone}));
}

void watch_leaders(World& world, GroupState& state) {
  for (const auto& [name, node] : state.serving) {
    const raft::Raft& raft = node->raft().raft();
    if (raft.role() != raft::Role::kLeader) {
      continue;
    }
    const auto [known, first] = state.leaders.emplace(raft.term(), raft.self());
    if (!first && known->second != raft.self()) {
      return world.fail("ONE-LEADER", fmt::format("nodes {} and {} lead in term {}", known->second.node,
                                                  raft.self().node, raft.term()));
    }
  }
  world.after(Duration::milliseconds(20), [&world, &state] { watch_leaders(world, state); });
}

void watch_watermarks(World& world, const GroupState& state) {
  const auto replica = [&state](const Machine& machine, const PartitionRef& p) -> WatermarkChecker::Replica {
    const auto serving = state.serving.find(machine.name());
    const broker::HostedTopic* topic =
        serving == state.serving.end() ? nullptr : serving->second->table().find(p.topic);
    const auto at = static_cast<std::size_t>(p.partition.value());
    if (topic == nullptr || at >= topic->partitions.size() || !topic->partitions[at]) {
      return {};
    }
    return {.log = &topic->partitions[at]->log(), .high_watermark = topic->partitions[at]->high_watermark()};
  };
  const auto unclean_epoch = [&state](const PartitionRef& p) {
    const auto known = state.unclean.find(p);
    return known == state.unclean.end() ? LeaderEpoch::none() : known->second;
  };
  world.checkers().add(std::make_unique<WatermarkChecker>(world, WatermarkChecker::Views{replica, unclean_epoch}));
}

void watch_in_sync(World& world, GroupState& state, std::size_t min_in_sync) {
  const auto node = [&state](const Machine& machine) {
    const auto configured = state.configs.find(machine.name());
    return configured == state.configs.end() ? NodeId::none() : configured->second.node;
  };
  const auto partition = [&state](const Machine& machine, const PartitionRef& p) -> const cluster::Partition* {
    const auto serving = state.serving.find(machine.name());
    return serving == state.serving.end() ? nullptr
                                          : serving->second->metadata().image()->find_partition(p.topic, p.partition);
  };
  InSyncChecker& checker = world.checkers().add(std::make_unique<InSyncChecker>(
      world, InSyncChecker::Views{.node = node, .partition = partition, .min_in_sync = min_in_sync}));
  state.on_partition = [&checker](const PartitionRef& p, const cluster::Partition& as) { checker.on_partition(p, as); };
}

bool judge_images(World& world, const GroupState& state, std::size_t nodes) {
  if (state.serving.size() != nodes) {
    world.fail("META-LIVE", fmt::format("{} of {} nodes serve after all was healed\n{}", state.serving.size(), nodes,
                                        world.describe_waits()));
    return false;
  }
  const cluster::Image& first = *state.serving.begin()->second->metadata().image();
  for (const auto& [name, node] : state.serving) {
    const cluster::Image& image = *node->metadata().image();
    if (image.applied != first.applied) {
      world.fail("META-LIVE", fmt::format("{} has applied {}, another {}", name, image.applied, first.applied));
      return false;
    }
    if (cluster::encode_snapshot(image) != cluster::encode_snapshot(first)) {
      world.fail("META-AGREE", fmt::format("{} has another image of index {} in the end", name, image.applied));
      return false;
    }
  }
  return true;
}

}  // namespace chronik::sim
