// The segments of a StoredLog: opening and loading them.
#include <algorithm>
#include <utility>

#include "core/base/sim_point.h"
#include "core/log/segment_rewrite.h"
#include "core/log/stored_log.h"

namespace chronik::log {

Status StoredLog::open(const Deadline& deadline) {
  if (opened_) {
    return ok();
  }
  const Ref<StoredLog> self = host_.hold(key_);
  if (closed_ || self.get() != this) {
    return absl::AbortedError("the log is closed");
  }
  return opening_.run(host_.scope(), {"open-log", number_}, deadline, [self] { return self->open_now(); });
}

Status StoredLog::open_patiently() {
  // It has time for each of its files, and there may be thousands: it ends by itself.
  Status opened;
  do {
    opened = open(host_.file_deadline());
  } while (absl::IsDeadlineExceeded(opened) && opening_.under_way());
  return opened;
}

Status StoredLog::open_now() {
  Disk& disk = host_.disk();
  StatusOr<std::vector<std::string>> names = disk.list_directory(directory(), host_.file_deadline());
  if (absl::IsNotFound(names.status())) {
    RETURN_IF_ERROR(disk.create_directory(directory(), host_.file_deadline()));
    directory_dirty_ = true;
    names = std::vector<std::string>();
  }
  RETURN_IF_ERROR(names.status());
  return open_listed(*names);
}

Status StoredLog::open_listed(const std::vector<std::string>& names) {
  // Nobody moves them meanwhile: a truncation opens the log first (truncate()).
  const Offset end = synced_end_;
  const Offset last = synced_segment_;
  std::vector<Ref<Segment>> found;
  std::uint64_t bytes = 0;
  for (const std::string& name : names) {
    if (name.ends_with(kCleanedEnding)) {
      // Compaction died before it was renamed.
      RETURN_IF_ERROR(host_.disk().unlink(directory() + "/" + name, host_.file_deadline()));
      continue;
    }
    const Offset base = segment_base_of(name);
    if (base == Offset::none()) {
      continue;
    }
    if (last == Offset::none() || base > last || base > end) {
      // Made before a crash and never relied on: what it holds is in the WAL. Or a truncation has taken it away.
      RETURN_IF_ERROR(unlink_segment(base));
      continue;
    }
    std::uint64_t size = base == end ? 0 : synced_bytes_;
    if (base != last && base != end) {
      ASSIGN_OR_RETURN(const FileRef file, host_.files().open(directory() + "/" + name, host_.file_deadline()));
      ASSIGN_OR_RETURN(size, file->file->size(host_.file_deadline()));
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
  RETURN_IF_ERROR(open_patiently());
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

}  // namespace chronik::log
