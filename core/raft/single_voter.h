// The log of a group whose only voter is this node, on the key-value store.
//
// What is durable here is committed. One commit of the store is in flight at a time; proposals that arrive meanwhile go
// together in the next one, so that proposing costs one sync however many propose. Entries are applied when their
// commit has returned, never before. A commit that fails or is overdue ends the process (rule R6): what it left behind
// is not known, and nothing after it may be acknowledged. Invariants: the store holds the entries after the snapshot's
// last one without a gap; applied_ <= last entry proposed.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "core/fiber/scope.h"
#include "core/fiber/wait.h"
#include "core/ports/key_value_store.h"
#include "core/ports/process.h"
#include "core/raft/consensus.h"

namespace chronik::raft {

struct SingleVoterOptions {
  std::uint64_t entries_per_snapshot = 1000;  // applied since the last snapshot
  std::size_t proposals_max = 4096;           // waiting for a commit
  std::size_t commit_bytes_max = 1 << 20;     // of one commit; a single larger entry goes alone
  Duration commit_timeout = Duration::seconds(60);
};

class SingleVoter final : public Consensus {
 public:
  // All outlive this.
  SingleVoter(KeyValueStore& store, Process& process, StateMachine& machine, NodeId self,
              const SingleVoterOptions& options);

  // Reads the log and applies all of it. Then a new term begins, durable with its first entry. kDataLoss,
  // kFailedPrecondition (a newer format) and the store's errors.
  Status open(const Deadline& deadline);
  // Starts the committing fiber in `scope`; it ends when the scope is cancelled and nothing is left to commit.
  void start(fiber::FiberScope& scope);

  StatusOr<Proposed> propose(Slice data) override;
  Leadership leadership() const override { return {.term = term_, .leader = self_, .here = opened_}; }
  // Applied is committed and all that ever was committed: no one else need be asked.
  StatusOr<LogIndex> read_barrier(const Deadline& deadline) override;

  LogIndex applied() const { return applied_; }
  LogIndex snapshot_last() const { return snapshot_last_; }
  std::uint64_t commits() const { return commits_; }

 private:
  Status read_snapshot(const Deadline& deadline);
  Status read_entries(StoreSnapshot& store, const Deadline& deadline);
  Status apply_stored(const std::vector<StoreEntry>& stored);
  void run();
  std::vector<Entry> take_batch();
  bool commit_entries(const std::vector<Entry>& entries);
  bool commit_snapshot();
  bool commit(StoreBatch batch);

  KeyValueStore& store_;
  Process& process_;
  StateMachine& machine_;
  NodeId self_;
  SingleVoterOptions options_;
  bool opened_ = false;
  Term term_{0};
  bool term_durable_ = false;
  LogIndex applied_{0};
  Term applied_term_{0};
  LogIndex last_proposed_{0};
  LogIndex snapshot_last_{0};
  std::uint64_t commits_ = 0;
  std::deque<Entry> pending_;
  fiber::Event arrived_;
  CancelSource never_cancelled_;  // a commit is seen through to its end, also while the node stops
};

}  // namespace chronik::raft
