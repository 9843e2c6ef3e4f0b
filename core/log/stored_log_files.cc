// The segments of a StoredLog: draining into, syncing, rolling, cutting and deleting them.
#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "core/base/log_line.h"
#include "core/base/observer.h"
#include "core/base/sim_point.h"
#include "core/log/stored_log.h"

namespace chronik::log {

namespace {
// One hand-over to the disk while draining. Others get their turn in between, so it bounds what a drain adds to their
// latency: gathering and freeing thousands of small batches takes the shard, writing them a processor.
constexpr std::uint64_t kDrainBytes = 512 << 10;

// To have waited too long for other fibers says nothing of the disk: whoever has waited comes again.
Status unless_busy(const Status& waited) {
  return absl::IsDeadlineExceeded(waited) ? absl::AbortedError("the log's files are busy") : waited;
}

// What takes long and may be left half done goes no further once the node stops.
Status go_on(LogHost& host) {
  return host.scope().source().cancelled() ? absl::CancelledError("the node stops") : ok();
}
}  // namespace

Status StoredLog::enter_files(std::optional<fiber::Turnstile::Pass>& pass) {
  return unless_busy(files_turnstile_.enter(pass, host_.file_deadline()));
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
  return bytes + next.bytes.size() > std::min(config_.segment_bytes, kPositionsMax) ||
         now - since > config_.segment_age || entries * 8 >= config_.segment_index_bytes ||
         next.last - active.base() > kOffsetsMax;
}

Status StoredLog::roll(Offset base) {
  if (!segments_.empty()) {
    // After a restart its file may hold more than was synced, which the new segment will hold again. Loading cuts it;
    // once it is not the last one, its size is what the file says.
    RETURN_IF_ERROR(load(segments_.back(), host_.file_deadline()));
    // The cut may also be an earlier life's that was never synced: a loss of power would undo it.
    segments_.back()->mark_unsynced();
  }
  sim_pause("log.before_roll");
  Ref<Segment> fresh = Ref<Segment>::make(host_, directory(), number_, base, std::uint64_t{0});
  RETURN_IF_ERROR(fresh->create(host_.file_deadline()));
  directory_dirty_ = true;
  segments_.push_back(std::move(fresh));
  rolled_at_ = host_.clock().wall();
  if (Observer* o = observer()) {
    o->on_segment_rolled({key_.topic, key_.partition}, base);
  }
  return ok();
}

StatusOr<std::uint64_t> StoredLog::drain(Lsn durable) {
  std::optional<fiber::Turnstile::Pass> pass;
  RETURN_IF_ERROR(enter_files(pass));
  if (closed_ || tail_.empty() || tail_.front().lsn > durable) {
    return std::uint64_t{0};
  }
  RETURN_IF_ERROR(open_to_change(host_.file_deadline()));
  if (segments_.empty()) {
    RETURN_IF_ERROR(roll(tail_.front().base));
  }
  RETURN_IF_ERROR(load(segments_.back(), host_.file_deadline()));
  Pending pending = nothing_pending();
  std::vector<TailBatch> batches;
  for (std::size_t i = 0; i < tail_.size() && tail_[i].lsn <= durable && pending.bytes < kDrainBytes; ++i) {
    if (must_roll(pending, tail_[i])) {
      if (!batches.empty()) {
        break;
      }
      RETURN_IF_ERROR(roll(tail_[i].base));
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
  RETURN_IF_ERROR(segments_.back()->append(batches, config_.index_interval_bytes, host_.write_deadline()));
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

Status StoredLog::prepare_sync_all() {
  std::optional<fiber::Turnstile::Pass> pass;
  RETURN_IF_ERROR(enter_files(pass));
  if (!opened_ || closed_) {
    return ok();  // of a closed one the files may be gone
  }
  RETURN_IF_ERROR(open_to_change(host_.file_deadline()));
  const std::vector<Ref<Segment>> segments = segments_;
  for (const Ref<Segment>& segment : segments) {
    RETURN_IF_ERROR(segment->write_index(host_.file_deadline()));
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

Status StoredLog::sync() {
  std::optional<fiber::Turnstile::Pass> pass;
  RETURN_IF_ERROR(enter_files(pass));
  if (!opened_ || closed_) {
    return ok();  // of a closed one the files may be gone
  }
  RETURN_IF_ERROR(open_to_change(host_.file_deadline()));
  const Written before = written();
  sim_pause("log.before_segment_sync");
  const std::vector<Ref<Segment>> segments = segments_;
  for (const Ref<Segment>& segment : segments) {
    RETURN_IF_ERROR(segment->sync(host_.file_deadline()));
  }
  if (directory_dirty_) {
    RETURN_IF_ERROR(host_.disk().sync_directory(directory(), host_.file_deadline()));
    RETURN_IF_ERROR(host_.disk().sync_directory("logs", host_.file_deadline()));
  }
  sim_pause("log.after_segment_sync");
  synced_as(before);
  return ok();
}

Lsn StoredLog::first_unsynced() const {
  // A truncation need not be replayed again: what it took away counts in no checkpoint that follows it.
  return first_unsynced_written_ != Lsn::none() ? first_unsynced_written_ : first_undrained();
}

Status StoredLog::unlink_segment(Offset base) {
  for (const char* ending : {".log", ".index", ".timeindex"}) {
    const std::string path = directory() + "/" + segment_file_name(base, ending);
    host_.files().forget(path);
    Status gone = host_.disk().unlink(path, host_.file_deadline());
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
    RETURN_IF_ERROR(unlink_segment(last->base()));
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

bool StoredLog::is_too_old(WallTime newest) const {
  return config_.deletes && config_.retention_age != Duration::infinite() &&
         host_.clock().wall() - newest > config_.retention_age;
}

StatusOr<Offset> StoredLog::find_outdated() {
  Offset outdated = Offset::none();
  std::uint64_t gone = 0;
  for (std::size_t i = 0; i < segments_.size(); ++i) {
    const Ref<Segment> segment = segments_[i];
    const bool last = i + 1 == segments_.size();
    const Offset end = last ? written_end_ : segments_[i + 1]->base();
    // Only what is committed and synced goes; an empty active segment stays.
    if ((last && segment->bytes() == 0) || end > std::min(high_watermark_, synced_end_)) {
      break;
    }
    RETURN_IF_ERROR(load(segment, host_.file_deadline()));
    gone += segment->bytes();
    const std::uint64_t kept = size_bytes() - std::min(size_bytes(), gone);
    const bool below_start = end <= log_start();
    const bool too_large = config_.deletes && config_.retention_bytes >= 0 && !last &&
                           kept >= static_cast<std::uint64_t>(config_.retention_bytes);
    // Of one that has lost all that it held nobody knows how old that was.
    const bool unwanted = segment->bytes() > 0 && (too_large || is_too_old(segment->max_timestamp()));
    if (!below_start && !unwanted) {
      break;
    }
    outdated = end;
    RETURN_IF_ERROR(go_on(host_));
  }
  return outdated;
}

Status StoredLog::enforce_retention() {
  std::optional<fiber::Turnstile::Pass> pass;
  RETURN_IF_ERROR(enter_files(pass));
  if (closed_) {
    return ok();
  }
  RETURN_IF_ERROR(open_to_change(host_.file_deadline()));
  // Loads what has to be known of them, while drains go on; then looks again.
  pass.reset();
  RETURN_IF_ERROR(find_outdated().status());
  RETURN_IF_ERROR(enter_files(pass));
  if (closed_) {
    return ok();
  }
  RETURN_IF_ERROR(open_to_change(host_.file_deadline()));
  ASSIGN_OR_RETURN(const Offset to, find_outdated());
  if (to == Offset::none()) {
    return ok();
  }
  if (segments_.back()->base() < to) {
    // R16: the active segment, named by the log end, is there and its name is durable before the last old one goes.
    RETURN_IF_ERROR(roll(written_end_));
    RETURN_IF_ERROR(segments_.back()->sync(host_.file_deadline()));
    RETURN_IF_ERROR(host_.disk().sync_directory(directory(), host_.file_deadline()));
  }
  // Not waited for: whoever makes room in the write-ahead log may need this log's files, which this fiber holds.
  if (sim_fails("log.before_retention") ||
      (to > log_start_ &&
       host_.wal().try_reserve(sizeof(std::int64_t), wal::Urgency::kControl) != wal::Room::kGranted)) {
    return absl::ResourceExhaustedError("no room in the write-ahead log");
  }
  pass.reset();
  RETURN_IF_ERROR(advance_log_start(to, host_.file_deadline()));
  return delete_segments(to);
}

Status StoredLog::delete_segments(Offset to) {
  for (;;) {
    std::optional<fiber::Turnstile::Pass> pass;
    RETURN_IF_ERROR(enter_files(pass));
    // A cut may have made the log begin earlier again (R16).
    if (closed_ || segments_.size() < 2 || segments_[1]->base() > std::min({to, log_start(), synced_end_})) {
      return ok();
    }
    const Ref<Segment> oldest = segments_.front();
    segments_.erase(segments_.begin());
    count_segment_bytes();
    sim_pause("log.before_unlink");
    RETURN_IF_ERROR(unlink_segment(oldest->base()));
    log_info("segment deleted", field("topic", topic_name_), field("partition", key_.partition),
             field("base", oldest->base()), field("bytes", oldest->bytes()), field("log_start", log_start()));
    RETURN_IF_ERROR(go_on(host_));
  }
}

bool StoredLog::retention_waits_for_drain() const {
  if (tail_.empty()) {
    return false;
  }
  const TailBatch& oldest = tail_.front();
  const bool below_start = oldest.last < log_start();
  const bool too_large = config_.deletes && config_.retention_bytes >= 0 &&
                         tail_.bytes() > static_cast<std::uint64_t>(config_.retention_bytes);
  return below_start || too_large || is_too_old(oldest.max_timestamp);
}

// Nobody uses them from then on, nor makes any; their names. kNotFound: it never had a segment. Within the turnstile.
StatusOr<std::vector<std::string>> StoredLog::let_go_of_files() {
  // Closed, so nobody begins anew.
  RETURN_IF_ERROR(unless_busy(opening_.settle(host_.file_deadline())));
  for (const Ref<Segment>& segment : segments_) {
    RETURN_IF_ERROR(unless_busy(segment->settle(host_.file_deadline())));
  }
  ASSIGN_OR_RETURN(std::vector<std::string> names, host_.disk().list_directory(directory(), host_.file_deadline()));
  for (const std::string& name : names) {
    host_.files().forget(directory() + "/" + name);
  }
  return names;
}

StatusOr<bool> StoredLog::move_files(const std::string& to) {
  std::optional<fiber::Turnstile::Pass> pass;
  RETURN_IF_ERROR(enter_files(pass));
  if (const Status gone = let_go_of_files().status(); !gone.ok()) {
    return absl::IsNotFound(gone) ? StatusOr<bool>(false) : gone;
  }
  RETURN_IF_ERROR(host_.disk().rename(directory(), to, host_.file_deadline()));
  return true;
}

Status remove_directory_of(LogHost& host, const std::string& directory, const std::vector<std::string>& files) {
  for (const std::string& file : files) {
    Status gone = host.disk().unlink(fmt::format("{}/{}", directory, file), host.file_deadline());
    if (!gone.ok() && !absl::IsNotFound(gone)) {  // the cleaner unlinks what it has begun, too
      return gone;
    }
    RETURN_IF_ERROR(go_on(host));
  }
  return host.disk().remove_directory(directory, host.file_deadline());
}

Status StoredLog::delete_files() {
  std::optional<fiber::Turnstile::Pass> pass;
  RETURN_IF_ERROR(enter_files(pass));
  const StatusOr<std::vector<std::string>> names = let_go_of_files();
  if (absl::IsNotFound(names.status())) {
    return ok();
  }
  RETURN_IF_ERROR(names.status());
  pass.reset();  // a drain that waits for it finds the log closed, and others are drained meanwhile
  return remove_directory_of(host_, directory(), *names);
}

}  // namespace chronik::log
