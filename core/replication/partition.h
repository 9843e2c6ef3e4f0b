// One replica of one partition and its role: it decides what is acknowledged and what a consumer may see.
//
// As the leader it knows how far its followers are durable (followers.h); the high watermark is the least durable end
// of the in-sync replicas that count (rule R7), and stands still where too few of them are in sync (rule R8). As a
// follower it takes what its leader has, and cuts off what that has not (fetcher.h does the asking). It proposes
// changes of its ISR to its host, which brings them to the controller.
//
// Life: counted; close() ends its service, the last request that holds it ends it.
// Invariants: high_watermark() goes back only where an unclean election lets the log be cut (R8) or what is damaged is
// discarded (R18), and never exceeds the log's durable end; a wait that began in one epoch is failed when it ends
// (R11).
#pragma once

#include <optional>
#include <vector>

#include "core/base/counted.h"
#include "core/base/ids.h"
#include "core/base/intrusive_list.h"
#include "core/fiber/wait.h"
#include "core/log/partition_log.h"
#include "core/protocol/errors.h"
#include "core/replication/followers.h"
#include "core/replication/offset_waiters.h"

namespace chronik::replication {

// What the image says of a partition.
struct Leadership {
  NodeId leader = NodeId::none();
  LeaderEpoch epoch;
  PartitionEpoch partition_epoch;
  std::vector<NodeId> replicas;
  std::vector<NodeId> in_sync;
  LeaderEpoch unclean_epoch = LeaderEpoch::none();  // the latest that may have taken back what was committed
  bool others_eligible = false;                     // an eligible replica is not in sync (rule R8)
  bool eligible = false;                            // this one is one of them
  std::int32_t min_in_sync = 1;
};

enum class Acks : std::int16_t { kAll = -1, kNone = 0, kLeader = 1 };

class Partition;

// Who has to know of what happens to a partition. No call may suspend.
class PartitionHost {
 public:
  virtual ~PartitionHost() = default;
  // The leader may want another ISR: Partition::wanted_isr().
  virtual void on_isr_news(Partition& partition) = 0;
  // The log of a follower is durable further than before.
  virtual void on_follower_durable(Partition& partition) = 0;
  // More of its log is known to be damaged.
  virtual void on_damage(Partition& partition) = 0;
  // Whether others may lead what the image says is led here (isolation.h).
  virtual bool isolated() const = 0;
};

// Told that a follower's fetch may have something to bring: the log has grown, the high watermark has risen, the epoch
// has ended. Must not suspend.
class PartitionWatch : public ListHook<struct PartitionWatchTag> {
 public:
  virtual ~PartitionWatch() = default;
  virtual void on_partition_news() = 0;
};

class Partition final : public Counted, private log::PartitionLog::Listener {
 public:
  // The host outlives it.
  Partition(Ref<log::PartitionLog> log, NodeId self, PartitionHost& host);
  ~Partition() override;
  Partition(const Partition&) = delete;
  Partition& operator=(const Partition&) = delete;

  // The image has spoken. A newer epoch ends the old one: its waits fail. An epoch below the log's last is refused
  // (CHECK): the image would be older than what this replica acted on (R13).
  void assume(const Leadership& leadership);
  // The host is isolated from now on: who waits for the other replicas is told that this is not the leader, where
  // another can be elected.
  void note_isolated();
  // The topic is gone or the node stops: everybody who waits is told.
  void close();
  bool closed() const { return closed_; }

  bool leading() const { return !closed_ && leadership_.leader == self_; }
  // Another node leads, which this replica has to follow.
  bool following() const;
  bool in_sync(NodeId node) const;  // as the image says
  // Whether another replica may lead already: the host is isolated, and there is one that can be elected.
  bool may_be_deposed() const;
  // How often that has begun.
  std::uint64_t isolations() const { return isolations_; }
  NodeId leader() const { return leadership_.leader; }
  LeaderEpoch epoch() const { return leadership_.epoch; }
  log::PartitionLog& log() const { return *log_; }
  Offset high_watermark() const { return high_watermark_; }
  const Leadership& leadership() const { return leadership_; }

  // kNone, or why a client's request for `current` (none: it did not say) cannot be served here: not leader, fenced or
  // unknown leader epoch (KIP-320).
  protocol::ErrorCode check_leadership(LeaderEpoch current) const;
  // Whether a consumer may be told where the log ends: not before the high watermark is in the leader's own epoch.
  bool end_is_known() const { return high_watermark_ >= epoch_start_; }

  // What an append came to. Its answer waits until the high watermark (acks=all) or the durable end (acks=1) is past
  // last_offset: await().
  struct AppendOutcome {
    protocol::ErrorCode error = protocol::ErrorCode::kNone;
    Offset base_offset;
    Offset last_offset;
    LeaderEpoch epoch;
    bool duplicate = false;
  };
  // Checks leadership, min.insync.replicas and the producer window, then appends, without a suspension between (R11).
  // While the node is isolated, acks=all is refused with kNotLeaderOrFollower where another replica can be elected: it
  // would wait for what cannot come. acks=1 and 0 are taken, as before.
  AppendOutcome append(Slice batch, const log::BatchSummary& summary, Acks acks);
  // Tells `waiter` when the outcome may be acknowledged under `acks`, which is not kNone, or that it never will be: at
  // once where that is known already.
  void await(const AppendOutcome& outcome, Acks acks, OffsetWaiter& waiter);
  // For the wait-for graph: what await() waits for, and how far it is.
  WaitKey await_key(Acks acks, Offset awaited) const;
  std::string describe_await(Acks acks) const;
  // What to answer when await() has told: passed: kNone, or kNotEnoughReplicasAfterAppend.
  protocol::ErrorCode acknowledge(Acks acks, bool passed) const;

  // Notified when a consumer may see more, or the epoch has ended: what a parked fetch waits for.
  fiber::Event& progress() { return progress_; }
  WaitKey progress_key() const;

  // ---- the leader and its followers ----
  // Whether a replica whose log ends at `offset`, with a batch of epoch `last` before it, has what this log has there;
  // where not, its logs must be cut (KIP-595).
  bool agrees(LeaderEpoch last, Offset offset) const;
  // A follower's position, which agrees with this log up to there, in this epoch (R9). False: it is no replica.
  bool hear_follower(NodeId node, BrokerEpoch broker_epoch, Offset durable_end, Offset log_start);
  const Followers& followers() const { return followers_; }
  // The own log's start has moved: followers are to hear of it.
  void tell_log_start();
  // Waits until all in-sync replicas begin at `to` or later (R16). kAborted: the epoch has ended, or must be supposed
  // to have.
  Status await_log_start(Offset to, const Deadline& deadline);
  // Whether it is unknown if a proposal of this leader will still be done.
  bool undecided() const;
  // The ISR that there should be, where that is another than there is; who has not been durable with everything for
  // lag_max is out of it. None: nothing to be changed, or a change is under way.
  struct IsrMember {
    NodeId node;
    BrokerEpoch epoch;  // none: this node
  };
  std::optional<std::vector<IsrMember>> wanted_isr(Duration lag_max) const;
  // It is about to be proposed: from now on its members count (R7).
  void propose_isr(const std::vector<IsrMember>& isr);
  // What became of it. refused: it will never be done; else it was done, or may still be.
  void end_proposal(bool refused);
  void watch(PartitionWatch& watch) { watches_.push_back(watch); }

  // ---- the follower ----
  // From the leader of `epoch`: whole batches, the first at the log end. False: it is not that leader's follower any
  // more, or this is not the end of the log. Room was made for it.
  bool append_replicated(LeaderEpoch epoch, Slice batch, const log::BatchSummary& summary);
  // The leader's high watermark, as of its answer.
  void learn_high_watermark(LeaderEpoch epoch, Offset high_watermark);
  // Whether its log may be cut at `to`: below the high watermark only where an unclean election came after all that it
  // has (rule R8).
  bool may_cut(Offset to) const { return to >= high_watermark_ || log_->last_epoch() < leadership_.unclean_epoch; }
  bool damaged() const { return !log_->damaged().empty(); }
  // Whether what is damaged may be discarded, committed or not: nobody counts on this replica, and another leads (rule
  // R18).
  bool may_discard() const { return following() && !in_sync(self_) && !leadership_.eligible; }
  // It is about to be cut there.
  void lower_high_watermark(Offset to);

 private:
  void on_durable(Offset durable_end) override;
  void on_damage() override;
  void tell_roles(const Leadership& next) const;
  bool may_join(const Follower& follower) const;
  void advance_high_watermark();
  void raise_high_watermark(Offset to);
  void set_high_watermark(Offset to);
  // Of the replicas that count; none: not known of all of them.
  Offset least_durable_end() const;
  void tell_watches();
  bool enough_in_sync() const {
    return leadership_.in_sync.size() >= static_cast<std::size_t>(leadership_.min_in_sync);
  }
  MonotonicTime now() const { return fiber::Scheduler::current().now(); }

  Ref<log::PartitionLog> log_;
  std::uint64_t topic_in_key_;
  NodeId self_;
  PartitionHost& host_;
  Leadership leadership_;
  Offset high_watermark_{0};
  Offset epoch_start_{0};              // of the own epoch: where the log ended when it began
  Offset leaders_watermark_{0};        // as a follower
  Followers followers_;                // as a leader
  std::vector<NodeId> maybe_in_sync_;  // by proposals whose outcome is not known here
  bool proposing_ = false;
  bool closed_ = false;
  std::uint64_t isolations_ = 0;
  OffsetWaiters durable_waiters_;
  OffsetWaiters watermark_waiters_;
  fiber::Event progress_;
  fiber::Event start_progress_;
  IntrusiveList<PartitionWatch, PartitionWatchTag> watches_;
};

}  // namespace chronik::replication
