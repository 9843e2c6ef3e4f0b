// The files of a log, as recovery leaves them and the running log keeps them.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/ids.h"
#include "core/ports/disk.h"
#include "core/wal/file_header.h"
#include "core/wal/flush_summary.h"

namespace chronik::wal {

// One slot: a file with a fixed name, open as long as the log.
struct Slot {
  std::uint32_t number = 0;
  std::unique_ptr<File> file;  // on the log's lane; null: the slot is no more
  std::uint64_t bytes = 0;     // written so far by whatever use, so overwriting them allocates nothing
  bool filling = false;        // a fill may be under way: nobody else writes
};

// A file that a replay would still read.
struct LiveFile {
  std::size_t slot = 0;  // index into LogFiles::slots
  Generation generation;
  Lsn first_lsn;
};

struct LogFiles {
  std::vector<std::unique_ptr<Slot>> slots;
  std::vector<LiveFile> live;    // oldest first; the last one is written
  std::deque<std::size_t> free;  // the one that was freed first is used first
  FileHeader current;            // header of live.back()
  std::uint64_t position = 0;    // in it, where the next flush begins
  FlushNumber last_flush;
  Lsn next_lsn;
  FlushSummary summary;  // of the last flush
};

std::string slot_path(std::string_view directory, std::uint32_t number);
// The number in a slot's name; false for other names.
bool parse_slot_name(std::string_view name, std::uint32_t& number);

}  // namespace chronik::wal
