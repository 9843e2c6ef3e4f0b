#include "core/replication/repairs.h"

#include "core/base/log_line.h"
#include "core/base/sim_point.h"

namespace chronik::replication {

namespace {
constexpr Duration kDiscardPatience = Duration::seconds(60);
constexpr Duration kRepairPause = Duration::milliseconds(100);  // from one look to the next
constexpr std::size_t kReportsMax = 1000;                       // in one command
}  // namespace

void Repairs::note(const log::LogKey& key) {
  if (news_.insert(key).second) {
    changed_.notify_all();
  }
}

void Repairs::note_all() {
  for (const log::LogKey& key : damaged_) {
    note(key);
  }
}

void Repairs::run() {
  for (;;) {
    while (news_.empty()) {
      if (!changed_.wait({WaitKind::kWork, 0, 0, 0}, fiber::for_ever()).ok()) {
        return;
      }
    }
    look();
    // Also after a success: whoever reports and is counted on all the same would report for ever.
    if (!fiber::sleep(kRepairPause).ok()) {
      return;
    }
  }
}

bool Repairs::may_discard(const Partition& partition) const {
  return partition.may_discard() && host_.held_back(partition.log().key());
}

// What has to be tried again is news again.
void Repairs::look() {
  std::vector<Ref<Partition>> to_report;
  std::vector<Ref<Partition>> to_discard;
  while (!news_.empty() && to_report.size() < kReportsMax) {
    const log::LogKey key = *news_.begin();
    news_.erase(news_.begin());
    const Ref<Partition> partition = host_.hosted(key);
    if (!partition || partition->closed() || !partition->damaged()) {
      damaged_.erase(key);
      last_ones_.erase(key);
      host_.follow_again(key);
      continue;
    }
    damaged_.insert(key);
    (may_discard(*partition) ? to_discard : to_report).push_back(partition);
  }
  if (!to_report.empty()) {
    report(to_report);
  }
  for (const Ref<Partition>& partition : to_discard) {
    const Status discarded = discard(partition);
    if (!discarded.ok()) {
      log_warn("damaged log not cut yet", field("log", partition->log().key().to_string()),
               field("why", discarded.ToString()));
      again(partition);
    }
  }
}

void Repairs::report(const std::vector<Ref<Partition>>& partitions) {
  cluster::ReportDamage command{.epoch = metadata_.broker_epoch(), .replicas = {}};
  for (const Ref<Partition>& partition : partitions) {
    const log::LogKey& key = partition->log().key();
    command.replicas.push_back({.topic = key.topic, .partition = key.partition, .lost = false});
  }
  const StatusOr<cluster::CommandResult> result =
      metadata_.propose(command, fiber::within(metadata_.patience().proposal, Expiry::kPeer));
  if (!result.ok() || !result->whole.ok()) {
    for (const Ref<Partition>& partition : partitions) {
      again(partition);
    }
    return;
  }
  for (std::size_t i = 0; i < partitions.size(); ++i) {
    const log::LogKey& key = partitions[i]->log().key();
    // What is done, the image tells whoever follows it: note().
    if (result->items[i].ok()) {
      last_ones_.erase(key);
      log_warn("damaged replica reported: others lead", field("log", key.to_string()));
    } else if (last_ones_.insert(key).second) {
      log_error("damaged replica stays: its damaged offsets answer an error", field("log", key.to_string()),
                field("why", result->items[i].message));
    }
  }
}

Status Repairs::discard(const Ref<Partition>& partition) {
  log::PartitionLog& log = partition->log();
  const log::LogKey key = log.key();
  const LeaderEpoch epoch = partition->epoch();
  const Offset end = log.log_end();
  const auto still = [&](Offset to) {
    const bool discards = may_discard(*partition) && partition->epoch() == epoch;
    if (discards) {
      partition->lower_high_watermark(to);
    }
    return discards;
  };
  sim_pause("replication.before_discard");
  const StatusOr<Offset> discarded = log.discard_damage(still, fiber::within(kDiscardPatience, Expiry::kPeer));
  if (discarded.ok()) {
    metrics_.repairs.add();
    log_info("damaged log cut: what was there is fetched again", field("log", key.to_string()),
             field("leader", partition->leader()), field("epoch", epoch), field("from", end), field("to", *discarded));
  } else if (!absl::IsNotFound(discarded.status())) {
    return discarded.status();
  }
  note(key);  // it follows again, or more of it has been found to be damaged
  return ok();
}

}  // namespace chronik::replication
