#include <lz4frame.h>

#include "core/base/check.h"
#include "core/protocol/compression_codecs.h"

namespace chronik::protocol {
namespace {

// Keeps at most the two largest blocks of the format, 8 MiB, of which only what was used is real memory.
class Lz4Decompressor final : public Decompressor {
 public:
  Lz4Decompressor() { CHECK(LZ4F_isError(LZ4F_createDecompressionContext(&context_, LZ4F_VERSION)) == 0); }
  ~Lz4Decompressor() override { LZ4F_freeDecompressionContext(context_); }
  Lz4Decompressor(const Lz4Decompressor&) = delete;
  Lz4Decompressor& operator=(const Lz4Decompressor&) = delete;

  void start(ByteSpan compressed, std::size_t /*limit*/) override {
    LZ4F_resetDecompressionContext(context_);
    rest_ = compressed;
  }

  Progress read(MutableByteSpan out) override {
    std::size_t written = 0;
    while (written < out.size()) {
      std::size_t output = out.size() - written;
      std::size_t input = rest_.size();
      const std::size_t hint = LZ4F_decompress(context_, out.data() + written, &output, rest_.data(), &input, nullptr);
      if (LZ4F_isError(hint) != 0) {
        return {written, State::kCorrupt};
      }
      written += output;
      rest_ = rest_.subspan(input);
      if (hint == 0 && rest_.empty()) {
        return {written, State::kEnd};
      }
      if (output == 0 && input == 0) {
        return {written, State::kCorrupt};  // it ends early
      }
    }
    return {written, State::kMore};
  }

  void finish() override { rest_ = {}; }

 private:
  LZ4F_dctx* context_ = nullptr;
  ByteSpan rest_;
};

}  // namespace

std::unique_ptr<Decompressor> make_lz4_decompressor() { return std::make_unique<Lz4Decompressor>(); }

std::optional<ByteSpan> lz4_compress(ByteSpan bytes, std::size_t limit, ScratchBuffer& output) {
  LZ4F_preferences_t preferences{};
  preferences.frameInfo.blockSizeID = LZ4F_max64KB;
  preferences.frameInfo.blockMode = LZ4F_blockIndependent;  // the only mode that Kafka's Java client reads
  const MutableByteSpan room = output.at_least(LZ4F_compressFrameBound(bytes.size(), &preferences));
  const std::size_t size = LZ4F_compressFrame(room.data(), room.size(), bytes.data(), bytes.size(), &preferences);
  CHECK(LZ4F_isError(size) == 0);
  return size <= limit ? std::optional<ByteSpan>(room.first(size)) : std::nullopt;
}

}  // namespace chronik::protocol
