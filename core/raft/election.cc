// Who leads: thesis 3.4, 4.2.3 (a living leader is not disturbed), 9.6 (pre-vote).
#include <utility>

#include "core/base/check.h"
#include "core/base/mix.h"
#include "core/raft/raft.h"

namespace chronik::raft {

namespace {
constexpr Duration kGoneDelay = Duration::milliseconds(100);
constexpr Duration kGoneSpread = Duration::milliseconds(200);
}  // namespace

void Raft::draw_election_time() {
  const auto spread = static_cast<std::uint64_t>((options_.election_max - options_.election_min).nanoseconds()) + 1;
  const std::uint64_t drawn = below(mix(options_.seed, ++draws_), spread);
  election_at_ = now_ + options_.election_min + Duration::nanoseconds(static_cast<std::int64_t>(drawn));
}

void Raft::note_gone(NodeId node) {
  if (role_ != Role::kFollower || !leader_.has_value() || leader_->node != node) {
    return;
  }
  leader_.reset();
  heard_of_leader_ = MonotonicTime::never();
  // The others have to have noticed, too, and not all at once.
  const std::uint64_t drawn =
      below(mix(options_.seed, ++draws_), static_cast<std::uint64_t>(kGoneSpread.nanoseconds()));
  election_at_ = std::min(election_at_, now_ + kGoneDelay + Duration::nanoseconds(static_cast<std::int64_t>(drawn)));
}

// Also a voter that is to be none any more, until that is committed: perhaps only its log has the entry that says so,
// and nobody else can be elected over it (4.2.2).
bool Raft::may_campaign() const {
  return membership().is_voter(self()) || log_.membership_at(commit_).is_voter(self());
}

void Raft::campaign(bool pre_vote, bool transfer) {
  draw_election_time();
  leader_.reset();
  heard_of_leader_ = MonotonicTime::never();
  votes_.clear();
  if (pre_vote) {
    role_ = Role::kPreCandidate;
    votes_.insert(self());
  } else {
    role_ = Role::kCandidate;
    ++elections_;
    change_hard_state(hard_.term.next(), self());
    agreed_ = told_ = LogIndex(0);
    receiving_.reset();
  }
  const Term asked = pre_vote ? hard_.term.next() : hard_.term;
  const VoteRequest request{
      .last = log_.last(), .last_term = log_.last_term(), .pre_vote = pre_vote, .transfer = transfer};
  for (const Member& member : membership().voters) {
    if (member != self()) {
      send(member, asked, request);
    }
  }
  count_votes();
}

// The own vote counts when it is durable: persisted() adds it.
void Raft::count_votes() {
  std::size_t granted = 0;
  for (const Member& member : votes_) {
    if (membership().is_voter(member)) {
      ++granted;
    }
  }
  if (granted < membership().quorum()) {
    return;
  }
  if (role_ == Role::kPreCandidate) {
    campaign(/*pre_vote=*/false, /*transfer=*/false);
  } else if (role_ == Role::kCandidate) {
    become_leader();
  }
}

bool Raft::leader_is_alive() const {
  return role_ == Role::kLeader ||
         (heard_of_leader_ != MonotonicTime::never() && now_ - heard_of_leader_ < options_.election_min);
}

void Raft::on_vote_request(const Message& message, const VoteRequest& request) {
  if (message.term < hard_.term) {
    return send(message.from, VoteResponse{.granted = false, .pre_vote = request.pre_vote});
  }
  // Also of a newer term, which is not taken over: a member that was cut off, or removed, disturbs nobody.
  if (!request.transfer && leader_is_alive()) {
    return;
  }
  const bool up_to_date =
      request.last_term > log_.last_term() || (request.last_term == log_.last_term() && request.last >= log_.last());
  if (request.pre_vote) {
    const bool granted = up_to_date && message.term > hard_.term;
    return send(message.from, granted ? message.term : hard_.term, VoteResponse{.granted = granted, .pre_vote = true});
  }
  if (message.term > hard_.term) {
    become_follower(message.term, std::nullopt);
  }
  const bool free = !hard_.vote.has_value() || hard_.vote == message.from;
  const bool granted = up_to_date && free && !leader_.has_value();
  if (granted) {
    become_follower(hard_.term, std::nullopt);
    change_hard_state(hard_.term, message.from);
    draw_election_time();
  }
  send(message.from, VoteResponse{.granted = granted, .pre_vote = false});
}

void Raft::on_vote_response(const Message& message, const VoteResponse& response) {
  if (!response.granted) {
    if (message.term > hard_.term) {
      become_follower(message.term, std::nullopt);
    }
    return;
  }
  const bool pre = response.pre_vote && role_ == Role::kPreCandidate && message.term == hard_.term.next();
  const bool real = !response.pre_vote && role_ == Role::kCandidate && message.term == hard_.term;
  if (pre || real) {
    votes_.insert(message.from);
    count_votes();
  }
}

void Raft::become_leader() {
  CHECK(role_ == Role::kCandidate);
  CHECK(hard_state_durable());
  role_ = Role::kLeader;
  votes_.clear();
  leader_.reset();
  progress_.clear();
  refresh_progress(log_.last().next());
  uncommitted_bytes_ = 0;
  for (LogIndex index = commit_.next(); index <= log_.last(); index = index.next()) {
    uncommitted_bytes_ += log_.at(index).data.size();
  }
  round_ = confirmed_round_ = 0;
  term_begins_ = log_.last().next();
  append_own(EntryKind::kNothing, Slice());
  begin_round();
  advance_commit();
}

}  // namespace chronik::raft
