// What a broker checks before it appends what a client produced, with the answers that Kafka gives.
//
//   none or an incomplete batch, more than one, another magic, base offset not 0          INVALID_RECORD
//   a length field below a header, a magic that never was, wrong checksum                 CORRUPT_MESSAGE
//   larger than max.message.bytes, or than decompressed_bytes_max once decompressed       MESSAGE_TOO_LARGE
//   zstd before Produce 7, a codec that does not exist                                    UNSUPPORTED_COMPRESSION_TYPE
//   a count that is not lastOffsetDelta + 1 or not that of the records, control batches,
//   a producer without sequence, broken records, offset deltas other than 0..n-1,
//   a null key on a compacted topic, an inner record that says it is compressed           INVALID_RECORD
//   LogAppendTime set by the client, timestamps outside the topic's bounds                INVALID_TIMESTAMP
//
// Stricter than Kafka in three things that no client sends: bytes behind the batch, the delete-horizon bit, and a
// transactional batch without producer are refused. Compressed bytes that do not decompress are INVALID_RECORD, where
// Kafka answers UNKNOWN_SERVER_ERROR: neither is retried, but this one says whose fault it is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "core/base/slice.h"
#include "core/base/time.h"
#include "core/protocol/compression.h"
#include "core/protocol/errors.h"
#include "core/protocol/record_batch.h"

namespace chronik::protocol {

// How far a batch may grow in decompression: 64 times max.message.bytes, not below 64 MiB (a batch of equal values
// shrinks a hundredfold), not above 256 MiB (some tenths of a second of a shard's time) unless a batch itself may be
// larger.
constexpr std::size_t default_decompressed_bytes_max(std::size_t message_bytes_max) {
  constexpr std::size_t kLow = std::size_t{64} << 20;
  constexpr std::size_t kHigh = std::size_t{256} << 20;
  if (message_bytes_max >= kHigh) {
    return message_bytes_max;
  }
  const std::size_t grown = 64 * message_bytes_max;
  return grown < kLow ? kLow : (grown > kHigh ? kHigh : grown);
}

struct ProduceChecks {
  std::size_t message_bytes_max = 1'048'588;                                        // max.message.bytes
  TimestampType timestamp_type = TimestampType::kCreateTime;                        // message.timestamp.type
  std::int64_t timestamp_before_ms_max = std::numeric_limits<std::int64_t>::max();  // message.timestamp.before.max.ms
  std::int64_t timestamp_after_ms_max = 3'600'000;                                  // message.timestamp.after.max.ms
  bool compacted = false;                                                           // cleanup.policy has compact
  std::int16_t produce_version = 12;
  WallTime now;
  std::size_t decompressed_bytes_max = default_decompressed_bytes_max(1'048'588);
};

struct RecordError {
  std::int32_t batch_index = 0;  // which record of the batch
  std::string message;
};

struct ProduceVerdict {
  // More refused records than this are counted, not listed: a client treats those not listed as refused too.
  static constexpr std::size_t kRecordErrorsMax = 100;

  ErrorCode error = ErrorCode::kNone;
  std::string message;
  std::vector<RecordError> record_errors;

  // Where error is kNone: the batch, its codec, and what the records say. The view borrows the bytes that were checked.
  RecordBatchView batch;
  Codec codec = Codec::kNone;
  // The true maximum, whatever the header says (Kafka corrects it: set_max_timestamp()), and the first record that has
  // it.
  WallTime max_timestamp;
  std::int32_t max_timestamp_offset_delta = 0;

  bool ok() const { return error == ErrorCode::kNone; }
};

// `records` is the records field of one partition of a Produce request (empty for null).
ProduceVerdict validate_produced_batches(ByteSpan records, const ProduceChecks& checks, Codecs& codecs);

}  // namespace chronik::protocol
