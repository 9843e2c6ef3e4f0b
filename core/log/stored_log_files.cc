// The segments of a StoredLog: opening, draining into, syncing, rolling, cutting and deleting them.
#include <algorithm>
#include <utility>

#include "core/base/log_line.h"
#include "core/base/observer.h"
#include "core/base/sim_point.h"
#include "core/log/segment_rewrite.h"
#include "core/log/stored_log.h"

namespace chronik::log {

namespace {
// One hand-over to the disk while draining. Others get their turn in between, so it bounds what a drain adds to their
// latency: gathering and freeing thousands of small batches takes the shard, writing them a processor.
constexpr std::uint64_t kDrainBytes = 512 << 10;
}  // namespace

// ---- opening ----

Status StoredLog::open(const Deadline& deadline) {
  if (opened_) {
    return ok();
  }
  const Ref<StoredLog> self = host_.hold(key_);
  if (closed_ || self.get() != this) {
    return absl::AbortedError("the log is closed");
  }
  return opening_.run(host_.scope(), {"open-log", number_}, deadline,
                      [self] { return self->open_now(self->host_.file_deadline()); });
}

Status StoredLog::open_now(const Deadline& deadline) {
  Disk& disk = host_.disk();
  StatusOr<std::vector<std::string>> names = disk.list_directory(directory(), deadline);
  if (absl::IsNotFound(names.status())) {
    RETURN_IF_ERROR(disk.create_directory(directory(), deadline));
    directory_dirty_ = true;
    names = std::vector<std::string>();
  }
  RETURN_IF_ERROR(names.status());
  return open_listed(*names, deadline);
}

Status StoredLog::open_listed(const std::vector<std::string>& names, const Deadline& deadline) {
  // Nobody moves them meanwhile: a truncation opens the log first (truncate()).
  const Offset end = synced_end_;
  const Offset last = synced_segment_;
  std::vector<Ref<Segment>> found;
  std::uint64_t bytes = 0;
  for (const std::string& name : names) {
    if (name.ends_with(kCleanedEnding)) {
      // Compaction died before it was renamed.
      RETURN_IF_ERROR(host_.disk().unlink(directory() + "/" + name, deadline));
      continue;
    }
    const Offset base = segment_base_of(name);
    if (base == Offset::none()) {
      continue;
    }
    if (last == Offset::none() || base > last || base > end) {
      // Made before a crash and never relied on: what it holds is in the WAL. Or a truncation has taken it away.
      RETURN_IF_ERROR(unlink_segment(base, deadline));
      continue;
    }
    std::uint64_t size = base == end ? 0 : synced_bytes_;
    if (base != last && base != end) {
      ASSIGN_OR_RETURN(const FileRef file, host_.files().open(directory() + "/" + name, deadline));
      ASSIGN_OR_RETURN(size, file->file->size(deadline));
    }
    found.push_back(Ref<Segment>::make(host_, directory(), number_, base, size));
    found.back()->ends_at(end);
    bytes += size;
    if (found.size() > 1) {
      found[found.size() - 2]->ends_at(base);
    }
  }
  // Of a segment that is there, loading it says what is missing.
  if (last < end && last != Offset::none() && (found.empty() || found.back()->base() != last)) {
    if (!found.empty()) {
      found.back()->ends_at(last);
    }
    note_damage(last, end);
  }
  note_damage(log_start_, std::min(found.empty() ? end : found.front()->base(), end));
  segments_ = std::move(found);
  segment_bytes_ = bytes;
  rolled_at_ = host_.clock().wall();
  opened_ = true;
  return ok();
}

Status StoredLog::settle(const Deadline& deadline) {
  if (!cut_.has_value()) {
    return ok();
  }
  std::optional<fiber::Turnstile::Pass> pass;
  RETURN_IF_ERROR(files_turnstile_.enter(pass, deadline));
  return open_to_change(deadline);
}

Status StoredLog::open_to_change(const Deadline& deadline) {
  RETURN_IF_ERROR(open(deadline));
  if (cut_.has_value()) {
    if (!host_.replaying()) {
      // Whoever truncated may have given up waiting for it.
      RETURN_IF_ERROR(host_.wal().wait_durable(cut_->lsn, deadline));
    }
    sim_pause("log.before_cut");
    RETURN_IF_ERROR(cut_segments(cut_->to));
    cut_.reset();
  }
  return ok();
}

Status StoredLog::load(const Ref<Segment>& segment, const Deadline& deadline) {
  if (segment->loaded()) {
    return ok();
  }
  const std::uint64_t truncations = truncations_;
  sim_pause("log.before_load");
  const Status loaded = Segment::load(segment, deadline);
  if (changed_since(truncations)) {
    return absl::AbortedError("the log changed while a segment was loaded");
  }
  RETURN_IF_ERROR(loaded);
  for (const Segment::Damage& damage : segment->damage()) {
    note_damage(damage.from, damage.to);
  }
  count_segment_bytes();
  return ok();
}

StatusOr<std::uint64_t> StoredLog::stored_bytes(const Deadline& deadline) {
  if (!opened_ && segment_bytes() > 0) {
    RETURN_IF_ERROR(open(deadline));
  }
  if (closed_) {
    return absl::AbortedError("the log is closed");
  }
  return size_bytes();
}

// ---- writing ----

StoredLog::Pending StoredLog::nothing_pending() const {
  const Segment& active = *segments_.back();
  return {.end = active.data_end(), .first_timestamp = active.first_timestamp()};
}

bool StoredLog::must_roll(const Pending& pending, const TailBatch& next) const {
  const Segment& active = *segments_.back();
  if (!active.damage().empty() || next.base != pending.end) {
    return true;  // a segment's batches lie end to end, and damage is not written over
  }
  const std::uint64_t bytes = active.bytes() + pending.bytes;
  if (bytes == 0) {
    return false;  // however large it is, it has to go somewhere
  }
  const std::uint64_t entries = active.index_entries() + pending.bytes / std::max(config_.index_interval_bytes, 1u);
  const bool has_times = pending.first_timestamp.milliseconds() >= 0;
  const WallTime now = has_times ? next.max_timestamp : host_.clock().wall();
  const WallTime since = has_times ? pending.first_timestamp : rolled_at_;
  const Duration age = Duration::milliseconds(now.milliseconds() - since.milliseconds());
  return bytes + next.bytes.size() > std::min(config_.segment_bytes, kPositionsMax) || age > config_.segment_age ||
         entries * 8 >= config_.segment_index_bytes || next.last - active.base() > kOffsetsMax;
}

Status StoredLog::roll(Offset base, const Deadline& deadline) {
  if (!segments_.empty()) {
    // After a restart its file may hold more than was synced, which the new segment will hold again. Loading cuts it;
    // once it is not the last one, its size is what the file says.
    RETURN_IF_ERROR(load(segments_.back(), deadline));
    // The cut may also be an earlier life's that was never synced: a loss of power would undo it.
    segments_.back()->mark_unsynced();
  }
  sim_pause("log.before_roll");
  Ref<Segment> fresh = Ref<Segment>::make(host_, directory(), number_, base, std::uint64_t{0});
  RETURN_IF_ERROR(fresh->create(deadline));
  directory_dirty_ = true;
  segments_.push_back(std::move(fresh));
  rolled_at_ = host_.clock().wall();
  if (Observer* o = observer()) {
    o->on_segment_rolled({key_.topic, key_.partition}, base);
  }
  return ok();
}

StatusOr<std::uint64_t> StoredLog::drain(Lsn durable, const Deadline& deadline) {
  std::optional<fiber::Turnstile::Pass> pass;
  RETURN_IF_ERROR(files_turnstile_.enter(pass, deadline));
  if (closed_ || tail_.empty() || tail_.front().lsn > durable) {
    return std::uint64_t{0};
  }
  RETURN_IF_ERROR(open_to_change(deadline));
  if (segments_.empty()) {
    RETURN_IF_ERROR(roll(tail_.front().base, deadline));
  }
  RETURN_IF_ERROR(load(segments_.back(), deadline));
  Pending pending = nothing_pending();
  std::vector<TailBatch> batches;
  for (std::size_t i = 0; i < tail_.size() && tail_[i].lsn <= durable && pending.bytes < kDrainBytes; ++i) {
    if (must_roll(pending, tail_[i])) {
      if (!batches.empty()) {
        break;
      }
      RETURN_IF_ERROR(roll(tail_[i].base, deadline));
      pending = nothing_pending();
    }
    if (segments_.back()->bytes() + pending.bytes == 0) {
      pending.first_timestamp = tail_[i].max_timestamp;
    }
    pending.bytes += tail_[i].bytes.size();
    pending.end = tail_[i].last.next();
    batches.push_back(tail_[i]);
  }
  if (batches.empty() || closed_) {
    return std::uint64_t{0};
  }
  sim_pause("log.before_segment_write");
  RETURN_IF_ERROR(segments_.back()->append(batches, config_.index_interval_bytes, deadline));
  sim_pause("log.after_segment_write");
  if (first_unsynced_written_ == Lsn::none()) {
    first_unsynced_written_ = batches.front().lsn;
  }
  written_end_ = batches.back().last.next();
  written_lsn_ = batches.back().lsn;
  segment_bytes_ += pending.bytes;
  tail_.pop_front(batches.size());
  return pending.bytes;
}

// ---- syncing ----

StoredLog::Written StoredLog::written() const {
  Written written{.end = written_end_, .lsn = written_lsn_, .truncations = truncations_};
  if (!segments_.empty()) {
    written.segment = segments_.back()->base();
    written.bytes = segments_.back()->bytes();
  }
  return written;
}

Status StoredLog::prepare_sync_all(const Deadline& deadline) {
  std::optional<fiber::Turnstile::Pass> pass;
  RETURN_IF_ERROR(files_turnstile_.enter(pass, deadline));
  if (!opened_ || closed_) {
    return ok();  // of a closed one the files may be gone
  }
  RETURN_IF_ERROR(open_to_change(deadline));
  const std::vector<Ref<Segment>> segments = segments_;
  for (const Ref<Segment>& segment : segments) {
    RETURN_IF_ERROR(segment->write_index(deadline));
  }
  return ok();
}

void StoredLog::synced_as(const Written& before) {
  if (before.truncations != truncations_) {
    return;
  }
  synced_end_ = before.end;
  synced_lsn_ = std::max(synced_lsn_, before.lsn);
  synced_segment_ = before.segment;
  synced_bytes_ = before.bytes;
  // One fiber drains and syncs, so nothing was written in between.
  CHECK_EQ(written_end_, before.end);
  first_unsynced_written_ = Lsn::none();
  directory_dirty_ = false;
  for (const Ref<Segment>& segment : segments_) {
    segment->mark_synced();
  }
}

Status StoredLog::sync(const Deadline& deadline) {
  std::optional<fiber::Turnstile::Pass> pass;
  RETURN_IF_ERROR(files_turnstile_.enter(pass, deadline));
  if (!opened_ || closed_) {
    return ok();  // of a closed one the files may be gone
  }
  RETURN_IF_ERROR(open_to_change(deadline));
  const Written before = written();
  sim_pause("log.before_segment_sync");
  const std::vector<Ref<Segment>> segments = segments_;
  for (const Ref<Segment>& segment : segments) {
    RETURN_IF_ERROR(segment->sync(deadline));
  }
  if (directory_dirty_) {
    RETURN_IF_ERROR(host_.disk().sync_directory(directory(), deadline));
    RETURN_IF_ERROR(host_.disk().sync_directory("logs", deadline));
  }
  sim_pause("log.after_segment_sync");
  synced_as(before);
  return ok();
}

Lsn StoredLog::first_unsynced() const {
  // A truncation need not be replayed again: what it took away counts in no checkpoint that follows it.
  return first_unsynced_written_ != Lsn::none() ? first_unsynced_written_ : first_undrained();
}

Status StoredLog::unlink_segment(Offset base, const Deadline& deadline) {
  for (const char* ending : {".log", ".index", ".timeindex"}) {
    const std::string path = directory() + "/" + segment_file_name(base, ending);
    host_.files().forget(path);
    Status gone = host_.disk().unlink(path, deadline);
    if (!gone.ok() && !absl::IsNotFound(gone)) {
      return gone;
    }
  }
  directory_dirty_ = true;
  return ok();
}

Status StoredLog::cut_segments(Offset to) {
  // Not by the deadline of whoever truncates: what is begun here is finished.
  while (!segments_.empty() && segments_.back()->base() >= to) {
    const Ref<Segment> last = segments_.back();
    RETURN_IF_ERROR(last->settle(host_.file_deadline()));
    RETURN_IF_ERROR(unlink_segment(last->base(), host_.file_deadline()));
    segments_.pop_back();
  }
  if (!segments_.empty()) {
    RETURN_IF_ERROR(Segment::truncate(segments_.back(), to, host_.file_deadline()));
    for (const Segment::Damage& damage : segments_.back()->damage()) {
      note_damage(damage.from, damage.to);
    }
  }
  count_segment_bytes();
  if (synced_end_ == to) {
    synced_segment_ = segments_.empty() ? Offset::none() : segments_.back()->base();
    synced_bytes_ = segments_.empty() ? 0 : segments_.back()->bytes();
  }
  return ok();
}

void StoredLog::count_segment_bytes() {
  segment_bytes_ = 0;
  for (const Ref<Segment>& segment : segments_) {
    segment_bytes_ += segment->bytes();
  }
}

// ---- retention ----

Status StoredLog::delete_oldest_segment(const Deadline& deadline) {
  const Ref<Segment> oldest = segments_.front();
  const Offset next = segments_.size() > 1 ? segments_[1]->base() : written_end_;
  if (segments_.size() == 1) {
    // R16: the active segment, named by the log end, is there and its name is durable before the last old one goes.
    RETURN_IF_ERROR(roll(written_end_, deadline));
    RETURN_IF_ERROR(segments_.back()->sync(deadline));
    RETURN_IF_ERROR(host_.disk().sync_directory(directory(), deadline));
  }
  // Not waited for: whoever makes room in the write-ahead log may need this log's files, which this fiber holds.
  if (sim_fails("log.before_retention") ||
      host_.wal().try_reserve(sizeof(std::int64_t), wal::Urgency::kControl) != wal::Room::kGranted) {
    return absl::ResourceExhaustedError("no room in the write-ahead log");
  }
  RETURN_IF_ERROR(advance_log_start(next, deadline));
  segments_.erase(segments_.begin());
  count_segment_bytes();
  sim_pause("log.before_unlink");
  RETURN_IF_ERROR(unlink_segment(oldest->base(), deadline));
  log_info("segment deleted", field("topic", topic_name_), field("partition", key_.partition),
           field("base", oldest->base()), field("bytes", oldest->bytes()), field("log_start", next));
  return ok();
}

Status StoredLog::enforce_retention(const Deadline& deadline) {
  std::optional<fiber::Turnstile::Pass> pass;
  RETURN_IF_ERROR(files_turnstile_.enter(pass, deadline));
  if (closed_) {
    return ok();
  }
  RETURN_IF_ERROR(open_to_change(deadline));
  const WallTime now = host_.clock().wall();
  while (!segments_.empty()) {
    const Ref<Segment> first = segments_.front();
    Segment& oldest = *first;
    const Offset next = segments_.size() > 1 ? segments_[1]->base() : written_end_;
    // Only what is committed and synced goes; an empty active segment stays.
    if (oldest.bytes() == 0 || next > high_watermark_ || next > synced_end_) {
      return ok();
    }
    RETURN_IF_ERROR(load(first, deadline));
    const bool below_start = next <= log_start();
    const bool too_large = config_.deletes && config_.retention_bytes >= 0 && segments_.size() > 1 &&
                           size_bytes() - oldest.bytes() >= static_cast<std::uint64_t>(config_.retention_bytes);
    const Duration age = Duration::milliseconds(now.milliseconds() - oldest.max_timestamp().milliseconds());
    const bool too_old =
        config_.deletes && config_.retention_age != Duration::infinite() && age > config_.retention_age;
    if (!below_start && !too_large && !too_old) {
      return ok();
    }
    RETURN_IF_ERROR(delete_oldest_segment(deadline));
  }
  return ok();
}

bool StoredLog::retention_waits_for_drain() const {
  if (tail_.empty()) {
    return false;
  }
  const TailBatch& oldest = tail_.front();
  const Duration age =
      Duration::milliseconds(host_.clock().wall().milliseconds() - oldest.max_timestamp.milliseconds());
  const bool below_start = oldest.last < log_start();
  const bool too_large = config_.deletes && config_.retention_bytes >= 0 &&
                         tail_.bytes() > static_cast<std::uint64_t>(config_.retention_bytes);
  const bool too_old = config_.deletes && config_.retention_age != Duration::infinite() && age > config_.retention_age;
  return below_start || too_large || too_old;
}

// Nobody uses them from then on; their names. kNotFound: it never had a segment.
StatusOr<std::vector<std::string>> StoredLog::let_go_of_files(const Deadline& deadline) {
  // Closed, so nobody begins anew.
  RETURN_IF_ERROR(opening_.settle(deadline));
  for (const Ref<Segment>& segment : segments_) {
    RETURN_IF_ERROR(segment->settle(deadline));
  }
  ASSIGN_OR_RETURN(std::vector<std::string> names, host_.disk().list_directory(directory(), deadline));
  for (const std::string& name : names) {
    host_.files().forget(directory() + "/" + name);
  }
  return names;
}

StatusOr<bool> StoredLog::move_files(const std::string& to, const Deadline& deadline) {
  std::optional<fiber::Turnstile::Pass> pass;
  RETURN_IF_ERROR(files_turnstile_.enter(pass, deadline));
  if (const Status gone = let_go_of_files(deadline).status(); !gone.ok()) {
    return absl::IsNotFound(gone) ? StatusOr<bool>(false) : gone;
  }
  RETURN_IF_ERROR(host_.disk().rename(directory(), to, deadline));
  return true;
}

Status remove_directory_of(Disk& disk, const std::string& directory, const std::vector<std::string>& files,
                           const Deadline& deadline) {
  for (const std::string& file : files) {
    Status gone = disk.unlink(directory + "/" + file, deadline);
    if (!gone.ok() && !absl::IsNotFound(gone)) {  // the cleaner unlinks what it has begun, too
      return gone;
    }
  }
  return disk.remove_directory(directory, deadline);
}

Status StoredLog::delete_files(const Deadline& deadline) {
  std::optional<fiber::Turnstile::Pass> pass;
  RETURN_IF_ERROR(files_turnstile_.enter(pass, deadline));
  const StatusOr<std::vector<std::string>> names = let_go_of_files(deadline);
  if (absl::IsNotFound(names.status())) {
    return ok();
  }
  RETURN_IF_ERROR(names.status());
  return remove_directory_of(host_.disk(), directory(), *names, deadline);
}

}  // namespace chronik::log
