// Whole batches into and out of compression: what a consumer, a topic with its own compression.type and compaction
// need.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

#include "core/base/slice.h"
#include "core/base/status.h"
#include "core/protocol/compression.h"
#include "core/protocol/record_batch.h"

namespace chronik::protocol {

// What the length field of a batch can say.
inline constexpr std::size_t kBatchBytesMax = std::size_t{std::numeric_limits<std::int32_t>::max()};

// The records of the batch at the start of `batch`, decompressed where they are not plain: a part of `batch`, or a
// buffer of at most `limit` bytes. InvalidArgument: not a batch, or no such codec. DataLoss and ResourceExhausted as
// decompress().
StatusOr<Slice> decompressed_records(const Slice& batch, std::size_t limit, Codecs& codecs);

// The same batch with its records in another codec: every other field kept, length, attributes and checksum rewritten.
// Offsets, times and sequence numbers do not change, the size does. ResourceExhausted also where it would be more than
// `batch_bytes_max`.
StatusOr<Slice> recompress(const Slice& batch, Codec codec, std::size_t limit, Codecs& codecs,
                           std::size_t batch_bytes_max = kBatchBytesMax);

}  // namespace chronik::protocol
