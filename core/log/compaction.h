// What compaction makes of one batch, and of a row of them. Pure: no file, no clock.
//
// A record goes when a later one of its key is known; a tombstone (a null value) also when its time is over. What is
// left stands at its offset, in a batch of the same first and last offset: so a cleaned row lies end to end over the
// very offsets that it covered before (core/log/segment.h). A batch without records is a header alone. Neighbours of
// that kind, of one leader epoch, are one header: a filler.
//
// The time of a tombstone begins when it is cleaned for the first time, and is kept in its batch as Kafka does
// (KIP-534): attribute bit 6 says that the base timestamp is the time from which its tombstones may go.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/base/ids.h"
#include "core/base/slice.h"
#include "core/base/status.h"
#include "core/base/time.h"
#include "core/log/key_offsets.h"
#include "core/protocol/compression.h"
#include "core/protocol/record_batch.h"

namespace chronik::log {

// Puts the keys of a batch's records. kDataLoss, kResourceExhausted: its records cannot be read. Control batches and
// those of transactions have none.
Status note_keys(const Slice& batch, KeyOffsets& latest, protocol::Codecs& codecs);

struct CleaningRules {
  const KeyOffsets& latest;
  Offset known_to;  // `latest` has the keys below; a batch that ends behind it stays as it is
  WallTime now;
  Duration tombstones_last;  // delete.retention.ms
};

struct CleanedBatch {
  enum class Kind : std::uint8_t { kAsItWas, kRewritten, kEmpty } kind = Kind::kAsItWas;
  Slice bytes;               // the batch that is left; of kEmpty: nothing
  std::int32_t removed = 0;  // records
};

// Errors as note_keys(). Records without a key stay.
StatusOr<CleanedBatch> clean_batch(const Slice& batch, const CleaningRules& rules, protocol::Codecs& codecs);

// A batch without records over the offsets [base, last], which are fewer than 2^31 - 1.
Slice filler(LeaderEpoch epoch, Offset base, Offset last);
// The same filler from `from` on, which lies in it behind its base: what a replica lacks of it whose log ends there.
Slice filler_from(const protocol::RecordBatchView& filler, Offset from);
inline bool is_empty_batch(const protocol::RecordBatchView& batch) { return batch.record_count() == 0; }

// Batches in a row, as they are to be written.
class CleanedRow {
 public:
  void add(Slice batch);
  // In place of a batch without records. keep_producer: with its sequence numbers, which a replica that copies the log
  // learns of in no other way.
  void add_empty(const protocol::RecordBatchView& batch, bool keep_producer);
  // What can be written by now; all of it, once ended.
  std::vector<Slice> take(bool ended);

 private:
  struct Gap {
    LeaderEpoch epoch;
    Offset base;
    Offset last;
  };
  void close_gap();

  std::vector<Slice> ready_;
  std::optional<Gap> gap_;
};

}  // namespace chronik::log
