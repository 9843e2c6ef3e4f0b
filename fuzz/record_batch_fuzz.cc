// Any bytes as record batches: walked, iterated, decompressed, validated, recompressed. They reach a broker in Produce
// requests and again from its own segments.
//
// The checksum is made right where there is a batch: a fuzzer does not find one by itself, and an attacker computes it.
#include <cstddef>
#include <cstdint>
#include <limits>

#include "core/base/ambient.h"
#include "core/base/check.h"
#include "core/protocol/record_batch_compress.h"
#include "core/protocol/record_batch_records.h"
#include "core/protocol/record_batch_validate.h"
#include "core/protocol/record_batch_walk.h"

namespace chronik::protocol {
namespace {

// Small, so that bombs are found out quickly.
constexpr std::size_t kOutputBytesMax = std::size_t{1} << 20;

void iterate(ByteSpan records, std::int32_t count) {
  RecordIterator iterator(records, count);
  RecordView record;
  while (iterator.next(record)) {
    RecordHeaderIterator headers(record);
    RecordHeaderView header;
    std::int32_t seen = 0;
    while (headers.next(header)) {
      ++seen;
    }
    CHECK_EQ(seen, record.header_count);
  }
}

void read_batch(const RecordBatchView& batch, Codecs& codecs) {
  const Slice owned = Slice::copy_of(batch.bytes());
  const StatusOr<Slice> records = decompressed_records(owned, kOutputBytesMax, codecs);
  if (!records.ok()) {
    return;
  }
  iterate(records->bytes(), batch.record_count());
  const StatusOr<Slice> plain = recompress(owned, Codec::kNone, kOutputBytesMax, codecs);
  CHECK_OK(plain.status());
  CHECK_EQ(plain->size(), kBatchHeaderBytes + records->size());
  const StatusOr<Slice> packed = recompress(*plain, Codec::kLz4, kOutputBytesMax, codecs);
  CHECK_OK(packed.status());
  const StatusOr<Slice> unpacked = recompress(*packed, Codec::kNone, kOutputBytesMax, codecs);
  CHECK_OK(unpacked.status());
  CHECK(*unpacked == *plain);
}

// What validation accepts must read back as it said.
void validate(ByteSpan bytes, Codecs& codecs) {
  ProduceChecks checks{.now = WallTime::from_milliseconds(0)};
  checks.timestamp_before_ms_max = checks.timestamp_after_ms_max = std::numeric_limits<std::int64_t>::max();
  checks.decompressed_bytes_max = kOutputBytesMax;
  const ProduceVerdict verdict = validate_produced_batches(bytes, checks, codecs);
  CHECK_EQ(verdict.ok(), verdict.message.empty());
  if (!verdict.ok()) {
    return;
  }
  const StatusOr<Slice> records = decompressed_records(Slice::copy_of(bytes), kOutputBytesMax, codecs);
  CHECK_OK(records.status());
  RecordIterator iterator(records->bytes(), verdict.batch.record_count());
  RecordView record;
  std::int32_t index = 0;
  while (iterator.next(record)) {
    CHECK_EQ(record.offset_delta, index);
    CHECK_LE(record.timestamp(verdict.batch).milliseconds(), verdict.max_timestamp.milliseconds());
    ++index;
  }
  CHECK_EQ(iterator.defect(), BatchDefect::kNone);
  CHECK_EQ(index, verdict.batch.record_count());
}

void read_everything(ByteSpan input) {
  Codecs codecs;
  const Slice bytes = Slice::copy_of(input);
  BatchWalk untouched(bytes.bytes(), BatchWalk::Checksums::kCheck);
  RecordBatchView batch;
  while (untouched.next(batch)) {
    read_batch(batch, codecs);
  }
  CHECK_LE(untouched.position(), input.size());
  validate(bytes.bytes(), codecs);

  BatchWalk walk(bytes.bytes(), BatchWalk::Checksums::kTrust);
  std::size_t start = 0;
  while (walk.next(batch)) {
    seal_checksum(bytes.mutable_bytes().subspan(start));
    CHECK(batch.checksum_matches());
    read_batch(batch, codecs);
    validate(batch.bytes(), codecs);
    start = walk.position();
  }
}

}  // namespace
}  // namespace chronik::protocol

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);   // NOLINT: libFuzzer's name
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {  // NOLINT: as above
  chronik::ShardContext context{.shard = chronik::ShardId(0), .node = chronik::NodeId(0)};
  chronik::Ambient ambient{.context = &context, .name = "fuzz"};
  const chronik::AmbientGuard guard(ambient);
  chronik::protocol::read_everything({data, size});
  return 0;
}
