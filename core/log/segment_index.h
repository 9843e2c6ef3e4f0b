// The sparse indexes of a segment, in memory and in Kafka's files, so that Kafka's tools read them.
//
//   NNN.index      entries of 8 bytes:  offset relative to the segment's base (i32) | position in NNN.log (i32)
//   NNN.timeindex  entries of 12 bytes: largest timestamp so far (i64) | relative offset of the record that has it
//   (i32)
//
// Big-endian. An index is a help and never the truth: its files are not synced, and a loss of power may leave any bytes
// within them. So each entry is checked against the log when it is used, and what is missing is made again by walking
// the batches.
#pragma once

#include <cstdint>
#include <vector>

#include "core/base/ids.h"
#include "core/base/slice.h"
#include "core/base/time.h"

namespace chronik::log {

class SegmentIndex {
 public:
  struct Entry {
    std::uint32_t relative_offset = 0;
    std::uint32_t position = 0;
  };
  struct TimeEntry {
    std::int64_t timestamp = -1;
    std::uint32_t relative_offset = 0;
  };

  // The last entry at or before the offset: of a batch at or before the one that holds it. All zeros: there is none.
  Entry entry_before(std::uint32_t relative_offset) const;
  // The last entry whose timestamp is before `at`: the first record that is not lies behind it. -1: there is none.
  TimeEntry time_before(std::int64_t at) const;

  void add(const Entry& entry);
  // Keeps only what rises in both numbers.
  void add(const TimeEntry& entry);
  // The first entry whose position is behind this one; all zeros: there is none.
  Entry entry_behind(std::uint64_t position) const;
  // Forgets an entry that turned out to be wrong.
  void forget(const Entry& wrong);
  void forget(const TimeEntry& wrong);
  // Forgets all entries of offsets at and behind `relative_offset`.
  void cut(std::uint32_t relative_offset);
  void clear();

  const std::vector<Entry>& entries() const { return entries_; }
  const std::vector<TimeEntry>& times() const { return times_; }

  // The files' bytes for the entries from `first` on.
  Slice encode_entries(std::size_t first) const;
  Slice encode_times(std::size_t first) const;
  // Reads as many entries as rise and lie below `log_bytes`.
  void decode(ByteSpan index_file, ByteSpan time_file, std::uint64_t log_bytes);

 private:
  std::vector<Entry> entries_;
  std::vector<TimeEntry> times_;
};

}  // namespace chronik::log
