// CRC-32C (Castagnoli, RFC 3720 appendix B.4), the checksum of Kafka's record batches and of our own files.
#pragma once

#include <cstdint>

#include "core/base/slice.h"

namespace chronik {

// The checksum of `bytes`, or of what `previous` covers followed by `bytes`.
std::uint32_t crc32c(ByteSpan bytes, std::uint32_t previous = 0);

}  // namespace chronik
