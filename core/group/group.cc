#include "core/group/group.h"

#include <algorithm>

#include "core/base/check.h"

namespace chronik::group {

using protocol::ErrorCode;

namespace {

// Of a join; Kafka's assignors are four.
constexpr std::size_t kProtocolsMax = 64;
// What a group's members say of themselves and own, together: its record must be one that a log takes.
constexpr std::size_t kBytesMax = 8 << 20;
// Ids that were given and nobody has joined with yet.
constexpr std::size_t kPendingMax = 10'000;

std::size_t bytes_of_protocols(const std::vector<Protocol>& protocols) {
  std::size_t bytes = 0;
  for (const Protocol& protocol : protocols) {
    bytes += protocol.name.size() + protocol.metadata.size();
  }
  return bytes;
}

JoinAnswer refused_join(ErrorCode error, const std::string& member) { return {.error = error, .member_id = member}; }

// Who waits for an answer has been heard: it is not expected to say more.
bool waits(const Member& member) { return member.joining != 0 || member.syncing != 0; }

}  // namespace

std::string_view state_name(State state) {
  switch (state) {
    case State::kEmpty: return "Empty";
    case State::kPreparingRebalance: return "PreparingRebalance";
    case State::kCompletingRebalance: return "CompletingRebalance";
    case State::kStable: return "Stable";
    case State::kDead: return "Dead";
  }
  UNREACHABLE("a state of a group");
}

const Bytes* Member::metadata_for(std::string_view protocol) const {
  const auto found =
      std::find_if(protocols.begin(), protocols.end(), [&](const Protocol& one) { return one.name == protocol; });
  return found == protocols.end() ? nullptr : &found->metadata;
}

void Member::end_join(JoinAnswer answer, Effects& effects) {
  if (const Ticket ticket = std::exchange(joining, Ticket{0}); ticket != 0) {
    effects.joined.emplace_back(ticket, std::move(answer));
  }
}

void Member::end_sync(SyncAnswer answer, Effects& effects) {
  if (const Ticket ticket = std::exchange(syncing, Ticket{0}); ticket != 0) {
    effects.synced.emplace_back(ticket, std::move(answer));
  }
}

// ---- joining ----

void Group::join(const JoinCall& call, Ticket ticket, MonotonicTime now, Effects& effects) {
  if (call.session_timeout < settings_->session_min || call.session_timeout > settings_->session_max) {
    effects.joined.emplace_back(ticket, refused_join(ErrorCode::kInvalidSessionTimeout, call.member_id));
  } else if (call.member_id.empty()) {
    join_new(call, ticket, now, effects);
  } else {
    join_known(call, ticket, now, effects);
  }
  complete_join_if_all_have(now, effects);
}

ErrorCode Group::check_protocols(const JoinCall& call) const {
  if (call.protocol_type.empty() || call.protocols.empty() || call.protocols.size() > kProtocolsMax ||
      (!members_.empty() && call.protocol_type != protocol_type_)) {
    return ErrorCode::kInconsistentGroupProtocol;
  }
  const auto self = members_.find(call.member_id);
  const Member* but = self == members_.end() ? nullptr : &self->second;
  const bool others = members_.size() > (but == nullptr ? 0U : 1U);
  if (others && !supported_by_all(call.protocols, but)) {
    return ErrorCode::kInconsistentGroupProtocol;
  }
  std::size_t bytes = bytes_of_protocols(call.protocols);
  for (const auto& [id, member] : members_) {
    bytes += &member == but ? 0 : bytes_of_protocols(member.protocols) + member.assignment.size();
  }
  return bytes <= kBytesMax ? ErrorCode::kNone : ErrorCode::kGroupMaxSizeReached;
}

bool Group::supported_by_all(const std::vector<Protocol>& protocols, const Member* but) const {
  return std::any_of(protocols.begin(), protocols.end(), [&](const Protocol& protocol) {
    return std::all_of(members_.begin(), members_.end(), [&](const auto& entry) {
      return &entry.second == but || entry.second.metadata_for(protocol.name) != nullptr;
    });
  });
}

void Group::join_new(const JoinCall& call, Ticket ticket, MonotonicTime now, Effects& effects) {
  const auto instance = call.instance_id.has_value() ? instances_.find(*call.instance_id) : instances_.end();
  const bool replaces = instance != instances_.end();
  if (!replaces && (members_.size() + pending_.size() >= settings_->size_max || pending_.size() >= kPendingMax)) {
    effects.joined.emplace_back(ticket, refused_join(ErrorCode::kGroupMaxSizeReached, {}));
  } else if (const ErrorCode error = check_protocols(call); error != ErrorCode::kNone) {
    effects.joined.emplace_back(ticket, refused_join(error, {}));
  } else if (replaces) {
    take_over_instance(call, ticket, now, effects);
  } else if (call.must_know_its_id && !call.instance_id.has_value()) {
    pending_[call.new_member_id] = now + call.session_timeout;
    effects.joined.emplace_back(ticket, refused_join(ErrorCode::kMemberIdRequired, call.new_member_id));
  } else {
    add_member(call, call.new_member_id, ticket, now, effects);
  }
}

void Group::join_known(const JoinCall& call, Ticket ticket, MonotonicTime now, Effects& effects) {
  const auto refuse = [&](ErrorCode error) {
    effects.joined.emplace_back(ticket, refused_join(error, call.member_id));
  };
  if (const auto pending = pending_.find(call.member_id); pending != pending_.end()) {
    if (call.instance_id.has_value()) {
      return refuse(ErrorCode::kUnknownMemberId);  // ids are given to those without a name of their own
    }
    if (const ErrorCode error = check_protocols(call); error != ErrorCode::kNone) {
      return refuse(error);
    }
    pending_.erase(pending);
    return add_member(call, call.member_id, ticket, now, effects);
  }
  if (const ErrorCode error = check_member(call.member_id, call.instance_id, generation_); error != ErrorCode::kNone) {
    return refuse(error);
  }
  if (const ErrorCode error = check_protocols(call); error != ErrorCode::kNone) {
    return refuse(error);
  }
  Member& member = members_.at(call.member_id);
  const bool same = member.protocols == call.protocols;
  // Its answer may have been lost. In a stable group the leader asks again because it wants to assign anew.
  const bool knows =
      (state_ == State::kCompletingRebalance && same) || (state_ == State::kStable && same && member.id != leader_);
  if (knows) {
    hear(member, now);
    effects.joined.emplace_back(ticket, answer_of(member));
    return;
  }
  update_member(member, call, ticket, effects);
  if (state_ != State::kPreparingRebalance) {
    rebalance(now, effects);
  }
}

// The same instance comes back, under another id: whoever had the old one is fenced (KIP-345). Where what it supports
// leads to the same protocol, nobody else is bothered.
void Group::take_over_instance(const JoinCall& call, Ticket ticket, MonotonicTime now, Effects& effects) {
  std::string& id = instances_.at(*call.instance_id);
  const std::string led_as = id;
  auto node = members_.extract(id);
  Member& member = node.mapped();
  const bool led = leader_ == id;
  member.end_join(refused_join(ErrorCode::kFencedInstanceId, id), effects);
  member.end_sync({.error = ErrorCode::kFencedInstanceId}, effects);
  id = call.new_member_id;
  member.id = call.new_member_id;
  node.key() = call.new_member_id;
  members_.insert(std::move(node));
  if (led) {
    leader_ = call.new_member_id;
  }
  Member& back = members_.at(call.new_member_id);
  update_member(back, call, ticket, effects);
  if (state_ != State::kStable || chosen_protocol() != protocol_) {
    if (state_ != State::kPreparingRebalance) {
      rebalance(now, effects);
    }
    return;
  }
  back.joining = 0;
  back.joined = false;
  hear(back, now);
  effects.record = true;
  JoinAnswer answer = answer_of(back);
  if (led && call.knows_skipping) {
    answer.skip_assignment = true;
  } else if (led) {
    answer.leader = led_as;  // it must not assign: the others would not hear of it (KIP-814)
    answer.members.clear();
  }
  effects.joined.emplace_back(ticket, std::move(answer));
}

void Group::add_member(const JoinCall& call, const std::string& id, Ticket ticket, MonotonicTime now,
                       Effects& effects) {
  if (members_.empty()) {
    protocol_type_ = call.protocol_type;
  }
  Member& member = members_.emplace(id, Member{}).first->second;
  member.id = id;
  member.instance_id = call.instance_id;
  if (call.instance_id.has_value()) {
    instances_[*call.instance_id] = id;
  }
  update_member(member, call, ticket, effects);
  hear(member, now);
  if (state_ == State::kEmpty) {
    // Those that start together are to find themselves in one generation.
    const Duration delay = std::min(settings_->initial_delay, call.rebalance_timeout);
    state_ = State::kPreparingRebalance;
    first_join_ = true;
    more_came_ = false;
    join_ends_ = now + delay;
    join_ends_at_most_ = now + call.rebalance_timeout;
  } else if (state_ == State::kPreparingRebalance) {
    more_came_ = true;
  } else {
    rebalance(now, effects);
  }
}

void Group::update_member(Member& member, const JoinCall& call, Ticket ticket, Effects& effects) {
  // A client that asks again does not wait for its first answer any more.
  member.end_join(refused_join(ErrorCode::kRebalanceInProgress, member.id), effects);
  member.client_id = call.client_id;
  member.client_host = call.client_host;
  member.session_timeout = call.session_timeout;
  member.rebalance_timeout = call.rebalance_timeout;
  member.protocols = call.protocols;
  member.joining = ticket;
  member.joined = true;
}

// ---- staying and going ----

ErrorCode Group::check_member(const std::string& member, const std::optional<std::string>& instance,
                              std::int32_t generation) const {
  if (instance.has_value()) {
    const auto known = instances_.find(*instance);
    if (known == instances_.end()) {
      return ErrorCode::kUnknownMemberId;
    }
    if (known->second != member) {
      return ErrorCode::kFencedInstanceId;
    }
  }
  if (!members_.contains(member)) {
    return ErrorCode::kUnknownMemberId;
  }
  return generation == generation_ ? ErrorCode::kNone : ErrorCode::kIllegalGeneration;
}

ErrorCode Group::heartbeat(const std::string& member, const std::optional<std::string>& instance,
                           std::int32_t generation, MonotonicTime now) {
  if (const ErrorCode error = check_member(member, instance, generation); error != ErrorCode::kNone) {
    return error;
  }
  hear(members_.at(member), now);
  return state_ == State::kPreparingRebalance ? ErrorCode::kRebalanceInProgress : ErrorCode::kNone;
}

ErrorCode Group::check_commit(const std::string& member, const std::optional<std::string>& instance,
                              std::int32_t generation, MonotonicTime now) {
  if (generation < 0 && state_ == State::kEmpty) {
    return ErrorCode::kNone;  // a consumer that assigns itself, and has the group for itself
  }
  if (generation < 0 && member.empty() && !instance.has_value()) {
    return ErrorCode::kUnknownMemberId;  // it is in the way of those who are in it
  }
  if (const ErrorCode error = check_member(member, instance, generation); error != ErrorCode::kNone) {
    return error;
  }
  if (state_ == State::kCompletingRebalance) {
    return ErrorCode::kRebalanceInProgress;  // it has to learn first what it owns
  }
  hear(members_.at(member), now);
  return ErrorCode::kNone;
}

ErrorCode Group::leave(const std::string& member, const std::optional<std::string>& instance, MonotonicTime now,
                       Effects& effects) {
  std::string id = member;
  if (instance.has_value()) {
    const auto known = instances_.find(*instance);
    if (known == instances_.end()) {
      return ErrorCode::kUnknownMemberId;
    }
    if (!member.empty() && member != known->second) {
      return ErrorCode::kFencedInstanceId;
    }
    id = known->second;
  }
  if (pending_.erase(id) == 0) {
    if (!members_.contains(id)) {
      return ErrorCode::kUnknownMemberId;
    }
    remove_member(id, now, effects);
  }
  complete_join_if_all_have(now, effects);
  return ErrorCode::kNone;
}

void Group::abandon(Ticket ticket, MonotonicTime now) {
  for (auto& [id, member] : members_) {
    if (member.joining == ticket || member.syncing == ticket) {
      member.joining = member.joining == ticket ? 0 : member.joining;
      member.syncing = member.syncing == ticket ? 0 : member.syncing;
      hear(member, now);
    }
  }
}

void Group::remove_member(const std::string& id, MonotonicTime now, Effects& effects) {
  auto node = members_.extract(id);
  Member& member = node.mapped();
  member.end_join(refused_join(ErrorCode::kUnknownMemberId, id), effects);
  member.end_sync({.error = ErrorCode::kUnknownMemberId}, effects);
  if (member.instance_id.has_value()) {
    instances_.erase(*member.instance_id);
  }
  if (state_ == State::kStable || state_ == State::kCompletingRebalance) {
    rebalance(now, effects);
  }
}

// ---- time ----

MonotonicTime Group::next_deadline() const {
  MonotonicTime next = state_ == State::kPreparingRebalance ? join_ends_ : sync_ends_;
  for (const auto& [id, until] : pending_) {
    next = std::min(next, until);
  }
  for (const auto& [id, member] : members_) {
    if (!waits(member)) {
      next = std::min(next, member.expires);
    }
  }
  return next;
}

void Group::pass(MonotonicTime now, Effects& effects) {
  absl::erase_if(pending_, [now](const auto& entry) { return entry.second <= now; });
  expire_members(now, effects);
  if (state_ == State::kPreparingRebalance && join_ends_ <= now) {
    if (first_join_ && more_came_ && now < join_ends_at_most_) {
      more_came_ = false;
      join_ends_ = std::min(now + settings_->initial_delay, join_ends_at_most_);
    } else {
      complete_join(now, effects);
    }
  }
  complete_join_if_all_have(now, effects);
}

// Those that were not heard for the time of their session, and those that were told of a generation and never asked
// what they own in it.
void Group::expire_members(MonotonicTime now, Effects& effects) {
  const bool syncs_over = sync_ends_ <= now && state_ != State::kPreparingRebalance;
  std::vector<std::string> gone;
  for (const auto& [id, member] : members_) {
    if ((member.expires <= now && !waits(member)) || (syncs_over && member.owes_sync)) {
      gone.push_back(id);
    }
  }
  if (syncs_over) {
    sync_ends_ = MonotonicTime::never();
  }
  for (const std::string& id : gone) {
    remove_member(id, now, effects);
  }
}

void Group::begin_times_anew(MonotonicTime now) {
  for (auto& [id, member] : members_) {
    hear(member, now);
  }
  const Duration longest = rebalance_timeout();
  for (auto& [id, until] : pending_) {
    until = std::max(until, now + settings_->session_min);
  }
  if (state_ == State::kPreparingRebalance && !first_join_) {
    join_ends_ = now + longest;
  }
  if (sync_ends_ != MonotonicTime::never()) {
    sync_ends_ = now + longest;
  }
}

// ---- records ----

void Group::restore(Recorded recorded, MonotonicTime now) {
  CHECK(members_.empty());
  protocol_type_ = std::move(recorded.protocol_type);
  generation_ = recorded.generation;
  protocol_ = std::move(recorded.protocol);
  leader_ = std::move(recorded.leader);
  for (Member& member : recorded.members) {
    hear(member, now);
    if (member.instance_id.has_value()) {
      instances_[*member.instance_id] = member.id;
    }
    std::string id = member.id;
    members_.emplace(std::move(id), std::move(member));
  }
  state_ = members_.empty() ? State::kEmpty : State::kStable;
}

void Group::give_up(ErrorCode error, Effects& effects) {
  for (auto& [id, member] : members_) {
    member.end_join(refused_join(error, id), effects);
    member.end_sync({.error = error}, effects);
  }
  state_ = State::kDead;
}

}  // namespace chronik::group
