// One segment of a log: a file of plain Kafka record batches, NNN.log, where NNN is its first offset, with its two
// indexes.
//
// Only data that is durable in the WAL is written here (R4). Writing does not sync; sync() does, and until then the WAL
// still holds what was written. A segment is loaded when it is first needed: its index files are read and what they
// miss is made by walking the batches. Writers exclude each other by the log's turnstile; readers need nothing.
#pragma once

#include <absl/functional/function_ref.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/base/counted.h"
#include "core/base/ids.h"
#include "core/base/status.h"
#include "core/log/file_cache.h"
#include "core/log/segment_index.h"
#include "core/log/tail.h"
#include "core/protocol/record_batch.h"

namespace chronik::log {

// "00000000000000000042.log"
std::string segment_file_name(Offset base, std::string_view ending);
// The base offset of a name that is a segment's log file; none() for any other.
Offset segment_base_of(std::string_view file_name);

class Segment : public Counted {
 public:
  // bytes: how much of NNN.log counts; what lies behind is cut when it is loaded.
  Segment(FileCache& files, std::string directory, Offset base, std::uint64_t bytes)
      : files_(files), directory_(std::move(directory)), base_(base), bytes_(bytes) {}

  Offset base() const { return base_; }
  std::uint64_t bytes() const { return bytes_; }
  std::string path(std::string_view ending) const { return directory_ + "/" + segment_file_name(base_, ending); }

  // Makes empty files. The directory must be synced before the segment is relied on.
  Status create(const Deadline& deadline);
  // Cuts the file to bytes(), and reads or makes the index. Does nothing the second time. kDataLoss: the file is
  // shorter than bytes().
  Status load(const Deadline& deadline);
  bool loaded() const { return loaded_; }

  // Writes batches at the end, with index entries every so many bytes.
  Status append(std::span<const TailBatch> batches, std::uint32_t index_interval_bytes, const Deadline& deadline);
  // Data, and the index entries that were not written yet.
  Status sync(const Deadline& deadline);
  // The index entries that were not written yet, without a sync.
  Status write_index(const Deadline& deadline);
  // A sync_all() has done what sync() would do.
  void mark_synced() { dirty_ = false; }
  void mark_unsynced() { dirty_ = true; }
  std::size_t index_entries() const { return index_.entries().size(); }

  // Whole batches, from the one that holds `from` (or the first behind it), checked: at most max_bytes but for a first
  // batch that is larger (if at_least_one), all ending below `below`. Empty: none. kDataLoss: `damage` says where.
  struct Read {
    Slice bytes;
    Offset end;
  };
  struct Damage {
    Offset from;
    Offset to;
  };
  // `segment_end`: where the next segment begins, or what is written ends. Base offsets are not under the checksum, so
  // a batch that does not lie between its neighbours is damage, too.
  StatusOr<Read> read(Offset from, Offset below, Offset segment_end, std::size_t max_bytes, bool at_least_one,
                      Damage& damage, const Deadline& deadline);
  // A batch that ends at `next`, where the next segment begins, is this one's last, whatever the file's size says: the
  // cut of what an earlier life wrote behind it may not have survived. Before load().
  void ends_at(Offset next) { end_ = next; }
  // The position of the first batch that ends at or above `offset`; bytes() where there is none.
  StatusOr<std::uint64_t> position_of(Offset offset, const Deadline& deadline);
  // Cuts file and index so that the first batch that ends at or above `to` is gone.
  Status truncate(Offset to, const Deadline& deadline);
  // Visits headers of batches from the one at or before `from` on, until visit returns false or the end.
  using VisitBatch = absl::FunctionRef<bool(const protocol::RecordBatchView& batch, std::uint64_t position)>;
  Status visit(std::uint64_t position, VisitBatch visit, const Deadline& deadline);
  // Of a batch at or before the first one that reaches the time.
  StatusOr<std::uint64_t> position_before_time(WallTime at, const Deadline& deadline);

  WallTime max_timestamp() const { return max_timestamp_; }
  Offset offset_of_max() const { return offset_of_max_; }

 private:
  Status rebuild_index(const Deadline& deadline);
  // Of a batch at or before the one that holds the offset, by the last entry of the index that holds; 0: there is none.
  StatusOr<std::uint64_t> position_before(Offset offset, const Deadline& deadline);
  // `at_entry`: what is in the log where the entry says.
  bool holds(const SegmentIndex::Entry& entry, ByteSpan at_entry) const;
  StatusOr<bool> holds(const SegmentIndex::TimeEntry& time, const Deadline& deadline);
  void forget(const SegmentIndex::Entry& wrong);
  void note(const protocol::RecordBatchView& batch, std::uint64_t position, std::uint32_t interval);
  std::uint32_t relative(Offset offset) const { return static_cast<std::uint32_t>(offset - base_); }

  FileCache& files_;
  std::string directory_;
  Offset base_;
  std::uint64_t bytes_;
  Offset end_ = Offset::none();
  SegmentIndex index_;
  std::size_t entries_written_ = 0;
  std::size_t times_written_ = 0;
  std::uint64_t indexed_to_ = 0;  // position of the last batch that has an entry
  WallTime max_timestamp_ = WallTime::from_milliseconds(-1);
  Offset offset_of_max_;
  bool loaded_ = false;
  bool dirty_ = false;
};

}  // namespace chronik::log
