// What one connection owes to the order of its idempotent producers.
//
// They send several batches of a partition without waiting. Where one is refused, those behind it were sent before that
// could be known. If the node could take them by then (it has become the leader, enough replicas are in sync again), it
// would miss the refused one and answer OUT_OF_ORDER_SEQUENCE_NUMBER; a client that does not know what became of its
// first attempt takes that for lost data and gives up for good, as librdkafka does. A log that does not know the
// producer would even take them, and then refuse the first for ever. So they are refused as well, until one that was
// refused comes again: its producer has read the answers by then. And nothing is sent to a leader while what came
// before is under way to another.
//
// Life: its connection's. No call suspends. Invariant: of refusals kRefusalsMax are remembered at most; of what is
// under way, one entry for a partition of a request in flight.
#pragma once

#include <absl/container/btree_map.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>

#include "core/base/slice.h"
#include "core/log/producer_window.h"
#include "core/protocol/errors.h"

namespace chronik::broker {

class ProduceOrder {
 public:
  struct Batch {
    std::string_view topic;  // by its name: a node may not know it yet
    PartitionId partition;
    log::ProducerBatch producer;
  };
  static constexpr std::size_t kRefusalsMax = 1000;  // beyond, the oldest is forgotten

  // How the batch has to be refused because of one before it, once; kNone: not for that reason.
  protocol::ErrorCode check(const Batch& batch);
  // It was answered `error`: from now on that counts, where the batch may be missing and will come again.
  void refuse(const Batch& batch, protocol::ErrorCode error);

  // Where its producer's batches of this partition are under way to; none: nowhere.
  NodeId under_way_to(const Batch& batch) const;
  void start(const Batch& batch, NodeId leader);
  void end(const Batch& batch);

 private:
  using Key = std::tuple<std::string, PartitionId, ProducerId>;
  struct Refusal {
    ProducerEpoch epoch;
    std::int32_t latest = 0;  // the first sequence of the last batch that was refused so far
    protocol::ErrorCode error = protocol::ErrorCode::kNone;
    std::uint64_t number = 0;  // of all refusals
  };
  struct UnderWay {
    NodeId leader;
    std::size_t batches = 0;
  };
  void forget_oldest();
  static Key key_of(const Batch& batch) { return {std::string(batch.topic), batch.partition, batch.producer.id}; }

  absl::btree_map<Key, Refusal> refusals_;
  std::uint64_t refused_ = 0;
  absl::btree_map<Key, UnderWay> under_way_;
};

// The producer of the first batch of `records`, which nobody has checked. Not present(): none.
log::ProducerBatch producer_of(ByteSpan records);

}  // namespace chronik::broker
