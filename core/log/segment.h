// One segment of a log: a file of plain Kafka record batches, NNN.log, where NNN is its first offset, with its two
// indexes.
//
// Only data that is durable in the WAL is written here (R4). Writing does not sync; sync() does, and until then the WAL
// still holds what was written. A segment is loaded when it is first needed: its index files are read and what they
// miss is made by walking the batches. Writers exclude each other by the log's turnstile; readers need nothing.
//
// Batches lie end to end: each begins at the offset where the one before ends, the first at the segment's name. That,
// and not the checksum alone, makes a batch count, since base offsets are not under the checksum. What breaks the row
// is damage, and so are blocks that the disk refuses to read. Damage is stepped over, never mended in place (R18).
//
// A segment is appended to or cut, or else another one takes its place, with a file of its own (stored_log_clean.cc):
// what a segment has read of its file stays true of it.
#pragma once

#include <absl/functional/function_ref.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/base/counted.h"
#include "core/base/ids.h"
#include "core/base/status.h"
#include "core/fiber/single_flight.h"
#include "core/log/file_cache.h"
#include "core/log/segment_index.h"
#include "core/log/tail.h"
#include "core/protocol/record_batch.h"

namespace chronik::log {

inline constexpr std::uint64_t kPositionsMax = 0x7fffffff;  // positions in an index are 32 bits
inline constexpr std::int64_t kOffsetsMax = 0x7fffffff;     // and so are offsets, from the segment's base on

// "00000000000000000042.log"
std::string segment_file_name(Offset base, std::string_view ending);
// The base offset of a name that is a segment's log file; none() for any other.
Offset segment_base_of(std::string_view file_name);

// What a segment needs of the manager of the logs.
class FileHost {
 public:
  virtual ~FileHost() = default;
  virtual FileCache& files() = 0;
  // Of the fibers that open and load: they outlast whoever has asked for it.
  virtual fiber::FiberScope& scope() = 0;
  // Of one operation that must not be cut off, since that would leave its file poisoned (core/ports/disk.h).
  virtual Deadline file_deadline() = 0;
};

// The error says that bytes are wrong or cannot be read, not that something else went wrong on the way to them.
bool says_damage(const Status& status);

class Segment : public Counted {
 public:
  // number: of its log. bytes: how much of NNN.log counts; what lies behind is cut when it is loaded.
  Segment(FileHost& host, std::string directory, std::uint64_t number, Offset base, std::uint64_t bytes)
      : host_(host),
        directory_(std::move(directory)),
        base_(base),
        bytes_(bytes),
        working_({WaitKind::kTurnstile, number, static_cast<std::uint64_t>(base.value()) + 1, 0}) {}

  // Offsets of which this segment has no batch that counts.
  struct Damage {
    Offset from;
    Offset to;
  };

  Offset base() const { return base_; }
  std::uint64_t bytes() const { return bytes_; }
  // Behind the last batch that counts. Once it is loaded.
  Offset data_end() const { return data_end_; }
  std::string path(std::string_view ending) const { return directory_ + "/" + segment_file_name(base_, ending); }

  // Makes an empty log file; index files come with their first entries. The directory must be synced before the segment
  // is relied on.
  Status create(const Deadline& deadline);
  // Where the next segment begins, or what is synced ends. What lies in the file behind it does not count: the cut of
  // what an earlier life wrote there may not have survived. Before load().
  void ends_at(Offset end) { end_ = end; }
  // Cuts the file to what counts, and reads or makes the index. Does nothing the second time; fibers that ask together
  // get it done once. Damage is no error but in damage(), as far as that comes to light by headers.
  static Status load(const Ref<Segment>& segment, const Deadline& deadline);
  bool loaded() const { return loaded_; }
  // Waits until no fiber loads it.
  Status settle(const Deadline& deadline) { return working_.settle(deadline); }
  // Found by the last load() or truncate(), in order. A segment that has some is never written to again.
  const std::vector<Damage>& damage() const { return damage_; }

  // ---- compaction ----
  // Another segment takes its place, or is about to: what is read of it now may be read of that one's file.
  bool replaced() const { return replaced_; }
  void set_replaced(bool replaced) { replaced_ = replaced; }
  // Of a segment that was made with no bytes, to take the place of others: what its file will hold, in order.
  void note_rewritten(std::span<const Slice> batches, std::uint32_t index_interval_bytes);
  // That was all.
  void finish_rewritten() { loaded_ = true; }

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

  // Whole batches, from the one that holds `from` on, checked: at most max_bytes but for a first batch that is larger
  // (if at_least_one), all ending below `below`. Nothing: the limits leave no room. kDataLoss: `damage` says where.
  struct Wanted {
    Offset from;
    Offset below;
    Offset segment_end;  // where the next segment begins, or what is written ends; from < segment_end
    std::size_t max_bytes = 0;
    bool at_least_one = true;
  };
  struct Read {
    Slice bytes;
    Offset end;
  };
  // Loaded. What is written when it is called is what it looks at; nothing may suspend between that and segment_end.
  StatusOr<Read> read(const Wanted& wanted, Damage& damage, const Deadline& deadline);
  // The position of the first batch that ends at or above `offset`; bytes() where there is none.
  StatusOr<std::uint64_t> position_of(Offset offset, const Deadline& deadline);
  // Cuts file and index so that the first batch that ends at or above `to` is gone, and all behind it.
  static Status truncate(const Ref<Segment>& segment, Offset to, const Deadline& deadline);
  // Visits headers of batches from the one at or before `from` on, until visit returns false or the end.
  using VisitBatch = absl::FunctionRef<bool(const protocol::RecordBatchView& batch, std::uint64_t position)>;
  Status visit(std::uint64_t position, VisitBatch visit, const Deadline& deadline);
  // Of a batch at or before the first one that reaches the time.
  StatusOr<std::uint64_t> position_before_time(WallTime at, const Deadline& deadline);

  WallTime max_timestamp() const { return max_timestamp_; }
  Offset offset_of_max() const { return offset_of_max_; }
  // Of its first batch; -1: there is none, or it has none.
  WallTime first_timestamp() const { return first_timestamp_; }

 private:
  // Where a batch begins, or will.
  struct Place {
    std::uint64_t position = 0;
    Offset base;
  };
  Status load_now(const Deadline& deadline);
  Status truncate_now(Offset to, const Deadline& deadline);
  Status read_index(const Deadline& deadline);
  Status rebuild_index(const Deadline& deadline);
  // Where the walk begins that makes what the index files miss. Entries that it must make anew go to `hints`.
  StatusOr<Place> place_to_begin(SegmentIndex& hints, const Deadline& deadline);
  Status read_first_timestamp(const Deadline& deadline);
  // Visits headers from `at` on, in a row up to `end`, steps over damage, and leaves `at` behind the last one visited.
  Status walk(Place& at, Offset end, const SegmentIndex& hints, std::vector<Damage>& damage, VisitBatch visit,
              const Deadline& deadline);
  // The next batch behind damage at `at`; nothing: there is none below `end` in so many bytes of the file.
  StatusOr<std::optional<Place>> resume_behind(const Place& at, std::uint64_t bytes, Offset end,
                                               const SegmentIndex& hints, const Deadline& deadline);
  // The whole batch that begins at `position`, at no offset below `at.base`. It must be the one that `entry` names, or
  // (null) be followed by its neighbour.
  StatusOr<std::optional<Place>> good_batch(std::uint64_t position, const Place& at, std::uint64_t bytes, Offset end,
                                            const SegmentIndex::Entry* entry, const Deadline& deadline);
  // Fewer than asked for: the file ends there, or the disk refuses to read on.
  StatusOr<Slice> read_bytes(std::uint64_t position, std::size_t size, const Deadline& deadline);
  // A batch at or before the one that holds the offset, by the last entry of the index that holds; else the first.
  StatusOr<Place> place_before(Offset offset, const Deadline& deadline);
  // `at_entry`: what is in the log where the entry says.
  bool holds(const SegmentIndex::Entry& entry, ByteSpan at_entry) const;
  StatusOr<bool> holds(const SegmentIndex::TimeEntry& time, const Deadline& deadline);
  void forget(const SegmentIndex::Entry& wrong);
  void note(const protocol::RecordBatchView& batch, std::uint64_t position, std::uint32_t interval);
  std::uint32_t relative(Offset offset) const { return static_cast<std::uint32_t>(offset - base_); }

  FileHost& host_;
  std::string directory_;
  Offset base_;
  std::uint64_t bytes_;
  Offset end_ = Offset::none();
  Offset data_end_;
  SegmentIndex index_;
  std::size_t entries_written_ = 0;
  std::size_t times_written_ = 0;
  std::uint64_t indexed_to_ = 0;  // position of the last batch that has an entry
  WallTime max_timestamp_ = WallTime::from_milliseconds(-1);
  Offset offset_of_max_;
  WallTime first_timestamp_ = WallTime::from_milliseconds(-1);
  std::vector<Damage> damage_;
  bool loaded_ = false;
  bool dirty_ = false;
  bool replaced_ = false;
  fiber::SingleFlight working_;
};

}  // namespace chronik::log
