#include "core/protocol/compression.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "core/base/check.h"
#include "core/protocol/compression_codecs.h"

namespace chronik::protocol {
namespace {

constexpr std::size_t kCompressBytesMax = std::size_t{1} << 30;

std::unique_ptr<Decompressor> make_decompressor(Codec codec) {
  switch (codec) {
    case Codec::kNone: break;
    case Codec::kGzip: return make_gzip_decompressor();
    case Codec::kSnappy: return make_snappy_decompressor();
    case Codec::kLz4: return make_lz4_decompressor();
    case Codec::kZstd: return make_zstd_decompressor();
  }
  UNREACHABLE("nothing to decompress");
}

Status decompression_failure(Codec codec, Decompressor::State state, std::size_t limit) {
  if (state == Decompressor::State::kCorrupt) {
    return absl::DataLossError(fmt::format("not what {} produces", codec_name(codec)));
  }
  return absl::ResourceExhaustedError(fmt::format("more than {} bytes once decompressed", limit));
}

}  // namespace

MutableByteSpan ScratchBuffer::at_least(std::size_t size) {
  if (size > size_) {
    bytes_.reset();  // first, so that both are never held at once
    bytes_.reset(new std::uint8_t[size]);
    size_ = size;
  }
  return {bytes_.get(), size_};
}

void ScratchBuffer::trim() {
  if (size_ > kKeptBytesMax) {
    bytes_.reset();
    size_ = 0;
  }
}

Decompressor& Codecs::decompressor(Codec codec) {
  std::unique_ptr<Decompressor>& slot = decompressors_.at(static_cast<std::size_t>(codec));
  if (slot == nullptr) {
    slot = make_decompressor(codec);
  }
  return *slot;
}

StatusOr<Slice> Codecs::decompress(Codec codec, ByteSpan compressed, std::size_t limit) {
  Decompressor& stream = decompressor(codec);
  stream.start(compressed, limit);
  // Grown as bytes come out, never by what a header promises. One byte beyond the limit tells "full" from "too much".
  std::size_t capacity = std::min(limit, std::max<std::size_t>(4 * compressed.size(), 4096)) + 1;
  Slice output = Slice::allocate(capacity);
  std::size_t used = 0;
  Decompressor::Progress progress;
  for (;;) {
    progress = stream.read(output.mutable_bytes().subspan(used));
    used += progress.bytes;
    if (progress.state != Decompressor::State::kMore || used > limit) {
      break;
    }
    capacity = std::min(limit, 2 * capacity) + 1;
    Slice larger = Slice::allocate(capacity);
    std::copy_n(output.data(), used, larger.mutable_data());
    output = std::move(larger);
  }
  stream.finish();
  if (progress.state == Decompressor::State::kCorrupt || progress.state == Decompressor::State::kTooBig ||
      used > limit) {
    const bool corrupt = progress.state == Decompressor::State::kCorrupt;
    return decompression_failure(codec, corrupt ? Decompressor::State::kCorrupt : Decompressor::State::kTooBig, limit);
  }
  return output.sub(0, used);
}

ByteSpan Codecs::compress(Codec codec, ByteSpan bytes, SnappyFraming framing) {
  const std::optional<ByteSpan> compressed =
      compress_within(std::numeric_limits<std::size_t>::max(), codec, bytes, framing);
  CHECK(compressed.has_value());
  return *compressed;
}

std::optional<ByteSpan> Codecs::compress_within(std::size_t limit, Codec codec, ByteSpan bytes, SnappyFraming framing) {
  CHECK_LE(bytes.size(), kCompressBytesMax);
  output_.trim();
  switch (codec) {
    case Codec::kNone: return bytes.size() <= limit ? std::optional(bytes) : std::nullopt;
    case Codec::kGzip: return gzip_compress(bytes, limit, output_);
    case Codec::kSnappy: return snappy_compress(bytes, framing, limit, output_);
    case Codec::kLz4: return lz4_compress(bytes, limit, output_);
    case Codec::kZstd: return zstd_compress(bytes, limit, output_);
  }
  UNREACHABLE("codec");
}

}  // namespace chronik::protocol
