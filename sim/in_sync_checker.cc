#include "sim/in_sync_checker.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "sim/machine.h"
#include "sim/shard.h"

namespace chronik::sim {

// One life of a node: what its logs keep.
class InSyncChecker::Life final : public Observer {
 public:
  Life(InSyncChecker& checker, Machine& machine)
      : checker_(checker), machine_(machine), node_(checker.views_.node(machine)) {}

  void on_partition_opened(const PartitionRef& p, Offset /*start*/, Offset end, Offset durable) override {
    // What is in doubt after a death was durable, where it was: it is only written anew (rule R2).
    Offset& known = checker_.durable_.try_emplace({p, node_}, durable).first->second;
    known = std::min(std::max(known, durable), end);
  }
  void on_durable_end(const PartitionRef& p, Offset end) override { checker_.durable_[{p, node_}] = end; }
  void on_truncated(const PartitionRef& p, LeaderEpoch /*epoch*/, Offset new_end) override {
    if (const auto known = checker_.durable_.find({p, node_}); known != checker_.durable_.end()) {
      known->second = std::min(known->second, new_end);
    }
  }
  void on_partition_deleted(const PartitionRef& p) override {
    checker_.durable_.erase({p, node_});
    Known& known = checker_.partitions_[p];
    known.gone =
        known.gone || std::find(known.counted_on.begin(), known.counted_on.end(), node_) != known.counted_on.end();
  }
  void on_high_watermark(const PartitionRef& p, LeaderEpoch /*epoch*/, Offset high_watermark) override {
    checker_.rise(machine_, p, high_watermark);
  }

 private:
  InSyncChecker& checker_;
  Machine& machine_;
  NodeId node_;
};

InSyncChecker::InSyncChecker(World& world, Views views) : world_(world), views_(std::move(views)) {}
InSyncChecker::~InSyncChecker() = default;

Observer* InSyncChecker::observe(Shard& shard) {
  std::unique_ptr<Life>& life = lives_[&shard.machine()];
  life = std::make_unique<Life>(*this, shard.machine());
  return life.get();
}

void InSyncChecker::on_exit(Machine& machine, const Exit& /*exit*/) { lives_.erase(&machine); }

bool InSyncChecker::learn(const PartitionRef& p, Known& known, const cluster::Partition& partition) {
  if (partition.epoch <= known.epoch) {
    return false;
  }
  const Known before = std::exchange(known, {.epoch = partition.epoch,
                                             .replicas = partition.replicas,
                                             .counted_on = {partition.isr.begin(), partition.isr.end()},
                                             .committed = known.committed,
                                             .gone = known.gone,
                                             .unclean = partition.unclean_epoch != LeaderEpoch::none()});
  known.counted_on.insert(known.counted_on.end(), partition.elr.begin(), partition.elr.end());
  const std::size_t enough = std::min(views_.min_in_sync, partition.replicas.size());
  if (!known.unclean && !partition.elr.empty() && partition.isr.size() >= enough) {
    world_.fail("IN-SYNC", fmt::format("{}-{}: since partition epoch {} node {} is eligible, though {} replicas are in "
                                       "sync and that is enough: nothing can be committed",
                                       p.topic.to_string(), p.partition, partition.epoch, partition.elr.front(),
                                       partition.isr.size()));
  }
  if (!known.unclean && before.replicas == partition.replicas && before.counted_on.size() >= enough &&
      known.counted_on.size() < enough) {
    world_.fail("IN-SYNC", fmt::format("{}-{}: {} replicas were in sync or eligible, and since partition epoch {} {} "
                                       "are: one was forgotten that has everything",
                                       p.topic.to_string(), p.partition, before.counted_on.size(), partition.epoch,
                                       known.counted_on.size()));
  }
  return true;
}

void InSyncChecker::on_partition(const PartitionRef& p, const cluster::Partition& partition) {
  Known& known = partitions_[p];
  if (learn(p, known, partition)) {
    judge(p, known, fmt::format("since partition epoch {}", partition.epoch));
  }
}

Offset InSyncChecker::durable_end(const PartitionRef& p, NodeId node) const {
  const auto durable = durable_.find({p, node});
  return durable == durable_.end() ? Offset(0) : std::max(durable->second, Offset(0));
}

void InSyncChecker::rise(const Machine& machine, const PartitionRef& p, Offset high_watermark) {
  const cluster::Partition* here = views_.partition(machine, p);
  if (here == nullptr) {
    return;
  }
  const NodeId self = views_.node(machine);
  if (durable_end(p, self) < high_watermark) {
    return world_.fail(
        "IN-SYNC", fmt::format("{}-{}: {} believes in a high watermark of {}, and is durable to {}",
                               p.topic.to_string(), p.partition, machine.name(), high_watermark, durable_end(p, self)));
  }
  Known& known = partitions_[p];
  learn(p, known, *here);  // this node may be the first to have it, and not have told of it
  if (known.gone || known.unclean || high_watermark <= known.committed) {
    return;
  }
  known.committed = high_watermark;
  // Who is no replica any more, by the latest image, may have had it and deleted it before this leader hears of that.
  const auto has_it = [&](NodeId node) {
    return durable_end(p, node) >= high_watermark || !cluster::contains(known.replicas, node);
  };
  const auto have_it = static_cast<std::size_t>(std::count_if(here->replicas.begin(), here->replicas.end(), has_it));
  const std::size_t enough = std::min(views_.min_in_sync, here->replicas.size());
  if (here->leader == self && have_it < enough) {
    return world_.fail("IN-SYNC",
                       fmt::format("{}-{}: on {} the high watermark rises to {}, up to which {} replicas "
                                   "are durable, and {} must be",
                                   p.topic.to_string(), p.partition, machine.name(), high_watermark, have_it, enough));
  }
  judge(p, known, fmt::format("and on {} the high watermark rises", machine.name()));
}

void InSyncChecker::judge(const PartitionRef& p, const Known& known, const std::string& when) {
  if (known.gone || known.unclean) {
    return;
  }
  for (const NodeId node : known.counted_on) {
    const Offset end = durable_end(p, node);
    if (end < known.committed) {
      return world_.fail("IN-SYNC",
                         fmt::format("{}-{}: node {} is in sync or eligible, {}; it is durable to {}, and below {} "
                                     "everything was committed",
                                     p.topic.to_string(), p.partition, node, when, end, known.committed));
    }
  }
}

}  // namespace chronik::sim
