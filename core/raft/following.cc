// What a member does on its leader's word: thesis 3.5 and 5.
#include <algorithm>
#include <utility>

#include "core/base/check.h"
#include "core/raft/raft.h"

namespace chronik::raft {

// The sender leads this term: there is no other.
void Raft::follow(const Message& message) {
  CHECK(role_ != Role::kLeader || message.term > hard_.term);
  become_follower(message.term, message.from);
  heard_of_leader_ = now_;
  draw_election_time();
}

void Raft::on_append(const Message& message, const AppendRequest& request) {
  follow(message);
  round_heard_ = std::max(round_heard_, request.round);
  const bool known = request.previous <= commit_ || log_.matches(request.previous, request.previous_term);
  if (!known) {
    const LogIndex hint = log_.last_not_newer(request.previous, request.previous_term);
    return send(message.from, AppendResponse{.accepted = false,
                                             .previous = request.previous,
                                             .hint = hint,
                                             .hint_term = log_.term_at(hint).value_or(Term(0)),
                                             .round = request.round});
  }
  for (const Entry& entry : request.entries) {
    if (entry.index <= commit_ || log_.matches(entry.index, entry.term)) {
      continue;
    }
    if (entry.index <= log_.last()) {
      log_.truncate_from(entry.index);
      note_truncated(entry.index);
    }
    append(entry);
  }
  const LogIndex checked = request.previous + static_cast<std::int64_t>(request.entries.size());
  agreed_ = std::max({agreed_, checked, commit_});
  commit_up_to(std::min(request.commit, agreed_));
  tell_match(message.from, request.round);
}

void Raft::tell_match(const Member& leader, std::uint64_t round) {
  told_ = std::min(agreed_, durable_);
  send(leader, AppendResponse{.accepted = true, .agreed = agreed_, .match = told_, .round = round});
}

void Raft::on_snapshot(const Message& message, const SnapshotRequest& request) {
  follow(message);
  round_heard_ = std::max(round_heard_, request.round);
  if (request.last <= commit_ || log_.matches(request.last, request.last_term)) {
    // All of it is here; the leader goes on behind it.
    agreed_ = std::max(agreed_, request.last);
    commit_up_to(request.last);
    receiving_.reset();
    return tell_match(message.from, request.round);
  }
  const bool same =
      receiving_.has_value() && receiving_->last == request.last && receiving_->last_term == request.last_term;
  if (!same) {
    receiving_ = Receiving{.last = request.last, .last_term = request.last_term, .bytes = {}};
  }
  std::string& bytes = receiving_->bytes;
  const bool fits = request.size <= options_.snapshot_bytes_max && bytes.size() <= request.size &&
                    request.bytes.size() <= request.size - bytes.size();
  if (request.offset == bytes.size() && fits) {
    bytes.append(as_text(request.bytes.bytes()));
    if (bytes.size() == request.size) {
      Snapshot snapshot{.last = request.last,
                        .last_term = request.last_term,
                        .membership = request.membership,
                        .state = Slice::copy_of(bytes)};
      install(std::move(snapshot));
    }
  }
  tell_snapshot(message.from, request.round);
}

void Raft::install(Snapshot snapshot) {
  CHECK_GT(snapshot.last, commit_);
  log_.reset(snapshot.last, snapshot.last_term, snapshot.membership);
  note_truncated(LogIndex(1));
  given_out_ = snapshot.last;
  commit_ = handed_out_ = agreed_ = snapshot.last;
  snapshot_state_ = snapshot.state;
  snapshot_state_last_ = snapshot.last;
  out_.committed.clear();
  Persist& persist = out_.persist.has_value() ? *out_.persist : out_.persist.emplace();
  persist.snapshot = snapshot;
  out_.install = std::move(snapshot);
}

void Raft::tell_snapshot(const Member& leader, std::uint64_t round) {
  const bool whole = receiving_->last == log_.snapshot_last();
  if (whole && durable_ >= receiving_->last) {
    receiving_.reset();
    return tell_match(leader, round);
  }
  send(leader, SnapshotResponse{.last = receiving_->last, .next = receiving_->bytes.size(), .round = round});
}

}  // namespace chronik::raft
