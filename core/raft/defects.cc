// What a message must be for the algorithm to rely on it: bytes from a network are checked here, once.
#include "core/raft/membership_codec.h"
#include "core/raft/raft.h"

namespace chronik::raft {

namespace {

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

std::string_view Raft::defect_of(const Message& message) const {
  if (message.to != self() || message.from == self()) {
    return {};  // step() drops it
  }
  if (message.term < Term(0)) {
    return "a negative term";
  }
  if (const auto* request = std::get_if<AppendRequest>(&message.body)) {
    if (request->previous < LogIndex(0) || request->commit < LogIndex(0)) {
      return "a negative index";
    }
    const std::string_view leader = defect_of_leader(message);
    return leader.empty() ? defect_of_entries(*request, message.term) : leader;
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
