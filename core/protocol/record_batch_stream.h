// The records of a compressed batch, read through one small chunk: what validation looks at without ever holding them
// all.
//
// Keys, values and headers are passed over, not kept. Lifetime: borrows the stream and the chunk; both are used by
// nobody else meanwhile.
#pragma once

#include <cstddef>

#include "core/base/slice.h"
#include "core/protocol/compression.h"
#include "core/protocol/record_batch_records.h"

namespace chronik::protocol {

// Decompressed bytes as parse_record() reads them.
class StreamSource {
 public:
  static constexpr bool kKeepsBytes = false;

  // `stream` was started; `chunk` is larger than kLookaheadBytes. Stops once more than `limit` bytes came out.
  StreamSource(Decompressor& stream, MutableByteSpan chunk, std::size_t limit);

  ByteSpan peek() {
    if (held_.size() < kLookaheadBytes && !ended_) [[unlikely]] {
      refill();
    }
    return held_;
  }
  void consume(std::size_t n) { held_ = held_.subspan(n); }
  bool skip(std::size_t n, ByteSpan& skipped);

  // kNone while the stream is well or ended as it should.
  BatchDefect defect() const { return defect_; }

 private:
  void refill();
  void read_into(MutableByteSpan room, std::size_t kept);

  Decompressor& stream_;
  MutableByteSpan chunk_;
  ByteSpan held_;  // a part of chunk_: decompressed, not consumed
  std::size_t left_;
  bool ended_ = false;
  BatchDefect defect_ = BatchDefect::kNone;
};

// Iterates over `count` records of a compressed piece.
class RecordStream {
 public:
  RecordStream(Codec codec, ByteSpan compressed, std::int32_t count, std::size_t limit, Codecs& codecs);
  ~RecordStream() { stream_.finish(); }
  RecordStream(const RecordStream&) = delete;
  RecordStream& operator=(const RecordStream&) = delete;

  // False after the last record and at a defect.
  bool next(RecordView& record);
  // After next() said false: kNone where the piece holds exactly the records that were announced.
  BatchDefect defect() const { return defect_; }

 private:
  void finish();

  Decompressor& stream_;
  StreamSource source_;
  std::int32_t left_;
  BatchDefect defect_ = BatchDefect::kNone;
};

}  // namespace chronik::protocol
