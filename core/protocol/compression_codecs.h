// What each codec's own file gives to compression.cc: one stream and one compressor.
#pragma once

#include <memory>
#include <optional>

#include "core/protocol/compression.h"

namespace chronik::protocol {

std::unique_ptr<Decompressor> make_gzip_decompressor();
std::unique_ptr<Decompressor> make_snappy_decompressor();
std::unique_ptr<Decompressor> make_lz4_decompressor();
std::unique_ptr<Decompressor> make_zstd_decompressor();

// Each returns the compressed bytes, in `output`; nothing where they would be more than `limit`. The slow ones, gzip
// and zstd, stop when they have written so many.
std::optional<ByteSpan> gzip_compress(ByteSpan bytes, std::size_t limit, ScratchBuffer& output);
std::optional<ByteSpan> snappy_compress(ByteSpan bytes, SnappyFraming framing, std::size_t limit,
                                        ScratchBuffer& output);
std::optional<ByteSpan> lz4_compress(ByteSpan bytes, std::size_t limit, ScratchBuffer& output);
std::optional<ByteSpan> zstd_compress(ByteSpan bytes, std::size_t limit, ScratchBuffer& output);

}  // namespace chronik::protocol
