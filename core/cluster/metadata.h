// The cluster's metadata on one shard: the current image, and the way to change it.
//
// propose -> commit -> apply -> publish. A proposer waits for its own command and is woken by the very apply of it;
// there is no other path that could forget to wake it, nothing polls, and concurrent proposals share the log's commits.
// Where the leader changes it is proposed again, to whoever leads now: it carries an id and is applied once (rule R17).
// Usage: construct, let the consensus open (it calls back to apply the log), attach() it, then propose a RegisterBroker
// with a fresh incarnation before anything else.
// Lifetime: outlives its listeners' subscriptions and every fiber that proposes.
#pragma once

#include <absl/container/btree_map.h>

#include <cstdint>
#include <span>
#include <string>

#include "core/base/intrusive_list.h"
#include "core/base/metrics.h"
#include "core/cluster/broker_sessions.h"
#include "core/cluster/command.h"
#include "core/cluster/delta.h"
#include "core/cluster/image.h"
#include "core/cluster/result.h"
#include "core/fiber/wait.h"
#include "core/raft/consensus.h"

namespace chronik::cluster {

// Told of every published image and of who leads the log, in the order of subscribing. Must not suspend, nor subscribe
// or unsubscribe others.
class MetadataListener : public ListHook<struct MetadataListenerTag> {
 public:
  virtual ~MetadataListener() = default;
  virtual void on_metadata(const Delta& delta) = 0;
  // Who leads, as far as this node knows, or in which term, has changed; none: it knows of nobody.
  virtual void on_leader(NodeId /*leader*/) {}
};

// What the leader of the log does besides. No call may suspend.
class ControllerDuties {
 public:
  virtual ~ControllerDuties() = default;
  virtual void on_sign_of_life(NodeId from, const SignOfLife& sign) = 0;
  // `former`: who led before, as far as this node knew, and when it last heard of it.
  virtual void on_leadership(const raft::Leadership& leadership, NodeId former, MonotonicTime former_heard) = 0;
  virtual void on_node_gone(NodeId node) = 0;
};

// Whether one operation of this node's disk has been under way for too long (rule R10). Must not suspend.
class DiskWatch {
 public:
  virtual ~DiskWatch() = default;
  virtual bool disk_is_stuck() const = 0;
};

struct MetadataPatience {
  Duration proposal = Duration::seconds(10);  // for a change to be committed and in force here
  Duration apply = Duration::seconds(5);      // for what others have committed to be in force here
};

class Metadata final : public raft::StateMachine {
 public:
  // self, incarnation: whose proposals these are.
  Metadata(const ClusterId& cluster, NodeId self, const IncarnationId& incarnation,
           const MetadataPatience& patience = {});
  ~Metadata() override;

  // Before the first proposal.
  void attach(raft::Consensus& consensus);

  // The latest image. What is deduced from it is good until the next suspension; a Ref keeps it longer.
  const ImageRef& image() const { return image_; }

  // Returns when the command has been applied here, with what became of it. It waits as long as patience() says, and no
  // longer than until the deadline. Else:
  //   kResourceExhausted     too many proposals are under way: not applied
  //   kDeadlineExceeded      no leader was found that would take it: not applied
  //   kUnknown               the deadline passed, or a snapshot that has not kept its result came instead of the entry
  //   kCancelled, kAborted   the wait was called off, the node is dying: the outcome is unknown, too
  StatusOr<CommandResult> propose(const CommandBody& body, const Deadline& deadline);
  // Only while this node leads: what was decided in its term is not for another leader to carry out. kUnknown: it no
  // longer leads.
  StatusOr<CommandResult> propose_as_leader(const CommandBody& body, const Deadline& deadline);

  // Waits until the image holds everything that was committed before the call. As Consensus::read_barrier(), and
  // wait_applied().
  Status read_barrier(const Deadline& deadline);
  // The same as soon as there is a leader.
  Status catch_up(const Deadline& deadline);
  // Waits until the image has reached `index`. kDeadlineExceeded: not within patience(), or not by the deadline.
  Status wait_applied(LogIndex index, const Deadline& deadline);

  const MetadataPatience& patience() const { return patience_; }
  // For whoever waits for a leader of the metadata before a proposal.
  Deadline proposal_deadline(const Deadline& deadline) const;

  // From the next published image or change of leadership on, until the listener is unlinked or destroyed.
  void subscribe(MetadataListener& listener) { listeners_.push_back(listener); }

  void attach_controller(ControllerDuties& controller) { controller_ = &controller; }
  void attach_disk(const DiskWatch& disk) { disk_ = &disk; }
  // What this node says of itself: none where its incarnation is not registered yet.
  SignOfLife sign_of_life() const;
  // From now on it says that it is about to stop.
  void leave() { leaving_ = true; }
  // The epoch of this incarnation's registration; none: it is not applied yet.
  BrokerEpoch broker_epoch() const;

  std::size_t proposals_in_flight() const { return waiting_.size(); }
  void register_metrics(MetricsRegistry& registry) const;
  raft::Leadership leadership() const;

  // ---- for the consensus ----
  Status apply(std::span<const raft::Entry> entries) override;
  Status check_command(NodeId from, ByteSpan command) const override;
  std::string take_snapshot() override;
  Status install_snapshot(LogIndex last, ByteSpan bytes) override;
  void on_leadership(const raft::Leadership& leadership) override;
  void on_node_gone(NodeId node) override;
  std::optional<raft::KnownStart> known_start(const raft::Member& member) const override;
  std::string own_sign_of_life() const override;
  void on_sign_of_life(NodeId from, ByteSpan sign) override;

 private:
  // A proposer, on its own stack.
  struct Waiting {
    Slice command;
    LogIndex index{0};   // where it is to be applied, as far as is known
    bool taken = false;  // by a leader: it may be applied some day
    bool here_only = false;
    enum class End : std::uint8_t { kOpen, kApplied, kUnknown } end = End::kOpen;
    CommandResult result;
    fiber::Event done;
  };
  class Enlisted;

  StatusOr<CommandResult> propose_once(const CommandBody& body, bool here_only, const Deadline& deadline);
  // Ok also where there is no leader now: then on_leadership() tries again.
  Status hand_in(Waiting& waiting);
  void settle(const ProposalId& proposal, const CommandResult& result);
  void settle_by_image();
  void publish(const ImageRef& next);

  NodeId self_;
  IncarnationId incarnation_;
  MetadataPatience patience_;
  ImageRef image_;
  raft::Consensus* consensus_ = nullptr;
  ControllerDuties* controller_ = nullptr;
  const DiskWatch* disk_ = nullptr;
  NodeId leader_ = NodeId::none();  // that was known last
  bool leaving_ = false;
  std::int64_t next_sequence_ = 0;
  absl::btree_map<std::int64_t, Waiting*> waiting_;  // by sequence
  fiber::Event published_;
  fiber::Event leadership_changed_;
  Histogram propose_duration_;  // of those that were applied
  IntrusiveList<MetadataListener, MetadataListenerTag> listeners_;
};

}  // namespace chronik::cluster
