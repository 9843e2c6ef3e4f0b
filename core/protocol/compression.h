// The codecs of record batches: gzip, snappy (raw and in xerial's frames), lz4 frames, zstd. By their libraries.
//
// Decompression is a stream: the caller asks for as many bytes as it has room for, so that looking at a batch takes
// bounded memory, and it stops at a limit, so that a few bytes cannot become gigabytes. The one exception is raw
// snappy, which has no blocks and is decompressed as a whole: it is refused before anything is allocated if it
// announces more than the limit or more than the format can give (kSnappyRatioMax).
//
// Codecs owns what is costly to make: library contexts and buffers. One for a shard, used by one fiber at a time
// between suspensions; it never suspends. What a large batch made it allocate is given back (kKeptBytesMax).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "core/base/slice.h"
#include "core/base/status.h"
#include "core/protocol/record_batch.h"

namespace chronik::protocol {

// Memory that is handed out again and again.
class ScratchBuffer {
 public:
  static constexpr std::size_t kKeptBytesMax = std::size_t{4} << 20;

  // At least `size` bytes, whatever they hold. What was handed out before is no longer valid.
  MutableByteSpan at_least(std::size_t size);
  // Gives memory beyond kKeptBytesMax back.
  void trim();

 private:
  std::unique_ptr<std::uint8_t[]> bytes_;
  std::size_t size_ = 0;
};

// One compressed piece, decompressed from its start to its end.
class Decompressor {
 public:
  enum class State : std::uint8_t {
    kMore,     // there may be more
    kEnd,      // the piece ended where it should
    kCorrupt,  // these bytes are not what the codec produces, or end too early
    kTooBig,   // a block announces more than the limit
  };
  struct Progress {
    std::size_t bytes = 0;  // written to `out`
    State state = State::kMore;
  };

  virtual ~Decompressor() = default;
  // Starts on another piece, which must live until the last read of it. `limit` bounds what is allocated for a codec
  // that has no blocks; whoever reads still counts for himself.
  virtual void start(ByteSpan compressed, std::size_t limit) = 0;
  // Fills `out`, which is not empty, as far as it can; fewer bytes than that only at the end.
  virtual Progress read(MutableByteSpan out) = 0;
  // The piece is done with: gives back what is too large to keep.
  virtual void finish() = 0;
};

// Of compressed bytes to bytes, at most, by the format: a copy of 64 bytes takes 3.
inline constexpr std::size_t kSnappyRatioMax = 22;

// How snappy is framed: librdkafka sends one raw block, Java's client xerial's frames of many.
enum class SnappyFraming : std::uint8_t { kRaw, kXerial };

class Codecs {
 public:
  Codecs() = default;
  Codecs(const Codecs&) = delete;
  Codecs& operator=(const Codecs&) = delete;

  // The stream of a codec that is not kNone: start() it, read() it, finish() it.
  Decompressor& decompressor(Codec codec);

  // All of it, in a buffer of its own. DataLoss: corrupt. ResourceExhausted: more than `limit` bytes.
  StatusOr<Slice> decompress(Codec codec, ByteSpan compressed, std::size_t limit);

  // The compressed bytes, valid until the next call. At most 1 GiB of input.
  ByteSpan compress(Codec codec, ByteSpan bytes, SnappyFraming framing = SnappyFraming::kXerial);
  // Nothing where they would be more than `limit`: what a client's bytes cost is then bounded, too.
  std::optional<ByteSpan> compress_within(std::size_t limit, Codec codec, ByteSpan bytes,
                                          SnappyFraming framing = SnappyFraming::kXerial);

  // A chunk for reading streams through.
  static constexpr std::size_t kChunkBytes = std::size_t{64} << 10;
  MutableByteSpan chunk() { return chunk_.at_least(kChunkBytes); }

 private:
  ScratchBuffer output_;
  ScratchBuffer chunk_;
  std::array<std::unique_ptr<Decompressor>, kCodecs> decompressors_;  // made when first used
};

}  // namespace chronik::protocol
