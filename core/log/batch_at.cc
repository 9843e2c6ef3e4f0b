#include "core/log/batch_at.h"

#include <algorithm>

#include "core/protocol/record_batch.h"

namespace chronik::log {

Offset base_of_batch_at(PartitionLog& log, Offset offset, const Deadline& deadline) {
  const StatusOr<ReadResult> read =
      log.read(offset, {.max_bytes = 1, .below = log.log_end(), .min_one_batch = true}, deadline);
  protocol::RecordBatchView batch;
  const bool found =
      read.ok() && !read->parts.empty() &&
      protocol::RecordBatchView::parse(read->parts.front().bytes(), batch) == protocol::BatchDefect::kNone;
  return found ? std::min(batch.base_offset(), offset) : offset;
}

}  // namespace chronik::log
