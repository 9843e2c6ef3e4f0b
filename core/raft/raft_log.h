// The log as one member has it: a snapshot's end, the entries behind it, and the memberships that they carry.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "core/raft/consensus.h"
#include "core/raft/membership.h"

namespace chronik::raft {

class RaftLog {
 public:
  // `last`, `last_term`: of the snapshot's last entry; 0 where there is none. `membership`: the one in force there.
  RaftLog(LogIndex last, Term last_term, Membership membership);

  LogIndex snapshot_last() const { return snapshot_last_; }
  Term snapshot_term() const { return snapshot_term_; }
  LogIndex last() const { return entries_.empty() ? snapshot_last_ : entries_.back().index; }
  Term last_term() const { return entries_.empty() ? snapshot_term_ : entries_.back().term; }
  // Null: compacted away, or not there yet.
  std::optional<Term> term_at(LogIndex index) const;
  bool matches(LogIndex index, Term term) const { return term_at(index) == term; }
  // The largest index <= `index` whose term is at most `term`: above it the logs cannot agree (thesis 3.5).
  LogIndex last_not_newer(LogIndex index, Term term) const;
  const Entry& at(LogIndex index) const;

  // The entry must follow the last one.
  void append(Entry entry);
  // Removes the entries from `index` on; those of the snapshot cannot be.
  void truncate_from(LogIndex index);
  // Entries (after, …] in order, until `bytes_max` is reached: at least one where there is one.
  std::vector<Entry> slice(LogIndex after, LogIndex last, std::size_t bytes_max) const;
  // Forgets the entries up to `last`, which a snapshot has.
  void compact(LogIndex last);
  // Everything is replaced by a snapshot.
  void reset(LogIndex last, Term last_term, Membership membership);

  // In force: the newest in the log, committed or not (thesis 4.1).
  const Membership& membership() const { return memberships_.back().second; }
  LogIndex membership_index() const { return memberships_.back().first; }
  // The one that was in force at `index`, which is not compacted away.
  const Membership& membership_at(LogIndex index) const;

 private:
  LogIndex snapshot_last_;
  Term snapshot_term_;
  std::deque<Entry> entries_;
  std::vector<std::pair<LogIndex, Membership>> memberships_;  // by index; never empty
};

}  // namespace chronik::raft
