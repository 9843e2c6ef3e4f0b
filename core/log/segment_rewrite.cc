#include "core/log/segment_rewrite.h"

#include <utility>

namespace chronik::log {

Status SegmentRewrite::begin(const Deadline& deadline) {
  Status gone = disk_.unlink(path(), deadline);
  if (!gone.ok() && !absl::IsNotFound(gone)) {
    return gone;
  }
  ASSIGN_OR_RETURN(file_, disk_.open(path(), OpenMode::kCreate, DiskLane::kBulk, deadline));
  return ok();
}

Status SegmentRewrite::write(std::vector<Slice> batches, const Deadline& deadline) {
  if (batches.empty()) {
    return ok();
  }
  FileBatch write;
  FileWrite& all = write.writes.emplace_back();
  all.offset = fresh_->bytes();
  fresh_->note_rewritten(batches, index_interval_bytes_);
  all.parts = std::move(batches);
  return file_->run(std::move(write), deadline);
}

Status SegmentRewrite::finish(const Deadline& deadline) {
  fresh_->finish_rewritten();
  FileBatch sync;
  sync.sync = true;
  RETURN_IF_ERROR(file_->run(std::move(sync), deadline));
  file_.reset();
  return ok();
}

Status SegmentRewrite::discard(const Deadline& deadline) {
  file_.reset();
  Status gone = disk_.unlink(path(), deadline);
  return absl::IsNotFound(gone) ? ok() : gone;
}

}  // namespace chronik::log
