// A log that the voters of a group agree on, and the machine that applies it: what core/cluster needs of Raft.
//
// On one node the group has one voter (single_voter.h); Raft proper implements the same interface for several.
// Everything happens on one shard.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "core/base/deadline.h"
#include "core/base/ids.h"
#include "core/base/slice.h"
#include "core/base/status.h"

namespace chronik::raft {

enum class EntryKind : std::uint8_t {
  kCommand,     // for the state machine
  kNothing,     // the first entry of a term
  kMembership,  // who is in the group from here on
};

struct Entry {
  LogIndex index;
  Term term;
  EntryKind kind = EntryKind::kCommand;
  Slice data;
};

// What the entries are for. Called by the consensus, never from within propose(); no call may suspend.
class StateMachine {
 public:
  virtual ~StateMachine() = default;
  // Committed entries, at least one, in order and without a gap, each once. An error is a bug or damage: the node
  // stops.
  virtual Status apply(std::span<const Entry> entries) = 0;
  // The state after the last entry applied.
  virtual std::string take_snapshot() = 0;
  // Replaces the state by one that take_snapshot() returned after `last` was applied, here or elsewhere.
  virtual Status install_snapshot(LogIndex last, ByteSpan bytes) = 0;
};

// Where a proposal is in the log. If an entry of another term is applied at this index, the proposal is lost for good.
struct Proposed {
  LogIndex index;
  Term term;
};

struct Leadership {
  Term term;
  NodeId leader = NodeId::none();  // as far as this node knows
  bool here = false;
};

class Consensus {
 public:
  virtual ~Consensus() = default;
  // Appends to the log; does not suspend. Whether it commits is seen by its being applied. kFailedPrecondition: the
  // leader is elsewhere (leadership() may know where); kResourceExhausted: too many proposals are under way.
  virtual StatusOr<Proposed> propose(Slice data) = 0;
  virtual Leadership leadership() const = 0;
  // An index such that whoever has applied it sees every proposal that was committed before this call began.
  // kFailedPrecondition: not the leader. Suspends where others must be asked.
  virtual StatusOr<LogIndex> read_barrier(const Deadline& deadline) = 0;
};

}  // namespace chronik::raft
