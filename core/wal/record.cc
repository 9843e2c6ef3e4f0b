#include "core/wal/record.h"

#include <cstring>

#include "core/base/check.h"
#include "core/base/crc32c.h"
#include "core/base/endian.h"

namespace chronik::wal {

namespace {

constexpr std::size_t kRecordCrcAt = 0;
constexpr std::size_t kLengthAt = 4;
constexpr std::size_t kLsnAt = 8;
constexpr std::size_t kFlushAt = 16;
constexpr std::size_t kRecordGenerationAt = 24;
constexpr std::size_t kRecordUseAt = 32;
constexpr std::size_t kTypeAt = 36;
constexpr std::size_t kFlagsAt = 37;
constexpr std::size_t kTopicAt = 40;
constexpr std::size_t kPartitionAt = 56;
static_assert(kPartitionAt + 8 == kRecordHeaderBytes);
static_assert(kBlockBytes % kRecordAlignment == 0);

}  // namespace

void encode_record_header(std::uint8_t* to, const RecordHeader& header, ByteSpan payload) {
  CHECK_EQ(payload.size(), std::size_t{header.length});
  std::memset(to, 0, kRecordHeaderBytes);
  store_little(to + kLengthAt, header.length);
  store_little(to + kLsnAt, header.lsn.value());
  store_little(to + kFlushAt, header.flush.value());
  store_little(to + kRecordGenerationAt, header.generation.value());
  store_little(to + kRecordUseAt, header.use);
  to[kTypeAt] = static_cast<std::uint8_t>(header.type);
  to[kFlagsAt] = header.flags;
  std::memcpy(to + kTopicAt, header.key.topic.bytes.data(), header.key.topic.bytes.size());
  store_little(to + kPartitionAt, header.key.partition.value());
  const std::uint32_t crc = crc32c({to + kLengthAt, kRecordHeaderBytes - kLengthAt});
  store_little(to + kRecordCrcAt, crc32c(payload, crc));
}

RecordHeader decode_record_header(const std::uint8_t* from) {
  RecordHeader header;
  header.length = load_little<std::uint32_t>(from + kLengthAt);
  header.lsn = Lsn(load_little<std::int64_t>(from + kLsnAt));
  header.flush = FlushNumber(load_little<std::int64_t>(from + kFlushAt));
  header.generation = Generation(load_little<std::int64_t>(from + kRecordGenerationAt));
  header.use = load_little<std::uint32_t>(from + kRecordUseAt);
  header.type = static_cast<RecordType>(from[kTypeAt]);
  header.flags = from[kFlagsAt];
  std::memcpy(header.key.topic.bytes.data(), from + kTopicAt, header.key.topic.bytes.size());
  header.key.partition = PartitionId(load_little<std::int32_t>(from + kPartitionAt));
  return header;
}

Generation record_generation(const std::uint8_t* from) {
  return Generation(load_little<std::int64_t>(from + kRecordGenerationAt));
}

std::uint32_t record_use(const std::uint8_t* from) { return load_little<std::uint32_t>(from + kRecordUseAt); }

bool record_is_whole(ByteSpan record) {
  CHECK_GE(record.size(), kRecordHeaderBytes);
  return load_little<std::uint32_t>(record.data() + kRecordCrcAt) == crc32c(record.subspan(kLengthAt));
}

}  // namespace chronik::wal
