// The segments of a StoredLog: opening, draining into, syncing, rolling, cutting and deleting them.
#include <algorithm>
#include <utility>

#include "core/base/log_line.h"
#include "core/base/observer.h"
#include "core/log/stored_log.h"

namespace chronik::log {

namespace {
// One hand-over to the disk while draining; others get their turn in between.
constexpr std::uint64_t kDrainBytes = 4 << 20;
constexpr std::uint64_t kPositionsMax = 0x7fffffff;  // positions in an index are 32 bits
}  // namespace

Status StoredLog::open(const Deadline& deadline) {
  if (opened_) {
    return cut_as_replayed(deadline);
  }
  Disk& disk = host_.disk();
  StatusOr<std::vector<std::string>> names = disk.list_directory(directory(), deadline);
  if (absl::IsNotFound(names.status())) {
    RETURN_IF_ERROR(disk.create_directory(directory(), deadline));
    directory_dirty_ = true;
    names = std::vector<std::string>();
  }
  RETURN_IF_ERROR(names.status());
  directory_made_ = true;
  return open_listed(*names, deadline);
}

Status StoredLog::open_listed(const std::vector<std::string>& names, const Deadline& deadline) {
  std::vector<Ref<Segment>> found;
  std::uint64_t bytes = 0;
  for (const std::string& name : names) {
    const Offset base = segment_base_of(name);
    if (base == Offset::none()) {
      continue;
    }
    if (synced_segment_ == Offset::none() || base > synced_segment_) {
      // Made before a crash and never relied on: what it holds is in the WAL.
      for (const char* ending : {".log", ".index", ".timeindex"}) {
        Status gone = host_.disk().unlink(directory() + "/" + segment_file_name(base, ending), deadline);
        if (!gone.ok() && !absl::IsNotFound(gone)) {
          return gone;
        }
      }
      directory_dirty_ = true;
      continue;
    }
    std::uint64_t size = synced_bytes_;
    if (base != synced_segment_) {
      ASSIGN_OR_RETURN(const FileRef file, host_.files().open(directory() + "/" + name, deadline));
      ASSIGN_OR_RETURN(size, file->file->size(deadline));
    }
    found.push_back(Ref<Segment>::make(host_.files(), directory(), base, size));
    bytes += size;
    if (found.size() > 1) {
      found[found.size() - 2]->ends_at(base);
    }
  }
  if (opened_) {
    return ok();  // somebody else was faster
  }
  if (synced_segment_ != Offset::none() && (found.empty() || found.back()->base() != synced_segment_)) {
    if (replayed_) {
      note_damage(log_start_, synced_end_);
    } else {
      missing_below_ = synced_end_;
    }
  }
  segments_ = std::move(found);
  segment_bytes_ = bytes;
  opened_ = true;
  return cut_as_replayed(deadline);
}

Status StoredLog::settle(const Deadline& deadline) { return cut_.has_value() ? open(deadline) : ok(); }

Status StoredLog::cut_as_replayed(const Deadline& deadline) {
  if (!cut_.has_value()) {
    return ok();
  }
  const Cut cut = *std::exchange(cut_, std::nullopt);
  const bool synced = cut.to <= synced_end_;
  RETURN_IF_ERROR(cut_segments(cut.to, deadline));
  if (synced) {
    synced_lsn_ = std::max(synced_lsn_, cut.last);
  }
  return ok();
}

StatusOr<std::uint64_t> StoredLog::stored_bytes(const Deadline& deadline) {
  if (!opened_ && segment_bytes() > 0) {
    std::optional<fiber::Turnstile::Pass> pass;
    RETURN_IF_ERROR(files_turnstile_.enter(pass, deadline));
    RETURN_IF_ERROR(open(deadline));
  }
  if (closed_) {
    return absl::AbortedError("the log is closed");
  }
  return size_bytes();
}

bool StoredLog::must_roll(std::uint64_t batch_bytes) const {
  if (segments_.empty()) {
    return true;
  }
  const Segment& active = *segments_.back();
  if (active.bytes() == 0) {
    return false;
  }
  const Duration age = Duration::milliseconds(host_.clock().wall().milliseconds() - rolled_at_.milliseconds());
  return active.bytes() + batch_bytes > std::min(config_.segment_bytes, kPositionsMax) || age > config_.segment_age ||
         active.index_entries() * 8 >= config_.segment_index_bytes;
}

Status StoredLog::roll(Offset base, const Deadline& deadline) {
  if (!segments_.empty()) {
    // After a restart its file may hold more than was synced, which the new segment will hold again. Loading cuts it;
    // once it is not the last one, its size is what the file says.
    RETURN_IF_ERROR(segments_.back()->load(deadline));
    // The cut may also be an earlier life's that was never synced: a loss of power would undo it.
    segments_.back()->mark_unsynced();
  }
  Ref<Segment> fresh = Ref<Segment>::make(host_.files(), directory(), base, std::uint64_t{0});
  RETURN_IF_ERROR(fresh->create(deadline));
  directory_dirty_ = true;
  segments_.push_back(std::move(fresh));
  rolled_at_ = host_.clock().wall();
  if (Observer* o = observer()) {
    o->on_segment_rolled({key_.topic, key_.partition}, base);
  }
  return ok();
}

Status StoredLog::drain(Lsn durable, const Deadline& deadline) {
  std::optional<fiber::Turnstile::Pass> pass;
  RETURN_IF_ERROR(files_turnstile_.enter(pass, deadline));
  RETURN_IF_ERROR(open(deadline));
  std::vector<TailBatch> batches;
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < tail_.size() && tail_[i].lsn <= durable && bytes < kDrainBytes; ++i) {
    if (must_roll(bytes + tail_[i].bytes.size())) {
      if (!batches.empty()) {
        break;
      }
      RETURN_IF_ERROR(roll(tail_[i].base, deadline));
    }
    bytes += tail_[i].bytes.size();
    batches.push_back(tail_[i]);
  }
  if (batches.empty() || closed_) {
    return ok();
  }
  Segment& active = *segments_.back();
  RETURN_IF_ERROR(active.load(deadline));
  RETURN_IF_ERROR(active.append(batches, config_.index_interval_bytes, deadline));
  if (first_unsynced_written_ == Lsn::none()) {
    first_unsynced_written_ = batches.front().lsn;
  }
  written_end_ = batches.back().last.next();
  written_lsn_ = batches.back().lsn;
  segment_bytes_ += bytes;
  tail_.pop_front(batches.size());
  return ok();
}

StoredLog::Written StoredLog::written() const {
  Written written{.end = written_end_, .lsn = written_lsn_, .truncations = truncations_};
  if (!segments_.empty()) {
    written.segment = segments_.back()->base();
    written.bytes = segments_.back()->bytes();
  }
  return written;
}

Status StoredLog::prepare_sync_all(const Deadline& deadline) {
  if (closed_) {
    return ok();  // its files may be gone
  }
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
  const Written before = written();
  const std::vector<Ref<Segment>> segments = segments_;
  for (const Ref<Segment>& segment : segments) {
    RETURN_IF_ERROR(segment->sync(deadline));
  }
  if (directory_dirty_) {
    RETURN_IF_ERROR(host_.disk().sync_directory(directory(), deadline));
    RETURN_IF_ERROR(host_.disk().sync_directory("logs", deadline));
  }
  synced_as(before);
  return ok();
}

Lsn StoredLog::first_unsynced() const {
  // A later replay must come across the truncation before what was appended on top of it.
  const Lsn first = first_unsynced_written_ != Lsn::none() ? first_unsynced_written_ : first_undrained();
  return cut_.has_value() && (first == Lsn::none() || cut_->first < first) ? cut_->first : first;
}

Status StoredLog::cut_segments(Offset to, const Deadline& deadline) {
  while (!segments_.empty() && segments_.back()->base() >= to) {
    const Ref<Segment> last = segments_.back();
    segments_.pop_back();
    for (const char* ending : {".log", ".index", ".timeindex"}) {
      host_.files().forget(last->path(ending));
      RETURN_IF_ERROR(host_.disk().unlink(last->path(ending), deadline));
    }
    directory_dirty_ = true;
  }
  if (!segments_.empty()) {
    RETURN_IF_ERROR(segments_.back()->truncate(to, deadline));
  }
  count_segment_bytes();
  written_end_ = std::min(written_end_, to);
  if (to <= synced_end_) {
    synced_end_ = to;
    synced_segment_ = segments_.empty() ? Offset::none() : segments_.back()->base();
    synced_bytes_ = segments_.empty() ? 0 : segments_.back()->bytes();
    first_unsynced_written_ = Lsn::none();
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
  if (host_.wal().try_reserve(sizeof(std::int64_t), wal::Urgency::kControl) != wal::Room::kGranted) {
    return absl::ResourceExhaustedError("no room in the write-ahead log");
  }
  RETURN_IF_ERROR(advance_log_start(next, deadline));
  segments_.erase(segments_.begin());
  count_segment_bytes();
  for (const char* ending : {".log", ".index", ".timeindex"}) {
    host_.files().forget(oldest->path(ending));
    RETURN_IF_ERROR(host_.disk().unlink(oldest->path(ending), deadline));
  }
  directory_dirty_ = true;
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
  RETURN_IF_ERROR(open(deadline));
  const WallTime now = host_.clock().wall();
  while (!segments_.empty()) {
    Segment& oldest = *segments_.front();
    const Offset next = segments_.size() > 1 ? segments_[1]->base() : written_end_;
    // Only what is committed and synced goes; an empty active segment stays.
    if (oldest.bytes() == 0 || next > high_watermark_ || next > synced_end_) {
      return ok();
    }
    RETURN_IF_ERROR(oldest.load(deadline));
    const bool below_start = next <= log_start();
    const bool too_large = config_.retention_bytes >= 0 && segments_.size() > 1 &&
                           size_bytes() - oldest.bytes() >= static_cast<std::uint64_t>(config_.retention_bytes);
    const Duration age = Duration::milliseconds(now.milliseconds() - oldest.max_timestamp().milliseconds());
    const bool too_old = config_.retention_age != Duration::infinite() && age > config_.retention_age;
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
  const bool too_large =
      config_.retention_bytes >= 0 && tail_.bytes() > static_cast<std::uint64_t>(config_.retention_bytes);
  const bool too_old = config_.retention_age != Duration::infinite() && age > config_.retention_age;
  return below_start || too_large || too_old;
}

Status StoredLog::delete_files(const Deadline& deadline) {
  std::optional<fiber::Turnstile::Pass> pass;
  RETURN_IF_ERROR(files_turnstile_.enter(pass, deadline));
  StatusOr<std::vector<std::string>> names = host_.disk().list_directory(directory(), deadline);
  if (absl::IsNotFound(names.status())) {
    return ok();  // it never had a segment
  }
  RETURN_IF_ERROR(names.status());
  for (const std::string& name : *names) {
    const std::string path = directory() + "/" + name;
    host_.files().forget(path);
    RETURN_IF_ERROR(host_.disk().unlink(path, deadline));
  }
  return host_.disk().remove_directory(directory(), deadline);
}

}  // namespace chronik::log
