#include "sim/watermark_checker.h"

#include <fmt/core.h>

#include <utility>

#include "sim/machine.h"
#include "sim/shard.h"

namespace chronik::sim {

namespace {

std::string text_of(const PartitionRef& p) { return fmt::format("{}-{}", p.topic.to_string(), p.partition); }

// Of the record before `end`. None: it is not there any more.
LeaderEpoch epoch_before(const log::PartitionLog& log, Offset end) {
  LeaderEpoch epoch = log.last_epoch();
  while (epoch != LeaderEpoch::none() && end > log.log_start()) {
    const log::EpochEnd earlier = log.end_of_epoch(LeaderEpoch(epoch.value() - 1));
    if (earlier.epoch == LeaderEpoch::none() || earlier.epoch >= epoch || earlier.end < end) {
      return epoch;
    }
    epoch = earlier.epoch;
  }
  return LeaderEpoch::none();
}

}  // namespace

// One life of a node: what its replicas told of, and in which epoch.
class WatermarkChecker::Life final : public Observer {
 public:
  Life(WatermarkChecker& checker, Machine& machine) : checker_(checker), machine_(machine) {}

  void on_high_watermark(const PartitionRef& p, LeaderEpoch epoch, Offset high_watermark) override {
    const auto [known, first] = told_.emplace(p, Told{high_watermark, epoch});
    const Told before = known->second;
    known->second = {high_watermark, epoch};
    if (!first && high_watermark < before.high_watermark && checker_.views_.unclean_epoch(p) <= before.epoch) {
      checker_.world_.fail(
          "HW-MONO",
          fmt::format("{}: {} had a high watermark of {} in epoch {} and has one of {} in epoch {}", text_of(p),
                      machine_.name(), before.high_watermark, before.epoch, high_watermark, epoch));
      return;
    }
    checker_.judge_committed(machine_, p, epoch, high_watermark);
  }
  // A partition that is hosted anew begins with what its log has kept.
  void on_partition_deleted(const PartitionRef& p) override { told_.erase(p); }
  void on_partition_opened(const PartitionRef& p, Offset /*start*/, Offset /*end*/, Offset /*durable*/) override {
    told_.erase(p);
  }

  void judge_end() const {
    for (const auto& [p, told] : told_) {
      const Replica replica = checker_.views_.replica(machine_, p);
      if (replica.log != nullptr && replica.high_watermark != told.high_watermark) {
        checker_.world_.fail("HW-MONO",
                             fmt::format("{}: {} has a high watermark of {}, and told of {} at last", text_of(p),
                                         machine_.name(), replica.high_watermark, told.high_watermark));
        return;
      }
    }
  }

 private:
  struct Told {
    Offset high_watermark;
    LeaderEpoch epoch;
  };
  WatermarkChecker& checker_;
  Machine& machine_;
  std::map<PartitionRef, Told> told_;
};

WatermarkChecker::WatermarkChecker(World& world, Views views) : world_(world), views_(std::move(views)) {}
WatermarkChecker::~WatermarkChecker() = default;

Observer* WatermarkChecker::observe(Shard& shard) {
  std::unique_ptr<Life>& life = lives_[&shard.machine()];
  life = std::make_unique<Life>(*this, shard.machine());
  return life.get();
}

void WatermarkChecker::on_exit(Machine& machine, const Exit& /*exit*/) { lives_.erase(&machine); }

void WatermarkChecker::judge_committed(const Machine& machine, const PartitionRef& p, LeaderEpoch epoch,
                                       Offset high_watermark) {
  Committed& committed = committed_[p];
  const LeaderEpoch unclean = views_.unclean_epoch(p);
  if (high_watermark < committed.end || epoch < unclean) {
    return;  // who has yet to hear of an unclean election commits what that has taken back
  }
  const log::PartitionLog* log = views_.replica(machine, p).log;
  if (log == nullptr) {
    return;
  }
  if (committed.epoch != LeaderEpoch::none() && committed.end > log->log_start() && unclean <= committed.epoch) {
    const log::EpochEnd here = log->end_of_epoch(committed.epoch);
    if (here.epoch != committed.epoch || here.end < committed.end) {
      world_.fail("HW-MONO", fmt::format("{}: below {} everything was committed, the last of it in epoch {}; {} has a "
                                         "high watermark of {}, and in its log that epoch ends at {} (epoch {})",
                                         text_of(p), committed.end, committed.epoch, machine.name(), high_watermark,
                                         here.end, here.epoch));
      return;
    }
  }
  committed = {high_watermark, epoch_before(*log, high_watermark)};
}

void WatermarkChecker::at_end(World& /*world*/) {
  for (const auto& [machine, life] : lives_) {
    life->judge_end();
  }
}

}  // namespace chronik::sim
