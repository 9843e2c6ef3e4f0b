// What an idempotent producer of the scenarios of one node remembers from connection to connection.
//
// It has a producer id, gives each batch of a partition the next sequence numbers, has up to five batches without an
// answer in a partition, and sends those again, unchanged and in their order, over the next connection. Sometimes it
// sends one again over a second connection while the first attempt is under way; sometimes it gives up what it has not
// been answered and begins anew under another id, or raises its epoch.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "core/base/time.h"

namespace chronik::sim {

struct PlanOperation;

// Sent, perhaps more than once, and not known to be stored.
struct IdempotentBatch {
  const PlanOperation* operation = nullptr;
  std::size_t partition = 0;
  std::int32_t sequence = 0;  // of the first record
  std::int64_t nth = 0;       // of this producer's batches of the partition, in this epoch
  WallTime timestamp;         // the same in every attempt
  std::uint64_t sent_in = 0;  // the latest session that sent it
  bool acknowledged = false;
};

struct IdempotentProducer {
  struct Partition {
    std::deque<std::shared_ptr<IdempotentBatch>> open;  // from the oldest one without an acknowledgement on
    std::int32_t next_sequence = 0;
    std::int64_t next_nth = 0;
    bool known = false;  // to the broker: a batch was acknowledged
  };
  std::int64_t id = -1;
  std::int16_t epoch = -1;
  std::vector<Partition> partitions;

  bool anything_open() const {
    for (const Partition& partition : partitions) {
      if (!partition.open.empty()) {
        return true;
      }
    }
    return false;
  }
};

}  // namespace chronik::sim
