// JoinGroup, SyncGroup, Heartbeat, LeaveGroup: members of classic groups (core/group/group.h).
#include "core/broker/answering.h"
#include "core/broker/coordinators.h"
#include "core/broker/forward_group.h"
#include "core/protocol/messages/heartbeat.h"
#include "core/protocol/messages/join_group.h"
#include "core/protocol/messages/leave_group.h"
#include "core/protocol/messages/sync_group.h"

namespace chronik::broker {

using protocol::ErrorCode;

namespace {

// Never used before: the client's or the instance's name for people, and 128 random bits.
std::string fresh_member_id(Broker& broker, const std::string& prefix) {
  const std::uint64_t high = broker.ports().random.next();
  const std::uint64_t low = broker.ports().random.next();
  const Uuid uuid = Uuid::from_random(high, low);
  constexpr std::size_t kPrefixMost = 255;
  std::string text = prefix.substr(0, kPrefixMost);
  for (std::size_t i = 0; i < uuid.bytes.size(); ++i) {
    text += fmt::format("{}{:02x}", i == 0 || i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", uuid.bytes[i]);
  }
  return text;
}

group::JoinCall call_of(Broker& broker, const Request& request, const protocol::JoinGroupRequest& asked) {
  constexpr std::int16_t kIdFirst = 4;
  constexpr std::int16_t kSkips = 9;
  const std::string client = request.header.client_id.value_or("");
  const std::int32_t rebalance_ms =
      asked.rebalance_timeout_ms < 0 ? asked.session_timeout_ms : asked.rebalance_timeout_ms;
  group::JoinCall call;
  call.member_id = asked.member_id;
  call.instance_id = asked.group_instance_id;
  call.new_member_id = fresh_member_id(broker, asked.group_instance_id.value_or(client));
  call.client_id = client;
  call.client_host = "/" + request.connection.peer().host();
  call.session_timeout = Duration::milliseconds(asked.session_timeout_ms);
  call.rebalance_timeout = Duration::milliseconds(rebalance_ms);
  call.protocol_type = asked.protocol_type;
  for (const protocol::JoinGroupProtocol& one : asked.protocols) {
    call.protocols.push_back({.name = one.name, .metadata = std::string(one.metadata.text())});
  }
  call.must_know_its_id = request.header.version >= kIdFirst;
  call.knows_skipping = request.header.version >= kSkips;
  return call;
}

// A rebalance lasts as long as the slowest member may take, which only the coordinator knows.
constexpr Duration kSyncPatience = Duration::seconds(600);

void join_group(Broker& broker, Request& request, protocol::JoinGroupRequest asked) {
  const std::int32_t waits_ms = std::max({asked.rebalance_timeout_ms, asked.session_timeout_ms, 0});
  protocol::JoinGroupResponse unanswered;
  unanswered.error_code = ErrorCode::kNotCoordinator;
  unanswered.member_id = asked.member_id;
  if (answered_when_others_come(broker, request, asked, Duration::milliseconds(waits_ms), unanswered)) {
    return;
  }
  group::JoinAnswer joined{.member_id = asked.member_id};
  const Ref<group::GroupPartition> coordinator =
      find_coordinator(broker, asked.group_id, GroupName::kNotEmpty, joined.error);
  if (joined.error == ErrorCode::kNone) {
    const group::JoinCall call = call_of(broker, request, asked);
    const std::string group_id = asked.group_id;
    asked = {};
    request.let_go_of_frame();
    joined = coordinator->join(group_id, call);
  }
  protocol::JoinGroupResponse response;
  response.error_code = joined.error;
  response.generation_id = GenerationId(joined.generation);
  if (joined.error == ErrorCode::kNone) {
    response.protocol_type = joined.protocol_type;
    response.protocol_name = joined.protocol;
  }
  response.leader = joined.leader;
  response.skip_assignment = joined.skip_assignment;
  response.member_id = joined.member_id;
  for (group::JoinAnswer::Member& member : joined.members) {
    response.members.push_back({.member_id = std::move(member.id),
                                .group_instance_id = std::move(member.instance_id),
                                .metadata = Slice::copy_of(member.metadata)});
  }
  request.reply(response);
}

void sync_group(Broker& broker, Request& request, protocol::SyncGroupRequest asked) {
  constexpr std::int16_t kNamesProtocol = 5;
  protocol::SyncGroupResponse unanswered;
  unanswered.error_code = ErrorCode::kNotCoordinator;
  if (answered_when_others_come(broker, request, asked, kSyncPatience, unanswered)) {
    return;
  }
  group::SyncAnswer synced;
  const Ref<group::GroupPartition> coordinator =
      find_coordinator(broker, asked.group_id, GroupName::kNotEmpty, synced.error);
  const bool unnamed = !asked.protocol_type.has_value() || !asked.protocol_name.has_value();
  if (synced.error == ErrorCode::kNone && request.header.version >= kNamesProtocol && unnamed) {
    synced.error = ErrorCode::kInconsistentGroupProtocol;
  }
  if (synced.error == ErrorCode::kNone) {
    group::SyncCall call{.member_id = asked.member_id,
                         .instance_id = asked.group_instance_id,
                         .generation = asked.generation_id.value(),
                         .protocol_type = asked.protocol_type,
                         .protocol = asked.protocol_name,
                         .assignments = {}};
    for (const protocol::SyncGroupAssignment& one : asked.assignments) {
      call.assignments.emplace_back(one.member_id, one.assignment.text());
    }
    const std::string group_id = asked.group_id;
    asked = {};
    request.let_go_of_frame();
    synced = coordinator->sync(group_id, call);
  }
  protocol::SyncGroupResponse response;
  response.error_code = synced.error;
  if (synced.error == ErrorCode::kNone) {
    response.protocol_type = synced.protocol_type;
    response.protocol_name = synced.protocol;
    response.assignment = Slice::copy_of(synced.assignment);
  }
  request.reply(response);
}

void heartbeat(Broker& broker, Request& request, const protocol::HeartbeatRequest& asked) {
  if (answered_by_coordinator<protocol::HeartbeatResponse>(broker, request, asked)) {
    return;
  }
  protocol::HeartbeatResponse response;
  const Ref<group::GroupPartition> coordinator =
      find_coordinator(broker, asked.group_id, GroupName::kNotEmpty, response.error_code);
  if (coordinator != nullptr) {
    // Also while it is loading: what it says then is its own to decide.
    response.error_code =
        coordinator->heartbeat(asked.group_id, asked.member_id, asked.group_instance_id, asked.generation_id.value());
  }
  request.reply(response);
}

void leave_group(Broker& broker, Request& request, const protocol::LeaveGroupRequest& asked) {
  constexpr std::int16_t kOwnErrors = 3;
  if (answered_by_coordinator<protocol::LeaveGroupResponse>(broker, request, asked)) {
    return;
  }
  protocol::LeaveGroupResponse response;
  const Ref<group::GroupPartition> coordinator =
      find_coordinator(broker, asked.group_id, GroupName::kNotEmpty, response.error_code);
  std::vector<ErrorCode> errors;
  if (response.error_code == ErrorCode::kNone) {
    std::vector<group::Coordinator::Leaving> leaving;
    for (const protocol::LeaveGroupMember& member : asked.members) {
      leaving.push_back({.member_id = member.member_id, .instance_id = member.group_instance_id});
    }
    response.error_code = coordinator->leave(asked.group_id, leaving, errors);
  }
  if (response.error_code == ErrorCode::kNone) {
    for (std::size_t i = 0; i < asked.members.size(); ++i) {
      response.members.push_back({.member_id = asked.members[i].member_id,
                                  .group_instance_id = asked.members[i].group_instance_id,
                                  .error_code = errors[i]});
    }
  }
  if (request.header.version < kOwnErrors) {
    response.error_code = protocol::first_error(response);
  }
  request.reply(response);
}

}  // namespace

void handle_join_group(Broker& broker, Request&& request) {
  decode_and_answer<protocol::JoinGroupRequest, &join_group>("join-group", broker, std::move(request));
}

void handle_sync_group(Broker& broker, Request&& request) {
  decode_and_answer<protocol::SyncGroupRequest, &sync_group>("sync-group", broker, std::move(request));
}

void handle_heartbeat(Broker& broker, Request&& request) {
  decode_and_answer<protocol::HeartbeatRequest, &heartbeat>("heartbeat", broker, std::move(request));
}

void handle_leave_group(Broker& broker, Request&& request) {
  decode_and_answer<protocol::LeaveGroupRequest, &leave_group>("leave-group", broker, std::move(request));
}

}  // namespace chronik::broker
