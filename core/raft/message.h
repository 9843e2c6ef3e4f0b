// What the members of a group say to each other. The names are those of Ongaro's thesis ("Consensus: Bridging Theory
// and Practice", 2014).
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "core/base/ids.h"
#include "core/base/slice.h"
#include "core/raft/consensus.h"
#include "core/raft/membership.h"

namespace chronik::raft {

// Thesis 3.4 and 9.6. A pre-vote asks for the term after the candidate's own and changes nothing.
struct VoteRequest {
  LogIndex last;
  Term last_term;
  bool pre_vote = false;
  bool transfer = false;  // the leader asked for this election (3.10): votes are given though it is alive
  friend bool operator==(const VoteRequest&, const VoteRequest&) = default;
  static void fields(auto& op, auto& m) {
    op(m.last);
    op(m.last_term);
    op(m.pre_vote);
    op(m.transfer);
  }
};
struct VoteResponse {
  bool granted = false;
  bool pre_vote = false;
  friend bool operator==(const VoteResponse&, const VoteResponse&) = default;
  static void fields(auto& op, auto& m) {
    op(m.granted);
    op(m.pre_vote);
  }
};

// Thesis 3.5. Without entries it is a heartbeat, and still checks that the logs agree up to `previous`.
struct AppendRequest {
  LogIndex previous;
  Term previous_term;
  std::vector<Entry> entries;
  LogIndex commit;
  std::uint64_t round = 0;  // of the leader's: an answer shows that it led when the round began (6.4)
  static void fields(auto& op, auto& m) {
    op(m.previous);
    op(m.previous_term);
    op(m.entries);
    op(m.commit);
    op(m.round);
  }
};
struct AppendResponse {
  bool accepted = false;
  LogIndex agreed;    // accepted: up to here the logs are the same
  LogIndex match;     // accepted: and up to here that is durable
  LogIndex previous;  // refused: the request's own
  LogIndex hint;      // refused: the last index that may agree, and its term
  Term hint_term;
  std::uint64_t round = 0;
  friend bool operator==(const AppendResponse&, const AppendResponse&) = default;
  static void fields(auto& op, auto& m) {
    op(m.accepted);
    op(m.agreed);
    op(m.match);
    op(m.previous);
    op(m.hint);
    op(m.hint_term);
    op(m.round);
  }
};

// Thesis 5. A part of a snapshot; a transfer that breaks starts again from its first byte.
struct SnapshotRequest {
  LogIndex last;
  Term last_term;
  Membership membership;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;  // of all parts
  Slice bytes;
  std::uint64_t round = 0;
  static void fields(auto& op, auto& m) {
    op(m.last);
    op(m.last_term);
    op(m.membership);
    op(m.offset);
    op(m.size);
    op(m.bytes);
    op(m.round);
  }
};
struct SnapshotResponse {
  LogIndex last;           // of the snapshot it is about
  std::uint64_t next = 0;  // bytes that have arrived; the whole size only when they are durable
  std::uint64_t round = 0;
  friend bool operator==(const SnapshotResponse&, const SnapshotResponse&) = default;
  static void fields(auto& op, auto& m) {
    op(m.last);
    op(m.next);
    op(m.round);
  }
};

// Thesis 3.10: begin an election at once.
struct TimeoutNow {
  friend bool operator==(const TimeoutNow&, const TimeoutNow&) = default;
  static void fields(auto&, auto&) {}
};

struct Message {
  Member from;
  Member to;
  Term term;
  std::variant<VoteRequest, VoteResponse, AppendRequest, AppendResponse, SnapshotRequest, SnapshotResponse, TimeoutNow>
      body;
  static void fields(auto& op, auto& m) {
    op(m.from);
    op(m.to);
    op(m.term);
    op(m.body);
  }
};

// One line for people: "1->2 term=3 append previous=4/2 commit=4 round=7 [5/3 data]".
std::string describe(const Entry& entry);
std::string describe(const Message& message);

}  // namespace chronik::raft
