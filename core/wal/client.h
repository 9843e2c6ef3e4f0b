// What the write-ahead log asks of whoever keeps the logs (core/log).
//
// None of these calls may suspend, replay() and drain_replayed() excepted. None may call back into the Wal, but for its
// const members.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "core/base/ids.h"
#include "core/base/slice.h"
#include "core/base/status.h"
#include "core/wal/record.h"

namespace chronik::wal {

// Takes the parts of one checkpoint. What a part holds, and how many there are, is the client's business; parts of some
// 64 KiB are good, and none may be longer than WalOptions::record_bytes_max.
class CheckpointWriter {
 public:
  explicit CheckpointWriter(Lsn lsn) : lsn_(lsn) {}
  // The checkpoint describes the state after all records with smaller LSNs, and no other.
  Lsn lsn() const { return lsn_; }
  void add(Slice part) { parts_.push_back(std::move(part)); }
  std::vector<Slice> take() { return std::move(parts_); }

 private:
  Lsn lsn_;
  std::vector<Slice> parts_;
};

// A record read back. `payload` is a part of a large read buffer: who keeps it for long copies it.
struct ReplayedRecord {
  Lsn lsn;
  FlushNumber flush;
  RecordType type = RecordType::kAppend;
  LogKey key;
  Slice payload;
  bool in_doubt = false;  // of the last flush: durable only once open() has returned (rule R2)
};

// Records that were durable and cannot be read (rule R3). Replay goes on behind them.
struct DamagedRange {
  Generation generation;
  std::uint64_t position = 0;  // in the file, where the damage begins
  Lsn first;
  Lsn last;  // the whole range first … last is lost; at most that where whole records may have been in it
};

class WalClient {
 public:
  virtual ~WalClient() = default;

  // ---- while the log runs ----

  // Adds the parts that describe all logs as they are now, and returns the LSN from which a replay on top of them must
  // start: every record below it is in a segment file whose data and directory are synced (rule R6). At most
  // checkpoint.lsn(); what it returned before it may never fall below again.
  // Called by the committer when the turn is quiet. So an effect of append() must be visible here before its caller
  // suspends, and nothing may be visible here that was not appended.
  virtual Lsn write_checkpoint(CheckpointWriter& checkpoint) = 0;

  // Everything up to `durable` is on stable storage, and was not before. Once per flush, before the fibers in
  // wait_durable() run.
  virtual void on_durable(Lsn durable) = 0;

  // Files run short. Drain the records up to `drain_to` to segments, then say so by Wal::release_up_to(): also where
  // there was nothing left to drain, for somebody may sleep in wait_for_room() until that is known. Where the disk has
  // no room for it, say that by Wal::note_disk_full() and try again. Comes again with every new file and every refused
  // reservation while files are short: starting a drain twice must do no harm.
  virtual void on_pressure(Lsn drain_to) = 0;

  // ---- while it is opened, in this order ----

  // One part of the checkpoint that replay starts from, in the order of writing. Not called on an empty directory.
  virtual Status replay_checkpoint(Lsn lsn, const Slice& part, bool last_part) = 0;

  // Every record from the checkpoint's replay_from on, in order of LSNs: the effects of those below the checkpoint's
  // LSN are in the checkpoint, those of the others are not. Between the records that are certain and those in doubt,
  // write_checkpoint() is called: it describes the certain ones. May suspend: a log is longer than memory, so what is
  // certain goes to segments when it has become too much to hold. An error ends open().
  virtual Status replay(const ReplayedRecord& record) = 0;

  // Drains all that was replayed so far, which is all that is certain, and syncs it, so that the write_checkpoint()
  // which follows returns checkpoint.lsn(). Called where the files that replay read would leave too few for the log to
  // run on: every recovery begins a file, and a row of lives that end before they have drained would have no end of
  // them. May suspend. An error ends open().
  virtual Status drain_replayed() = 0;

  // Behind the records of a flush, where a later one follows in the same file: in that flush the log came to end at
  // `end`. Where it ends elsewhere now, a record of it is damaged (rule R3). `lsn`: of the next record.
  virtual void replay_log_end(Lsn lsn, const LogKey& key, Offset end) = 0;

  // Where the log ends after what was replayed so far; none: there is no such log.
  virtual Offset log_end(const LogKey& key) const = 0;

  // Called in the order of positions, before and among the replay() calls. first > last: no record was lost, but one of
  // the two copies of a checkpoint, or a summary.
  virtual void replay_damage(const DamagedRange& range) = 0;
};

}  // namespace chronik::wal
