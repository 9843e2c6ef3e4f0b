#include "core/protocol/record_batch_compress.h"

#include <algorithm>
#include <optional>

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

StatusOr<Slice> recompress(const Slice& batch, Codec codec, std::size_t limit, Codecs& codecs,
                           std::size_t batch_bytes_max) {
  CHECK_LE(batch_bytes_max, kBatchBytesMax);
  const std::size_t records_bytes_max = batch_bytes_max - std::min(batch_bytes_max, kBatchHeaderBytes);
  const std::size_t plain_bytes_max = codec == Codec::kNone ? std::min(limit, records_bytes_max) : limit;
  ASSIGN_OR_RETURN(const Slice records, decompressed_records(batch, plain_bytes_max, codecs));
  const std::optional<ByteSpan> fitting = codecs.compress_within(records_bytes_max, codec, records.bytes());
  if (!fitting.has_value()) {
    return absl::ResourceExhaustedError(fmt::format("more than {} bytes in {}", batch_bytes_max, codec_name(codec)));
  }
  const ByteSpan compressed = *fitting;
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
