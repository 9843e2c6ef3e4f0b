// What nodes say of themselves, told to the story of a run.
#pragma once

#include <string>

#include "core/base/observer.h"
#include "sim/story.h"

namespace chronik::sim {

// Listens to every shard of the world that `story` is of.
class StoryObserver final : public Observer {
 public:
  explicit StoryObserver(Story& story) : story_(story) {}

  void on_partition_opened(const PartitionRef& p, Offset start, Offset end, Offset durable_end) override;
  void on_partition_deleted(const PartitionRef& p) override;
  void on_batch_appended(const PartitionRef& p, const BatchAppended& batch) override;
  void on_truncated(const PartitionRef& p, LeaderEpoch epoch, Offset new_end) override;
  void on_log_start(const PartitionRef& p, Offset start) override;
  void on_durable_end(const PartitionRef& p, Offset end) override;
  void on_damage(const PartitionRef& p, Offset from, Offset to) override;
  void on_role(const PartitionRef& p, LeaderEpoch epoch, bool leader) override;
  void on_isr(const PartitionRef& p, LeaderEpoch epoch, std::span<const NodeId> isr) override;
  void on_high_watermark(const PartitionRef& p, LeaderEpoch epoch, Offset high_watermark) override;
  void on_wal_flush(FlushNumber flush, Lsn first, Lsn last, FlushOutcome outcome) override;
  void on_wal_recovered(Lsn last, bool written_anew) override;
  void on_disk_failure(std::string_view path, std::string_view what) override;
  void on_metadata_applied(LogIndex index) override;

 private:
  void tell(StoryKind kind, const PartitionRef& p, std::string text);

  Story& story_;
};

}  // namespace chronik::sim
