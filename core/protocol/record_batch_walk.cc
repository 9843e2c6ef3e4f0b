#include "core/protocol/record_batch_walk.h"

namespace chronik::protocol {

bool BatchWalk::next(RecordBatchView& batch) {
  if (stop_ != BatchDefect::kNone || position_ == range_.size()) {
    return false;
  }
  stop_ = RecordBatchView::parse(range_.subspan(position_), batch);
  if (stop_ != BatchDefect::kNone) {
    return false;
  }
  if (checksums_ == Checksums::kCheck && !batch.checksum_matches()) {
    stop_ = BatchDefect::kChecksum;
    return false;
  }
  position_ += batch.size_bytes();
  return true;
}

}  // namespace chronik::protocol
