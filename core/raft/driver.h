// Carries out what the Raft algorithm asks for: on a key-value store, on a state machine, and through its peers.
//
// Three fibers. One turns inputs into outputs and hands them on, and never waits for anything but the next input: a
// disk that does not answer stops what must be durable, not what a member hears and says. The second commits to the
// store: one commit is in flight at a time, and what is to be written meanwhile goes together in the next, so that
// proposing costs one sync however many propose. A commit that fails or is overdue ends the process (rule R6). The
// third only measures, for a metric, how long the turns take in which committed entries are applied.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "core/base/metrics.h"
#include "core/fiber/scope.h"
#include "core/fiber/wait.h"
#include "core/ports/key_value_store.h"
#include "core/ports/process.h"
#include "core/raft/consensus.h"
#include "core/raft/peer_message.h"
#include "core/raft/raft.h"

namespace chronik::raft {

struct DriverOptions {
  RaftOptions raft;                           // its `self` and `seed` are set by whoever makes the driver
  std::uint64_t entries_per_snapshot = 1000;  // applied since the last snapshot
  std::uint64_t entries_kept = 500;           // behind a snapshot, for members that lag; in memory
  Duration commit_timeout = Duration::seconds(60);
  // After every so many steps the invariants are looked at, before what the step gives out is carried out; broken ones
  // end the process. They walk over the log in memory.
  std::uint64_t steps_per_check = 1000;
};

// The way to the other nodes. What it takes may be lost, and comes in order as long as it comes.
class Peers {
 public:
  virtual ~Peers() = default;
  virtual void send(NodeId to, const PeerMessage& message) = 0;
  // Leader or members are others than before. None of these may suspend.
  virtual void on_group_change() = 0;
  // Where that node is, as far as this one has been configured.
  virtual const MemberAddress* configured_address_of(NodeId node) const = 0;
  // A node that is no member and has announced itself lately.
  virtual std::optional<Member> find_stranger(NodeId node) const = 0;
  // Asks whoever is there to announce itself.
  virtual void seek(const MemberAddress& at) = 0;
};

class Driver final : public Consensus, public GroupMembers {
 public:
  // All outlive this. peers: null where there are none.
  Driver(KeyValueStore& store, Process& process, StateMachine& machine, Peers* peers, const DriverOptions& options);

  // Reads what is stored. `first`: the members of a group that begins. kDataLoss, kFailedPrecondition (a newer format)
  // and the store's errors.
  Status open(const Membership& first, const Deadline& deadline);
  // Starts its fibers in `scope`. The one that commits ends when nothing is left to commit.
  void start(fiber::FiberScope& scope);
  // What another node has sent. What cannot be from a sound member of the group is dropped, and said.
  void receive(NodeId from, const PeerMessage& message);

  // The process of another node has ended, as far as its machine says.
  void note_gone(NodeId node);

  // Handed to the leader where that is elsewhere: then the index is 0, and it may be lost.
  StatusOr<Proposed> propose(Slice data) override;
  Leadership leadership() const override { return raft_->leadership(); }
  MonotonicTime last_heard(NodeId node) const override;
  void hand_over() override;
  StatusOr<LogIndex> read_barrier(const Deadline& deadline) override;

  const Membership& membership() const override { return raft_->membership(); }
  bool membership_is_committed() const override { return raft_->log().membership_index() <= raft_->commit(); }
  StatusOr<Proposed> add_member(const MemberAddress& at) override;
  StatusOr<Proposed> remove_member(NodeId node) override;

  const Raft& raft() const { return *raft_; }
  LogIndex applied() const { return applied_; }
  LogIndex snapshot_last() const { return snapshot_last_; }
  std::uint64_t commits() const { return commits_; }
  void register_metrics(MetricsRegistry& registry) const;

 private:
  // What goes into one commit, in the order in which it came up.
  struct Writes {
    StoreBatch batch;
    std::uint64_t persist = 0;  // the last one in it
    std::optional<Snapshot> snapshot;
    LogIndex first{0};  // of its entries; 0: it has none
    LogIndex last{0};
    bool empty() const { return batch.changes.empty(); }
  };
  struct Read {
    fiber::Event done;
    bool answered = false;
    std::optional<LogIndex> index;
  };
  // Another node's, which is asked for here.
  struct RemoteRead {
    NodeId node;
    std::uint64_t context = 0;
  };
  class ReadUnderWay;

  void on_message(NodeId from, const Message& message);
  void on_proposal(NodeId from, const ProposalForLeader& proposal);
  void on_question(NodeId from, const ReadQuestion& question);
  void on_read(std::uint64_t context, std::optional<LogIndex> index);
  void give_sign_of_life();

  void run();
  void carry_out();
  void tell_leadership();
  void tell_group();
  void promote_learners();
  StatusOr<Proposed> propose_membership(Membership wanted);
  void write(const Persist& persist);
  void apply(const std::vector<Entry>& committed);
  void install(const Snapshot& snapshot);
  void note_applying();
  void time_applies();
  void take_snapshot();
  void write_for_ever();
  bool commit(StoreBatch batch);
  void tick();
  void wake();
  void check_invariants();

  KeyValueStore& store_;
  Process& process_;
  StateMachine& machine_;
  Peers* peers_;
  DriverOptions options_;
  std::optional<Raft> raft_;
  Leadership told_;
  Membership told_members_;
  bool input_ = false;  // since the last output was taken
  fiber::Event woken_;
  Writes writes_;
  fiber::Event to_write_;
  std::uint64_t steps_ = 0;
  LogIndex applied_{0};
  std::optional<MonotonicTime> applying_since_;  // in this turn, or one that has just ended
  fiber::Event applying_;
  Histogram apply_duration_;
  LogIndex snapshot_last_{0};
  bool snapshot_under_way_ = false;
  std::uint64_t commits_ = 0;
  std::map<NodeId, MonotonicTime> heard_;
  MonotonicTime sign_given_;
  bool sign_due_ = false;    // goes with the answer to the leader, in one write
  std::uint64_t next_read_;  // drawn: an answer to an earlier life must not be taken for one to this
  std::map<std::uint64_t, Read*> reads_;
  std::map<std::uint64_t, RemoteRead> remote_reads_;
  CancelSource never_cancelled_;  // a commit is seen through to its end, also while the node stops
};

}  // namespace chronik::raft
