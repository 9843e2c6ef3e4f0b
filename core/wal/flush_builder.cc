#include "core/wal/flush_builder.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/base/check.h"

namespace chronik::wal {

namespace {
constexpr std::size_t kStagingBytesMin = 256 * 1024;
constexpr std::size_t kStagingBytesKept = 4 << 20;  // a larger buffer is given back after its flush
}  // namespace

std::uint64_t FlushBuilder::checkpoint_bytes(const std::vector<Slice>& parts) {
  std::uint64_t bytes = 0;
  for (const Slice& part : parts) {
    bytes += record_bytes(part.size());
  }
  return round_up_to_block(bytes);
}

std::size_t FlushBuilder::checkpoint_staging_bytes(const std::vector<Slice>& parts) const {
  std::size_t bytes = kBlockBytes;  // padding
  for (const Slice& part : parts) {
    bytes += staging_bytes(part.size());
  }
  return 2 * bytes;
}

void FlushBuilder::start(Generation generation, std::uint32_t use, FlushNumber flush, std::uint64_t position,
                         std::size_t staging_bytes) {
  announced_ = staging_bytes + kBlockBytes;
  if (staging_.size() < announced_ || (staging_.size() > kStagingBytesKept && announced_ <= kStagingBytesKept)) {
    staging_ = Slice::allocate(std::max(announced_ + announced_ / 4, kStagingBytesMin));
  }
  generation_ = generation;
  use_ = use;
  flush_ = flush;
  staged_ = 0;
  run_ = 0;
  position_ = position;
  bytes_ = 0;
  parts_.clear();
}

void FlushBuilder::add_file_header(const FileHeader& header) {
  for (int copy = 0; copy < 2; ++copy) {
    encode_file_header(stage(kBlockBytes), header);
  }
}

void FlushBuilder::add_checkpoint(Lsn lsn, const std::vector<Slice>& parts, bool ends_flush) {
  CHECK(!parts.empty());
  for (int copy = 0; copy < 2; ++copy) {
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const bool last = i + 1 == parts.size();
      std::uint8_t flags = copy == 1 ? kFlagSecondCopy : std::uint8_t{0};
      flags = static_cast<std::uint8_t>(flags | (last ? kFlagLastPart : 0));
      flags = static_cast<std::uint8_t>(flags | (last && copy == 1 && ends_flush ? kFlagEndsFlush : 0));
      const LogKey part_key{.topic = {}, .partition = PartitionId(static_cast<std::int32_t>(i))};
      add_record(RecordType::kCheckpoint, part_key, lsn, flags, parts[i]);
    }
    pad_to_block();
  }
}

void FlushBuilder::add_record(RecordType type, const LogKey& key, Lsn lsn, std::uint8_t flags, const Slice& payload) {
  RecordHeader header;
  header.length = static_cast<std::uint32_t>(payload.size());
  header.lsn = lsn;
  header.flush = flush_;
  header.generation = generation_;
  header.use = use_;
  header.type = type;
  header.flags = flags;
  header.key = key;
  const std::size_t padding = record_bytes(payload.size()) - kRecordHeaderBytes - payload.size();
  if (payload.size() < gather_below_) {
    std::uint8_t* to = stage(kRecordHeaderBytes + payload.size() + padding);
    // Copied first: the checksum then reads what the cache holds already, and what will really be written.
    std::uint8_t* body = to + kRecordHeaderBytes;
    if (!payload.empty()) {
      std::memcpy(body, payload.data(), payload.size());
    }
    std::memset(body + payload.size(), 0, padding);
    encode_record_header(to, header, {body, payload.size()});
    return;
  }
  encode_record_header(stage(kRecordHeaderBytes), header, payload.bytes());
  end_run();
  parts_.push_back(payload);
  bytes_ += payload.size();
  std::memset(stage(padding), 0, padding);
}

std::vector<Slice> FlushBuilder::finish(bool pad) {
  if (pad) {
    pad_to_block();
  }
  end_run();
  return std::move(parts_);
}

std::uint8_t* FlushBuilder::stage(std::size_t size) {
  CHECK_LE(staged_ + size, announced_);
  std::uint8_t* at = staging_.mutable_data() + staged_;
  staged_ += size;
  bytes_ += size;
  return at;
}

void FlushBuilder::pad_to_block() {
  const std::uint64_t end = position_ + bytes_;
  const std::size_t padding = static_cast<std::size_t>(round_up_to_block(end) - end);
  std::memset(stage(padding), 0, padding);
}

void FlushBuilder::end_run() {
  if (staged_ > run_) {
    parts_.push_back(staging_.sub(run_, staged_ - run_));
    run_ = staged_;
  }
}

}  // namespace chronik::wal
