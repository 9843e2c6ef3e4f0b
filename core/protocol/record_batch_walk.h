// The batches of a range of bytes, one after another: a segment, the tail of a log, a fetch answer.
//
// The range may end in the middle of a batch: that ends the walk and is said (kTruncated), it is no error. Whatever the
// bytes hold, a walk makes progress with each batch or stops, and never looks beyond the range.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/protocol/record_batch.h"

namespace chronik::protocol {

class BatchWalk {
 public:
  enum class Checksums : std::uint8_t { kCheck, kTrust };

  // `range` must live as long as the walk and its views.
  BatchWalk(ByteSpan range, Checksums checksums) : range_(range), checksums_(checksums) {}

  // Moves to the next batch. False at the end: then stop() says why, and position() where.
  bool next(RecordBatchView& batch);

  // kNone: every byte was walked. kTruncated: the last batch is not there as a whole. Otherwise what is wrong with the
  // batch at position().
  BatchDefect stop() const { return stop_; }
  // Bytes of the range that hold good batches: where the range would be cut.
  std::size_t position() const { return position_; }

 private:
  ByteSpan range_;
  Checksums checksums_;
  std::size_t position_ = 0;
  BatchDefect stop_ = BatchDefect::kNone;
};

}  // namespace chronik::protocol
