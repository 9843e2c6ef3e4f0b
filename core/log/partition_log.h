// One replica's log of one partition: offsets, epochs, bytes. It knows nothing of leaders, watermarks or clients.
//
// The way of a batch: append() gives it offsets, keeps it in the tail (memory) and queues it to the WAL; the WAL's sync
// moves durable_end(); later the drainer writes it to the segment files, and the tail may forget it. Readers see tail
// and segments as one log.
//
// Invariants (in the simulator WalChecker judges durable end and log end, 2 and the order of epochs, SegmentChecker
// what is in segments):
//   1. log_start <= durable_end <= log_end, once the log itself is durable; what is in segments ends at or below
//      durable_end.
//   2. Batches lie end to end: the base offset of each is the last offset of the one before, plus one.
//   3. Leader epochs never decrease along the log; epoch starts lie in [log_start, log_end), the first perhaps
//      earlier.
//   4. Only data that is durable in the WAL is ever written to a segment (R4).
//   5. A read that suspended checks truncations() before it answers (R11).
// Life: counted, so that a request that is reading a log that is being removed ends with kAborted, not with a dangling
// pointer. All calls belong to the log's shard.
#pragma once

#include <absl/functional/function_ref.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/counted.h"
#include "core/base/ids.h"
#include "core/base/slice.h"
#include "core/base/status.h"
#include "core/base/time.h"
#include "core/fiber/wait.h"
#include "core/log/log_key.h"
#include "core/log/producer_window.h"

namespace chronik::log {

// What the log must know of a batch that was validated (core/protocol/record_batch.h says how).
struct BatchSummary {
  std::int32_t record_count = 0;
  WallTime max_timestamp;          // of its records, after a LogAppendTime was stamped
  Offset offset_of_max_timestamp;  // relative to the batch: 0 … record_count-1
  ProducerBatch producer;          // none for a batch without a producer id
};

struct Appended {
  Offset base_offset;
  Offset last_offset;
  Lsn lsn;  // durable once the WAL's durable LSN reaches it
};

struct ReadLimits {
  std::size_t max_bytes = 0;  // the first batch is given whole even where it is larger (KIP-74), if min_one_batch
  Offset below;               // only batches that end below it: the high watermark, or the log end for a follower
  bool min_one_batch = true;
};

struct ReadResult {
  std::vector<Slice> parts;  // whole batches, end to end; the first may begin before the asked offset
  std::size_t bytes = 0;
  Offset end;  // one past the last offset given; the asked offset where nothing was
};

struct TimestampOffset {
  WallTime timestamp;
  Offset offset;
  LeaderEpoch epoch;
};

struct EpochEnd {
  // The largest epoch <= the asked one of which the log has something. The asked one itself, where all are larger:
  // what it had is deleted, and a reader at the log start has lost nothing. None: nothing is known of any epoch.
  LeaderEpoch epoch;
  Offset end;  // where that epoch ends: the start of the next one, or the log end
};

// Offsets whose bytes are known to be lost or wrong on this replica (R3, R18): they answer an error for ever.
struct DamagedRange {
  Offset from;
  Offset to;
};

class PartitionLog : public Counted {
 public:
  virtual ~PartitionLog() = default;

  virtual const LogKey& key() const = 0;
  virtual std::string_view topic_name() const = 0;

  virtual Offset log_start() const = 0;
  virtual Offset log_end() const = 0;  // the next offset to be given
  // Below it this incarnation has everything on stable storage. None: not even that the log is there. Who is counted on
  // then, and loses its power, has lost a replica when it comes back, and an empty one is as lost as a full one (R12).
  virtual Offset durable_end() const = 0;
  virtual Offset memory_start() const = 0;        // the first offset that the tail has; the log end: none
  virtual LeaderEpoch last_epoch() const = 0;     // of the last batch; none: empty
  virtual std::uint64_t truncations() const = 0;  // how often the end went back
  // Of tail and segments. Opens the segments where nothing has needed them yet.
  virtual StatusOr<std::uint64_t> stored_bytes(const Deadline& deadline) = 0;
  virtual const std::vector<DamagedRange>& damaged() const = 0;

  // What the producer window says to a batch: see producer_window.h. Nothing may suspend between this and append()
  // (R11).
  virtual ProducerVerdict check_producer(const ProducerBatch& batch) const = 0;
  virtual const ProducerWindow& producers() const = 0;

  // Leader: gives the batch the next offsets, stamps base offset and leader epoch into its bytes (the caller answers
  // for nobody else looking at them), keeps it and queues it to the WAL. Cannot fail and does not suspend: room was
  // made (LogManager::make_room, R14) and nothing has suspended since. epoch >= last_epoch().
  virtual Appended append(Slice batch, const BatchSummary& summary, LeaderEpoch epoch) = 0;

  // Follower: a batch with offset and epoch as the leader gave them; it must begin at log_end().
  virtual Appended append_replicated(Slice batch, const BatchSummary& summary) = 0;

  // Batches from the one that holds `from`. kOutOfRange: from < log_start() or from > log_end(). kDataLoss: a damaged
  // range or a checksum that is wrong; never wrong bytes. kAborted: the log was truncated or closed meanwhile, ask
  // again. Batches without a record alone are given only where no record behind them may be. Served from memory without
  // suspending from memory_start() on.
  virtual StatusOr<ReadResult> read(Offset from, const ReadLimits& limits, const Deadline& deadline) = 0;

  // The first record with a timestamp >= `at` below `below`, by index and batch headers; nullopt: none.
  virtual StatusOr<std::optional<TimestampOffset>> find_timestamp(WallTime at, Offset below,
                                                                  const Deadline& deadline) = 0;
  // The record with the largest timestamp below `below` (ListOffsets -3); nullopt: there is none.
  virtual StatusOr<std::optional<TimestampOffset>> max_timestamp(Offset below, const Deadline& deadline) = 0;

  virtual EpochEnd end_of_epoch(LeaderEpoch epoch) const = 0;  // KIP-101

  // Cuts the log at `to` and waits until that is durable (R4). Everything at and above `to` is gone from then on.
  // `still`: asked after all that may suspend, right before the cut; where it says false, nothing is cut: kAborted.
  virtual Status truncate(Offset to, absl::FunctionRef<bool()> still, const Deadline& deadline) = 0;
  // Everything goes, durably: the log is empty, and begins and ends at `to`, which is not below its end (R16). `still`
  // as above.
  virtual Status begin_anew(Offset to, absl::FunctionRef<bool()> still, const Deadline& deadline) = 0;
  // Cuts the log at the base of the first damaged segment, or where damage begins that is in no segment, and waits
  // until that is durable: what was there is fetched from another replica, not mended in place (R18). Where nothing
  // sound is left before it, the log is empty and begins at 0 again. `still` as above; says where the log ends.
  // kNotFound: nothing is damaged any more.
  virtual StatusOr<Offset> discard_damage(absl::FunctionRef<bool(Offset to)> still, const Deadline& deadline) = 0;
  // Raises the log start, durably; never lowers it. Whole segments below it are deleted later, oldest first (R16).
  virtual Status advance_log_start(Offset to, const Deadline& deadline) = 0;

  // Told when durable_end() or log_start() has moved. Not suspending; one at a time.
  class Listener {
   public:
    virtual ~Listener() = default;
    virtual void on_durable(Offset durable_end) = 0;
    // damaged() has grown.
    virtual void on_damage() {}
  };
  virtual void set_listener(Listener* listener) = 0;  // null: nobody
  // A high watermark to be kept in checkpoints (R6); recovered_high_watermark() returns the last one kept.
  virtual void note_high_watermark(Offset high_watermark) = 0;
  virtual Offset recovered_high_watermark() const = 0;
};

}  // namespace chronik::log
