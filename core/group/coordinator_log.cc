// What follows from the log: of records that are committed or never will be, and of those that are replayed.
#include <algorithm>
#include <iterator>
#include <utility>

#include "core/base/check.h"
#include "core/group/coordinator.h"

namespace chronik::group {

using protocol::ErrorCode;

namespace {

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
    restored.protocols = {{.name = recorded.protocol, .metadata = Bytes(member.subscription.text())}};
    restored.assignment = Bytes(member.assignment.text());
  }
  return recorded;
}

}  // namespace

Outcome Coordinator::committed(CommitId commit, const Moment& now) {
  auto node = pending_.extract(commit);
  CHECK(!node.empty());
  Pending& pending = node.mapped();
  Entry* found = entry(pending.group);
  CHECK(found != nullptr);
  --found->commits;
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
  if (pending.deletes && found->group.state() == State::kEmpty) {
    // As after a replay: whoever comes now begins anew.
    found->group = Group(pending.group, settings_);
    found->generation = 0;
    found->empty_since_ms = -1;
    follow(*found);
  }
  forget_if_unused(*found);
  return outcome;
}

Outcome Coordinator::failed(CommitId commit, ErrorCode error, const Moment& now) {
  auto node = pending_.extract(commit);
  CHECK(!node.empty());
  Pending& pending = node.mapped();
  Entry* found = entry(pending.group);
  CHECK(found != nullptr);
  --found->commits;
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
  forget_if_unused(*found);
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
    make_entry(offset_key->group).offsets.insert_or_assign(partition, std::move(offset));
    return ok();
  }
  if (const auto* group_key = std::get_if<GroupKey>(&parsed); group_key != nullptr) {
    Group group(group_key->group, settings_);
    std::int64_t empty_since_ms = -1;
    if (value.has_value()) {
      ASSIGN_OR_RETURN(const GroupValue recorded, parse_group_value(*value));
      group.restore(restored_form(recorded), now.time);
      empty_since_ms = recorded.members.empty() ? recorded.current_state_timestamp_ms : -1;
    }
    Entry& into = make_entry(group_key->group);
    into.group = std::move(group);
    into.generation = into.group.generation();
    into.empty_since_ms = empty_since_ms;
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
