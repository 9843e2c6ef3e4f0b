// What a message must be for the algorithm to rely on it: bytes from a network are checked here, once.
#include <algorithm>

#include "core/raft/membership_codec.h"
#include "core/raft/raft.h"

namespace chronik::raft {

namespace {

constexpr Term kTermMax{std::int64_t{1} << 62};

std::string_view defect_of_entries(const AppendRequest& request, Term term) {
  LogIndex index = request.previous;
  Term last_term = request.previous_term;
  for (const Entry& entry : request.entries) {
    index = index.next();
    if (entry.index != index) {
      return "entries with a gap";
    }
    if (entry.term < last_term || entry.term > term) {
      return "an entry of a term that cannot be";
    }
    if (entry.kind > EntryKind::kMembership) {
      return "an entry of an unknown kind";
    }
    if (entry.kind == EntryKind::kMembership && !decode_membership(entry.data.bytes()).ok()) {
      return "a membership that cannot be decoded";
    }
    last_term = entry.term;
  }
  return {};
}

}  // namespace

// Each term has one leader (thesis 3.4): a second one is a bug somewhere, and following it would lose entries.
std::string_view Raft::defect_of_leader(const Message& message) const {
  if (message.term != hard_.term) {
    return {};
  }
  if (role_ == Role::kLeader || (leader_.has_value() && leader_ != message.from)) {
    return "a second leader in this term";
  }
  return {};
}

// What is committed, and what this term's leader has sent before, does not change.
std::string_view Raft::defect_of_history(Term term, const AppendRequest& request) const {
  const LogIndex fixed = std::max(commit_, term == hard_.term ? agreed_ : LogIndex(0));
  const auto differs = [&](LogIndex index, Term of) {
    const std::optional<Term> known = index <= fixed ? log_.term_at(index) : std::nullopt;
    return known.has_value() && *known != of;
  };
  bool changed = differs(request.previous, request.previous_term);
  for (const Entry& entry : request.entries) {
    changed = changed || differs(entry.index, entry.term);
  }
  return changed ? "another history of what is fixed" : "";
}

std::string_view Raft::defect_of(const Message& message) const {
  if (message.to != self() || message.from == self()) {
    return {};  // step() drops it
  }
  if (message.term < Term(0) || message.term > kTermMax) {
    return "a term that cannot be";
  }
  if (const auto* request = std::get_if<AppendRequest>(&message.body)) {
    if (request->previous < LogIndex(0) || request->commit < LogIndex(0)) {
      return "a negative index";
    }
    const std::string_view leader = defect_of_leader(message);
    const std::string_view entries = leader.empty() ? defect_of_entries(*request, message.term) : leader;
    return entries.empty() ? defect_of_history(message.term, *request) : entries;
  }
  if (const auto* part = std::get_if<SnapshotRequest>(&message.body)) {
    if (part->last <= LogIndex(0) || part->last_term > message.term) {
      return "a snapshot that cannot be";
    }
    if (!is_sound(part->membership)) {
      return "a membership that cannot be";
    }
    if (part->size > options_.snapshot_bytes_max) {
      return "a snapshot that is too large";
    }
    return defect_of_leader(message);
  }
  if (const auto* response = std::get_if<AppendResponse>(&message.body)) {
    const bool asked = role_ == Role::kLeader && message.term == hard_.term;
    if (asked && response->accepted && (response->match > response->agreed || response->agreed > log_.last())) {
      return "it claims to have what was never sent";
    }
  }
  return {};
}

}  // namespace chronik::raft
