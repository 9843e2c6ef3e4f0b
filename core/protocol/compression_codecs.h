// What each codec's own file gives to compression.cc: one stream and one compressor.
#pragma once

#include <memory>

#include "core/protocol/compression.h"

namespace chronik::protocol {

std::unique_ptr<Decompressor> make_gzip_decompressor();
std::unique_ptr<Decompressor> make_snappy_decompressor();
std::unique_ptr<Decompressor> make_lz4_decompressor();
std::unique_ptr<Decompressor> make_zstd_decompressor();

// Each returns the compressed bytes, in `output`.
ByteSpan gzip_compress(ByteSpan bytes, ScratchBuffer& output);
ByteSpan snappy_compress(ByteSpan bytes, SnappyFraming framing, ScratchBuffer& output);
ByteSpan lz4_compress(ByteSpan bytes, ScratchBuffer& output);
ByteSpan zstd_compress(ByteSpan bytes, ScratchBuffer& output);

}  // namespace chronik::protocol
