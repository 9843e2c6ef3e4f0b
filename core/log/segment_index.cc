#include "core/log/segment_index.h"

#include <algorithm>

#include "core/base/endian.h"

namespace chronik::log {

namespace {
constexpr std::size_t kEntryBytes = 8;
constexpr std::size_t kTimeEntryBytes = 12;
}  // namespace

SegmentIndex::Entry SegmentIndex::entry_before(std::uint32_t relative_offset) const {
  const auto behind =
      std::upper_bound(entries_.begin(), entries_.end(), relative_offset,
                       [](std::uint32_t offset, const Entry& entry) { return offset < entry.relative_offset; });
  return behind == entries_.begin() ? Entry{} : *(behind - 1);
}

SegmentIndex::Entry SegmentIndex::entry_behind(std::uint64_t position) const {
  const auto behind = std::upper_bound(entries_.begin(), entries_.end(), position,
                                       [](std::uint64_t asked, const Entry& entry) { return asked < entry.position; });
  return behind == entries_.end() ? Entry{} : *behind;
}

SegmentIndex::TimeEntry SegmentIndex::time_before(std::int64_t at) const {
  // Up to an entry's offset no record is later than its timestamp; so the first record that is, lies behind the last
  // entry whose timestamp is still too early.
  const auto reached =
      std::lower_bound(times_.begin(), times_.end(), at,
                       [](const TimeEntry& entry, std::int64_t time) { return entry.timestamp < time; });
  return reached == times_.begin() ? TimeEntry{} : *(reached - 1);
}

void SegmentIndex::add(const Entry& entry) {
  if (entries_.empty() ||
      (entry.position > entries_.back().position && entry.relative_offset > entries_.back().relative_offset)) {
    entries_.push_back(entry);
  }
}

void SegmentIndex::add(const TimeEntry& entry) {
  if (times_.empty() ||
      (entry.timestamp > times_.back().timestamp && entry.relative_offset > times_.back().relative_offset)) {
    times_.push_back(entry);
  }
}

void SegmentIndex::forget(const Entry& wrong) {
  std::erase_if(entries_, [&](const Entry& entry) { return entry.position == wrong.position; });
}

void SegmentIndex::forget(const TimeEntry& wrong) {
  std::erase_if(times_, [&](const TimeEntry& entry) { return entry.relative_offset == wrong.relative_offset; });
}

void SegmentIndex::cut(std::uint32_t relative_offset) {
  while (!entries_.empty() && entries_.back().relative_offset >= relative_offset) {
    entries_.pop_back();
  }
  while (!times_.empty() && times_.back().relative_offset >= relative_offset) {
    times_.pop_back();
  }
}

void SegmentIndex::clear() {
  entries_.clear();
  times_.clear();
}

Slice SegmentIndex::encode_entries(std::size_t first) const {
  Slice bytes = Slice::allocate((entries_.size() - first) * kEntryBytes);
  std::uint8_t* to = bytes.mutable_data();
  for (std::size_t i = first; i < entries_.size(); ++i, to += kEntryBytes) {
    store_big(to, entries_[i].relative_offset);
    store_big(to + 4, entries_[i].position);
  }
  return bytes;
}

Slice SegmentIndex::encode_times(std::size_t first) const {
  Slice bytes = Slice::allocate((times_.size() - first) * kTimeEntryBytes);
  std::uint8_t* to = bytes.mutable_data();
  for (std::size_t i = first; i < times_.size(); ++i, to += kTimeEntryBytes) {
    store_big(to, times_[i].timestamp);
    store_big(to + 8, times_[i].relative_offset);
  }
  return bytes;
}

void SegmentIndex::decode(ByteSpan index_file, ByteSpan time_file, std::uint64_t log_bytes) {
  clear();
  for (std::size_t at = 0; at + kEntryBytes <= index_file.size(); at += kEntryBytes) {
    const Entry entry{load_big<std::uint32_t>(index_file.data() + at),
                      load_big<std::uint32_t>(index_file.data() + at + 4)};
    const std::size_t before = entries_.size();
    if (entry.position >= log_bytes) {
      break;
    }
    add(entry);
    if (entries_.size() == before) {
      break;  // it does not rise: what follows is not ours
    }
  }
  for (std::size_t at = 0; at + kTimeEntryBytes <= time_file.size(); at += kTimeEntryBytes) {
    const TimeEntry entry{load_big<std::int64_t>(time_file.data() + at),
                          load_big<std::uint32_t>(time_file.data() + at + 8)};
    const std::size_t before = times_.size();
    add(entry);
    if (times_.size() == before) {
      break;
    }
  }
}

}  // namespace chronik::log
