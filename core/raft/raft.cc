#include "core/raft/raft.h"

#include <algorithm>
#include <utility>

#include "core/base/check.h"
#include "core/raft/membership_codec.h"

namespace chronik::raft {

namespace {
// Given out in one Output to be applied, but for a single larger entry.
constexpr std::size_t kCommittedBytesMax = 4 << 20;
}  // namespace

Raft::Raft(const RaftOptions& options, StoredRaft stored, MonotonicTime now)
    : options_(options),
      now_(now),
      log_(stored.snapshot.last, stored.snapshot.last_term, std::move(stored.snapshot.membership)),
      hard_(stored.hard),
      commit_(stored.snapshot.last),
      handed_out_(stored.snapshot.last),
      snapshot_state_(std::move(stored.snapshot.state)),
      snapshot_state_last_(stored.snapshot.last) {
  CHECK_LE(options.election_min, options.election_max);
  for (Entry& entry : stored.entries) {
    log_.append(std::move(entry));
  }
  CHECK_GE(hard_.term, log_.last_term());
  durable_ = given_out_ = log_.last();
  draw_election_time();
  if (membership().voters == std::vector<Member>{self()}) {
    election_at_ = now;  // whom it could disturb is not there
  }
}

// ---- in ----

void Raft::tick(MonotonicTime now) {
  CHECK_GE(now, now_);
  now_ = now;
  if (role_ == Role::kLeader) {
    lead(now);
  } else if (now >= election_at_) {
    if (may_campaign()) {
      campaign(/*pre_vote=*/true, /*transfer=*/false);
    } else {
      // Whoever leads has been silent for too long, to one that may not stand for election, too.
      leader_.reset();
      heard_of_leader_ = MonotonicTime::never();
      draw_election_time();
    }
  }
}

void Raft::step(const Message& message) {
  if (message.to != self() || message.from == self()) {
    return;  // of a member that had another disk (rule R15)
  }
  if (const auto* request = std::get_if<VoteRequest>(&message.body)) {
    return on_vote_request(message, *request);
  }
  if (const auto* response = std::get_if<VoteResponse>(&message.body)) {
    return on_vote_response(message, *response);
  }
  const bool from_leader =
      std::holds_alternative<AppendRequest>(message.body) || std::holds_alternative<SnapshotRequest>(message.body);
  if (message.term < hard_.term) {
    if (from_leader) {
      send(message.from, AppendResponse{});  // so that it learns of the term
    }
    return;
  }
  if (message.term > hard_.term && !from_leader) {
    become_follower(message.term, std::nullopt);
  }
  if (const auto* request = std::get_if<AppendRequest>(&message.body)) {
    on_append(message, *request);
  } else if (const auto* response = std::get_if<AppendResponse>(&message.body)) {
    on_append_response(message, *response);
  } else if (const auto* part = std::get_if<SnapshotRequest>(&message.body)) {
    on_snapshot(message, *part);
  } else if (const auto* arrived = std::get_if<SnapshotResponse>(&message.body)) {
    on_snapshot_response(message, *arrived);
  } else if (std::holds_alternative<TimeoutNow>(message.body)) {
    if (message.term == hard_.term && role_ == Role::kFollower && may_campaign()) {
      campaign(/*pre_vote=*/false, /*transfer=*/true);
    }
  }
}

void Raft::persisted(std::uint64_t number) {
  CHECK_LT(number, next_number_);
  if (number <= persisted_) {
    return;
  }
  persisted_ = number;
  while (!pending_.empty() && pending_.front().number <= number) {
    durable_ = std::max(durable_, pending_.front().last);
    pending_.pop_front();
  }
  if (hard_state_durable()) {
    for (Message& message : std::exchange(held_, {})) {
      out_.messages.push_back(std::move(message));
    }
    if (role_ == Role::kCandidate) {
      votes_.insert(self());
      count_votes();
    }
  }
  if (role_ == Role::kLeader) {
    advance_commit();
  } else if (leader_.has_value()) {
    if (receiving_.has_value() && receiving_->last == log_.snapshot_last()) {
      tell_snapshot(*leader_, round_heard_);
    } else if (std::min(agreed_, durable_) > told_) {
      tell_match(*leader_, round_heard_);
    }
  }
}

void Raft::compact(LogIndex last, Slice state, std::uint64_t keep) {
  CHECK_LE(last, handed_out_);
  if (last <= snapshot_state_last_) {
    return;
  }
  snapshot_state_ = std::move(state);
  snapshot_state_last_ = last;
  const std::int64_t kept = static_cast<std::int64_t>(keep);
  log_.compact(std::min(std::max(log_.snapshot_last(), last - kept), durable_));
}

// ---- out ----

Output Raft::take_output() {
  if (hard_dirty_ || out_.persist.has_value() || given_out_ < log_.last()) {
    Persist& persist = out_.persist.has_value() ? *out_.persist : out_.persist.emplace();
    persist.number = next_number_++;
    if (std::exchange(hard_dirty_, false)) {
      persist.hard = hard_;
    }
    persist.entries = log_.slice(given_out_, log_.last(), SIZE_MAX);
    given_out_ = log_.last();
    pending_.push_back({persist.number, log_.last()});
  }
  if (commit_ > handed_out_) {
    out_.committed = log_.slice(handed_out_, commit_, kCommittedBytesMax);
    handed_out_ = out_.committed.back().index;
  }
  return std::exchange(out_, {});
}

MonotonicTime Raft::next_tick() const {
  if (role_ != Role::kLeader) {
    return election_at_;
  }
  if (progress_.empty()) {
    return MonotonicTime::never();  // nobody waits for its heartbeats
  }
  return transfer_.has_value() ? std::min(heartbeat_at_, transfer_->ends) : heartbeat_at_;
}

Leadership Raft::leadership() const {
  const bool leads = role_ == Role::kLeader;
  const NodeId leader = leads ? self().node : leader_.has_value() ? leader_->node : NodeId::none();
  return {.term = hard_.term, .leader = leader, .here = leads};
}

// ---- shared by all roles ----

// What a message says about the term or the vote must be durable. Nothing else is waited for.
void Raft::send(const Member& to, Term term, decltype(Message::body) body) {
  (hard_state_durable() ? out_.messages : held_)
      .push_back({.from = self(), .to = to, .term = term, .body = std::move(body)});
}

void Raft::change_hard_state(Term term, std::optional<Member> vote) {
  CHECK_GE(term, hard_.term);
  const HardState changed{.term = term, .vote = vote};
  if (changed == hard_) {
    return;
  }
  hard_ = changed;
  hard_dirty_ = true;
  hard_number_ = next_number_;
}

void Raft::append(Entry entry) {
  log_.append(std::move(entry));
  if (log_.membership_index() == log_.last() && role_ == Role::kLeader) {
    refresh_progress(log_.last());
  }
}

void Raft::append_own(EntryKind kind, Slice data) {
  uncommitted_bytes_ += data.size();
  append({.index = log_.last().next(), .term = hard_.term, .kind = kind, .data = std::move(data)});
}

// A write under way no longer says anything about what has been replaced.
void Raft::note_truncated(LogIndex from) {
  const LogIndex last = from - 1;
  durable_ = std::min(durable_, last);
  given_out_ = std::min(given_out_, last);
  for (Pending& pending : pending_) {
    pending.last = std::min(pending.last, last);
  }
}

void Raft::become_follower(Term term, std::optional<Member> leader) {
  if (term > hard_.term) {
    change_hard_state(term, std::nullopt);
    agreed_ = told_ = LogIndex(0);
    round_heard_ = 0;
    receiving_.reset();
    leader_.reset();
    heard_of_leader_ = MonotonicTime::never();
  }
  if (role_ == Role::kLeader) {
    stop_leading();
  }
  if (role_ != Role::kFollower) {
    role_ = Role::kFollower;
    votes_.clear();
    draw_election_time();
  }
  if (leader.has_value()) {
    leader_ = leader;
  }
}

void Raft::commit_up_to(LogIndex index) {
  CHECK_LE(index, log_.last());
  commit_ = std::max(commit_, index);
}

std::vector<Member> Raft::others() const {
  std::vector<Member> found;
  for (const std::vector<Member>* part : {&membership().voters, &membership().learners}) {
    for (const Member& member : *part) {
      if (member != self()) {
        found.push_back(member);
      }
    }
  }
  return found;
}

}  // namespace chronik::raft
