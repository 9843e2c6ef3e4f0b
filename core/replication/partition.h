// One replica of one partition and its role: it decides what is acknowledged and what a consumer may see.
//
// On one node the in-sync replicas are this one alone, so the high watermark is the durable end. Followers (rules
// R7–R9) come as further members of the set whose least durable end is the high watermark; nothing else here changes.
//
// Life: counted; close() ends its service, the last request that holds it ends it.
// Invariants: high_watermark() never goes back within an epoch and never exceeds the log's durable end; a wait that
// began in one epoch is failed when it ends (R11).
#pragma once

#include <vector>

#include "core/base/counted.h"
#include "core/base/ids.h"
#include "core/fiber/wait.h"
#include "core/log/partition_log.h"
#include "core/protocol/errors.h"
#include "core/replication/offset_waiters.h"

namespace chronik::replication {

// What the image says of a partition.
struct Leadership {
  NodeId leader = NodeId::none();
  LeaderEpoch epoch;
  std::vector<NodeId> in_sync;
  std::int32_t min_in_sync = 1;
};

enum class Acks : std::int16_t { kAll = -1, kNone = 0, kLeader = 1 };

class Partition final : public Counted, private log::PartitionLog::Listener {
 public:
  Partition(Ref<log::PartitionLog> log, NodeId self);
  ~Partition() override;
  Partition(const Partition&) = delete;
  Partition& operator=(const Partition&) = delete;

  // The image has spoken. A newer epoch ends the old one: its waits fail. An epoch below the log's last is refused
  // (CHECK): the image would be older than what this replica acted on (R13).
  void assume(const Leadership& leadership);
  // The topic is gone or the node stops: everybody who waits is told.
  void close();
  bool closed() const { return closed_; }

  bool leading() const { return !closed_ && leadership_.leader == self_; }
  NodeId leader() const { return leadership_.leader; }
  LeaderEpoch epoch() const { return leadership_.epoch; }
  log::PartitionLog& log() const { return *log_; }
  Offset high_watermark() const { return high_watermark_; }

  // kNone, or why a client's request for `current` (none: it did not say) cannot be served here: not leader, fenced or
  // unknown leader epoch (KIP-320).
  protocol::ErrorCode check_leadership(LeaderEpoch current) const;

  // What an append came to. `wait_below`: the answer waits until the high watermark (acks=all) or the durable end
  // (acks=1) is past last_offset.
  struct AppendOutcome {
    protocol::ErrorCode error = protocol::ErrorCode::kNone;
    Offset base_offset;
    Offset last_offset;
    LeaderEpoch epoch;
    bool duplicate = false;
  };
  // Checks leadership, min.insync.replicas and the producer window, then appends, without a suspension between (R11).
  AppendOutcome append(Slice batch, const log::BatchSummary& summary, Acks acks);
  // Tells `waiter` when the outcome may be acknowledged under `acks`, which is not kNone, or that it never will be: at
  // once where that is known already.
  void await(const AppendOutcome& outcome, Acks acks, OffsetWaiter& waiter);
  // What to answer where await() has told that it passed: kNone, or kNotEnoughReplicasAfterAppend.
  protocol::ErrorCode acknowledge(Acks acks) const;

  // Notified when a consumer may see more, or the epoch has ended: what a parked fetch waits for.
  fiber::Event& progress() { return progress_; }
  WaitKey progress_key() const;

 private:
  void on_durable(Offset durable_end) override;
  void advance_high_watermark();
  std::size_t in_sync_count() const { return leadership_.in_sync.size(); }

  Ref<log::PartitionLog> log_;
  std::uint64_t topic_in_key_;
  NodeId self_;
  Leadership leadership_;
  Offset high_watermark_{0};
  bool closed_ = false;
  OffsetWaiters durable_waiters_;
  OffsetWaiters watermark_waiters_;
  fiber::Event progress_;
};

}  // namespace chronik::replication
