#include "sim/story_observer.h"

#include <fmt/core.h>

#include <utility>

namespace chronik::sim {

namespace {

// A topic's id is long, and its beginning tells it from the few others.
std::string short_name(const PartitionRef& p) {
  return fmt::format("{}-{}", p.topic.to_string().substr(0, 4), p.partition);
}

}  // namespace

void StoryObserver::tell(StoryKind kind, const PartitionRef& p, std::string text) {
  StoryEvent& event = story_.tell(kind, std::move(text));
  event.about = fmt::format("{}-{}|partition {}", p.topic.to_string(), p.partition, p.partition);
  event.detail = fmt::format("partition {} of topic {}", p.partition, p.topic.to_string());
}

void StoryObserver::on_partition_opened(const PartitionRef& p, Offset start, Offset end, Offset durable_end) {
  tell(StoryKind::kState, p,
       fmt::format("opens {} with offsets {} to {}, durable to {}", short_name(p), start, end, durable_end));
}
void StoryObserver::on_partition_deleted(const PartitionRef& p) {
  tell(StoryKind::kState, p, fmt::format("deletes {}", short_name(p)));
}
void StoryObserver::on_batch_appended(const PartitionRef& p, const BatchAppended& batch) {
  tell(StoryKind::kProgress, p,
       fmt::format("appends {} records to {} at offset {}, epoch {}", batch.records, short_name(p), batch.base,
                   batch.epoch));
}
void StoryObserver::on_truncated(const PartitionRef& p, LeaderEpoch epoch, Offset new_end) {
  tell(StoryKind::kState, p, fmt::format("cuts {} to end at offset {}, epoch {}", short_name(p), new_end, epoch));
}
void StoryObserver::on_log_start(const PartitionRef& p, Offset start) {
  tell(StoryKind::kProgress, p, fmt::format("lets {} begin at offset {}", short_name(p), start));
}
void StoryObserver::on_durable_end(const PartitionRef& p, Offset end) {
  tell(StoryKind::kProgress, p, fmt::format("has {} durable to {}", short_name(p), end));
}
void StoryObserver::on_damage(const PartitionRef& p, Offset from, Offset to) {
  tell(StoryKind::kState, p, fmt::format("finds offsets {} to {} of {} damaged", from, to, short_name(p)));
}
void StoryObserver::on_role(const PartitionRef& p, LeaderEpoch epoch, bool leader) {
  tell(StoryKind::kState, p, fmt::format("{} {} in epoch {}", leader ? "leads" : "follows in", short_name(p), epoch));
}
void StoryObserver::on_isr(const PartitionRef& p, LeaderEpoch epoch, std::span<const NodeId> isr) {
  std::string nodes;
  for (const NodeId node : isr) {
    nodes += fmt::format("{}{}", nodes.empty() ? "" : ", ", node);
  }
  tell(StoryKind::kState, p, fmt::format("has nodes {} in sync on {}, epoch {}", nodes, short_name(p), epoch));
}
void StoryObserver::on_high_watermark(const PartitionRef& p, LeaderEpoch epoch, Offset high_watermark) {
  tell(StoryKind::kProgress, p,
       fmt::format("has a high watermark of {} on {}, epoch {}", high_watermark, short_name(p), epoch));
}
void StoryObserver::on_wal_flush(FlushNumber flush, Lsn first, Lsn last, FlushOutcome outcome) {
  if (outcome == FlushOutcome::kFailed || outcome == FlushOutcome::kOverdue) {
    story_.tell(StoryKind::kState, fmt::format("has flush {} of LSN {} to {} {}", flush, first, last,
                                               outcome == FlushOutcome::kFailed ? "fail" : "overdue"));
  }
}
void StoryObserver::on_wal_recovered(Lsn last, bool written_anew) {
  if (!written_anew) {  // once for each recovery
    story_.tell(StoryKind::kState, last == Lsn::none() ? std::string("recovers an empty write-ahead log")
                                                       : fmt::format("recovers its write-ahead log to LSN {}", last));
  }
}
void StoryObserver::on_disk_failure(std::string_view path, std::string_view what) {
  story_.tell(StoryKind::kState, fmt::format("meets a failure of its disk: {} {}", path, what));
}
void StoryObserver::on_metadata_applied(LogIndex index) {
  story_.tell(StoryKind::kProgress, fmt::format("applies index {} of the metadata", index));
}

}  // namespace chronik::sim
