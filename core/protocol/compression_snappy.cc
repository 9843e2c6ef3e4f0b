// Snappy: one raw block, or xerial's frames around many:
//
//   0x82 "SNAPPY" 0 | version i32 | compatible version i32 | (block length i32 | raw block)*
//
// The magic cannot begin a raw block: as one it would copy from before the first byte of its output.
#include <snappy.h>

#include <algorithm>
#include <cstring>

#include "core/base/check.h"
#include "core/base/endian.h"
#include "core/protocol/compression_codecs.h"

namespace chronik::protocol {
namespace {

constexpr std::array<std::uint8_t, 8> kXerialMagic{0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0};
constexpr std::size_t kXerialHeaderBytes = kXerialMagic.size() + 2 * sizeof(std::int32_t);
constexpr std::size_t kXerialBlockBytes = std::size_t{32} << 10;  // what Java's client uses

const char* as_chars(const std::uint8_t* bytes) { return reinterpret_cast<const char*>(bytes); }
char* as_chars(std::uint8_t* bytes) { return reinterpret_cast<char*>(bytes); }

bool has_xerial_header(ByteSpan bytes) {
  return bytes.size() >= kXerialHeaderBytes && std::equal(kXerialMagic.begin(), kXerialMagic.end(), bytes.begin());
}

class SnappyDecompressor final : public Decompressor {
 public:
  void start(ByteSpan compressed, std::size_t limit) override {
    rest_ = compressed;
    block_ = {};
    limit_ = limit;
    framed_ = has_xerial_header(compressed);
    if (framed_) {
      rest_ = rest_.subspan(kXerialHeaderBytes);
    }
    state_ = compressed.empty() ? State::kCorrupt : State::kMore;
  }

  Progress read(MutableByteSpan out) override {
    std::size_t written = 0;
    while (written < out.size()) {
      if (block_.empty()) {
        next_block();
        if (state_ != State::kMore) {
          return {written, state_};
        }
      }
      const std::size_t n = std::min(block_.size(), out.size() - written);
      if (n != 0) {
        std::memcpy(out.data() + written, block_.data(), n);
      }
      block_ = block_.subspan(n);
      written += n;
    }
    return {written, State::kMore};
  }

  void finish() override {
    rest_ = block_ = {};
    scratch_.trim();
  }

 private:
  // Decompresses the next block, which may be an empty one.
  void next_block() {
    if (state_ != State::kMore) {
      return;
    }
    if (rest_.empty()) {
      state_ = State::kEnd;
      return;
    }
    ByteSpan raw = rest_;
    if (framed_ && !take_frame(raw)) {
      state_ = State::kCorrupt;
      return;
    }
    if (!framed_) {
      rest_ = {};
    }
    std::size_t size = 0;
    if (!snappy::GetUncompressedLength(as_chars(raw.data()), raw.size(), &size) ||
        size / kSnappyRatioMax > raw.size()) {
      state_ = State::kCorrupt;
    } else if (size > limit_) {
      state_ = State::kTooBig;
    } else {
      const MutableByteSpan room = scratch_.at_least(std::max<std::size_t>(size, 1));
      state_ = snappy::RawUncompress(as_chars(raw.data()), raw.size(), as_chars(room.data())) ? State::kMore
                                                                                              : State::kCorrupt;
      block_ = room.first(size);
    }
  }

  bool take_frame(ByteSpan& raw) {
    if (has_xerial_header(rest_)) {  // streams that were concatenated
      rest_ = rest_.subspan(kXerialHeaderBytes);
    }
    if (rest_.size() < sizeof(std::int32_t)) {
      return false;
    }
    const auto length = load_big<std::int32_t>(rest_.data());
    rest_ = rest_.subspan(sizeof(std::int32_t));
    if (length <= 0 || static_cast<std::size_t>(length) > rest_.size()) {
      return false;
    }
    raw = rest_.first(static_cast<std::size_t>(length));
    rest_ = rest_.subspan(raw.size());
    return true;
  }

  ByteSpan rest_;   // compressed, not looked at yet
  ByteSpan block_;  // decompressed, not handed out yet; in scratch_
  std::size_t limit_ = 0;
  bool framed_ = false;
  State state_ = State::kEnd;
  ScratchBuffer scratch_;
};

}  // namespace

std::unique_ptr<Decompressor> make_snappy_decompressor() { return std::make_unique<SnappyDecompressor>(); }

std::optional<ByteSpan> snappy_compress(ByteSpan bytes, SnappyFraming framing, std::size_t limit,
                                        ScratchBuffer& output) {
  std::size_t size = 0;
  if (framing == SnappyFraming::kRaw) {
    const MutableByteSpan room = output.at_least(snappy::MaxCompressedLength(bytes.size()));
    snappy::RawCompress(as_chars(bytes.data()), bytes.size(), as_chars(room.data()), &size);
    return size <= limit ? std::optional<ByteSpan>(room.first(size)) : std::nullopt;
  }
  const std::size_t blocks = (bytes.size() + kXerialBlockBytes - 1) / kXerialBlockBytes;
  const std::size_t block_max = sizeof(std::int32_t) + snappy::MaxCompressedLength(kXerialBlockBytes);
  const MutableByteSpan room = output.at_least(kXerialHeaderBytes + blocks * block_max);
  std::copy(kXerialMagic.begin(), kXerialMagic.end(), room.begin());
  store_big(room.data() + kXerialMagic.size(), std::int32_t{1});
  store_big(room.data() + kXerialMagic.size() + sizeof(std::int32_t), std::int32_t{1});
  std::size_t used = kXerialHeaderBytes;
  while (!bytes.empty() && used <= limit) {
    const ByteSpan block = bytes.first(std::min(bytes.size(), kXerialBlockBytes));
    snappy::RawCompress(as_chars(block.data()), block.size(), as_chars(room.data() + used + sizeof(std::int32_t)),
                        &size);
    store_big(room.data() + used, static_cast<std::int32_t>(size));
    used += sizeof(std::int32_t) + size;
    bytes = bytes.subspan(block.size());
  }
  return used <= limit ? std::optional<ByteSpan>(room.first(used)) : std::nullopt;
}

}  // namespace chronik::protocol
