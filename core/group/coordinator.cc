#include "core/group/coordinator.h"

#include <algorithm>
#include <utility>

#include "core/group/subscription.h"

namespace chronik::group {

using protocol::ErrorCode;

namespace {

GroupValue recorded_form(const Group& group, const Moment& now) {
  GroupValue value;
  value.protocol_type = group.protocol_type();
  value.generation = GenerationId(group.generation());
  if (!group.members().empty()) {
    value.protocol = group.protocol();
    value.leader = group.leader();
  }
  value.current_state_timestamp_ms = now.wall.milliseconds();
  for (const auto& [id, member] : group.members()) {
    const Bytes* metadata = member.metadata_for(group.protocol());
    MemberValue& recorded = value.members.emplace_back();
    recorded.member_id = id;
    recorded.group_instance_id = member.instance_id;
    recorded.client_id = member.client_id;
    recorded.client_host = member.client_host;
    recorded.rebalance_timeout_ms = static_cast<std::int32_t>(member.rebalance_timeout.milliseconds());
    recorded.session_timeout_ms = static_cast<std::int32_t>(member.session_timeout.milliseconds());
    recorded.subscription = Slice::copy_of(metadata == nullptr ? std::string_view() : std::string_view(*metadata));
    recorded.assignment = Slice::copy_of(group.assignment_to_record(member));
  }
  return value;
}

}  // namespace

// ---- entries ----

Coordinator::Entry* Coordinator::entry(const std::string& group) {
  const auto found = entries_.find(group);
  return found == entries_.end() ? nullptr : &found->second;
}

Coordinator::Entry& Coordinator::make_entry(const std::string& group) {
  return entries_.try_emplace(group, Entry{Group(group, settings_), {}}).first->second;
}

const Group* Coordinator::find(const std::string& group) const {
  const auto found = entries_.find(group);
  return found == entries_.end() ? nullptr : &found->second.group;
}

std::vector<const Group*> Coordinator::groups() const {
  std::vector<const Group*> all;
  for (const auto& [name, entry] : entries_) {
    all.push_back(&entry.group);
  }
  return all;
}

absl::btree_set<PartitionName> Coordinator::partitions_of(const Entry& entry) {
  absl::btree_set<PartitionName> partitions;
  for (const auto& [partition, offset] : entry.offsets) {
    partitions.insert(partition);
  }
  for (const auto& [partition, changes] : entry.uncommitted) {
    partitions.insert(partition);
  }
  return partitions;
}

Coordinator::Counts Coordinator::counts() const {
  Counts counts = counts_;
  counts.groups = static_cast<std::int64_t>(entries_.size());
  return counts;
}

void Coordinator::follow(Entry& entry) {
  const std::size_t members = entry.group.members().size();
  counts_.members +=
      static_cast<std::int64_t>(members) - static_cast<std::int64_t>(std::exchange(entry.members, members));
  if (entry.group.generation() != std::exchange(entry.generation, entry.group.generation())) {
    ++counts_.generations;
  }
  schedule(entry);
}

void Coordinator::schedule(Entry& entry) {
  const MonotonicTime deadline = entry.group.next_deadline();
  if (deadline == entry.deadline) {
    return;
  }
  deadlines_.erase({entry.deadline, entry.group.id()});
  if (deadline != MonotonicTime::never()) {
    deadlines_.emplace(deadline, entry.group.id());
  }
  entry.deadline = deadline;
}

// A group that a refused call has made, and that no record tells of.
void Coordinator::forget_if_unused(Entry& entry) {
  if (entry.group.idle() && entry.group.generation() == 0 && entry.offsets.empty() && entry.commits == 0) {
    deadlines_.erase({entry.deadline, entry.group.id()});
    entries_.erase(std::string(entry.group.id()));
  }
}

// What the group wants recorded, if anything; what it says waits for that.
Outcome Coordinator::settle(Entry& entry, Effects effects, const Moment& now) {
  follow(entry);
  Outcome outcome;
  if (!effects.record) {
    outcome.joined = std::move(effects.joined);
    outcome.synced = std::move(effects.synced);
    return outcome;
  }
  outcome.records.push_back(
      {.key = encode_key(GroupKey{.group = entry.group.id()}), .value = encode_value(recorded_form(entry.group, now))});
  entry.empty_since_ms = entry.group.members().empty() ? now.wall.milliseconds() : -1;
  Pending pending;
  pending.group = entry.group.id();
  pending.generation = entry.group.generation();
  pending.joined = std::move(effects.joined);
  pending.synced = std::move(effects.synced);
  return begin(std::move(outcome), std::move(pending));
}

Outcome Coordinator::begin(Outcome outcome, Pending pending) {
  outcome.commit = ++last_commit_;
  ++entries_.at(pending.group).commits;
  pending_.emplace(outcome.commit, std::move(pending));
  return outcome;
}

// ---- members ----

Outcome Coordinator::join(const std::string& group, const JoinCall& call, Ticket ticket, const Moment& now) {
  Entry* found = entry(group);
  if (found == nullptr && !call.member_id.empty()) {
    Outcome outcome;
    outcome.joined.emplace_back(ticket, JoinAnswer{.error = ErrorCode::kUnknownMemberId, .member_id = call.member_id});
    return outcome;
  }
  Entry& joined = found == nullptr ? make_entry(group) : *found;
  Effects effects;
  joined.group.join(call, ticket, now.time, effects);
  Outcome outcome = settle(joined, std::move(effects), now);
  forget_if_unused(joined);
  return outcome;
}

Outcome Coordinator::sync(const std::string& group, const SyncCall& call, Ticket ticket, const Moment& now) {
  Entry* found = entry(group);
  if (found == nullptr) {
    Outcome outcome;
    outcome.synced.emplace_back(ticket, SyncAnswer{.error = ErrorCode::kUnknownMemberId});
    return outcome;
  }
  Effects effects;
  found->group.sync(call, ticket, now.time, effects);
  return settle(*found, std::move(effects), now);
}

void Coordinator::abandon(const std::string& group, Ticket ticket, const Moment& now) {
  if (Entry* found = entry(group); found != nullptr) {
    found->group.abandon(ticket, now.time);
    follow(*found);
  }
}

ErrorCode Coordinator::heartbeat(const std::string& group, const std::string& member,
                                 const std::optional<std::string>& instance, std::int32_t generation,
                                 const Moment& now) {
  Entry* found = entry(group);
  if (found == nullptr) {
    return ErrorCode::kUnknownMemberId;
  }
  // Being heard only puts its deadlines off: when the earlier one has come, pass() finds nothing due and looks for the
  // next. So a beat does not cost a look at all members.
  return found->group.heartbeat(member, instance, generation, now.time);
}

Outcome Coordinator::leave(const std::string& group, const std::vector<Leaving>& members, const Moment& now,
                           std::vector<ErrorCode>& errors) {
  Entry* found = entry(group);
  if (found == nullptr) {
    errors.assign(members.size(), ErrorCode::kUnknownMemberId);
    return {};
  }
  Effects effects;
  for (const Leaving& member : members) {
    errors.push_back(found->group.leave(member.member_id, member.instance_id, now.time, effects));
  }
  Outcome outcome = settle(*found, std::move(effects), now);
  forget_if_unused(*found);
  return outcome;
}

// ---- offsets ----

void Coordinator::write_offset(Entry& entry, const PartitionName& partition, std::optional<OffsetValue> value,
                               Outcome& outcome, Pending& pending) {
  KeyAndValue record{.key = encode_key(OffsetKey{
                         .group = entry.group.id(), .topic = partition.topic, .partition = partition.partition}),
                     .value = std::nullopt};
  if (value.has_value()) {
    record.value = encode_value(*value);
  }
  outcome.records.push_back(std::move(record));
  ++entry.uncommitted[partition];
  pending.offsets.emplace_back(partition, std::move(value));
}

Outcome Coordinator::commit_offsets(const CommitCall& call, const Moment& now, std::vector<ErrorCode>& errors) {
  Entry* found = entry(call.group);
  if (found == nullptr && call.generation >= 0) {
    errors.assign(call.offsets.size(), ErrorCode::kIllegalGeneration);
    return {};
  }
  Entry& into = found == nullptr ? make_entry(call.group) : *found;
  const ErrorCode refused = into.group.check_commit(call.member_id, call.instance_id, call.generation, now.time);
  Outcome outcome;
  Pending pending;
  pending.group = call.group;
  absl::btree_map<PartitionName, std::size_t> last;  // of those that are named more than once
  for (std::size_t i = 0; i < call.offsets.size(); ++i) {
    last[call.offsets[i].first] = i;
  }
  for (std::size_t i = 0; i < call.offsets.size(); ++i) {
    const auto& [partition, offset] = call.offsets[i];
    const bool too_large = offset.metadata.size() > offsets_.metadata_max;
    errors.push_back(refused == ErrorCode::kNone && too_large ? ErrorCode::kOffsetMetadataTooLarge : refused);
    if (errors.back() == ErrorCode::kNone && last.at(partition) == i) {
      write_offset(into, partition, offset, outcome, pending);
    }
  }
  if (outcome.records.empty()) {
    forget_if_unused(into);
    return {};
  }
  return begin(std::move(outcome), std::move(pending));
}

const OffsetValue* Coordinator::committed_offset(const std::string& group, const PartitionName& partition) const {
  const auto found = entries_.find(group);
  if (found == entries_.end()) {
    return nullptr;
  }
  const auto offset = found->second.offsets.find(partition);
  return offset == found->second.offsets.end() ? nullptr : &offset->second;
}

std::vector<std::pair<PartitionName, OffsetValue>> Coordinator::committed_offsets(const std::string& group) const {
  const auto found = entries_.find(group);
  return found == entries_.end() ? std::vector<std::pair<PartitionName, OffsetValue>>()
                                 : std::vector<std::pair<PartitionName, OffsetValue>>(found->second.offsets.begin(),
                                                                                      found->second.offsets.end());
}

Outcome Coordinator::delete_offsets(const std::string& group, const std::vector<PartitionName>& partitions,
                                    std::vector<ErrorCode>& errors) {
  Entry* found = entry(group);
  const auto refuse_all = [&](ErrorCode error) {
    errors.assign(partitions.size(), error);
    return Outcome();
  };
  if (found == nullptr) {
    return refuse_all(ErrorCode::kGroupIdNotFound);
  }
  if (!found->group.idle() && found->group.protocol_type() != kConsumerProtocol) {
    return refuse_all(ErrorCode::kNonEmptyGroup);
  }
  const absl::btree_set<std::string> subscribed = subscribed_topics(found->group);
  const bool undecided = !found->group.members().empty() && found->group.protocol().empty();
  absl::btree_set<PartitionName> once;
  Outcome outcome;
  Pending pending;
  pending.group = group;
  for (const PartitionName& partition : partitions) {
    const bool kept = subscribed.contains(partition.topic) || undecided;
    errors.push_back(kept ? ErrorCode::kGroupSubscribedToTopic : ErrorCode::kNone);
    if (!kept && found->offsets.contains(partition) && once.insert(partition).second) {
      write_offset(*found, partition, std::nullopt, outcome, pending);
    }
  }
  return outcome.records.empty() ? Outcome() : begin(std::move(outcome), std::move(pending));
}

std::vector<Outcome> Coordinator::forget_topic(const std::string& topic) {
  std::vector<Outcome> all;
  for (auto& [name, entry] : entries_) {
    Outcome outcome;
    Pending pending;
    pending.group = name;
    absl::btree_set<PartitionName> gone;
    const PartitionName first{topic, PartitionId(0)};
    for (auto at = entry.offsets.lower_bound(first); at != entry.offsets.end() && at->first.topic == topic; ++at) {
      gone.insert(at->first);
    }
    for (auto at = entry.uncommitted.lower_bound(first); at != entry.uncommitted.end() && at->first.topic == topic;
         ++at) {
      gone.insert(at->first);
    }
    for (const PartitionName& partition : gone) {
      write_offset(entry, partition, std::nullopt, outcome, pending);
    }
    if (!outcome.records.empty()) {
      all.push_back(begin(std::move(outcome), std::move(pending)));
    }
  }
  return all;
}

// ---- groups ----

Outcome Coordinator::delete_group(const std::string& group, ErrorCode& error) {
  Entry* found = entry(group);
  if (found == nullptr) {
    error = ErrorCode::kGroupIdNotFound;
  } else {
    error = found->group.state() == State::kEmpty ? ErrorCode::kNone : ErrorCode::kNonEmptyGroup;
  }
  if (error != ErrorCode::kNone) {
    return {};
  }
  Outcome outcome;
  Pending pending;
  pending.group = group;
  pending.deletes = true;
  for (const PartitionName& partition : partitions_of(*found)) {
    write_offset(*found, partition, std::nullopt, outcome, pending);
  }
  outcome.records.push_back({.key = encode_key(GroupKey{.group = group}), .value = std::nullopt});
  return begin(std::move(outcome), std::move(pending));
}

// ---- time ----

MonotonicTime Coordinator::next_deadline() const {
  return deadlines_.empty() ? MonotonicTime::never() : deadlines_.begin()->first;
}

Outcome Coordinator::pass(const Moment& now) {
  if (next_deadline() > now.time) {
    return {};
  }
  Entry& due = entries_.at(deadlines_.begin()->second);
  Effects effects;
  due.group.pass(now.time, effects);
  Outcome outcome = settle(due, std::move(effects), now);
  forget_if_unused(due);
  return outcome;
}

void Coordinator::begin_times_anew(MonotonicTime now) {
  for (auto& [name, entry] : entries_) {
    entry.group.begin_times_anew(now);
    schedule(entry);
  }
}

std::vector<PartitionName> Coordinator::expired_of(const Entry& entry, const Moment& now,
                                                   TopicIsGone topic_is_gone) const {
  const bool idle = entry.group.idle();
  // Of a group that goes on, only what it does not read any more grows old: as far as it says what it reads.
  const bool told = !idle && entry.group.state() == State::kStable && entry.group.protocol_type() == kConsumerProtocol;
  const absl::btree_set<std::string> subscribed =
      told ? subscribed_topics(entry.group) : absl::btree_set<std::string>();
  const auto unused = [&](const PartitionName& partition) {
    return idle || (!subscribed.empty() && !subscribed.contains(partition.topic));
  };
  // Of a group that had members: from when it lost the last; of others: from each commit.
  const auto old = [&](const OffsetValue& offset) {
    if (offset.expire_timestamp_ms >= 0) {
      return now.wall.milliseconds() >= offset.expire_timestamp_ms;
    }
    const std::int64_t from_ms = std::max(offset.commit_timestamp_ms, entry.empty_since_ms);
    return now.wall.milliseconds() - from_ms >= offsets_.retention_ms;
  };
  std::vector<PartitionName> expired;
  for (const auto& [partition, offset] : entry.offsets) {
    if (topic_is_gone(partition.topic, offset.topic_id) || (unused(partition) && old(offset))) {
      expired.push_back(partition);
    }
  }
  return expired;
}

Outcome Coordinator::expire_offsets(const Moment& now, TopicIsGone topic_is_gone, EmptyGroups empty_groups) {
  // A group's name may be empty.
  const auto first = expired_to_.has_value() ? entries_.upper_bound(*expired_to_) : entries_.begin();
  for (auto at = first; at != entries_.end(); ++at) {
    const std::string& name = at->first;
    Entry& entry = at->second;
    expired_to_ = name;
    if (entry.commits != 0) {
      continue;
    }
    Outcome outcome;
    Pending pending;
    pending.group = name;
    for (const PartitionName& partition : expired_of(entry, now, topic_is_gone)) {
      write_offset(entry, partition, std::nullopt, outcome, pending);
    }
    if (empty_groups == EmptyGroups::kGo && entry.group.idle() && pending.offsets.size() == entry.offsets.size()) {
      pending.deletes = true;
      outcome.records.push_back({.key = encode_key(GroupKey{.group = name}), .value = std::nullopt});
    }
    if (!outcome.records.empty()) {
      return begin(std::move(outcome), std::move(pending));
    }
  }
  expired_to_.reset();
  return {};
}

}  // namespace chronik::group
