// A log that the voters of a group agree on, and the machine that applies it: what core/cluster needs of Raft.
//
// Everything happens on one shard. driver.h is the implementation, on one node as on several.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "core/base/deadline.h"
#include "core/base/ids.h"
#include "core/base/slice.h"
#include "core/base/status.h"
#include "core/raft/membership.h"

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

  static void fields(auto& op, auto& m) {
    op(m.index);
    op(m.term);
    op(m.kind);
    op(m.data);
  }
};

struct Leadership {
  Term term;
  NodeId leader = NodeId::none();  // as far as this node knows
  bool here = false;
  friend bool operator==(const Leadership&, const Leadership&) = default;
};

// What the entries are for. Called by the consensus, never from within propose(); no call may suspend.
class StateMachine {
 public:
  virtual ~StateMachine() = default;
  // Committed entries, at least one, in order and without a gap, each once. An error is a bug or damage: the node
  // stops.
  virtual Status apply(std::span<const Entry> entries) = 0;
  // Whether a command that `from` wants proposed could be applied: once committed, one that cannot be would end every
  // member.
  virtual Status check_command(NodeId from, ByteSpan command) const = 0;
  // The state after the last entry applied.
  virtual std::string take_snapshot() = 0;
  // Replaces the state by one that take_snapshot() returned after `last` was applied, here or elsewhere.
  virtual Status install_snapshot(LogIndex last, ByteSpan bytes) = 0;
  // Whoever proposed to an earlier leader proposes again: what that one did not commit is gone.
  virtual void on_leadership(const Leadership& leadership) = 0;
  // The process of that node has ended, as far as its machine says.
  virtual void on_node_gone(NodeId node) = 0;
  // The latest start of that directory that is known to the state; null: none. Must not suspend.
  virtual std::optional<KnownStart> known_start(const Member& /*member*/) const { return std::nullopt; }
  // What this node has to say of itself to the leader, with each heartbeat that it answers.
  virtual std::string own_sign_of_life() const = 0;
  // The same of another node, on the leader. Any bytes.
  virtual void on_sign_of_life(NodeId from, ByteSpan sign) = 0;
};

// Where a proposal is in the log, as long as its leader's term lasts.
struct Proposed {
  LogIndex index;
  Term term;
};

class Consensus {
 public:
  virtual ~Consensus() = default;
  // Appends to the log, or hands it to whoever leads (then the index is 0, and it may be lost on the way); does not
  // suspend. Whether it commits is seen by its being applied. kFailedPrecondition: no leader is known; kUnavailable: it
  // is handing over; kResourceExhausted: too many proposals are under way; kInvalidArgument: it is too long.
  virtual StatusOr<Proposed> propose(Slice data) = 0;
  virtual Leadership leadership() const = 0;
  // When a message of that node came last; the beginning of time where none did.
  virtual MonotonicTime last_heard(NodeId node) const = 0;
  // An index such that whoever has applied it sees every proposal that was committed before this call began.
  // kFailedPrecondition: no leader is known; kUnavailable: it does not answer. Suspends where others must be asked.
  virtual StatusOr<LogIndex> read_barrier(const Deadline& deadline) = 0;
};

// Who is in the group. Changes are made on the leader only, one at a time (thesis 4.1). Nothing here suspends.
class GroupMembers {
 public:
  virtual ~GroupMembers() = default;
  // In force here: the newest in the log.
  virtual const Membership& membership() const = 0;
  // It cannot be taken back.
  virtual bool membership_is_committed() const = 0;
  // A node that announces itself learns from now on, and votes once it has caught up. kAlreadyExists: it is a member;
  // kNotFound: nothing is heard of it yet, and it is being looked for at that address; kFailedPrecondition: this is not
  // the leader; kUnavailable, kAborted: not now.
  virtual StatusOr<Proposed> add_member(const MemberAddress& at) = 0;
  // kNotFound: it is no member; kFailedPrecondition: this is not the leader, or it is the last voter; kUnavailable: of
  // the voters that would be left, too few have been heard of lately; kAborted: not now.
  virtual StatusOr<Proposed> remove_member(NodeId node) = 0;
  // Gives leadership away where it is here, to the voter that has most of the log. Says nothing about whether it went.
  virtual void hand_over() = 0;
};

}  // namespace chronik::raft
