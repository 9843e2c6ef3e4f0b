// Which slot holds what while the log runs: the files that a replay needs, the free slots, and the one filled ahead.
//
// Invariant 4 of wal.h lives here: may_begin_file() never lets the last free slot go, unless the checkpoint that goes
// into it frees another. Recovery leaves one free.
#pragma once

#include <cstdint>
#include <optional>

#include "core/fiber/wait.h"
#include "core/wal/disk_guard.h"
#include "core/wal/log_files.h"
#include "core/wal/options.h"

namespace chronik::wal {

class FileSet {
 public:
  FileSet(const WalOptions& options, LogFiles files) : options_(options), files_(std::move(files)) {}

  const std::vector<LiveFile>& live() const { return files_.live; }
  std::uint64_t initial_position() const { return files_.position; }  // as recovery left it
  const LiveFile& current() const { return files_.live.back(); }
  Slot& current_slot() { return *files_.slots[current().slot]; }
  bool current_is_filled() const { return files_.slots[current().slot]->bytes >= options_.rotation_bytes; }
  // Slots that are free or may still be created, one in the making included.
  std::size_t available() const;
  bool has_filled_free_slot() const;

  // Live files that a checkpoint at the beginning of a file with `first_lsn` frees, if its replay starts at
  // `replay_from`.
  std::size_t freed_by(Lsn replay_from, Lsn first_lsn) const;
  // Whether such a file may begin now. Not where the one slot that is left is being filled.
  bool may_begin_file(Lsn replay_from, Lsn first_lsn) const;
  // Takes a free slot, creating and opening it if there is none. A filled one first.
  StatusOr<std::size_t> take_slot(DiskGuard& guard);
  // The file in `slot` is now the one that is written.
  void begin_file(std::size_t slot, Generation generation, Lsn first_lsn);
  // A checkpoint with this replay_from is durable. Returns whether a slot became free.
  bool free_below(Lsn replay_from);

  // ---- filling ----
  // Takes the slot to fill next, which nobody else touches until end_fill(); none where one is filled already, or all
  // are in use. Creates a file where that is needed.
  StatusOr<std::optional<std::size_t>> begin_fill(DiskGuard& guard);
  void end_fill(std::size_t slot);
  Slot& slot(std::size_t index) { return *files_.slots[index]; }
  std::string path(std::size_t index) const { return slot_path(options_.directory, files_.slots[index]->number); }

 private:
  std::size_t existing() const;
  // Its `filling` is set: nobody else takes it.
  StatusOr<std::size_t> create_slot(DiskGuard& guard);

  const WalOptions& options_;
  LogFiles files_;
};

}  // namespace chronik::wal
