// A group of members in memory: their disks, the messages between them and one clock, all moved by the test. After
// every step of a member the promises of Raft are held against what all members have (thesis, figure 3.2).
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/raft/raft.h"

namespace chronik::raft::testing {

inline Member member(std::int32_t node, std::uint64_t disk = 1) {
  return {NodeId(node), Uuid::from_random(disk, static_cast<std::uint64_t>(node))};
}

// The machine of a member: what is on its disk, and the member while it runs.
struct Seat {
  Member self;
  StoredRaft disk;
  std::unique_ptr<Raft> raft;   // null: crashed
  std::deque<Persist> writing;  // given out, not durable yet
  std::string state;            // all commands applied
  LogIndex applied{0};
};

class Group {
 public:
  // Told of what happens: a line each.
  using Told = std::function<void(const std::string&)>;

  // Members of node ids 1 to `voters`; `options` are every member's, but for `self` and the seed.
  Group(std::int32_t voters, const RaftOptions& options, std::uint64_t seed, Told told = {});

  Seat& seat(std::int32_t node) { return seats_.at(node); }
  std::map<std::int32_t, Seat>& seats() { return seats_; }
  Raft& raft(std::int32_t node) { return *seat(node).raft; }
  // A machine that belongs to nobody yet.
  void add_seat(std::int32_t node, const Membership& membership);
  MonotonicTime now() const { return now_; }
  void wait(Duration duration) { now_ = now_ + duration; }
  // The node that leads the newest term, where one does.
  std::optional<std::int32_t> leader() const;

  // The member looks at the clock; it does so at no other time.
  void tick(std::int32_t node);
  // `act` on a running member, and what comes of it.
  void act(std::int32_t node, const std::function<void(Raft&)>& act);
  void propose(std::int32_t node, const std::string& command);
  void read(std::int32_t node);
  // The oldest write that is under way there becomes durable.
  void persist_one(std::int32_t node);
  void persist_all(std::int32_t node);
  // Whoever is addressed takes it, if it runs.
  void deliver(const Message& message);
  void crash(std::int32_t node);
  // The log up to what was applied is replaced by its state.
  void compact(std::int32_t node, std::uint64_t keep);
  void restart(std::int32_t node);
  // Starts it again on an empty disk: it has forgotten what it has promised, and is another member (rule R15).
  void replace_disk(std::int32_t node);

  std::deque<Message>& in_flight() { return in_flight_; }
  LogIndex committed() const { return committed_.empty() ? LogIndex(0) : committed_.rbegin()->first; }
  std::uint64_t snapshots_installed() const { return snapshots_installed_; }
  std::uint64_t reads_answered() const { return reads_answered_; }
  std::string describe(std::int32_t node) const;
  // Its members as it knows them: "1: voters 1 2 lost(3) learners 4 as of 7". Lost: what the node had a disk for once.
  std::string describe_members(std::int32_t node) const;

 private:
  struct Committed {
    Term term;
    EntryKind kind;
    std::string data;
    Term by;  // the newest term when it was first seen committed
    friend bool operator==(const Committed&, const Committed&) = default;
  };
  void boot(Seat& seat);
  std::string name_of(const Member& member) const;
  void take(Seat& seat);
  void apply(Seat& seat, const Output& output);
  void note_committed(const Entry& entry);
  void check(const Seat& seat);
  void tell(const std::string& what) const {
    if (told_) {
      told_(what);
    }
  }

  RaftOptions options_;
  std::uint64_t seed_;
  Told told_;
  MonotonicTime now_ = MonotonicTime::from_nanoseconds(1'000'000'000);
  std::map<std::int32_t, Seat> seats_;
  std::deque<Message> in_flight_;
  std::map<LogIndex, Committed> committed_;
  std::map<Term, Member> leaders_;
  std::map<std::uint64_t, LogIndex> reads_;  // by context: what they must show at least
  std::uint64_t boots_ = 0;
  std::uint64_t disks_ = 1;  // of each node the first is 1
  std::uint64_t snapshots_installed_ = 0;
  std::uint64_t reads_answered_ = 0;
};

}  // namespace chronik::raft::testing
