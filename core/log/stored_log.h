// A partition's log as it is kept: positions and tail in memory, the rest in segments.
//
// Who changes what: appends, truncation and log start go through the WAL (R5) and take effect in memory at once; the
// drainer, one fiber of the manager, alone moves the tail into segments and syncs them. Segments are opened when they
// are first needed, once for all who ask. The turnstile keeps draining, truncation and deletion of segments from each
// other; readers do not enter it but look at truncations() after every suspension (R11), before they note anything.
// Compaction writes beside all that and enters it only to put what it has written in place; a reader that met the
// segment whose place was taken asks again.
#pragma once

#include <absl/functional/function_ref.h>

#include <algorithm>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/fiber/turnstile.h"
#include "core/log/epochs.h"
#include "core/log/file_cache.h"
#include "core/log/log_manager.h"
#include "core/log/log_state.h"
#include "core/log/partition_log.h"
#include "core/log/producer_window.h"
#include "core/log/segment.h"
#include "core/log/segment_rewrite.h"
#include "core/log/tail.h"
#include "core/ports/clock.h"
#include "core/protocol/compression.h"
#include "core/wal/wal.h"

namespace chronik::log {

class StoredLog;

// Whose records a log's are in the write-ahead log.
inline wal::LogKey wal_key(const LogKey& key) { return {key.topic, key.partition}; }

// What a log needs of its manager.
class LogHost : public FileHost {
 public:
  virtual Disk& disk() = 0;
  virtual const Clock& clock() const = 0;
  virtual protocol::Codecs& codecs() = 0;
  virtual wal::Wal& wal() = 0;
  // Null where the log is removed.
  virtual Ref<StoredLog> hold(const LogKey& key) = 0;
  // What was replayed so far may be changed by later records. All of it is certain; there may be no wal() to ask.
  virtual bool replaying() const = 0;
  // Of one round of writes to a segment.
  virtual Deadline write_deadline() = 0;
  // Whether the log is damaged may be another than before.
  virtual void on_damage_news() = 0;
  // A batch up to `end` went to the WAL as `lsn`: tell the log when it is durable, and drain it some day.
  virtual void on_queued(StoredLog& log, Lsn lsn, Offset end) = 0;
  // Something else of the log went to the WAL as `lsn`: whoever listens is told when it is durable, and so is then the
  // log up to `end`; none(): no further than before.
  virtual void on_moved(StoredLog& log, Lsn lsn, Offset end) = 0;
  // Everything at and above `to` that was queued for the log is gone.
  virtual void on_truncated(StoredLog& log, Offset to) = 0;
};

// What of a log compaction may clean now: segments end to end from the log start on.
struct Cleanable {
  std::vector<Ref<Segment>> segments;
  Offset end;                     // of the last
  std::uint64_t clean_bytes = 0;  // of those that were cleaned before
  std::uint64_t dirty_bytes = 0;
  std::uint64_t held_bytes = 0;   // of segments behind them that only wait for the next checkpoint
  std::uint64_t truncations = 0;  // that the log had seen then
  bool overdue = false;           // max.compaction.lag.ms has passed for some of it
  bool held_overdue = false;      // and for some of what is held
};

class StoredLog final : public PartitionLog {
 public:
  // `state`: a new log's is all defaults but for key and name.
  StoredLog(LogHost& host, const LogState& state, const LogConfig& config, std::uint64_t number);
  ~StoredLog() override;

  // ---- PartitionLog ----
  const LogKey& key() const override { return key_; }
  std::string_view topic_name() const override { return topic_name_; }
  // Only what is durable: what a death may take back is not said.
  Offset log_start() const override { return start_is_durable() ? log_start_ : durable_start(); }
  Offset log_end() const override { return log_end_; }
  Offset durable_end() const override { return durable_end_; }
  Offset memory_start() const override { return tail_.empty() ? log_end_ : tail_.front().base; }
  LeaderEpoch last_epoch() const override { return epochs_.last(); }
  std::uint64_t truncations() const override { return truncations_; }
  StatusOr<std::uint64_t> stored_bytes(const Deadline& deadline) override;
  const std::vector<DamagedRange>& damaged() const override { return damaged_; }
  ProducerVerdict check_producer(const ProducerBatch& batch) const override { return producers_.check(batch); }
  const ProducerWindow& producers() const override { return producers_; }
  Appended append(Slice batch, const BatchSummary& summary, LeaderEpoch epoch) override;
  Appended append_replicated(Slice batch, const BatchSummary& summary) override;
  StatusOr<ReadResult> read(Offset from, const ReadLimits& limits, const Deadline& deadline) override;
  StatusOr<std::optional<TimestampOffset>> find_timestamp(WallTime at, Offset below, const Deadline& deadline) override;
  StatusOr<std::optional<TimestampOffset>> max_timestamp(Offset below, const Deadline& deadline) override;
  EpochEnd end_of_epoch(LeaderEpoch epoch) const override;
  Status truncate(Offset to, absl::FunctionRef<bool()> still, const Deadline& deadline) override;
  Status begin_anew(Offset to, absl::FunctionRef<bool()> still, const Deadline& deadline) override;
  StatusOr<Offset> discard_damage(absl::FunctionRef<bool(Offset to)> still, const Deadline& deadline) override;
  Status advance_log_start(Offset to, const Deadline& deadline) override;
  void set_listener(Listener* listener) override { listener_ = listener; }
  void note_high_watermark(Offset high_watermark) override { high_watermark_ = high_watermark; }
  Offset recovered_high_watermark() const override { return high_watermark_; }

  // ---- for the manager ----
  void configure(const LogConfig& config) { config_ = config; }
  // Everything up to `end` is durable. Returns whether that is news; then tell_listener().
  bool advance_durable(Offset end);
  void tell_listener();
  // The log is removed: reads and waits fail from now on.
  void close() { closed_ = true; }
  bool closed() const { return closed_; }

  // Moves durable batches of the tail into segments, up to some megabytes; returns their bytes. Drainer only.
  StatusOr<std::uint64_t> drain(Lsn durable);
  // Makes what was drained survive a loss of power: data, indexes, directory. Drainer only.
  Status sync();
  // What sync() would do was done by Disk::sync_all(), begun when the log was as `before` says. Drainer only.
  struct Written {
    Offset end;
    Lsn lsn;
    Offset segment = Offset::none();
    std::uint64_t bytes = 0;
    std::uint64_t truncations = 0;
  };
  Written written() const;
  Status prepare_sync_all();
  void synced_as(const Written& before);
  // The first record of the WAL that holds data of this log which no synced segment has; none: there is none.
  Lsn first_unsynced() const;
  bool has_undrained() const { return !tail_.empty(); }
  Lsn first_undrained() const { return tail_.empty() ? Lsn::none() : tail_.front().lsn; }
  std::uint64_t tail_bytes() const { return tail_.bytes(); }
  std::uint64_t segment_bytes() const { return segment_bytes_ + synced_bytes_; }  // > 0: it has segments
  bool has_unsynced_files() const { return written_end_ > synced_end_; }

  // Deletes segments that retention or the log start no longer want, oldest first (R16). Keeper only.
  Status enforce_retention();
  // Whether the tail holds what retention or the log start no longer want: only segments are ever deleted, and the tail
  // of an idle log may stay undrained for long.
  bool retention_waits_for_drain() const;
  // ---- compaction, all of it the cleaner's only (stored_log_clean.cc) ----
  bool compacts() const { return config_.compacts; }
  StatusOr<Cleanable> cleanable();
  bool wants_cleaning(std::uint64_t dirty_bytes, std::uint64_t clean_bytes, bool overdue) const;
  // Everything below has been cleaned, durably: checkpoints keep it.
  Offset cleaned_to() const { return cleaned_to_; }
  // kAborted where the log has changed since it had seen so many truncations: what lies below may be another.
  Status note_cleaned(Offset to, std::uint64_t truncations);
  // Whether the tail holds what max.compaction.lag.ms wants compacted: only what is in segments ever is.
  bool compaction_waits_for_drain() const;
  Lsn last_undrained() const { return tail_.empty() ? Lsn::none() : tail_.back().lsn; }
  Duration tombstones_last() const { return config_.tombstones_last; }
  struct SegmentLimits {
    std::uint64_t bytes = 0;
    std::uint64_t index_entries = 0;
    std::int64_t offsets = 0;
  };
  SegmentLimits segment_limits() const;
  // Whether the batch at `base` is one by which a retry of this producer is known.
  bool remembers(ProducerId producer, Offset base) const;
  // Of a loaded segment; as Segment::read(). kAborted: the log changed since it had seen so many truncations.
  StatusOr<Segment::Read> read_to_clean(const Ref<Segment>& segment, Offset from, Offset end, std::uint64_t bytes,
                                        std::uint64_t truncations);
  // Makes the file; kAborted as above.
  StatusOr<SegmentRewrite> begin_rewrite(Offset base, std::uint64_t truncations);
  // Puts `fresh`, whose NNN.cleaned is synced, in the place of `old`, which are loaded neighbours. kAborted: the log
  // changed, and nothing happened.
  Status replace_segments(const std::vector<Ref<Segment>>& old, const Ref<Segment>& fresh, std::uint64_t truncations);
  // The checkpoint of this number, behind the records before `lsn`, has taken this log's state.
  void note_checkpoint(std::uint64_t number, Lsn lsn);
  // It is durable, whether or not a record behind it says so.
  void note_durable_checkpoint(std::uint64_t number);
  std::size_t checkpoints_kept() const { return checkpoints_.size(); }  // in memory: of what each has settled
  // Segments that end at or below it are believed as they are by whichever checkpoint a start may begin with: they may
  // be written anew. And what a checkpoint that is taken now would let be, once it is known to be durable: that of an
  // idle node is not, whatever it says, until another follows.
  Offset settled_before();
  Offset synced_before() const { return std::min(synced_segment_, synced_end_); }

  // Forgets producers that have written nothing since then.
  void expire_producers(WallTime before) { producers_.expire(before); }
  // Unlinks all files and the directory.
  Status delete_files();
  // Renames its directory. False: it has none.
  StatusOr<bool> move_files(const std::string& to);

  LogState state() const;

  // The manager's own notes about the log.
  struct Keeping {
    bool in_drain_queue = false;
    bool touched = false;             // by the flush that is being told
    bool uncleanable = false;         // compaction has failed for good
    std::uint64_t passed_over = 0;    // by the cleaner's look of this number: others first
    bool ripe = false;                // its tail is to be drained, whatever the others hold
    std::uint64_t counted_bytes = 0;  // of the tail, in the sum over all logs
    std::uint64_t lost_before = 0;    // records of the replay, before the last one that said something of the log
  };
  Keeping keeping;

  // ---- replay ----
  // Takes a batch of a record that was read back. `checkpointed`: the log's positions know it already. `lost`: so many
  // records of whatever log were lost since the last one that said something of this log.
  Status replay_append(Lsn lsn, const Slice& batch, bool checkpointed, std::uint64_t lost);
  void replay_truncate(Lsn lsn, Offset to, bool checkpointed);
  // Cuts the segments that were opened amid the replay, where a truncation that came later is certain by now.
  Status settle(const Deadline& deadline);
  void replay_log_start(Lsn lsn, Offset to, bool checkpointed);
  // Made by this record: what stands before it in the write-ahead log is of a former log under the same key.
  void made_by(Lsn lsn) {
    synced_lsn_ = lsn;
    durable_end_ = Offset::none();
  }
  // Behind the record before `lsn` the log ended at `end`: where it does not, the record that says so is damaged (R3).
  void replay_log_end(Lsn lsn, Offset end, std::uint64_t lost);
  // Compares what was replayed with what checkpoint and summaries promised; what is missing is damage (R3).
  void finish_replay();

 private:
  // Once the segments are open.
  std::uint64_t size_bytes() const { return segment_bytes_ + tail_.bytes(); }
  std::string directory() const { return "logs/" + key_.to_string(); }
  Appended keep(Slice batch, const BatchSummary& summary, Offset base, LeaderEpoch epoch);
  Status open(const Deadline& deadline);
  // As open(), for the node's own fibers, which take an expired deadline for a broken disk.
  Status open_patiently();
  Status open_now();
  Status open_listed(const std::vector<std::string>& names);
  // Into the turnstile, for them, too. kAborted: others have taken long.
  Status enter_files(std::optional<fiber::Turnstile::Pass>& pass);
  // open(), and what a truncation has left to be cut, once that is durable. Within the turnstile.
  Status open_to_change(const Deadline& deadline);
  // Loads the segment and notes what is damaged in it. kAborted: the log was cut or closed meanwhile.
  Status load(const Ref<Segment>& segment, const Deadline& deadline);
  bool changed_since(std::uint64_t truncations) const { return closed_ || truncations != truncations_; }
  Status roll(Offset base);
  // Whether `next` goes into a new segment: Kafka's rules. `pending`: what is to be written before it.
  struct Pending {
    Offset end;
    std::uint64_t bytes = 0;
    WallTime first_timestamp = WallTime::from_milliseconds(-1);
  };
  bool must_roll(const Pending& pending, const TailBatch& next) const;
  Pending nothing_pending() const;
  // read(), no further than the tail or one segment goes.
  StatusOr<ReadResult> read_on(Offset from, const ReadLimits& limits, const Deadline& deadline);
  StatusOr<ReadResult> read_tail(Offset from, const ReadLimits& limits);
  // The segment that holds the offset, loaded.
  StatusOr<Ref<Segment>> segment_to_read(Offset from, std::uint64_t truncations, const Deadline& deadline);
  StatusOr<ReadResult> read_segments(Offset from, const ReadLimits& limits, const Deadline& deadline);
  Status make_control_room(const Deadline& deadline);
  // Fills `pass`, with room in the write-ahead log for a record that moves the end of the log, which must follow at
  // once. Open where segments hold something at or behind `to`.
  Status enter_with_room(std::optional<fiber::Turnstile::Pass>& pass, Offset to, const Deadline& deadline);
  // What truncate() does; `to` may lie below the log start, which is then lowered to it.
  Status cut(Offset to, absl::FunctionRef<bool()> still, const Deadline& deadline);
  // Where the log has to be cut so that nothing damaged is left; once its segments are open.
  Offset sound_end() const;
  bool start_is_durable() const { return start_moves_.empty() || start_moves_.back().lsn <= host_.wal().durable(); }
  Offset durable_start() const;
  std::size_t segment_holding(Offset offset) const;
  const DamagedRange* damage_at(Offset offset) const;
  // Amid a replay it is not reported before the end: what files lack may be gone rightly, as a later record says.
  void note_damage(Offset from, Offset to);
  void report_damage(Offset from, Offset to) const;
  void change_start(Offset to);
  // The record before `lsn`, which has rotted, or one of the `lost` ones before it cut the log to `to` or below.
  void replay_lost_truncation(Lsn lsn, Offset to, bool checkpointed, std::uint64_t lost);
  // The log ends at `to` now, by the record `lsn`: positions in segments, and damage.
  void jump(Lsn lsn, Offset to);
  void forget_written(Lsn lsn, Offset to);
  // Of damage, only what lies in [from, to) is left.
  void keep_damage(Offset from, Offset to);
  // Gives `look` the segments from the log start on, in order, those too that are made meanwhile, until it returns
  // false. Does not suspend behind the last look. kAborted: the log was cut or closed.
  using Look = absl::FunctionRef<StatusOr<bool>(const Ref<Segment>& segment)>;
  Status look_through(Look look, const Deadline& deadline);
  StatusOr<std::optional<TimestampOffset>> search_segment(const Ref<Segment>& segment, WallTime at, Offset below,
                                                          const Deadline& deadline);
  // Of what the segment holds from the log start on; -1: nothing.
  StatusOr<WallTime> max_timestamp_of(const Ref<Segment>& segment, const Deadline& deadline);
  std::optional<TimestampOffset> search_batch(ByteSpan batch, WallTime at, Offset below) const;
  bool is_too_old(WallTime newest) const;
  // Where what neither retention nor the log start wants any more ends; none(): they want everything. Loads it.
  StatusOr<Offset> find_outdated();
  // Those that end at or below it, oldest first. Leaves the turnstile between any two, since drains need it, too.
  Status delete_segments(Offset to);
  Status rename_over(const Ref<Segment>& fresh);
  void forget_old_checkpoints();
  bool is_overdue(WallTime first) const;
  // A reader that met a segment whose place was taken waits here, and asks again.
  Status wait_for_replacement(const Deadline& deadline);
  // Its files go, as far as they are there.
  Status unlink_segment(Offset base);
  StatusOr<std::vector<std::string>> let_go_of_files();
  Status cut_segments(Offset to);
  void count_segment_bytes();

  LogHost& host_;
  LogKey key_;
  std::string topic_name_;
  LogConfig config_;
  Offset log_start_;
  // A deletion and retention may move it one behind the other while a sync is under way, and the first of them is
  // durable, and answered, before the last.
  struct StartMove {
    Offset to;
    Lsn lsn;
  };
  std::vector<StartMove> start_moves_;  // of this incarnation, in order: all that are not durable yet, and the last
  Offset durable_start_;                // before the first of them
  Offset log_end_;
  Offset durable_end_;
  Offset high_watermark_;
  Epochs epochs_;
  ProducerWindow producers_;
  std::vector<DamagedRange> damaged_;
  std::uint64_t truncations_ = 0;
  bool closed_ = false;
  Listener* listener_ = nullptr;

  Tail tail_;
  std::vector<Ref<Segment>> segments_;  // by base; empty until opened
  bool opened_ = false;
  bool directory_dirty_ = false;  // names in it, or its own, are not synced
  std::uint64_t segment_bytes_ = 0;
  WallTime rolled_at_;
  Offset written_end_;  // in segments
  Lsn written_lsn_;
  Offset synced_end_;  // in segments that are synced
  Lsn synced_lsn_;
  Offset synced_segment_;
  std::uint64_t synced_bytes_ = 0;
  Lsn first_unsynced_written_ = Lsn::none();  // of what is written and not synced
  // Segments hold what a truncation has taken away.
  struct Cut {
    Offset to;
    Lsn lsn;  // of the last such truncation
  };
  std::optional<Cut> cut_;
  Offset cleaned_to_;
  std::uint64_t replacements_ = 0;  // of segments by compaction
  struct Checkpointed {
    std::uint64_t number = 0;
    Lsn lsn;
    Offset before;  // in the segment that it names as the newest, or that a truncation behind it has cut, lies more
  };
  std::deque<Checkpointed> checkpoints_;  // the last durable one, and those that are not known to be
  std::uint64_t number_;
  fiber::Turnstile files_turnstile_;
  fiber::SingleFlight opening_;
};

// Unlinks these files of a log's directory, some of which may be gone by then, and removes it.
Status remove_directory_of(LogHost& host, const std::string& directory, const std::vector<std::string>& files);

}  // namespace chronik::log
