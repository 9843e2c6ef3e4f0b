// The write-ahead log of one shard: group commit for all its partitions (rules R2-R6, R14).
//
// Why there is one for all: one vectored write and one sync carry whatever gathered while the last sync was under way,
// from however many partitions. There is no timer: a flush starts when something is queued, the turn is quiet, and the
// disk is free. Everything that changes a log goes through here; segments are written behind it.
//
// Lifetime: open() in a fiber, close() before the destructor. A node that dies skips close(). All on one shard.
//
// Invariants:
//   1. LSNs count records from 1, +1 each, over all files; a record that append() gave an LSN is written, or the
//   process ends.
//   2. Flush n+1 is written only after flush n's sync has returned. So whoever reads a record of flush n+1 knows that
//      everything before was synced, and only the last flush of a log can be in doubt.
//   3. durable() < LSN of any record whose sync has not returned in this incarnation of the process.
//   4. Every file begins with a checkpoint; a file is written over only after a later checkpoint that does not need it
//      is durable. One slot is always free, or becomes free with the checkpoint under way, so a checkpoint can always
//      be written and a full log always gets out of it once its partitions are drained. There are at most files_max
//      files, one more while open() is at work (rule R6): where it would find too few free, it has the client drain.
//   5. A write that fails, and a sync that fails or is overdue, ends the process with ExitStatus::kDiskFailed, at once.
//
//   const Room room = wal.try_reserve(batch.size(), Urgency::kData);   // before an offset is given
//   if (room != Room::kGranted) { … }
//   const Lsn lsn = wal.append(RecordType::kAppend, key, batch);       // no suspension in between
//   RETURN_IF_ERROR(wal.wait_durable(lsn, deadline));
#pragma once

#include <cstdint>
#include <memory>

#include "core/base/ids.h"
#include "core/base/slice.h"
#include "core/base/status.h"
#include "core/ports/disk.h"
#include "core/ports/process.h"
#include "core/ports/random.h"
#include "core/wal/client.h"
#include "core/wal/options.h"
#include "core/wal/record.h"

namespace chronik::wal {

// What the log stands on. All of it outlives the log.
struct WalPorts {
  Disk& disk;
  Random& random;
  Process& process;
};

enum class Urgency : std::uint8_t {
  kData,     // batches
  kControl,  // what frees room or must not fail for want of it: truncation, deletion, log start
};

enum class Room : std::uint8_t {
  kGranted,
  kQueueFull,  // too much waits for the disk, or hold_data() was called: wait_for_room(), or let the client wait
  kLogFull,    // every file holds records that are in no segment yet; on_pressure() was called
  kDiskFull,   // free disk space is below the reserve, or the log cannot be drained for want of it
};

class Wal {
 public:
  // Reads what is there, hands it to `client`, writes anew what was in doubt, and starts. When it returns, all that was
  // replayed is durable. `parent`: cancelling it ends the fibers without a last flush. Errors: kDataLoss (no checkpoint
  // can be read), kFailedPrecondition (another shard count, a newer format), an error of the client or the disk. A
  // failed write or sync ends the process.
  static StatusOr<std::unique_ptr<Wal>> open(const WalPorts& ports, const WalOptions& options, WalClient& client,
                                             CancelSource& parent, const Deadline& deadline);
  virtual ~Wal() = default;

  // Whether a record with a payload of so many bytes may be appended now. The answer holds until the caller suspends or
  // asks again; it is meant for one record.
  virtual Room try_reserve(std::size_t payload_bytes, Urgency urgency) = 0;
  // Returns when the queue has room again, or there may be room in files or on the disk again, or it is known that
  // there is none. Ask try_reserve() then. kCancelled where the log is closed meanwhile.
  virtual Status wait_for_room(const Deadline& deadline) = 0;

  // Queues a record, for which room was granted, and gives it its LSN. Does not suspend. The payload's bytes must not
  // change from now on. The record's effect must be visible to write_checkpoint() before the caller suspends.
  // `log_end`: of the record's log with that effect; none: it is gone.
  virtual Lsn append(RecordType type, const LogKey& key, Slice payload, Offset log_end) = 0;

  // Returns ok when the record is durable. kDeadlineExceeded, kCancelled: it still will be, or the process ends.
  virtual Status wait_durable(Lsn lsn, const Deadline& deadline) = 0;

  // Everything below `lsn` is in segments, and their data and directories are synced: files that hold nothing else may
  // be used again once a checkpoint says so, which the log writes when it is worth it (or rotate() is called).
  virtual void release_up_to(Lsn lsn) = 0;
  // The client has as much in memory as it may: reservations of data answer kQueueFull until it says otherwise.
  virtual void hold_data(bool held) = 0;
  // The disk has no room for what is drained to segments, whatever it says is free: reservations answer kDiskFull until
  // it has been asked again.
  virtual void note_disk_full() = 0;

  // Begins a new file, hence writes a checkpoint, and returns when that is durable. For a clean shutdown: the next
  // start has nothing to replay. kResourceExhausted where no slot is free.
  virtual Status rotate(const Deadline& deadline) = 0;

  // Flushes what is queued and ends the fibers. Nothing may be appended any more.
  virtual Status close(const Deadline& deadline) = 0;

  virtual Lsn next_lsn() const = 0;  // that append() gives next
  virtual Lsn durable() const = 0;   // the last durable record; next_lsn() - 1 at most
  virtual FlushNumber last_flush() const = 0;
  virtual Generation generation() const = 0;  // of the file that is written now
  virtual std::size_t files_in_use() const = 0;
  // When the flush that is being written now was begun; never(): there is none.
  virtual MonotonicTime flushing_since() const = 0;
  virtual Lsn oldest_lsn() const = 0;  // the first record that a replay would read
  virtual const WalMetrics& metrics() const = 0;
};

}  // namespace chronik::wal
