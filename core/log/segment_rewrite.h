// The file that is to take the place of a segment's, or of a few: NNN.cleaned, written beside NNN.log.
//
// Nobody reads it before it is renamed, and what is left of one after a death is unlinked when the log is opened. So it
// may end anywhere before it is synced.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/base/counted.h"
#include "core/base/slice.h"
#include "core/log/segment.h"
#include "core/ports/disk.h"

namespace chronik::log {

inline constexpr const char* kCleanedEnding = ".cleaned";

class SegmentRewrite {
 public:
  // `fresh`: made with no bytes, at the base of the first segment whose place it is to take.
  SegmentRewrite(Disk& disk, Ref<Segment> fresh, std::uint32_t index_interval_bytes)
      : disk_(disk), fresh_(std::move(fresh)), index_interval_bytes_(index_interval_bytes) {}

  Status begin(const Deadline& deadline);
  // Batches in a row.
  Status write(std::vector<Slice> batches, const Deadline& deadline);
  // Syncs. What is left to be done is to rename it.
  Status finish(const Deadline& deadline);
  // It is not to take any place.
  Status discard(const Deadline& deadline);

  const Ref<Segment>& fresh() const { return fresh_; }
  std::uint64_t bytes() const { return fresh_->bytes(); }

 private:
  std::string path() const { return fresh_->path(kCleanedEnding); }

  Disk& disk_;
  Ref<Segment> fresh_;
  std::uint32_t index_interval_bytes_;
  std::unique_ptr<File> file_;
};

}  // namespace chronik::log
