#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>

#include "core/base/check.h"
#include "core/protocol/compression_codecs.h"

namespace chronik::protocol {
namespace {

// The largest window that any of zstd's levels uses: 128 MiB, allocated only for a frame that asks for it.
constexpr int kWindowLogMax = 27;

class ZstdDecompressor final : public Decompressor {
 public:
  ~ZstdDecompressor() override { ZSTD_freeDCtx(context_); }
  ZstdDecompressor() = default;
  ZstdDecompressor(const ZstdDecompressor&) = delete;
  ZstdDecompressor& operator=(const ZstdDecompressor&) = delete;

  void start(ByteSpan compressed, std::size_t /*limit*/) override {
    if (context_ == nullptr) {
      context_ = ZSTD_createDCtx();
      CHECK(context_ != nullptr);
      CHECK(ZSTD_isError(ZSTD_DCtx_setParameter(context_, ZSTD_d_windowLogMax, kWindowLogMax)) == 0);
    }
    CHECK(ZSTD_isError(ZSTD_DCtx_reset(context_, ZSTD_reset_session_only)) == 0);
    input_ = {compressed.data(), compressed.size(), 0};
  }

  Progress read(MutableByteSpan out) override {
    ZSTD_outBuffer output{out.data(), out.size(), 0};
    while (output.pos < output.size) {
      const std::size_t before = output.pos + input_.pos;
      const std::size_t hint = ZSTD_decompressStream(context_, &output, &input_);
      if (ZSTD_isError(hint) != 0) {
        return {output.pos, State::kCorrupt};
      }
      if (hint == 0 && input_.pos == input_.size) {
        return {output.pos, State::kEnd};
      }
      if (output.pos + input_.pos == before) {
        return {output.pos, State::kCorrupt};  // it ends early
      }
    }
    return {output.pos, State::kMore};
  }

  void finish() override {
    if (ZSTD_sizeof_DCtx(context_) > ScratchBuffer::kKeptBytesMax) {
      ZSTD_freeDCtx(context_);
      context_ = nullptr;
    }
  }

 private:
  ZSTD_DCtx* context_ = nullptr;
  ZSTD_inBuffer input_{nullptr, 0, 0};
};

}  // namespace

std::unique_ptr<Decompressor> make_zstd_decompressor() { return std::make_unique<ZstdDecompressor>(); }

std::optional<ByteSpan> zstd_compress(ByteSpan bytes, std::size_t limit, ScratchBuffer& output) {
  const std::size_t size_max = std::min(limit, ZSTD_compressBound(bytes.size()));
  const MutableByteSpan room = output.at_least(size_max).first(size_max);
  const std::size_t size = ZSTD_compress(room.data(), room.size(), bytes.data(), bytes.size(), ZSTD_CLEVEL_DEFAULT);
  if (ZSTD_getErrorCode(size) == ZSTD_error_dstSize_tooSmall && limit == size_max) {
    return std::nullopt;
  }
  CHECK(ZSTD_isError(size) == 0);
  return room.first(size);
}

}  // namespace chronik::protocol
