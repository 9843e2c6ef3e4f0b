#define ZLIB_CONST  // input is const
#include <zlib.h>

#include <algorithm>
#include <limits>

#include "core/base/check.h"
#include "core/protocol/compression_codecs.h"

namespace chronik::protocol {
namespace {

// The largest window, and gzip's header and trailer instead of zlib's.
constexpr int kWindowBits = 15 + 16;

uInt as_uint(std::size_t n) { return static_cast<uInt>(std::min<std::size_t>(n, std::numeric_limits<uInt>::max())); }

class GzipDecompressor final : public Decompressor {
 public:
  GzipDecompressor() { CHECK_EQ(inflateInit2(&stream_, kWindowBits), Z_OK); }
  ~GzipDecompressor() override { inflateEnd(&stream_); }
  GzipDecompressor(const GzipDecompressor&) = delete;
  GzipDecompressor& operator=(const GzipDecompressor&) = delete;

  void start(ByteSpan compressed, std::size_t /*limit*/) override {
    CHECK_LE(compressed.size(), std::numeric_limits<uInt>::max());
    CHECK_EQ(inflateReset(&stream_), Z_OK);
    stream_.next_in = compressed.data();
    stream_.avail_in = as_uint(compressed.size());
  }

  Progress read(MutableByteSpan out) override {
    stream_.next_out = out.data();
    stream_.avail_out = as_uint(out.size());
    const auto written = [&] { return static_cast<std::size_t>(stream_.next_out - out.data()); };
    while (stream_.avail_out != 0) {
      const int result = inflate(&stream_, Z_NO_FLUSH);
      if (result == Z_STREAM_END) {
        if (stream_.avail_in == 0) {
          return {written(), State::kEnd};
        }
        CHECK_EQ(inflateReset(&stream_), Z_OK);  // another member follows
      } else if (result != Z_OK) {
        return {written(), State::kCorrupt};  // also where the input ends early: nothing can be done any more
      }
    }
    return {written(), State::kMore};
  }

  void finish() override { stream_.avail_in = 0; }

 private:
  z_stream stream_{};
};

}  // namespace

std::unique_ptr<Decompressor> make_gzip_decompressor() { return std::make_unique<GzipDecompressor>(); }

std::optional<ByteSpan> gzip_compress(ByteSpan bytes, std::size_t limit, ScratchBuffer& output) {
  constexpr int kMemoryLevel = 8;  // the library's own default
  z_stream stream{};
  CHECK_EQ(deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, kWindowBits, kMemoryLevel, Z_DEFAULT_STRATEGY),
           Z_OK);
  const std::size_t size_max = std::min<std::size_t>(limit, deflateBound(&stream, bytes.size()));
  const MutableByteSpan room = output.at_least(size_max).first(size_max);
  stream.next_in = bytes.data();
  stream.avail_in = as_uint(bytes.size());
  stream.next_out = room.data();
  stream.avail_out = as_uint(room.size());
  const bool fits = deflate(&stream, Z_FINISH) == Z_STREAM_END;
  CHECK(fits || stream.avail_out == 0);
  const auto size = static_cast<std::size_t>(stream.next_out - room.data());
  // Where it was not at its end, it may complain about what it throws away.
  const int ended = deflateEnd(&stream);
  CHECK(!fits || ended == Z_OK);
  return fits ? std::optional<ByteSpan>(room.first(size)) : std::nullopt;
}

}  // namespace chronik::protocol
