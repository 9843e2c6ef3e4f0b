#include "core/protocol/record_batch_compress.h"

#include <algorithm>
#include <limits>

#include "core/base/check.h"

namespace chronik::protocol {

StatusOr<Slice> decompressed_records(const Slice& batch, std::size_t limit, Codecs& codecs) {
  RecordBatchView view;
  if (const BatchDefect defect = RecordBatchView::parse(batch.bytes(), view); defect != BatchDefect::kNone) {
    return absl::InvalidArgumentError(batch_defect_text(defect));
  }
  const std::optional<Codec> codec = view.attributes().codec();
  if (!codec.has_value()) {
    return absl::InvalidArgumentError(batch_defect_text(BatchDefect::kUnknownCodec));
  }
  if (*codec == Codec::kNone) {
    return batch.sub(kBatchHeaderBytes, view.size_bytes() - kBatchHeaderBytes);
  }
  return codecs.decompress(*codec, view.records(), limit);
}

StatusOr<Slice> recompress(const Slice& batch, Codec codec, std::size_t limit, Codecs& codecs) {
  ASSIGN_OR_RETURN(const Slice records, decompressed_records(batch, limit, codecs));
  const ByteSpan compressed = codecs.compress(codec, records.bytes());
  if (compressed.size() > std::numeric_limits<std::int32_t>::max() - kBatchHeaderBytes) {
    return absl::ResourceExhaustedError("larger than a batch can be");
  }
  Slice result = Slice::allocate(kBatchHeaderBytes + compressed.size());
  std::uint8_t* const to = result.mutable_data();
  std::copy_n(batch.data(), kBatchHeaderBytes, to);
  std::copy_n(compressed.data(), compressed.size(), to + kBatchHeaderBytes);
  store_big(to + kBatchLengthAt, static_cast<std::int32_t>(result.size() - kBatchUncountedBytes));
  const auto others = load_big<std::int16_t>(to + kBatchAttributesAt) & ~BatchAttributes::kCodecMask;
  store_big(to + kBatchAttributesAt, static_cast<std::int16_t>(others | static_cast<int>(codec)));
  seal_checksum(result.mutable_bytes());
  return result;
}

}  // namespace chronik::protocol
