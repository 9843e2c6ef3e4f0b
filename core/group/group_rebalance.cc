// How a generation comes about: everybody joins, the leader assigns, that is recorded, and all are told.
#include <absl/container/btree_set.h>

#include <algorithm>

#include "core/base/check.h"
#include "core/group/group.h"

namespace chronik::group {

using protocol::ErrorCode;

// ---- the rebalance ----

Duration Group::rebalance_timeout() const {
  Duration longest = Duration::zero();
  for (const auto& [id, member] : members_) {
    longest = std::max(longest, member.rebalance_timeout);
  }
  return longest;
}

void Group::rebalance(MonotonicTime now, Effects& effects) {
  refuse_syncs(ErrorCode::kRebalanceInProgress, effects);
  to_be_recorded_.clear();
  recording_ = false;
  sync_ends_ = MonotonicTime::never();
  state_ = State::kPreparingRebalance;
  first_join_ = false;
  join_ends_ = now + rebalance_timeout();
}

bool Group::all_have_joined() const {
  return pending_.empty() &&
         std::all_of(members_.begin(), members_.end(), [](const auto& entry) { return entry.second.joined; });
}

void Group::complete_join_if_all_have(MonotonicTime now, Effects& effects) {
  if (state_ == State::kPreparingRebalance && !first_join_ && all_have_joined()) {
    complete_join(now, effects);
  }
}

void Group::complete_join(MonotonicTime now, Effects& effects) {
  // Whoever has an instance's name is expected back, and keeps its place for as long as its session lasts.
  absl::erase_if(members_, [](const auto& entry) { return !entry.second.joined && !entry.second.instance_id; });
  first_join_ = false;
  join_ends_ = MonotonicTime::never();
  if (members_.empty()) {
    ++generation_;
    protocol_.clear();
    leader_.clear();
    state_ = State::kEmpty;
    effects.record = true;
    return;
  }
  const auto led = members_.find(leader_);
  if (led == members_.end() || !led->second.joined) {
    const auto joined =
        std::find_if(members_.begin(), members_.end(), [](const auto& entry) { return entry.second.joined; });
    if (joined == members_.end()) {
      // Nobody is there to be told of a generation; only instances are left, which may have allowed no time at all.
      join_ends_ = now + std::max(rebalance_timeout(), Duration::seconds(1));
      return;
    }
    leader_ = joined->first;
  }
  begin_generation(now, effects);
}

void Group::begin_generation(MonotonicTime now, Effects& effects) {
  ++generation_;
  protocol_ = chosen_protocol();
  state_ = State::kCompletingRebalance;
  to_be_recorded_.clear();
  recording_ = false;
  sync_ends_ = now + rebalance_timeout();
  for (auto& [id, member] : members_) {
    member.owes_sync = member.joined;
    if (std::exchange(member.joined, false)) {
      hear(member, now);
      member.end_join(answer_of(member), effects);
    }
  }
}

// What all support and most prefer.
std::string Group::chosen_protocol() const {
  absl::btree_map<std::string_view, std::size_t> supporters;
  for (const auto& [id, member] : members_) {
    absl::btree_set<std::string_view> once;
    for (const Protocol& protocol : member.protocols) {
      supporters[protocol.name] += once.insert(protocol.name).second ? 1U : 0U;
    }
  }
  absl::btree_map<std::string_view, std::size_t> votes;
  for (const auto& [id, member] : members_) {
    const auto preferred =
        std::find_if(member.protocols.begin(), member.protocols.end(),
                     [&](const Protocol& protocol) { return supporters.at(protocol.name) == members_.size(); });
    if (preferred != member.protocols.end()) {
      ++votes[preferred->name];
    }
  }
  CHECK(!votes.empty());
  const auto most =
      std::max_element(votes.begin(), votes.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  return std::string(most->first);
}

JoinAnswer Group::answer_of(const Member& member) const {
  JoinAnswer answer{.generation = generation_,
                    .protocol_type = protocol_type_,
                    .protocol = protocol_,
                    .leader = leader_,
                    .member_id = member.id};
  if (member.id == leader_) {
    for (const auto& [id, one] : members_) {
      const Bytes* metadata = one.metadata_for(protocol_);
      answer.members.push_back(
          {.id = id, .instance_id = one.instance_id, .metadata = metadata == nullptr ? Bytes() : *metadata});
    }
  }
  return answer;
}

// ---- assignments ----

void Group::sync(const SyncCall& call, Ticket ticket, MonotonicTime now, Effects& effects) {
  const auto refuse = [&](ErrorCode error) { effects.synced.emplace_back(ticket, SyncAnswer{.error = error}); };
  if (const ErrorCode error = check_member(call.member_id, call.instance_id, call.generation);
      error != ErrorCode::kNone) {
    return refuse(error);
  }
  if (call.protocol_type.value_or(protocol_type_) != protocol_type_ || call.protocol.value_or(protocol_) != protocol_) {
    return refuse(ErrorCode::kInconsistentGroupProtocol);
  }
  Member& member = members_.at(call.member_id);
  if (state_ == State::kPreparingRebalance) {
    return refuse(ErrorCode::kRebalanceInProgress);
  }
  CHECK(state_ == State::kCompletingRebalance || state_ == State::kStable);
  member.owes_sync = false;
  hear(member, now);
  if (state_ == State::kStable) {
    effects.synced.emplace_back(ticket, assignment_of(member));
    return;
  }
  member.end_sync({.error = ErrorCode::kRebalanceInProgress}, effects);
  member.syncing = ticket;
  if (member.id == leader_ && !recording_) {
    for (const auto& [id, assignment] : call.assignments) {
      to_be_recorded_[id] = assignment;
    }
    recording_ = true;
    effects.record = true;
  }
}

SyncAnswer Group::assignment_of(const Member& member) const {
  return {.protocol_type = protocol_type_, .protocol = protocol_, .assignment = member.assignment};
}

std::string_view Group::assignment_to_record(const Member& member) const {
  if (!recording_) {
    return member.assignment;
  }
  const auto found = to_be_recorded_.find(member.id);
  return found == to_be_recorded_.end() ? std::string_view() : std::string_view(found->second);
}

void Group::recorded(std::int32_t generation, MonotonicTime now, Effects& effects) {
  if (state_ != State::kCompletingRebalance || generation != generation_ || !recording_) {
    return;
  }
  for (auto& [id, member] : members_) {
    member.assignment = Bytes(assignment_to_record(member));
  }
  recording_ = false;
  to_be_recorded_.clear();
  state_ = State::kStable;
  for (auto& [id, member] : members_) {
    if (member.syncing != 0) {
      hear(member, now);
      member.end_sync(assignment_of(member), effects);
    }
  }
}

void Group::not_recorded(std::int32_t generation, ErrorCode error, MonotonicTime now, Effects& effects) {
  if (state_ == State::kCompletingRebalance && generation == generation_ && recording_) {
    refuse_syncs(error, effects);
    rebalance(now, effects);
  }
}

void Group::refuse_syncs(ErrorCode error, Effects& effects) {
  for (auto& [id, member] : members_) {
    member.owes_sync = false;
    member.end_sync({.error = error}, effects);
  }
}

}  // namespace chronik::group
