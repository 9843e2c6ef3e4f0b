#include "core/group/coordinator.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "core/base/check.h"
#include "core/group/subscription.h"

namespace chronik::group {

using protocol::ErrorCode;

namespace {

Bytes bytes_of(const Slice& slice) {
  const ByteSpan bytes = slice.bytes();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

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

Group::Recorded restored_form(const GroupValue& value) {
  Group::Recorded recorded{.protocol_type = value.protocol_type,
                           .generation = value.generation.value(),
                           .protocol = value.protocol.value_or(""),
                           .leader = value.leader.value_or(""),
                           .members = {}};
  for (const MemberValue& member : value.members) {
    Member& restored = recorded.members.emplace_back();
    restored.id = member.member_id;
    restored.instance_id = member.group_instance_id;
    restored.client_id = member.client_id;
    restored.client_host = member.client_host;
    restored.session_timeout = Duration::milliseconds(member.session_timeout_ms);
    restored.rebalance_timeout = Duration::milliseconds(member.rebalance_timeout_ms);
    restored.protocols = {{.name = recorded.protocol, .metadata = bytes_of(member.subscription)}};
    restored.assignment = bytes_of(member.assignment);
  }
  return recorded;
}

}  // namespace

// ---- entries ----

Coordinator::Entry* Coordinator::entry(const std::string& group) {
  const auto found = entries_.find(group);
  return found == entries_.end() ? nullptr : &found->second;
}

Coordinator::Entry& Coordinator::make_entry(const std::string& group, const Moment& now) {
  return entries_.try_emplace(group, Entry{Group(group, settings_, now.time), {}}).first->second;
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
  if (entry.group.idle() && entry.group.generation() == 0 && entry.offsets.empty() && entry.uncommitted.empty()) {
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
  Pending pending;
  pending.group = entry.group.id();
  pending.generation = entry.group.generation();
  pending.joined = std::move(effects.joined);
  pending.synced = std::move(effects.synced);
  return begin(std::move(outcome), std::move(pending));
}

Outcome Coordinator::begin(Outcome outcome, Pending pending) {
  outcome.commit = ++last_commit_;
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
  Entry& joined = found == nullptr ? make_entry(group, now) : *found;
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

ErrorCode Coordinator::heartbeat(const std::string& group, const std::string& member,
                                 const std::optional<std::string>& instance, std::int32_t generation,
                                 const Moment& now) {
  Entry* found = entry(group);
  if (found == nullptr) {
    return ErrorCode::kUnknownMemberId;
  }
  const ErrorCode error = found->group.heartbeat(member, instance, generation, now.time);
  follow(*found);
  return error;
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
  if (found == nullptr && (call.generation >= 0 || !call.member_id.empty())) {
    errors.assign(call.offsets.size(), ErrorCode::kIllegalGeneration);
    return {};
  }
  Entry& into = found == nullptr ? make_entry(call.group, now) : *found;
  const ErrorCode refused = into.group.check_commit(call.member_id, call.instance_id, call.generation, now.time);
  follow(into);
  Outcome outcome;
  Pending pending;
  pending.group = call.group;
  for (const auto& [partition, offset] : call.offsets) {
    const bool too_large = offset.metadata.size() > offsets_.metadata_max;
    errors.push_back(refused == ErrorCode::kNone && too_large ? ErrorCode::kOffsetMetadataTooLarge : refused);
    if (errors.back() == ErrorCode::kNone) {
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
  Outcome outcome;
  Pending pending;
  pending.group = group;
  for (const PartitionName& partition : partitions) {
    errors.push_back(subscribed.contains(partition.topic) ? ErrorCode::kGroupSubscribedToTopic : ErrorCode::kNone);
    if (errors.back() == ErrorCode::kNone && found->offsets.contains(partition)) {
      write_offset(*found, partition, std::nullopt, outcome, pending);
    }
  }
  return outcome.records.empty() ? Outcome() : begin(std::move(outcome), std::move(pending));
}

// ---- groups ----

Outcome Coordinator::delete_group(const std::string& group, ErrorCode& error) {
  Entry* found = entry(group);
  error = found == nullptr      ? ErrorCode::kGroupIdNotFound
          : found->group.idle() ? ErrorCode::kNone
                                : ErrorCode::kNonEmptyGroup;
  if (error != ErrorCode::kNone) {
    return {};
  }
  absl::btree_set<PartitionName> partitions;
  for (const auto& [partition, offset] : found->offsets) {
    partitions.insert(partition);
  }
  for (const auto& [partition, changes] : found->uncommitted) {
    partitions.insert(partition);
  }
  Outcome outcome;
  Pending pending;
  pending.group = group;
  pending.deletes = true;
  for (const PartitionName& partition : partitions) {
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

Outcome Coordinator::expire_offsets(const Moment& now) {
  for (auto& [name, entry] : entries_) {
    if (!entry.group.idle() || !entry.uncommitted.empty()) {
      continue;
    }
    // Of a group that had members: from when it lost the last; of one that only commits: from each commit.
    const std::int64_t idle_ms = (now.time - entry.group.since()).milliseconds();
    const bool grouped = !entry.group.protocol_type().empty();
    const auto expired = [&](const OffsetValue& offset) {
      if (offset.expire_timestamp_ms >= 0) {
        return now.wall.milliseconds() >= offset.expire_timestamp_ms;
      }
      const std::int64_t age_ms = now.wall.milliseconds() - offset.commit_timestamp_ms;
      return age_ms >= offsets_.retention_ms && (!grouped || idle_ms >= offsets_.retention_ms);
    };
    Outcome outcome;
    Pending pending;
    pending.group = name;
    for (const auto& [partition, offset] : entry.offsets) {
      if (expired(offset)) {
        write_offset(entry, partition, std::nullopt, outcome, pending);
      }
    }
    if (pending.offsets.size() == entry.offsets.size()) {
      pending.deletes = true;
      outcome.records.push_back({.key = encode_key(GroupKey{.group = name}), .value = std::nullopt});
    }
    if (!outcome.records.empty()) {
      return begin(std::move(outcome), std::move(pending));  // one group at a time: ask again
    }
  }
  return {};
}

// ---- the log ----

Outcome Coordinator::committed(CommitId commit, const Moment& now) {
  auto node = pending_.extract(commit);
  CHECK(!node.empty());
  Pending& pending = node.mapped();
  Entry* found = entry(pending.group);
  CHECK(found != nullptr);
  for (auto& [partition, value] : pending.offsets) {
    if (value.has_value()) {
      found->offsets.insert_or_assign(partition, *std::move(value));
      ++counts_.offsets;
    } else {
      found->offsets.erase(partition);
    }
    if (--found->uncommitted.at(partition) == 0) {
      found->uncommitted.erase(partition);
    }
  }
  Effects effects;
  if (pending.generation.has_value()) {
    found->group.recorded(*pending.generation, now.time, effects);
  }
  Outcome outcome = settle(*found, std::move(effects), now);
  std::move(pending.joined.begin(), pending.joined.end(), std::back_inserter(outcome.joined));
  std::move(pending.synced.begin(), pending.synced.end(), std::back_inserter(outcome.synced));
  if (pending.deletes && found->group.idle() && found->offsets.empty() && found->uncommitted.empty()) {
    deadlines_.erase({found->deadline, pending.group});
    entries_.erase(pending.group);
  }
  return outcome;
}

Outcome Coordinator::failed(CommitId commit, ErrorCode error, const Moment& now) {
  auto node = pending_.extract(commit);
  CHECK(!node.empty());
  Pending& pending = node.mapped();
  Entry* found = entry(pending.group);
  CHECK(found != nullptr);
  for (const auto& [partition, value] : pending.offsets) {
    if (--found->uncommitted.at(partition) == 0) {
      found->uncommitted.erase(partition);
    }
  }
  Effects effects;
  if (pending.generation.has_value()) {
    found->group.not_recorded(*pending.generation, error, now.time, effects);
  }
  Outcome outcome = settle(*found, std::move(effects), now);
  for (auto& [ticket, answer] : pending.joined) {
    outcome.joined.emplace_back(ticket, JoinAnswer{.error = error, .member_id = answer.member_id});
  }
  for (auto& [ticket, answer] : pending.synced) {
    outcome.synced.emplace_back(ticket, SyncAnswer{.error = error});
  }
  return outcome;
}

Status Coordinator::replay(ByteSpan key, std::optional<ByteSpan> value, const Moment& now) {
  ASSIGN_OR_RETURN(const RecordKey parsed, parse_key(key));
  if (const auto* offset_key = std::get_if<OffsetKey>(&parsed); offset_key != nullptr) {
    const PartitionName partition{offset_key->topic, offset_key->partition};
    if (!value.has_value()) {
      if (Entry* found = entry(offset_key->group); found != nullptr) {
        found->offsets.erase(partition);
        forget_if_unused(*found);
      }
      return ok();
    }
    ASSIGN_OR_RETURN(OffsetValue offset, parse_offset_value(*value));
    make_entry(offset_key->group, now).offsets.insert_or_assign(partition, std::move(offset));
    return ok();
  }
  if (const auto* group_key = std::get_if<GroupKey>(&parsed); group_key != nullptr) {
    Group group(group_key->group, settings_, now.time);
    if (value.has_value()) {
      ASSIGN_OR_RETURN(const GroupValue recorded, parse_group_value(*value));
      group.restore(restored_form(recorded), now.time);
    }
    Entry& into = make_entry(group_key->group, now);
    into.group = std::move(group);
    into.generation = into.group.generation();
    follow(into);
    forget_if_unused(into);
  }
  return ok();
}

Outcome Coordinator::resign(ErrorCode error) {
  Outcome all;
  for (auto& [name, entry] : entries_) {
    Effects effects;
    entry.group.give_up(error, effects);
    std::move(effects.joined.begin(), effects.joined.end(), std::back_inserter(all.joined));
    std::move(effects.synced.begin(), effects.synced.end(), std::back_inserter(all.synced));
  }
  for (auto& [commit, pending] : pending_) {
    for (auto& [ticket, answer] : pending.joined) {
      all.joined.emplace_back(ticket, JoinAnswer{.error = error, .member_id = answer.member_id});
    }
    for (auto& [ticket, answer] : pending.synced) {
      all.synced.emplace_back(ticket, SyncAnswer{.error = error});
    }
  }
  pending_.clear();
  return all;
}

}  // namespace chronik::group
