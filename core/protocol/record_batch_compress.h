// Whole batches into and out of compression: what a consumer, a topic with its own compression.type and compaction
// need.
#pragma once

#include <cstddef>

#include "core/base/slice.h"
#include "core/base/status.h"
#include "core/protocol/compression.h"
#include "core/protocol/record_batch.h"

namespace chronik::protocol {

// The records of the batch at the start of `batch`, decompressed where they are not plain: a part of `batch`, or a
// buffer of at most `limit` bytes. InvalidArgument: not a batch, or no such codec. DataLoss and ResourceExhausted as
// decompress().
StatusOr<Slice> decompressed_records(const Slice& batch, std::size_t limit, Codecs& codecs);

// The same batch with its records in another codec: every other field kept, length, attributes and checksum rewritten.
// Offsets, times and sequence numbers do not change, the size does: the caller checks it against max.message.bytes
// anew.
StatusOr<Slice> recompress(const Slice& batch, Codec codec, std::size_t limit, Codecs& codecs);

}  // namespace chronik::protocol
