#include "core/protocol/record_batch_records.h"

#include "core/base/wrapping.h"

namespace chronik::protocol {

WallTime RecordView::timestamp(const RecordBatchView& batch) const {
  if (batch.attributes().timestamp_type() == TimestampType::kLogAppendTime) {
    return batch.max_timestamp();
  }
  return WallTime::from_milliseconds(wrapping_add(batch.base_timestamp().milliseconds(), timestamp_delta));
}

Offset RecordView::offset(const RecordBatchView& batch) const {
  return Offset(wrapping_add(batch.base_offset().value(), offset_delta));
}

bool RecordHeaderIterator::next(RecordHeaderView& header) {
  if (left_ <= 0) {
    return false;
  }
  --left_;
  SpanSource source(rest_);
  record_detail::RecordReader<SpanSource> reader(source, rest_.size());
  bool has_key = false;
  bool has_value = false;
  ByteSpan value;
  if (!reader.nullable(has_key, header.key) || !has_key || !reader.nullable(has_value, value)) {
    left_ = 0;
    return false;
  }
  header.value = has_value ? std::optional(value) : std::nullopt;
  rest_ = source.peek();
  return true;
}

}  // namespace chronik::protocol
