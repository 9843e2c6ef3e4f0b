// How a client of the scenario `jepsen` that subscribes gets its share of the keys, and keeps it.
#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "core/fiber/wait.h"
#include "core/protocol/messages/heartbeat.h"
#include "core/protocol/messages/leave_group.h"
#include "core/protocol/messages/offset_commit.h"
#include "core/protocol/messages/offset_fetch.h"
#include "core/protocol/messages/sync_group.h"
#include "sim/scenarios/group_visitors.h"
#include "sim/scenarios/jepsen_parts.h"
#include "sim/scenarios/one_node.h"

namespace chronik::sim {

using protocol::ErrorCode;

namespace {

constexpr const char* kJepsenGroup = "jepsen";
constexpr int kAttemptsAtPositions = 3;

}  // namespace

JepsenMember::~JepsenMember() = default;

// For the others of its group to come to a rebalance, and some more.
Deadline JepsenMember::patience() const {
  return fiber::within(Duration::milliseconds(state_.rebalance_ms) + Duration::seconds(5), Expiry::kNormal);
}

bool JepsenMember::take_part(JepsenPositions& positions) {
  if (coordinator_ != nullptr && coordinator_->broken()) {
    coordinator_ = nullptr;
  }
  if (coordinator_ == nullptr) {
    if (auto found = find_group_coordinator(process_, state_, kJepsenGroup); found.ok()) {
      coordinator_ = *std::move(found);
    }
  }
  if (settled_ && beat()) {
    return true;
  }
  positions.clear();
  settled_ = false;
  if (coordinator_ != nullptr) {
    join();
  }
  settled_ = settled_ && fetch_positions(positions);
  return false;
}

// Whether it may go on as before: as long as its session lasts, also without an answer.
bool JepsenMember::beat() {
  const VirtualTime asked = state_.world->now();
  if (coordinator_ != nullptr) {
    protocol::HeartbeatRequest request;
    request.group_id = kJepsenGroup;
    request.generation_id = generation_;
    request.member_id = id_;
    const auto got = coordinator_->call<protocol::HeartbeatResponse>(request, 4, patience());
    if (got.ok() && got->error_code == ErrorCode::kNone) {
      heard_ = asked;
      return true;
    }
    if (got.ok()) {
      judge_error(got->error_code);
    }
  }
  return settled_ && state_.world->now() - heard_ < Duration::milliseconds(state_.session_ms);
}

void JepsenMember::judge_error(ErrorCode error) {
  switch (error) {
    case ErrorCode::kUnknownMemberId: id_.clear(); [[fallthrough]];
    case ErrorCode::kIllegalGeneration:
    case ErrorCode::kRebalanceInProgress: settled_ = false; return;
    case ErrorCode::kNotCoordinator:
    case ErrorCode::kCoordinatorNotAvailable: coordinator_ = nullptr; return;
    case ErrorCode::kMemberIdRequired:
    case ErrorCode::kCoordinatorLoadInProgress:
    case ErrorCode::kRequestTimedOut:
    case ErrorCode::kUnknownTopicOrPartition: return;  // a coordinator that has not heard of the topic yet
    default: state_.world->fail("CONFORM", fmt::format("a member is told {}", protocol::error_name(error)));
  }
}

void JepsenMember::join() {
  protocol::JoinGroupRequest request;
  request.group_id = kJepsenGroup;
  request.session_timeout_ms = state_.session_ms;
  request.rebalance_timeout_ms = state_.rebalance_ms;
  request.protocol_type = "consumer";
  request.protocols.push_back({.name = "bytes", .metadata = Slice::copy_of("")});
  for (int attempt = 0; attempt < 2 && coordinator_ != nullptr; ++attempt) {
    request.member_id = id_;
    const auto joined = coordinator_->call<protocol::JoinGroupResponse>(request, 9, patience());
    if (!joined.ok()) {
      coordinator_ = nullptr;  // an answer that comes late is nobody's
      return;
    }
    if (joined->error_code == ErrorCode::kNone) {
      id_ = joined->member_id;
      generation_ = joined->generation_id;
      return synchronise(*joined);
    }
    judge_error(joined->error_code);
    if (joined->error_code == ErrorCode::kMemberIdRequired) {
      id_ = joined->member_id;
    }
  }
}

void JepsenMember::synchronise(const protocol::JoinGroupResponse& joined) {
  protocol::SyncGroupRequest request;
  request.group_id = kJepsenGroup;
  request.generation_id = generation_;
  request.member_id = id_;
  request.protocol_type = "consumer";
  request.protocol_name = joined.protocol_name;
  if (joined.leader == id_ && !joined.skip_assignment) {
    std::vector<std::string> shares(joined.members.size());
    for (std::size_t key = 0; key < state_.known_end.size(); ++key) {
      shares[key % shares.size()].push_back(static_cast<char>(key));
    }
    for (std::size_t i = 0; i < shares.size(); ++i) {
      request.assignments.push_back(
          {.member_id = joined.members[i].member_id, .assignment = Slice::copy_of(shares[i])});
    }
  }
  const VirtualTime asked = state_.world->now();
  const auto synced = coordinator_->call<protocol::SyncGroupResponse>(request, 5, patience());
  if (!synced.ok()) {
    coordinator_ = nullptr;
    return;
  }
  if (synced->error_code != ErrorCode::kNone) {
    return judge_error(synced->error_code);
  }
  share_.clear();
  for (const std::uint8_t key : synced->assignment.bytes()) {
    share_.push_back(static_cast<jepsen::Key>(key));
  }
  heard_ = asked;
  settled_ = true;
}

// What the group has committed of its share. Nobody of it has polled less than that, and what was committed stays so.
bool JepsenMember::fetch_positions(JepsenPositions& positions) {
  protocol::OffsetFetchRequest request;
  protocol::OffsetFetchGroup& group = request.groups.emplace_back();
  group.group_id = kJepsenGroup;
  group.topics.emplace();
  group.topics->push_back({.name = kLedgerTopic, .partition_indexes = {}});
  for (const jepsen::Key key : share_) {
    group.topics->back().partition_indexes.push_back(partition_id(static_cast<std::size_t>(key)));
  }
  for (int attempt = 0; attempt < kAttemptsAtPositions && coordinator_ != nullptr; ++attempt) {
    const std::vector<std::int64_t> committed = state_.group_committed;
    const auto got = coordinator_->call<protocol::OffsetFetchResponse>(request, 8, patience());
    if (!got.ok() || got->groups.at(0).error_code != ErrorCode::kNone) {
      sleep_between(process_, 20, 200);
      continue;
    }
    for (const auto& one : got->groups[0].topics.at(0).partitions) {
      const auto key = static_cast<std::size_t>(one.partition_index.value());
      const std::int64_t offset = one.committed_offset == Offset::none() ? 0 : one.committed_offset.value();
      if (offset < committed.at(key) || offset > state_.group_polled.at(key)) {
        state_.world->fail("JEPSEN", fmt::format("group-skip: key {} begins at offset {} for its new owner; its group "
                                                 "had committed {} for certain, and polled up to {}",
                                                 key, offset, committed[key], state_.group_polled[key]));
      }
      positions[static_cast<jepsen::Key>(key)] = offset;
    }
    return true;
  }
  positions.clear();
  return false;
}

void JepsenMember::commit(const JepsenPositions& positions) {
  if (!settled_ || coordinator_ == nullptr || positions.empty()) {
    return;
  }
  protocol::OffsetCommitRequest request;
  request.group_id = kJepsenGroup;
  request.generation_id_or_member_epoch = generation_;
  request.member_id = id_;
  protocol::OffsetCommitTopic& topic = request.topics.emplace_back();
  topic.name = kLedgerTopic;
  for (const auto& [key, position] : positions) {
    protocol::OffsetCommitPartition& one = topic.partitions.emplace_back();
    one.partition_index = partition_id(static_cast<std::size_t>(key));
    one.committed_offset = Offset(position);
  }
  const auto got = coordinator_->call<protocol::OffsetCommitResponse>(request, 8, patience());
  if (!got.ok()) {
    return;
  }
  for (const auto& one : got->topics.at(0).partitions) {
    if (one.error_code == ErrorCode::kNone) {
      std::int64_t& committed = state_.group_committed.at(static_cast<std::size_t>(one.partition_index.value()));
      committed = std::max(committed, positions.at(static_cast<jepsen::Key>(one.partition_index.value())));
    } else {
      judge_error(one.error_code);
    }
  }
}

void JepsenMember::unsubscribe() {
  if (std::exchange(subscribed_, false) && coordinator_ != nullptr && !id_.empty()) {
    protocol::LeaveGroupRequest request;
    request.group_id = kJepsenGroup;
    request.members.push_back({.member_id = id_, .group_instance_id = std::nullopt, .reason = std::nullopt});
    // Whoever is not heard is gone when its session is over.
    static_cast<void>(coordinator_->call<protocol::LeaveGroupResponse>(request, 4, patience()));
  }
  settled_ = false;
  id_.clear();
  coordinator_ = nullptr;
}

}  // namespace chronik::sim
