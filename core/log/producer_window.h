// What a log remembers of idempotent producers: per producer id its epoch and its last five batches (KIP-98), so that a
// retry is stored once.
#pragma once

#include <absl/container/btree_map.h>

#include <array>
#include <cstdint>

#include "core/base/ids.h"
#include "core/base/time.h"
#include "core/protocol/errors.h"

namespace chronik::log {

// The producer's part of a batch header. none(): a batch without a producer id.
struct ProducerBatch {
  ProducerId id = ProducerId::none();
  ProducerEpoch epoch = ProducerEpoch::none();
  std::int32_t first_sequence = -1;
  std::int32_t last_sequence = -1;  // wraps: 2^31-1 is followed by 0
  bool present() const { return id != ProducerId::none(); }
};

struct ProducerVerdict {
  enum class Kind : std::uint8_t { kAppend, kDuplicate, kRefuse } kind = Kind::kAppend;
  protocol::ErrorCode error = protocol::ErrorCode::kNone;  // of kRefuse
  Offset base_offset;  // of kDuplicate: where the original is; it may not be durable yet
  Offset last_offset;
};

inline constexpr std::size_t kProducerBatches = 5;

struct ProducerBatchEntry {
  std::int32_t first_sequence = 0;
  std::int32_t last_sequence = 0;
  Offset base_offset;
  Offset last_offset;
};

struct ProducerState {
  ProducerEpoch epoch;
  std::array<ProducerBatchEntry, kProducerBatches> batches;  // the newest last; `count` of them are real
  std::size_t count = 0;
  WallTime last_seen;
};

class ProducerWindow {
 public:
  ProducerVerdict check(const ProducerBatch& batch) const;
  // What check() accepted is now in the log.
  void record(const ProducerBatch& batch, Offset base_offset, Offset last_offset, WallTime seen);
  // Forgets batches at and above `to`.
  void truncate(Offset to);
  // Forgets producers that were last seen before that: whichever sequence number one of them comes with then is taken.
  void expire(WallTime before);
  std::size_t size() const { return producers_.size(); }
  const absl::btree_map<ProducerId, ProducerState>& producers() const { return producers_; }
  void restore(ProducerId id, const ProducerState& producer) { producers_[id] = producer; }

 private:
  absl::btree_map<ProducerId, ProducerState> producers_;
};

}  // namespace chronik::log
