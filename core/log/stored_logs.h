// The logs of a shard, kept: the LogManager of production and simulation alike.
//
// Three fibers of its own: the drainer moves tails into segments, syncs them and lets the WAL use its files again; the
// keeper enforces retention and deletes what was removed; the cleaner compacts. The drainer sleeps until tails are
// large or old or the WAL is short of files, the keeper until its interval has passed or a log was removed; the cleaner
// looks at all logs once per backoff, and again as long as it finds something to compact.
#pragma once

#include <absl/container/btree_map.h>
#include <absl/container/flat_hash_map.h>

#include <deque>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "core/base/metrics.h"
#include "core/fiber/scope.h"
#include "core/log/cleaning.h"
#include "core/log/stored_log.h"
#include "core/ports/ports.h"

namespace chronik::log {

struct StoredLogsOptions {
  wal::WalOptions wal;
  std::size_t open_files_max = 512;
  std::uint64_t tail_bytes_max = 64 << 20;               // of all tails: beyond it the oldest are drained, down to half
  std::uint64_t undrained_bytes_max = 256 << 20;         // of all tails: beyond it appends wait for the drainer
  std::uint64_t drain_bytes = 4 << 20;                   // of one tail: drained while the caches still hold it
  Duration tail_age_max = Duration::seconds(10);         // older records are drained, at most as late again
  Duration retention_interval = Duration::seconds(300);  // log.retention.check.interval.ms
  Duration producer_expiry = Duration::seconds(86'400);  // producer.id.expiration.ms
  Duration write_timeout = Duration::seconds(60);        // of one round of writes to a segment; then the node exits
  Duration file_timeout = Duration::seconds(60);         // of any other file operation of the drainer, syncs above all
  struct Cleaner {
    bool enabled = true;                                           // log.cleaner.enable
    Duration backoff = Duration::seconds(15);                      // log.cleaner.backoff.ms
    double bytes_per_second = std::numeric_limits<double>::max();  // log.cleaner.io.max.bytes.per.second
    std::uint64_t dedupe_bytes_max = 128ULL << 20;                 // log.cleaner.dedupe.buffer.size
  };
  Cleaner cleaner;
  Duration stray_delay = Duration::seconds(60);  // of directories that nobody knows, before they are deleted
  std::size_t sync_each_max = 16;                // more dirty logs than this are synced by one sync_all
};

class StoredLogs final : public LogManager, private LogHost, private wal::WalClient {
 public:
  // Made within a fiber, whose scope it lives in. `ports` outlive it.
  StoredLogs(const Ports& ports, const StoredLogsOptions& options);
  ~StoredLogs() override;

  StatusOr<RecoverySummary> open(const Deadline& deadline) override;
  void start() override;
  Status stop(const Deadline& deadline) override;
  Status make_room(std::uint64_t batch_bytes, const Deadline& deadline) override;
  StatusOr<Ref<PartitionLog>> create(const LogKey& key, std::string_view topic_name, const LogConfig& config) override;
  Ref<PartitionLog> find(const LogKey& key) override;
  void configure(const LogKey& key, const LogConfig& config) override;
  Status remove(const LogKey& key, const Deadline& deadline) override;
  Status remove_stray(const LogKey& key, const Deadline& deadline) override;
  void let_strays_go() override;
  bool note_assigned(LogIndex index) override;
  LogIndex assigned() const override { return assigned_; }
  std::vector<LogKey> keys() const override;
  Status wait_durable(const Deadline& deadline) override;

  // log.cleaner.backoff.ms, which may change while it runs.
  void set_cleaner_backoff(Duration backoff);

  const wal::WalMetrics& wal_metrics() const { return wal_->metrics(); }
  std::uint64_t tail_bytes() const { return tail_bytes_; }
  // Since when the oldest operation of the disk is under way, of the write-ahead log's or of the drainer's writes and
  // syncs; never(): there is none.
  MonotonicTime disk_busy_since() const;
  const CleanerMetrics& cleaner_metrics() const { return cleaner_metrics_; }
  const Gauge& damaged_partitions() const { return damaged_partitions_; }

 private:
  // LogHost
  Disk& disk() override { return ports_.disk; }
  FileCache& files() override { return files_; }
  const Clock& clock() const override { return ports_.clock; }
  protocol::Codecs& codecs() override { return codecs_; }
  wal::Wal& wal() override { return *wal_; }
  fiber::FiberScope& scope() override { return scope_; }
  Deadline file_deadline() override;
  Ref<StoredLog> hold(const LogKey& key) override;
  bool replaying() const override { return replaying_; }
  Deadline write_deadline() override;
  void on_damage_news() override;
  void on_queued(StoredLog& log, Lsn lsn, Offset end) override;
  void on_moved(StoredLog& log, Lsn lsn, Offset end) override;
  void on_truncated(StoredLog& log, Offset to) override;
  // wal::WalClient
  Lsn write_checkpoint(wal::CheckpointWriter& checkpoint) override;
  void on_durable(Lsn durable) override;
  void on_pressure(Lsn drain_to) override;
  Status replay_checkpoint(Lsn lsn, const Slice& part, bool last_part) override;
  Status replay(const wal::ReplayedRecord& record) override;
  Status drain_replayed() override;
  void replay_log_end(Lsn lsn, const wal::LogKey& wal_key, Offset end) override;
  Offset log_end(const wal::LogKey& key) const override;
  void replay_damage(const wal::DamagedRange& range) override;

  class Draining;

  // The last drain and checkpoint.
  Status finish(const Deadline& deadline);
  StoredLog* find_log(const LogKey& key) const;
  StoredLog& adopt(const LogState& state, const LogConfig& config);
  void forget(const LogKey& key);
  // How many records the replay has lost since it last heard of the log.
  std::uint64_t lost_since(StoredLog& log) const;
  Status replay_change(const wal::ReplayedRecord& record, bool checkpointed);
  Status settle_logs();
  Status remove_log(const LogKey& key, bool stray, const Deadline& deadline);
  Status set_strays_aside(const Deadline& deadline);
  StatusOr<std::string> place_aside(const std::string& name, const Deadline& deadline);
  void add_stray(std::string directory);
  MonotonicTime next_stray() const;
  Status delete_directory(const std::string& directory);
  Status delete_strays();
  Status wait_to_keep();
  void drain_for_ever();
  // Until must_drain(), which it lets tails' age bring about.
  Status wait_for_work();
  // What a drain may take: what is durable.
  Lsn drainable() const { return wal_ == nullptr ? replayed_to_ : wal_->durable(); }
  Status drain_round(bool everything);
  Status drain_ripe();
  Status drain_overdue();
  Status drain_log(Ref<StoredLog> log);
  Status sync_dirty_logs();
  bool sync_is_due() const { return unsynced_bytes_ >= options_.tail_bytes_max / 2; }
  Status sync_round();
  Lsn first_needed() const;
  void keep_for_ever();
  Status delete_removed();
  void clean_for_ever();
  Status wait_to_clean();
  // Has the drainer put what is overdue into segments, as far as it comes to that within one backoff.
  Status wait_for_overdue();
  // One pass over the log that has most to gain, or the checkpoint that it waits for. Whether there was one.
  StatusOr<bool> clean_dirtiest(CleaningPace& pace);
  Status clean_log(const Ref<StoredLog>& log, Cleanable what, CleaningPace& pace);
  StatusOr<bool> write_checkpoint_to_clean(bool overdue);
  void count_tail(StoredLog& log);
  void hold_data();
  void check_disk(const Status& status, const char* what);
  bool must_drain() const {
    return tail_bytes_ > options_.tail_bytes_max || !ripe_.empty() || !overdue_.empty() || pressed_ || drain_all_;
  }

  struct Queued {
    Lsn lsn;
    Ref<StoredLog> log;  // null: truncated or removed meanwhile
    Offset end;          // none: something else of the log
  };
  struct Overdue {
    Ref<StoredLog> log;
    Lsn to;  // the last record of its tail
  };
  struct Removed {
    Ref<StoredLog> log;
    Lsn deletion;  // durable before any file goes (R12)
    bool stray = false;
  };
  // A directory that was set aside.
  struct Stray {
    std::string directory;
    MonotonicTime due;
  };

  const Ports& ports_;
  StoredLogsOptions options_;
  FileCache files_;
  protocol::Codecs codecs_;
  fiber::FiberScope wal_scope_;  // of its fibers, which outlast the drainer and the keeper
  std::unique_ptr<wal::Wal> wal_;
  absl::btree_map<LogKey, Ref<StoredLog>> logs_;
  std::deque<Queued> queued_;             // in the order of LSNs
  std::vector<Ref<StoredLog>> touched_;   // by the flush that is being told
  std::deque<Ref<StoredLog>> undrained_;  // in the order of their first undrained record
  std::deque<Ref<StoredLog>> ripe_;       // whose tails have reached drain_bytes
  std::vector<Overdue> overdue_;          // whose tails the cleaner waits for
  std::vector<Removed> removed_;          // whose files are to go, or are going
  std::vector<Stray> strays_;             // in the order in which they are due
  bool strays_may_go_ = false;
  std::uint64_t strays_set_aside_ = 0;
  std::uint64_t tail_bytes_ = 0;
  std::uint64_t unsynced_bytes_ = 0;  // drained since the last sync_round()
  std::uint64_t log_numbers_ = 0;
  std::uint64_t checkpoints_taken_ = 0;
  CleanerMetrics cleaner_metrics_;
  MonotonicTime next_checkpoint_to_clean_;
  std::uint64_t cleaner_looks_ = 0;
  MonotonicTime next_overdue_checkpoint_;
  std::uint64_t overdue_rounds_ = 0;  // of the drainer, over what was overdue
  Gauge damaged_partitions_;          // logs that have damaged offsets
  LogIndex assigned_ = LogIndex::none();
  MonotonicTime draining_since_ = MonotonicTime::never();  // the write or sync of the drainer that is under way
  Lsn drain_to_{0};                                        // wanted by the WAL, or because of its age
  Lsn aging_{0};                                           // the last record when the drainer last looked at their age
  bool pressed_ = false;    // since the last round: also where there is nothing to drain, the WAL must be told so again
  bool drain_all_ = false;  // what is still in tails is wanted in segments: by retention, or to set a log aside
  Lsn drained_to_{0};       // everything up to it is in synced segments
  Lsn checkpoint_lsn_{0};
  Lsn replayed_to_{0};              // the last record that was replayed and is certain
  std::uint64_t lost_records_ = 0;  // of the replay so far
  bool replaying_ = true;
  RecoverySummary recovery_;
  bool knew_logs_ = false;  // before this start
  fiber::Event drain_wanted_;
  fiber::Event keep_wanted_;
  fiber::Event overdue_drained_;
  fiber::Event cleaner_changed_;
  bool stopping_ = false;
  fiber::FiberScope scope_;
};

}  // namespace chronik::log
