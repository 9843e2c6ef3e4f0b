#include "core/wal/file_header.h"

#include <cstring>

#include "core/base/check.h"
#include "core/base/crc32c.h"
#include "core/base/endian.h"

namespace chronik::wal {

namespace {

constexpr std::string_view kMagic = "CHRONWAL";
constexpr std::size_t kCrcAt = 8;
constexpr std::size_t kVersionAt = 12;
constexpr std::size_t kKindAt = 16;
constexpr std::size_t kShardAt = 20;
constexpr std::size_t kShardCountAt = 24;
constexpr std::size_t kUseAt = 28;
constexpr std::size_t kGenerationAt = 32;
constexpr std::size_t kPreviousAt = 40;
constexpr std::size_t kCutAt = 48;
constexpr std::size_t kFirstLsnAt = 56;
constexpr std::size_t kFirstFlushAt = 64;
constexpr std::size_t kFirstFlushLastAt = 72;
constexpr std::size_t kReplayFromAt = 80;
constexpr std::size_t kCheckpointBytesAt = 88;
constexpr std::size_t kFlushBytesMaxAt = 96;

}  // namespace

void encode_file_header(std::uint8_t* to, const FileHeader& header) {
  CHECK_EQ(header.checkpoint_bytes % kBlockBytes, std::uint64_t{0});
  CHECK_EQ(header.first_lsn, header.cut.next());
  CHECK_GE(header.first_flush_last, header.cut);
  CHECK_LE(header.replay_from, header.first_lsn);
  CHECK_LT(header.previous, header.generation);
  std::memset(to, 0, kBlockBytes);
  std::memcpy(to, kMagic.data(), kMagic.size());
  store_little(to + kVersionAt, header.version);
  store_little(to + kKindAt, static_cast<std::uint32_t>(header.kind));
  store_little(to + kShardAt, header.shard);
  store_little(to + kShardCountAt, header.shard_count);
  store_little(to + kUseAt, header.use);
  store_little(to + kGenerationAt, header.generation.value());
  store_little(to + kPreviousAt, header.previous.value());
  store_little(to + kCutAt, header.cut.value());
  store_little(to + kFirstLsnAt, header.first_lsn.value());
  store_little(to + kFirstFlushAt, header.first_flush.value());
  store_little(to + kFirstFlushLastAt, header.first_flush_last.value());
  store_little(to + kReplayFromAt, header.replay_from.value());
  store_little(to + kCheckpointBytesAt, header.checkpoint_bytes);
  store_little(to + kFlushBytesMaxAt, header.flush_bytes_max);
  store_little(to + kCrcAt, crc32c({to + kVersionAt, kBlockBytes - kVersionAt}));
}

std::optional<FileHeader> decode_file_header(ByteSpan block) {
  if (block.size() < kBlockBytes || as_text(block.first(kMagic.size())) != kMagic) {
    return std::nullopt;
  }
  const std::uint8_t* from = block.data();
  if (load_little<std::uint32_t>(from + kCrcAt) != crc32c(block.subspan(kVersionAt, kBlockBytes - kVersionAt))) {
    return std::nullopt;
  }
  FileHeader header;
  header.version = load_little<std::uint32_t>(from + kVersionAt);
  header.kind = static_cast<FileKind>(load_little<std::uint32_t>(from + kKindAt));
  header.shard = load_little<std::int32_t>(from + kShardAt);
  header.shard_count = load_little<std::int32_t>(from + kShardCountAt);
  header.use = load_little<std::uint32_t>(from + kUseAt);
  header.generation = Generation(load_little<std::int64_t>(from + kGenerationAt));
  header.previous = Generation(load_little<std::int64_t>(from + kPreviousAt));
  header.cut = Lsn(load_little<std::int64_t>(from + kCutAt));
  header.first_lsn = Lsn(load_little<std::int64_t>(from + kFirstLsnAt));
  header.first_flush = FlushNumber(load_little<std::int64_t>(from + kFirstFlushAt));
  header.first_flush_last = Lsn(load_little<std::int64_t>(from + kFirstFlushLastAt));
  header.replay_from = Lsn(load_little<std::int64_t>(from + kReplayFromAt));
  header.checkpoint_bytes = load_little<std::uint64_t>(from + kCheckpointBytesAt);
  header.flush_bytes_max = load_little<std::uint64_t>(from + kFlushBytesMaxAt);
  return header;
}

}  // namespace chronik::wal
