#include "core/raft/raft_log.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/raft/membership_codec.h"

namespace chronik::raft {

RaftLog::RaftLog(LogIndex last, Term last_term, Membership membership) {
  reset(last, last_term, std::move(membership));
}

void RaftLog::reset(LogIndex last, Term last_term, Membership membership) {
  snapshot_last_ = last;
  snapshot_term_ = last_term;
  entries_.clear();
  memberships_.clear();
  memberships_.emplace_back(last, std::move(membership));
}

std::optional<Term> RaftLog::term_at(LogIndex index) const {
  if (index == snapshot_last_) {
    return snapshot_term_;
  }
  if (index < snapshot_last_ || index > last()) {
    return std::nullopt;
  }
  return at(index).term;
}

LogIndex RaftLog::last_not_newer(LogIndex index, Term term) const {
  LogIndex found = std::min(index, last());
  while (found > snapshot_last_ && at(found).term > term) {
    found = found - 1;
  }
  return found;
}

const Entry& RaftLog::at(LogIndex index) const {
  CHECK_GT(index, snapshot_last_);
  CHECK_LE(index, last());
  return entries_[static_cast<std::size_t>(index - snapshot_last_) - 1];
}

void RaftLog::append(Entry entry) {
  CHECK_EQ(entry.index, last().next());
  CHECK_GE(entry.term, last_term());
  if (entry.kind == EntryKind::kMembership) {
    const StatusOr<Membership> membership = decode_membership(entry.data.bytes());
    CHECK_OK(membership.status());
    memberships_.emplace_back(entry.index, *membership);
  }
  entries_.push_back(std::move(entry));
}

void RaftLog::truncate_from(LogIndex index) {
  CHECK_GT(index, snapshot_last_);
  while (!entries_.empty() && entries_.back().index >= index) {
    entries_.pop_back();
  }
  while (memberships_.back().first >= index) {
    memberships_.pop_back();
  }
}

std::vector<Entry> RaftLog::slice(LogIndex after, LogIndex last, std::size_t bytes_max) const {
  std::vector<Entry> found;
  std::size_t bytes = 0;
  for (LogIndex index = after.next(); index <= last; index = index.next()) {
    const Entry& entry = at(index);
    bytes += entry.data.size();
    if (!found.empty() && bytes > bytes_max) {
      break;
    }
    found.push_back(entry);
  }
  return found;
}

void RaftLog::compact(LogIndex last) {
  CHECK_LE(last, this->last());
  if (last <= snapshot_last_) {
    return;
  }
  Membership membership = membership_at(last);
  snapshot_term_ = at(last).term;
  entries_.erase(entries_.begin(), entries_.begin() + (last - snapshot_last_));
  snapshot_last_ = last;
  std::erase_if(memberships_, [last](const auto& known) { return known.first <= last; });
  memberships_.insert(memberships_.begin(), {last, std::move(membership)});
}

const Membership& RaftLog::membership_at(LogIndex index) const {
  CHECK_GE(index, snapshot_last_);
  const auto behind = std::upper_bound(memberships_.begin(), memberships_.end(), index,
                                       [](LogIndex i, const auto& known) { return i < known.first; });
  CHECK(behind != memberships_.begin());
  return std::prev(behind)->second;
}

}  // namespace chronik::raft
