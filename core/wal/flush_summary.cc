#include "core/wal/flush_summary.h"

#include <algorithm>
#include <cstring>

#include "core/base/endian.h"

namespace chronik::wal {

namespace {
constexpr std::size_t kEntryPartitionAt = 16;
constexpr std::size_t kEntryEndAt = 20;
static_assert(kEntryEndAt + sizeof(std::int64_t) == kSummaryEntryBytes);
}  // namespace

Slice FlushSummary::take() {
  const auto before = [](const LogEnd& a, const LogEnd& b) { return a.key < b.key; };
  if (!std::is_sorted(ends_.begin(), ends_.end(), before)) {
    std::stable_sort(ends_.begin(), ends_.end(), before);
  }
  // Of each log the last entry counts.
  std::size_t kept = 0;
  for (std::size_t i = 0; i < ends_.size(); ++i) {
    const bool last = i + 1 == ends_.size() || ends_[i + 1].key != ends_[i].key;
    if (last && ends_[i].end != Offset::none()) {
      ends_[kept++] = ends_[i];
    }
  }
  Slice payload = kept > 0 ? Slice::allocate(kept * kSummaryEntryBytes) : Slice();
  for (std::size_t i = 0; i < kept; ++i) {
    std::uint8_t* to = payload.mutable_data() + i * kSummaryEntryBytes;
    std::memcpy(to, ends_[i].key.topic.bytes.data(), kEntryPartitionAt);
    store_little(to + kEntryPartitionAt, ends_[i].key.partition.value());
    store_little(to + kEntryEndAt, ends_[i].end.value());
  }
  ends_.clear();
  return payload;
}

bool read_flush_summary(ByteSpan payload, absl::FunctionRef<void(const LogKey& key, Offset end)> look) {
  if (payload.size() % kSummaryEntryBytes != 0) {
    return false;
  }
  for (std::size_t at = 0; at < payload.size(); at += kSummaryEntryBytes) {
    const std::uint8_t* from = payload.data() + at;
    LogKey key;
    std::memcpy(key.topic.bytes.data(), from, kEntryPartitionAt);
    key.partition = PartitionId(load_little<std::int32_t>(from + kEntryPartitionAt));
    look(key, Offset(load_little<std::int64_t>(from + kEntryEndAt)));
  }
  return true;
}

}  // namespace chronik::wal
