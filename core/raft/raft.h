// The Raft algorithm (Ongaro's thesis, 2014) of one member, and nothing else: no port, no clock, no fiber.
//
// Messages, time, proposals and the ends of disk writes come in; what is to be written, sent, applied and told goes
// out. Whatever a message promises is durable before it is given out, so that every message of an Output may be sent at
// once: entries and votes are answered when persisted() has said so, and a leader's own copy counts only then. A disk
// that does not answer therefore takes this member's voice, not its ears: it goes on hearing and telling who leads.
//
// Pre-vote (9.6), check-quorum (6.2), leadership transfer (3.10), membership change by one at a time (4.1) with
// learners, snapshots in parts (5), batched read index (6.4), pipelined appends (10.2.2).
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "core/base/time.h"
#include "core/raft/consensus.h"
#include "core/raft/membership.h"
#include "core/raft/message.h"
#include "core/raft/raft_log.h"

namespace chronik::raft {

struct RaftOptions {
  Member self;
  Duration heartbeat = Duration::milliseconds(250);
  // A member that has heard of no leader for a time drawn from [election_min, election_max] asks for an election.
  // A leader that has not heard from a quorum for election_min stops leading, at its next heartbeat.
  Duration election_min = Duration::milliseconds(1000);
  Duration election_max = Duration::milliseconds(1500);
  std::size_t append_bytes_max = 1 << 20;             // of one AppendRequest, but for a single larger entry
  std::size_t appends_in_flight_max = 16;             // to one member, with entries, not answered yet
  std::uint64_t uncommitted_bytes_max = 64ULL << 20;  // proposals beyond it are refused
  std::size_t snapshot_part_bytes = 512 << 10;
  std::uint64_t snapshot_bytes_max = 1ULL << 30;
  std::uint64_t seed = 0;  // of election timeouts
};

// What a vote must not forget.
struct HardState {
  Term term{0};
  std::optional<Member> vote;
  friend bool operator==(const HardState&, const HardState&) = default;
};

struct Snapshot {
  LogIndex last{0};
  Term last_term{0};
  Membership membership;
  Slice state;
};

// What a member finds on its disk; a new group's members find a snapshot of nothing (index 0) with its first
// membership.
struct StoredRaft {
  HardState hard;
  Snapshot snapshot;
  std::vector<Entry> entries;
};

// To be made durable as one, in the order of the numbers; then persisted(number) is called.
struct Persist {
  std::uint64_t number = 0;
  std::optional<HardState> hard;
  std::optional<Snapshot> snapshot;  // replaces the log and the state: all entries but those in `entries` are void
  std::vector<Entry> entries;        // whatever is stored from the first one's index on is void
};

struct ReadReady {
  std::uint64_t context = 0;
  std::optional<LogIndex> index;  // null: no longer the leader; ask again, elsewhere
};

// To be carried out in this order. Nothing waits for what stands before it, but where it says so.
struct Output {
  std::optional<Persist> persist;
  std::vector<Message> messages;
  std::optional<Snapshot> install;  // replaces what has been applied
  std::vector<Entry> committed;     // to be applied, behind `install`
  std::vector<ReadReady> reads;

  bool empty() const {
    return !persist.has_value() && messages.empty() && !install.has_value() && committed.empty() && reads.empty();
  }
};

enum class Role : std::uint8_t { kFollower, kPreCandidate, kCandidate, kLeader };

// What a leader knows of another member.
struct Progress {
  enum class State : std::uint8_t {
    kProbe,      // one append at a time, until one is accepted
    kReplicate,  // appends follow each other without waiting
    kSnapshot,   // what it needs is compacted away
  } state = State::kProbe;
  LogIndex match{0};               // durable there
  LogIndex next{1};                // to be sent
  bool probing = false;            // an append is under way in kProbe
  LogIndex commit_told{0};         // the commit index that it was sent
  std::deque<LogIndex> in_flight;  // the last entries of appends under way
  std::uint64_t round = 0;         // the newest of ours that it answered
  MonotonicTime heard;
  std::optional<Snapshot> snapshot;  // that it is sent, in kSnapshot
  std::uint64_t snapshot_next = 0;   // bytes of it that have arrived
};

class Raft {
 public:
  Raft(const RaftOptions& options, StoredRaft stored, MonotonicTime now);

  // ---- in ----
  // Time only moves forward; to be called before anything else that happens at `now`, and no later than next_tick().
  void tick(MonotonicTime now);
  // Why no sound member can have sent this; empty: nothing is wrong with it. What it cannot see, step() relies on.
  std::string_view defect_of(const Message& message) const;
  // From any member of any group's past, without a defect; what does not concern this one is dropped.
  void step(const Message& message);
  // The process of that node has ended, as far as its machine says. Where it led, this member need not wait out its
  // election timeout; safety does not depend on it.
  void note_gone(NodeId node);
  // Asks for an election `delay` from now, if nobody is heard of until then: of a group that begins, where there is
  // nobody to be disturbed.
  void hurry(Duration delay) { election_at_ = std::min(election_at_, now_ + delay); }
  // All up to this number are durable.
  void persisted(std::uint64_t number);
  // kFailedPrecondition: not the leader; kUnavailable: it is handing its leadership over; kResourceExhausted: too much
  // is uncommitted.
  StatusOr<Proposed> propose(Slice data);
  // One voter more or less, or any change of learners. As propose(); also kAborted where another change is under way,
  // or the leader has not committed an entry of its term yet; kInvalidArgument.
  StatusOr<Proposed> propose_membership(Membership wanted);
  // Answered by a ReadReady whose index, once applied, shows everything that was committed before this call (6.4).
  // kFailedPrecondition: not the leader.
  Status read(std::uint64_t context);
  // Begins to hand leadership to a voter that is up to date or becomes so; given up after election_min.
  Status transfer_to(const Member& target);
  // The state at `last`, which has been given out in `committed`, is durable elsewhere: the log behind `keep` entries
  // before it is forgotten, and followers that need it are sent `state`.
  void compact(LogIndex last, Slice state, std::uint64_t keep);

  // ---- out ----
  // What has come up since the last call. One persist may be given out while others are under way.
  Output take_output();
  // never(): not before something else happens.
  MonotonicTime next_tick() const;

  // ---- what it is ----
  Role role() const { return role_; }
  Term term() const { return hard_.term; }
  Leadership leadership() const;
  const HardState& hard_state() const { return hard_; }
  const RaftLog& log() const { return log_; }
  LogIndex commit() const { return commit_; }
  LogIndex handed_out() const { return handed_out_; }  // the last of what was given out in `committed`
  LogIndex durable() const { return durable_; }        // the last of the log that survives a crash
  const Membership& membership() const { return log_.membership(); }
  const Member& self() const { return options_.self; }
  const std::map<Member, Progress>& progress() const { return progress_; }
  // Terms for which this member stood; without a vote of its own none is won.
  std::uint64_t elections() const { return elections_; }
  // Each of those wrong, by name; empty: sound. Cheap enough for every step of a test.
  std::vector<std::string> broken_invariants() const;

 private:
  // raft.cc
  void send(const Member& to, Term term, decltype(Message::body) body);
  void send(const Member& to, decltype(Message::body) body) { send(to, hard_.term, std::move(body)); }
  void change_hard_state(Term term, std::optional<Member> vote);
  bool hard_state_durable() const { return hard_number_ <= persisted_; }
  void append_own(EntryKind kind, Slice data);
  void append(Entry entry);
  void note_truncated(LogIndex from);
  void become_follower(Term term, std::optional<Member> leader);
  void commit_up_to(LogIndex index);
  std::vector<Member> others() const;

  // defects.cc
  std::string_view defect_of_leader(const Message& message) const;
  std::string_view defect_of_history(Term term, const AppendRequest& request) const;

  // election.cc
  void draw_election_time();
  bool may_campaign() const;
  void campaign(bool pre_vote, bool transfer);
  void count_votes();
  bool leader_is_alive() const;
  void on_vote_request(const Message& message, const VoteRequest& request);
  void on_vote_response(const Message& message, const VoteResponse& response);
  void become_leader();

  // following.cc
  void on_append(const Message& message, const AppendRequest& request);
  void on_snapshot(const Message& message, const SnapshotRequest& request);
  void install(Snapshot snapshot);
  void follow(const Message& message);
  void tell_match(const Member& leader, std::uint64_t round);
  void tell_snapshot(const Member& leader, std::uint64_t round);

  // leading.cc
  void lead(MonotonicTime now);
  Progress* hear(const Message& message, std::uint64_t round);
  void on_append_response(const Message& message, const AppendResponse& response);
  void on_snapshot_response(const Message& message, const SnapshotResponse& response);
  void broadcast();
  void begin_snapshot(Progress& progress);
  void send_appends(const Member& to, Progress& progress, bool heartbeat);
  void send_snapshot_part(const Member& to, Progress& progress, bool heartbeat);
  void advance_commit();
  void refresh_progress(LogIndex next);
  void begin_round();
  void settle_reads();
  MonotonicTime heard_from_quorum() const;
  void finish_transfer(const Member& from, const Progress& progress);
  void stop_leading();

  RaftOptions options_;
  MonotonicTime now_;
  RaftLog log_;
  HardState hard_;
  Role role_ = Role::kFollower;
  std::optional<Member> leader_;
  MonotonicTime heard_of_leader_ = MonotonicTime::never();  // never: not yet
  MonotonicTime election_at_;
  std::uint64_t draws_ = 0;
  LogIndex commit_{0};
  LogIndex handed_out_{0};

  // ---- what is on its way to the disk ----
  struct Pending {
    std::uint64_t number = 0;
    LogIndex last;  // of the log with it
  };
  std::uint64_t next_number_ = 1;
  std::uint64_t persisted_ = 0;
  std::uint64_t hard_number_ = 0;  // the persist that has the newest hard state; next_number_: not given out yet
  bool hard_dirty_ = false;
  LogIndex durable_{0};
  LogIndex given_out_{0};  // entries up to here have been given out in a Persist
  std::deque<Pending> pending_;
  std::vector<Message> held_;  // until the hard state is durable
  Output out_;

  // ---- as a candidate ----
  std::set<Member> votes_;
  std::uint64_t elections_ = 0;

  // ---- as a follower ----
  LogIndex agreed_{0};  // the log up to here is the leader's of this term
  LogIndex told_{0};    // the match that the leader was told
  std::uint64_t round_heard_ = 0;
  struct Receiving {
    LogIndex last;
    Term last_term;
    std::string bytes;
  };
  std::optional<Receiving> receiving_;

  // ---- as a leader ----
  struct Read {
    std::uint64_t context = 0;
    LogIndex index;
    std::uint64_t round = 0;
  };
  std::map<Member, Progress> progress_;
  LogIndex term_begins_{0};  // the first entry of the own term
  MonotonicTime heartbeat_at_;
  std::uint64_t round_ = 0;
  std::uint64_t confirmed_round_ = 0;
  std::deque<Read> reads_;
  std::vector<std::uint64_t> early_reads_;  // before the term's first entry is committed
  std::uint64_t uncommitted_bytes_ = 0;
  struct Transfer {
    Member target;
    MonotonicTime ends;
    bool told = false;
  };
  std::optional<Transfer> transfer_;

  Slice snapshot_state_;  // at log_.snapshot_last(), or a little behind it
  LogIndex snapshot_state_last_{0};
};

}  // namespace chronik::raft
