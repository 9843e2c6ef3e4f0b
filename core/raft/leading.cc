// What a leader does: thesis 3.5, 3.6 (commitment), 4.2, 6.2 (check-quorum), 6.4 (reads), 10.2 (pipelining).
#include <algorithm>
#include <utility>

#include "core/base/check.h"
#include "core/raft/membership_codec.h"
#include "core/raft/raft.h"

namespace chronik::raft {

namespace {

// The value that a quorum has reached.
template <typename T>
T reached_by_quorum(std::vector<T> values, std::size_t quorum) {
  CHECK_GE(values.size(), quorum);
  std::sort(values.begin(), values.end(), [](const T& a, const T& b) { return b < a; });
  return values[quorum - 1];
}

std::size_t differences(const std::vector<Member>& a, const std::vector<Member>& b) {
  std::vector<Member> different;
  std::set_symmetric_difference(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(different));
  return different.size();
}

}  // namespace

// ---- time ----

void Raft::lead(MonotonicTime now) {
  if (transfer_.has_value() && now >= transfer_->ends) {
    transfer_.reset();
  }
  if (now - heard_from_quorum() >= options_.election_min) {
    return become_follower(hard_.term, std::nullopt);
  }
  if (now >= heartbeat_at_) {
    begin_round();
  }
}

// Since then it may have been without a quorum.
MonotonicTime Raft::heard_from_quorum() const {
  std::vector<MonotonicTime> heard;
  for (const Member& voter : membership().voters) {
    heard.push_back(voter == self() ? now_ : progress_.at(voter).heard);
  }
  return reached_by_quorum(std::move(heard), membership().quorum());
}

void Raft::stop_leading() {
  progress_.clear();
  transfer_.reset();
  for (const Read& read : std::exchange(reads_, {})) {
    out_.reads.push_back({read.context, std::nullopt});
  }
  for (const std::uint64_t context : std::exchange(early_reads_, {})) {
    out_.reads.push_back({context, std::nullopt});
  }
}

// ---- proposals ----

StatusOr<Proposed> Raft::propose(Slice data) {
  if (role_ != Role::kLeader) {
    return absl::FailedPreconditionError("raft: not the leader");
  }
  if (transfer_.has_value()) {
    return absl::UnavailableError("raft: leadership is being handed over");
  }
  if (uncommitted_bytes_ > 0 && uncommitted_bytes_ + data.size() > options_.uncommitted_bytes_max) {
    return absl::ResourceExhaustedError("raft: too much is not committed yet");
  }
  append_own(EntryKind::kCommand, std::move(data));
  broadcast();
  return Proposed{log_.last(), hard_.term};
}

StatusOr<Proposed> Raft::propose_membership(Membership wanted) {
  if (role_ != Role::kLeader) {
    return absl::FailedPreconditionError("raft: not the leader");
  }
  // The second condition mends the thesis' first version of single-server changes (Ongaro, raft-dev, July 2015).
  if (log_.membership_index() > commit_ || commit_ < term_begins_) {
    return absl::AbortedError("raft: another change of members is not committed yet");
  }
  std::sort(wanted.voters.begin(), wanted.voters.end());
  std::sort(wanted.learners.begin(), wanted.learners.end());
  if (!is_sound(wanted)) {
    return absl::InvalidArgumentError("raft: no group can have these members");
  }
  if (differences(wanted.voters, membership().voters) > 1) {
    return absl::InvalidArgumentError("raft: one voter more or less at a time");
  }
  append_own(EntryKind::kMembership, Slice::copy_of(encode_membership(wanted)));
  broadcast();
  return Proposed{log_.last(), hard_.term};
}

// Members come and go with the newest membership of the log.
void Raft::refresh_progress(LogIndex next) {
  for (const Member& member : others()) {
    progress_.try_emplace(member, Progress{.next = next, .heard = now_});
  }
  std::erase_if(progress_, [&](const auto& known) { return !membership().contains(known.first); });
}

// ---- sending ----

void Raft::begin_round() {
  ++round_;
  heartbeat_at_ = now_ + options_.heartbeat;
  for (auto& [member, progress] : progress_) {
    send_appends(member, progress, /*heartbeat=*/true);
  }
  settle_reads();
}

void Raft::broadcast() {
  for (auto& [member, progress] : progress_) {
    send_appends(member, progress, /*heartbeat=*/false);
  }
  advance_commit();
}

// A heartbeat is sent whatever the member has not answered, and news of the commit index: its image is what clients
// see. Entries only as far as its window goes.
void Raft::send_appends(const Member& to, Progress& progress, bool heartbeat) {
  for (bool first = true;; first = false) {
    if (progress.state != Progress::State::kSnapshot && progress.next - 1 < log_.snapshot_last()) {
      begin_snapshot(progress);
    }
    if (progress.state == Progress::State::kSnapshot) {
      return send_snapshot_part(to, progress, heartbeat);
    }
    const bool may_carry = progress.state == Progress::State::kProbe
                               ? !progress.probing
                               : progress.in_flight.size() < options_.appends_in_flight_max;
    const LogIndex previous = progress.next - 1;
    std::vector<Entry> entries;
    if (may_carry) {
      entries = log_.slice(previous, log_.last(), options_.append_bytes_max);
    }
    const bool news = progress.state == Progress::State::kReplicate && progress.commit_told < commit_;
    if (entries.empty() && !(first && (heartbeat || news))) {
      return;
    }
    progress.commit_told = commit_;
    if (!entries.empty()) {
      if (progress.state == Progress::State::kProbe) {
        progress.probing = true;
      } else {
        progress.next = entries.back().index.next();
        progress.in_flight.push_back(entries.back().index);
      }
    }
    const bool more = !entries.empty() && progress.state == Progress::State::kReplicate;
    send(to, AppendRequest{.previous = previous,
                           .previous_term = *log_.term_at(previous),
                           .entries = std::move(entries),
                           .commit = commit_,
                           .round = round_});
    if (!more) {
      return;
    }
  }
}

void Raft::begin_snapshot(Progress& progress) {
  progress.state = Progress::State::kSnapshot;
  progress.in_flight.clear();
  progress.snapshot_next = 0;
  progress.probing = false;
  progress.snapshot = Snapshot{.last = snapshot_state_last_,
                               .last_term = *log_.term_at(snapshot_state_last_),
                               .membership = log_.membership_at(snapshot_state_last_),
                               .state = snapshot_state_};
}

// In kSnapshot, `probing`: a part is under way. A heartbeat asks how far it has come, and a lost part is sent again.
void Raft::send_snapshot_part(const Member& to, Progress& progress, bool heartbeat) {
  if (progress.probing && !heartbeat) {
    return;
  }
  const Snapshot& snapshot = *progress.snapshot;
  const std::uint64_t left = snapshot.state.size() - progress.snapshot_next;
  const std::size_t part =
      progress.probing ? 0 : static_cast<std::size_t>(std::min<std::uint64_t>(left, options_.snapshot_part_bytes));
  progress.probing = true;
  send(to, SnapshotRequest{.last = snapshot.last,
                           .last_term = snapshot.last_term,
                           .membership = snapshot.membership,
                           .offset = progress.snapshot_next,
                           .size = snapshot.state.size(),
                           .bytes = snapshot.state.sub(static_cast<std::size_t>(progress.snapshot_next), part),
                           .round = round_});
}

// ---- answers ----

// Null: the answer is of another term, or of nobody who is led.
Progress* Raft::hear(const Message& message, std::uint64_t round) {
  const auto known = progress_.find(message.from);
  if (role_ != Role::kLeader || message.term != hard_.term || known == progress_.end()) {
    return nullptr;
  }
  known->second.heard = now_;
  known->second.round = std::max(known->second.round, round);
  return &known->second;
}

void Raft::on_append_response(const Message& message, const AppendResponse& response) {
  Progress* const answered = hear(message, response.round);
  if (answered == nullptr) {
    return;
  }
  Progress& progress = *answered;
  if (response.accepted) {
    CHECK_LE(response.match, log_.last());
    progress.match = std::max(progress.match, response.match);
    while (!progress.in_flight.empty() && progress.in_flight.front() <= progress.match) {
      progress.in_flight.pop_front();
    }
    const bool snapshot_done =
        progress.state == Progress::State::kSnapshot && response.agreed >= progress.snapshot->last;
    if (progress.state == Progress::State::kProbe || snapshot_done) {
      progress.state = Progress::State::kReplicate;
      progress.snapshot.reset();
      progress.in_flight.clear();
      progress.next = std::max(response.agreed, progress.match).next();
    }
    progress.probing = progress.state == Progress::State::kSnapshot && progress.probing;
    progress.next = std::max(progress.next, progress.match.next());
    finish_transfer(message.from, progress);
    advance_commit();
  } else {
    const bool stale = progress.state == Progress::State::kReplicate ? response.previous <= progress.match
                                                                     : response.previous != progress.next - 1;
    if (progress.state == Progress::State::kSnapshot || stale) {
      return settle_reads();
    }
    const LogIndex agreeing = log_.last_not_newer(response.hint, response.hint_term);
    progress.state = Progress::State::kProbe;
    progress.probing = false;
    progress.in_flight.clear();
    progress.next = std::max(progress.match, std::min(agreeing, response.previous - 1)).next();
  }
  if (role_ == Role::kLeader) {
    send_appends(message.from, progress, /*heartbeat=*/false);
    settle_reads();
  }
}

void Raft::on_snapshot_response(const Message& message, const SnapshotResponse& response) {
  Progress* const answered = hear(message, response.round);
  if (answered == nullptr) {
    return;
  }
  Progress& progress = *answered;
  if (progress.state == Progress::State::kSnapshot) {
    const bool ours = response.last == progress.snapshot->last && response.next <= progress.snapshot->state.size();
    progress.snapshot_next = ours ? response.next : 0;
    progress.probing = ours && response.next == progress.snapshot->state.size();  // it writes it: nothing to send
    send_snapshot_part(message.from, progress, /*heartbeat=*/false);
  }
  settle_reads();
}

// ---- commitment ----

void Raft::advance_commit() {
  if (role_ != Role::kLeader) {
    return;
  }
  std::vector<LogIndex> durable;
  for (const Member& voter : membership().voters) {
    const auto known = progress_.find(voter);
    durable.push_back(voter == self() ? durable_ : known->second.match);
  }
  const LogIndex reached = reached_by_quorum(std::move(durable), membership().quorum());
  // Only an entry of the own term is committed by counting (3.6.2).
  if (reached <= commit_ || reached < term_begins_) {
    return;
  }
  for (LogIndex index = commit_.next(); index <= reached; index = index.next()) {
    uncommitted_bytes_ -= log_.at(index).data.size();
  }
  commit_up_to(reached);
  for (const std::uint64_t context : std::exchange(early_reads_, {})) {
    CHECK_OK(read(context));
  }
  for (auto& [member, progress] : progress_) {
    send_appends(member, progress, /*heartbeat=*/false);
  }
  if (!membership().is_voter(self()) && log_.membership_index() <= commit_) {
    become_follower(hard_.term, std::nullopt);
  }
}

// ---- reads ----

Status Raft::read(std::uint64_t context) {
  if (role_ != Role::kLeader) {
    return absl::FailedPreconditionError("raft: not the leader");
  }
  if (commit_ < term_begins_) {
    early_reads_.push_back(context);
    return ok();
  }
  // A round that began before the read proves nothing about it: it takes the next one.
  const bool under_way = confirmed_round_ < round_;
  reads_.push_back({.context = context, .index = commit_, .round = round_ + 1});
  if (!under_way) {
    begin_round();
  }
  return ok();
}

void Raft::settle_reads() {
  if (role_ != Role::kLeader) {
    return;
  }
  std::vector<std::uint64_t> rounds;
  for (const Member& voter : membership().voters) {
    rounds.push_back(voter == self() ? round_ : progress_.at(voter).round);
  }
  confirmed_round_ = std::max(confirmed_round_, reached_by_quorum(std::move(rounds), membership().quorum()));
  while (!reads_.empty() && reads_.front().round <= confirmed_round_) {
    out_.reads.push_back({reads_.front().context, reads_.front().index});
    reads_.pop_front();
  }
  if (!reads_.empty() && confirmed_round_ == round_) {
    begin_round();
  }
}

// ---- handing over ----

Status Raft::transfer_to(const Member& target) {
  if (role_ != Role::kLeader) {
    return absl::FailedPreconditionError("raft: not the leader");
  }
  if (target == self() || !membership().is_voter(target)) {
    return absl::InvalidArgumentError("raft: leadership goes to another voter");
  }
  transfer_ = Transfer{.target = target, .ends = now_ + options_.election_min};
  finish_transfer(target, progress_.at(target));
  return ok();
}

void Raft::finish_transfer(const Member& from, const Progress& progress) {
  if (transfer_.has_value() && transfer_->target == from && !transfer_->told && progress.match == log_.last()) {
    transfer_->told = true;
    send(from, TimeoutNow{});
  }
}

}  // namespace chronik::raft
