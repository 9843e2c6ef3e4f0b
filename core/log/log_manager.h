// All logs of one shard: their WAL, recovery, draining to segments, retention, deletion.
//
// Life: open() recovers, writes anew what was in doubt (R2), and starts the write-ahead log with its own fibers
// (committer, filler, space) in a scope of their own, so that they outlive the others; start() spawns drainer, keeper
// and, where logs are to be compacted, cleaner. stop() ends these three, drains and checkpoints once more, and only
// then closes the write-ahead log. A crash at any moment needs none of that.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "core/base/deadline.h"
#include "core/base/status.h"
#include "core/base/time.h"
#include "core/log/log_key.h"
#include "core/log/partition_log.h"

namespace chronik::log {

// What a log honours of its topic's configuration; changed when the image changes.
struct LogConfig {
  std::uint64_t segment_bytes = 1ULL << 30;
  Duration segment_age = Duration::seconds(7 * 24 * 3600);
  std::int64_t retention_bytes = -1;                          // -1: no limit
  Duration retention_age = Duration::seconds(7 * 24 * 3600);  // infinite(): no limit
  std::uint32_t index_interval_bytes = 4096;
  std::uint32_t segment_index_bytes = 10 * 1024 * 1024;
  bool deletes = true;                                 // segments go by age and size
  bool compacts = false;                               // of each key the last record is kept
  Duration compaction_lag_min = Duration::zero();      // a record stays for so long at least
  Duration compaction_lag_max = Duration::infinite();  // and is compacted after so long, however little there is
  Duration tombstones_last = Duration::seconds(24 * 3600);
  double dirty_ratio_min = 0.5;  // how much of the log has to be new before it is compacted
};

struct RecoverySummary {
  std::uint64_t logs = 0;
  std::uint64_t bytes_replayed = 0;
  std::uint64_t records_replayed = 0;
  Duration took;
};

class LogManager {
 public:
  virtual ~LogManager() = default;

  virtual StatusOr<RecoverySummary> open(const Deadline& deadline) = 0;
  virtual void start() = 0;
  virtual Status stop(const Deadline& deadline) = 0;

  // Makes sure, before an offset is given, that a batch of so many bytes can be kept (R14). Good for one append, until
  // the caller suspends. Waits where the disk is behind, be it with the WAL or with segments. kInvalidArgument: no
  // batch of that size ever fits (answer MESSAGE_TOO_LARGE); kResourceExhausted: the disk is full (answer
  // KAFKA_STORAGE_ERROR); kDeadlineExceeded, kCancelled, kAborted.
  virtual Status make_room(std::uint64_t batch_bytes, const Deadline& deadline) = 0;

  // Creates the log; kAlreadyExists; kResourceExhausted: no room, or the files of one of that name that was removed
  // have yet to go. Does not suspend: what is appended to it stands behind its
  // creation in the WAL. Whoever wants the creation itself durable calls wait_durable(), once for many.
  virtual StatusOr<Ref<PartitionLog>> create(const LogKey& key, std::string_view topic_name,
                                             const LogConfig& config) = 0;
  // Null: no such log.
  virtual Ref<PartitionLog> find(const LogKey& key) = 0;
  virtual void configure(const LogKey& key, const LogConfig& config) = 0;
  // Says durably that the log is gone; its files go afterwards, in the background (R12). Reads and waits on it fail.
  virtual Status remove(const LogKey& key, const Deadline& deadline) = 0;
  // The same for one that this node has for a reason that nobody knows: its files are set aside, and go only after a
  // delay.
  virtual Status remove_stray(const LogKey& key, const Deadline& deadline) = 0;
  // From now on files that were set aside may go, each after its delay: this node has all of the metadata that was
  // there when it started, and it is the cluster's that the data directory belongs to (R12).
  virtual void let_strays_go() = 0;
  // Everything that the metadata up to `index` wants here has its log: kept with what is queued next, behind the
  // creations of these logs. So who lacks one of them later has lost it (R12). False: there is no room for it now.
  virtual bool note_assigned(LogIndex index) = 0;
  // Noted last, in this life or one before; none: never, so that there never was a log, or all of it is gone.
  virtual LogIndex assigned() const = 0;
  // Keys of all logs, in order.
  virtual std::vector<LogKey> keys() const = 0;

  // Waits until everything queued to the WAL so far is durable.
  virtual Status wait_durable(const Deadline& deadline) = 0;
};

}  // namespace chronik::log
