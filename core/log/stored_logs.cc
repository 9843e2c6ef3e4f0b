#include "core/log/stored_logs.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "core/base/endian.h"
#include "core/base/log_line.h"
#include "core/base/observer.h"
#include "core/base/sim_point.h"

namespace chronik::log {

namespace {

// Parts of a checkpoint are about so long.
constexpr std::size_t kPartBytes = 64 * 1024;
// Names of WAL payloads that are core/log's: a created log's is its topic's name, the others' an offset, or, of kState,
// an index of the metadata.
Offset decode_offset(const Slice& payload) {
  return payload.size() == sizeof(std::int64_t) ? Offset(load_little<std::int64_t>(payload.data())) : Offset::none();
}

Slice encode_number(std::int64_t number) {
  Slice bytes = Slice::allocate(sizeof(std::int64_t));
  store_little(bytes.mutable_data(), number);
  return bytes;
}

LogKey log_key(const wal::LogKey& key) { return {key.topic, key.partition}; }

}  // namespace

StoredLogs::StoredLogs(const Ports& ports, const StoredLogsOptions& options)
    : ports_(ports), options_(options), files_(ports.disk, options.open_files_max) {}

StoredLogs::~StoredLogs() = default;

// ---- life ----

StatusOr<RecoverySummary> StoredLogs::open(const Deadline& deadline) {
  const MonotonicTime began = ports_.clock.monotonic();
  RETURN_IF_ERROR(ports_.disk.create_directory("logs", deadline));
  ASSIGN_OR_RETURN(wal_, wal::Wal::open({ports_.disk, ports_.random, ports_.process}, options_.wal, *this,
                                        wal_scope_.source(), deadline));
  RETURN_IF_ERROR(settle_logs());
  replaying_ = false;
  for (auto& [key, log] : logs_) {
    log->finish_replay();
  }
  queued_.clear();
  on_damage_news();
  RETURN_IF_ERROR(set_strays_aside(deadline));
  recovery_.logs = logs_.size();
  recovery_.took = ports_.clock.monotonic() - began;
  return recovery_;
}

Status StoredLogs::settle_logs() {
  for (const auto& [key, log] : logs_) {
    RETURN_IF_ERROR(log->settle(file_deadline()));
  }
  return ok();
}

void StoredLogs::start() {
  scope_.spawn({"drainer", 0}, [this] { drain_for_ever(); });
  scope_.spawn({"keeper", 0}, [this] { keep_for_ever(); });
  if (options_.cleaner.enabled) {
    scope_.spawn({"cleaner", 0}, [this] { clean_for_ever(); });
  }
}

Status StoredLogs::stop(const Deadline& deadline) {
  stopping_ = true;
  scope_.cancel_and_join();
  if (wal_ == nullptr) {
    return ok();  // it could not be opened
  }
  const Status finished = finish(deadline);
  // However that went, the log's fibers end before the log does.
  const Status closed = wal_->close(deadline);
  wal_scope_.cancel();
  scope_.cancel_and_join();  // fibers that load for somebody who has given up
  return finished.ok() ? closed : finished;
}

Status StoredLogs::finish(const Deadline& deadline) {
  RETURN_IF_ERROR(wait_durable(deadline));
  RETURN_IF_ERROR(drain_round(true));
  RETURN_IF_ERROR(sync_round());
  // A full log cannot take the checkpoint that would spare the next start its replay; that start replays, then.
  const Status rotated = wal_->rotate(deadline);
  return absl::IsResourceExhausted(rotated) ? ok() : rotated;
}

// ---- logs ----

StoredLog* StoredLogs::find_log(const LogKey& key) const {
  const auto found = logs_.find(key);
  return found == logs_.end() ? nullptr : found->second.get();
}

Ref<PartitionLog> StoredLogs::find(const LogKey& key) {
  const auto found = logs_.find(key);
  return found == logs_.end() ? Ref<PartitionLog>() : Ref<PartitionLog>(found->second);
}

Ref<StoredLog> StoredLogs::hold(const LogKey& key) {
  const auto found = logs_.find(key);
  return found == logs_.end() ? Ref<StoredLog>() : found->second;
}

StoredLog& StoredLogs::adopt(const LogState& state, const LogConfig& config) {
  Ref<StoredLog>& log = logs_[state.key];
  log = Ref<StoredLog>::make(static_cast<LogHost&>(*this), state, config, ++log_numbers_);
  log->keeping.lost_before = lost_records_;
  return *log;
}

StatusOr<Ref<PartitionLog>> StoredLogs::create(const LogKey& key, std::string_view topic_name,
                                               const LogConfig& config) {
  if (find_log(key) != nullptr) {
    return absl::AlreadyExistsError("the log exists");
  }
  for (const Removed& removed : removed_) {
    if (removed.log->key() == key) {
      return absl::ResourceExhaustedError("the files of the log that was removed have yet to go");
    }
  }
  if (wal_->try_reserve(topic_name.size(), wal::Urgency::kControl) != wal::Room::kGranted) {
    return absl::ResourceExhaustedError("no room in the write-ahead log");
  }
  LogState state;
  state.key = key;
  state.topic_name = std::string(topic_name);
  StoredLog& log = adopt(state, config);
  const Lsn lsn = wal_->append(wal::RecordType::kCreateLog, wal_key(key), Slice::copy_of(topic_name), log.log_end());
  log.made_by(lsn);
  queued_.push_back({lsn, Ref<StoredLog>::another(log), log.log_end()});  // durable to its end
  sim_point("log.created");
  if (Observer* o = observer()) {
    o->on_partition_opened({key.topic, key.partition}, log.log_start(), log.log_end(), log.durable_end());
  }
  return Ref<PartitionLog>(logs_[key]);
}

void StoredLogs::configure(const LogKey& key, const LogConfig& config) {
  if (StoredLog* log = find_log(key); log != nullptr) {
    log->configure(config);
  }
}

Status StoredLogs::remove(const LogKey& key, const Deadline& deadline) {
  return remove_log(key, /*stray=*/false, deadline);
}

Status StoredLogs::remove_log(const LogKey& key, bool stray, const Deadline& deadline) {
  if (find_log(key) == nullptr) {
    return absl::NotFoundError("no such log");
  }
  while (wal_->try_reserve(0, wal::Urgency::kControl) != wal::Room::kGranted) {
    RETURN_IF_ERROR(wal_->wait_for_room(deadline));
  }
  StoredLog* log = find_log(key);
  if (log == nullptr) {
    return ok();  // removed by somebody else while this waited
  }
  const Lsn lsn = wal_->append(wal::RecordType::kDeleteLog, wal_key(key), Slice(), Offset::none());
  removed_.push_back({.log = logs_[key], .deletion = lsn, .stray = stray});
  forget(key);
  keep_wanted_.notify_all();  // now, since this fiber may lose patience before the deletion is durable
  if (Observer* o = observer()) {
    o->on_partition_deleted({key.topic, key.partition});
  }
  RETURN_IF_ERROR(wal_->wait_durable(lsn, deadline));
  sim_pause("log.deletion_durable");
  return ok();
}

void StoredLogs::forget(const LogKey& key) {
  const auto found = logs_.find(key);
  const Ref<StoredLog> log = found->second;
  log->close();
  for (Queued& queued : queued_) {
    if (queued.log == log) {
      queued.log = nullptr;
    }
  }
  std::erase(undrained_, log);
  std::erase(ripe_, log);
  tail_bytes_ -= log->keeping.counted_bytes;
  logs_.erase(found);
  hold_data();
  if (!log->damaged().empty()) {
    on_damage_news();
  }
}

void StoredLogs::on_damage_news() {
  if (replaying_) {
    return;
  }
  std::int64_t damaged = 0;
  for (const auto& [key, log] : logs_) {
    damaged += log->damaged().empty() ? 0 : 1;
  }
  damaged_partitions_.set(damaged);
}

bool StoredLogs::note_assigned(LogIndex index) {
  if (index <= assigned_) {
    return true;
  }
  if (wal_->try_reserve(sizeof(std::int64_t), wal::Urgency::kControl) != wal::Room::kGranted) {
    return false;
  }
  assigned_ = index;
  wal_->append(wal::RecordType::kState, {TopicId(), PartitionId(-1)}, encode_number(index.value()), Offset::none());
  return true;
}

std::vector<LogKey> StoredLogs::keys() const {
  std::vector<LogKey> keys;
  keys.reserve(logs_.size());
  for (const auto& [key, log] : logs_) {
    keys.push_back(key);
  }
  return keys;
}

// ---- room and durability ----

Status StoredLogs::make_room(std::uint64_t batch_bytes, const Deadline& deadline) {
  if (batch_bytes > options_.wal.record_bytes_max) {
    return absl::InvalidArgumentError(fmt::format("a batch of {} bytes: the write-ahead log takes at most {}",
                                                  batch_bytes, options_.wal.record_bytes_max));
  }
  for (;;) {
    switch (wal_->try_reserve(batch_bytes, wal::Urgency::kData)) {
      case wal::Room::kGranted: return ok();
      case wal::Room::kQueueFull:
      case wal::Room::kLogFull: RETURN_IF_ERROR(wal_->wait_for_room(deadline)); break;  // the drainer is at it
      case wal::Room::kDiskFull: return absl::ResourceExhaustedError("the disk is full");
    }
  }
}

Status StoredLogs::wait_durable(const Deadline& deadline) { return wal_->wait_durable(wal_->next_lsn() - 1, deadline); }

// A disk that takes the log faster than the segments would let memory fill up to the size of all the log's files, and
// then everybody would wait for a whole file of it.
void StoredLogs::hold_data() {
  if (wal_ != nullptr) {
    wal_->hold_data(tail_bytes_ > std::max(options_.undrained_bytes_max, options_.tail_bytes_max));
  }
}

void StoredLogs::count_tail(StoredLog& log) {
  tail_bytes_ += log.tail_bytes() - log.keeping.counted_bytes;
  log.keeping.counted_bytes = log.tail_bytes();
  hold_data();
  if (log.keeping.in_drain_queue && !log.has_undrained()) {
    std::erase_if(undrained_, [&](const Ref<StoredLog>& other) { return other.get() == &log; });
    log.keeping.in_drain_queue = false;
  }
  if (log.has_undrained() && !log.keeping.in_drain_queue) {
    // A new record is the newest of all; what a drain has left over may be older than others'.
    auto at = undrained_.end();
    while (at != undrained_.begin() && (*std::prev(at))->first_undrained() > log.first_undrained()) {
      --at;
    }
    undrained_.insert(at, Ref<StoredLog>::another(log));
    log.keeping.in_drain_queue = true;
  }
  if (log.tail_bytes() >= options_.drain_bytes && !log.keeping.ripe) {
    ripe_.push_back(Ref<StoredLog>::another(log));
    log.keeping.ripe = true;
  }
}

void StoredLogs::on_queued(StoredLog& log, Lsn lsn, Offset end) {
  queued_.push_back({lsn, Ref<StoredLog>::another(log), end});
  const bool first = undrained_.empty();
  count_tail(log);
  if (first || must_drain()) {
    drain_wanted_.notify_all();
  }
}

void StoredLogs::on_moved(StoredLog& log, Lsn lsn, Offset end) {
  queued_.push_back({lsn, Ref<StoredLog>::another(log), end});
}

void StoredLogs::on_truncated(StoredLog& log, Offset to) {
  for (Queued& queued : queued_) {
    if (queued.log.get() == &log && queued.end > to) {
      queued.log = nullptr;
    }
  }
  count_tail(log);
}

void StoredLogs::on_durable(Lsn durable) {
  while (!queued_.empty() && queued_.front().lsn <= durable) {
    Queued& queued = queued_.front();
    const bool news = queued.log && (queued.log->advance_durable(queued.end) || queued.end == Offset::none());
    if (news && !queued.log->keeping.touched) {
      queued.log->keeping.touched = true;
      touched_.push_back(queued.log);
    }
    queued_.pop_front();
  }
  // Once for each log, however many of its batches the flush carried.
  for (const Ref<StoredLog>& log : touched_) {
    log->keeping.touched = false;
    log->tell_listener();
  }
  touched_.clear();
}

// ---- checkpoint and replay ----

Lsn StoredLogs::first_needed() const {
  Lsn first = Lsn::none();
  for (const auto& [key, log] : logs_) {
    const Lsn needed = log->first_unsynced();
    if (needed != Lsn::none() && (first == Lsn::none() || needed < first)) {
      first = needed;
    }
  }
  return first;
}

Lsn StoredLogs::write_checkpoint(wal::CheckpointWriter& checkpoint) {
  ++checkpoints_taken_;
  std::string part;
  if (assigned_ != LogIndex::none()) {
    encode_mark(assigned_, part);
  }
  for (const auto& [key, log] : logs_) {
    encode_state(log->state(), part);
    log->note_checkpoint(checkpoints_taken_, checkpoint.lsn());
    if (part.size() >= kPartBytes) {
      checkpoint.add(Slice::copy_of(std::exchange(part, {})));
    }
  }
  if (!part.empty() || logs_.empty()) {
    checkpoint.add(Slice::copy_of(part));
  }
  const Lsn first = first_needed();
  return first == Lsn::none() ? checkpoint.lsn() : std::min(first, checkpoint.lsn());
}

Status StoredLogs::replay_checkpoint(Lsn lsn, const Slice& part, bool /*last_part*/) {
  checkpoint_lsn_ = lsn;
  ASSIGN_OR_RETURN(const StatesOfPart states, decode_states(part.bytes()));
  assigned_ = std::max(assigned_, states.assigned);
  knew_logs_ |= assigned_ != LogIndex::none() || !states.logs.empty();
  for (const LogState& state : states.logs) {
    adopt(state, LogConfig{});
  }
  return ok();
}

Status StoredLogs::replay(const wal::ReplayedRecord& record) {
  knew_logs_ = true;
  ++recovery_.records_replayed;
  recovery_.bytes_replayed += record.payload.size();
  RETURN_IF_ERROR(replay_change(record, record.lsn < checkpoint_lsn_));
  if (record.in_doubt) {
    return ok();  // no segment may hold it yet (R4), and one flush is not much
  }
  replayed_to_ = record.lsn;
  if (tail_bytes_ <= options_.tail_bytes_max) {
    return ok();
  }
  Status drained = drain_round(false);
  check_disk(drained, "writing segments");
  return drained;
}

Status StoredLogs::drain_replayed() {
  const Status drained = drain_round(true);
  check_disk(drained, "writing segments");
  RETURN_IF_ERROR(drained);
  RETURN_IF_ERROR(settle_logs());
  Status synced = sync_dirty_logs();
  check_disk(synced, "syncing segments");
  return synced;
}

Status StoredLogs::replay_change(const wal::ReplayedRecord& record, bool checkpointed) {
  const LogKey key = log_key(record.key);
  StoredLog* log = find_log(key);
  switch (record.type) {
    case wal::RecordType::kState:
      assigned_ = std::max(assigned_, LogIndex(decode_offset(record.payload).value()));
      return ok();
    case wal::RecordType::kCreateLog:
      if (!checkpointed) {
        LogState state;
        state.key = key;
        state.topic_name = std::string(record.payload.text());
        adopt(state, LogConfig{}).made_by(record.lsn);
      }
      return ok();
    case wal::RecordType::kDeleteLog:
      if (!checkpointed && log != nullptr) {
        forget(key);
      }
      return ok();
    default: break;
  }
  if (log == nullptr) {
    return ok();  // deleted since, as the checkpoint knows
  }
  const std::uint64_t lost = lost_since(*log);
  switch (record.type) {
    case wal::RecordType::kAppend:
      RETURN_IF_ERROR(log->replay_append(record.lsn, record.payload, checkpointed, lost));
      count_tail(*log);
      break;
    case wal::RecordType::kTruncate:
      log->replay_truncate(record.lsn, decode_offset(record.payload), checkpointed);
      count_tail(*log);
      break;
    case wal::RecordType::kLogStart:
      log->replay_log_start(record.lsn, decode_offset(record.payload), checkpointed);
      count_tail(*log);
      break;
    default: return absl::DataLossError("a record of a type that is not known");
  }
  return ok();
}

std::uint64_t StoredLogs::lost_since(StoredLog& log) const {
  return lost_records_ - std::exchange(log.keeping.lost_before, lost_records_);
}

void StoredLogs::replay_log_end(Lsn lsn, const wal::LogKey& wal_key, Offset end) {
  const LogKey key = log_key(wal_key);
  StoredLog* log = find_log(key);
  if (log == nullptr) {
    LogState state;
    state.key = key;  // its creation has rotted, and its name with it
    log = &adopt(state, LogConfig{});
  }
  log->replay_log_end(lsn, end, lost_since(*log));
  count_tail(*log);
}

Offset StoredLogs::log_end(const wal::LogKey& key) const {
  const auto found = logs_.find(log_key(key));
  return found == logs_.end() ? Offset::none() : found->second->log_end();
}

void StoredLogs::replay_damage(const wal::DamagedRange& range) {
  log_error("write-ahead log damaged", field("generation", range.generation), field("position", range.position),
            field("first_lsn", range.first), field("last_lsn", range.last));
  lost_records_ += static_cast<std::uint64_t>(std::max(range.last - range.first + 1, std::int64_t{0}));
}

}  // namespace chronik::log
