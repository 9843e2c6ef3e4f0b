// What a node says about itself to whoever judges it: about twenty typed notifications, none in production (rule S15).
//
// Each is called by the owner of the state, where the state changes, after it has changed. An observer does not suspend
// and does not call back. It is a belief: checkers hold it against the wire and against the disk's truth. Use: if
// (Observer* o = observer()) { o->on_high_watermark(...); }
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "core/base/ambient.h"
#include "core/base/ids.h"
#include "core/base/uuid.h"

namespace chronik {

struct PartitionRef {
  TopicId topic;
  PartitionId partition;
  friend constexpr auto operator<=>(const PartitionRef&, const PartitionRef&) = default;
};

struct BatchAppended {
  LeaderEpoch epoch;
  Offset base;
  Offset last;
  std::uint32_t crc = 0;      // of the batch, as on the wire
  std::uint32_t records = 0;  // offsets, of which compaction may have left fewer records
  bool cleaned = false;       // by compaction: as it was appended first it was another
  ProducerId producer;        // none: not idempotent
  ProducerEpoch producer_epoch;
  std::int32_t base_sequence = -1;
  bool control = false;
};

// Whether a WAL flush has reached stable storage.
enum class FlushOutcome : std::uint8_t { kSubmitted, kDurable, kFailed, kOverdue };

class Observer {
 public:
  virtual ~Observer() = default;

  // ---- one partition's log ----
  // Its log is there, empty or recovered; [start, end) is what can be read, durable what this incarnation vouches for.
  virtual void on_partition_opened(const PartitionRef&, Offset /*start*/, Offset /*end*/, Offset /*durable_end*/) {}
  virtual void on_partition_deleted(const PartitionRef&) {}
  virtual void on_batch_appended(const PartitionRef&, const BatchAppended&) {}
  virtual void on_truncated(const PartitionRef&, LeaderEpoch /*epoch*/, Offset /*new_end*/) {}
  virtual void on_log_start(const PartitionRef&, Offset /*start*/) {}
  virtual void on_durable_end(const PartitionRef&, Offset /*end*/) {}
  virtual void on_segment_rolled(const PartitionRef&, Offset /*base*/) {}
  // [from, to) is damaged: it answers an error, and the end stays (rules R3, R18).
  virtual void on_damage(const PartitionRef&, Offset /*from*/, Offset /*to*/) {}

  // ---- its role ----
  // It leads, or follows, in an epoch that begins for it.
  virtual void on_role(const PartitionRef&, LeaderEpoch, bool /*leader*/) {}
  // The leader hears who is in sync.
  virtual void on_isr(const PartitionRef&, LeaderEpoch, std::span<const NodeId> /*isr*/) {}
  virtual void on_high_watermark(const PartitionRef&, LeaderEpoch, Offset /*high_watermark*/) {}

  // ---- the write-ahead log ----
  virtual void on_wal_flush(FlushNumber, Lsn /*first*/, Lsn /*last*/, FlushOutcome) {}
  // A file is in use under this generation; recycled: it held an older one before.
  virtual void on_wal_file(Generation, std::string_view /*path*/, bool /*recycled*/) {}
  // Recovery accepted records up to `last` (none: no record); `written_anew`: the last flush is durable again (rule
  // R2).
  virtual void on_wal_recovered(Lsn /*last*/, bool /*written_anew*/) {}
  virtual void on_disk_failure(std::string_view /*path*/, std::string_view /*what*/) {}

  // ---- metadata ----
  // The image is of that index now.
  virtual void on_metadata_applied(LogIndex) {}
};

// Who listens on the current shard; null in production and on a dying node.
inline Observer* observer() {
  const Ambient* now = ambient();
  return now == nullptr || now->context == nullptr ? nullptr : now->context->observer;
}

}  // namespace chronik
