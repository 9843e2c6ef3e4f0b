// Opens a log: finds what counts, replays it, and begins a new file with what was in doubt (rules R2, R3).
//
// docs/formats/wal.md has the reasons. A crash at any point leaves the old files untouched, so that the next recovery
// finds the same; one that ends well has moved the log to a new file, and a recovery after it finds the same again.
#pragma once

#include <absl/container/btree_set.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "core/base/status.h"
#include "core/wal/client.h"
#include "core/wal/disk_guard.h"
#include "core/wal/file_reader.h"
#include "core/wal/generation_writer.h"
#include "core/wal/log_files.h"
#include "core/wal/options.h"
#include "core/wal/wal.h"

namespace chronik::wal {

class Recovery {
 public:
  Recovery(const WalPorts& ports, const WalOptions& options, WalClient& client, WalMetrics& metrics,
           const Deadline& deadline);
  StatusOr<LogFiles> run();

 private:
  using Index = std::size_t;  // of a slot

  // What a walk through the newest file shows.
  struct Survey {
    bool checkpoint_whole = false;
    bool first_flush_synced = false;  // a record of a later flush is there
    FlushNumber last_flush;
    Lsn last_flush_first;  // LSN of its first record; of the next record where it has none
  };
  // The files that a replay reads, oldest first.
  struct Chain {
    std::vector<Index> files;
    bool complete = true;  // none is missing between replay_from and the newest
  };

  Status open_slots();
  Status prepare_directories();
  Status read_header(Index index);
  Status check_header(const FileHeader& header) const;
  std::optional<Index> newest_below(Generation generation) const;
  std::optional<Index> find(Generation generation) const;
  Status refuse_lost_headers(Generation newest);

  Status recover(Index newest);
  StatusOr<Survey> survey(Index newest);
  Chain chain_from(Index newest, Lsn replay_from) const;
  Status choose_base(Index end);
  Status replay_checkpoint();
  Status replay(Index end, std::optional<Lsn> end_limit);
  Status replay_file(Index index, std::optional<Lsn> limit);
  Status replay_record(const FileReader& reader);
  Status replay_summary(Lsn lsn, const Slice& payload);
  void report(const DamagedRange& range);

  Status begin(Generation previous);
  bool would_run_short(Generation previous) const;
  StatusOr<Index> free_slot();
  LogFiles finish();
  Status drop_extra_slots(LogFiles& files);

  WalPorts ports_;
  const WalOptions& options_;
  WalClient& client_;
  WalMetrics& metrics_;
  Deadline deadline_;
  DiskGuard disk_;

  std::vector<std::unique_ptr<Slot>> slots_;
  std::vector<std::optional<FileHeader>> headers_;  // by slot
  absl::btree_set<Index> kept_;                     // slots that hold, or may turn out to hold, what counts

  bool newest_in_doubt_ = false;  // nothing proves that even its first flush was synced
  Index base_ = 0;                // whose checkpoint replay starts from
  std::vector<Slice> checkpoint_;
  Lsn replay_from_{1};
  Lsn in_doubt_from_{1};
  FlushNumber last_flush_{0};
  Generation last_generation_{0};  // seen anywhere
  Lsn next_lsn_{1};
  Generation previous_;  // for the new header
  std::optional<GenerationWriter> writer_;
  Index new_slot_ = 0;
};

}  // namespace chronik::wal
