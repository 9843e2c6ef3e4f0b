// Builds a record batch: for our own client, for workloads and for tests.
//
// Records are written once, behind room for the header, so that an uncompressed batch is not copied again. A builder is
// empty after build() and may be used for the next batch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "core/base/slice.h"
#include "core/protocol/compression.h"
#include "core/protocol/record_batch.h"
#include "core/protocol/record_batch_records.h"

namespace chronik::protocol {

struct BatchFields {
  Offset base_offset{0};
  LeaderEpoch partition_leader_epoch = LeaderEpoch::none();
  ProducerId producer_id = ProducerId::none();
  ProducerEpoch producer_epoch = ProducerEpoch::none();
  std::int32_t base_sequence = -1;
  TimestampType timestamp_type = TimestampType::kCreateTime;
  bool transactional = false;
  bool control = false;
};

struct RecordInput {
  WallTime timestamp;
  std::optional<ByteSpan> key;
  std::optional<ByteSpan> value;
  std::span<const RecordHeaderView> headers;
};

class RecordBatchBuilder {
 public:
  // The most bytes of records a batch may get: its length field is 31 bits wide.
  static constexpr std::size_t kRecordBytesMax = std::size_t{1} << 30;

  // `expected_bytes` saves growing where the caller knows how large the batch will be.
  explicit RecordBatchBuilder(std::size_t expected_bytes = 0) : expected_bytes_(expected_bytes) {}

  // Adds a record at the offset behind the last one. Returns its offset delta.
  std::int32_t append(const RecordInput& record);
  // Adds a record at a given delta: a compacted batch has gaps.
  void append_at(std::int32_t offset_delta, const RecordInput& record);

  std::int32_t record_count() const { return record_count_; }
  bool empty() const { return record_count_ == 0; }
  // Of the batch as it is now, not compressed.
  std::size_t size_bytes() const { return kBatchHeaderBytes + record_bytes_; }
  // What a record would add at most.
  static std::size_t record_bytes_max(const RecordInput& record);

  // The batch, uncompressed and with its checksum. At least one record must be in it.
  Slice build(const BatchFields& fields);
  // The same with its records compressed (copied once more, even for Codec::kNone).
  Slice build(const BatchFields& fields, Codec codec, Codecs& codecs, SnappyFraming framing = SnappyFraming::kXerial);

 private:
  void write_header(Slice& batch, const BatchFields& fields, Codec codec) const;
  void clear();
  std::uint8_t* room_for(std::size_t bytes);

  std::size_t expected_bytes_;
  Slice buffer_;
  std::size_t record_bytes_ = 0;
  std::int32_t record_count_ = 0;
  std::int32_t last_offset_delta_ = -1;
  std::int64_t base_timestamp_ = 0;
  std::int64_t max_timestamp_ = 0;
};

}  // namespace chronik::protocol
