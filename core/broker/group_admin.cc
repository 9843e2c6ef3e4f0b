// ListGroups, DescribeGroups, DeleteGroups.
#include <absl/container/btree_set.h>
#include <absl/strings/match.h>

#include <algorithm>
#include <iterator>
#include <string_view>
#include <utility>

#include "core/broker/answer_room.h"
#include "core/broker/answering.h"
#include "core/broker/coordinators.h"
#include "core/broker/forward_group.h"
#include "core/broker/operations.h"
#include "core/protocol/messages/delete_groups.h"
#include "core/protocol/messages/describe_groups.h"
#include "core/protocol/messages/list_groups.h"

namespace chronik::broker {

using protocol::ErrorCode;

namespace {

constexpr std::string_view kClassicType = "classic";

// Tools send them in whatever case they were typed in.
bool passes(const std::vector<std::string>& filter, std::string_view value) {
  const auto same = [value](const std::string& one) {
    return absl::EqualsIgnoreCase(one, {value.data(), value.size()});
  };
  return filter.empty() || std::any_of(filter.begin(), filter.end(), same);
}

// Who sees this node alone is told of the groups of all.
void list_elsewhere(Broker& broker, Request& request, const protocol::ListGroupsRequest& asked,
                    protocol::ListGroupsResponse& response) {
  if (!broker.forwards(request)) {
    return;
  }
  const cluster::ImageRef image = broker.metadata().image();
  image->brokers.for_each([&](const cluster::Broker& other) {
    if (other.node == broker.self() || other.fenced) {
      return;
    }
    auto told = ask_node<protocol::ListGroupsResponse>(broker, request, other.node, asked);
    if (!told.has_value()) {
      response.error_code = ErrorCode::kCoordinatorNotAvailable;
      return;
    }
    response.error_code = told->error_code == ErrorCode::kNone ? response.error_code : told->error_code;
    std::move(told->groups.begin(), told->groups.end(), std::back_inserter(response.groups));
  });
}

void list_groups(Broker& broker, Request& request, const protocol::ListGroupsRequest& asked) {
  protocol::ListGroupsResponse response;
  for (const Ref<group::GroupPartition>& led : broker.groups().all()) {
    const ErrorCode state = led->state();
    if (state == ErrorCode::kCoordinatorLoadInProgress) {
      response.error_code = state;
    }
    if (state != ErrorCode::kNone) {
      continue;
    }
    for (const group::Group* one : led->coordinator().groups()) {
      if (passes(asked.states_filter, group::state_name(one->state())) && passes(asked.types_filter, kClassicType)) {
        response.groups.push_back({.group_id = one->id(),
                                   .protocol_type = one->protocol_type(),
                                   .group_state = std::string(group::state_name(one->state())),
                                   .group_type = std::string(kClassicType)});
      }
    }
  }
  list_elsewhere(broker, request, asked, response);
  request.reply(response);
}

void describe_members(const group::Group& group, protocol::DescribedGroup& answer) {
  const bool stable = group.state() == group::State::kStable;
  answer.protocol_data = stable ? group.protocol() : std::string();
  for (const auto& [id, member] : group.members()) {
    const group::Bytes* metadata = stable ? member.metadata_for(group.protocol()) : nullptr;
    answer.members.push_back({.member_id = id,
                              .group_instance_id = member.instance_id,
                              .client_id = member.client_id,
                              .client_host = member.client_host,
                              .member_metadata = metadata == nullptr ? Slice() : Slice::copy_of(*metadata),
                              .member_assignment = Slice::copy_of(member.assignment)});
  }
}

void describe_group(Broker& broker, std::int16_t version, protocol::DescribedGroup& answer) {
  constexpr std::int16_t kSaysNotFound = 6;
  const Ref<group::GroupPartition> coordinator =
      find_coordinator(broker, answer.group_id, GroupName::kAny, answer.error_code);
  if (answer.error_code != ErrorCode::kNone) {
    return;
  }
  const group::Group* group = coordinator->coordinator().find(answer.group_id);
  if (group != nullptr) {
    answer.group_state = std::string(group::state_name(group->state()));
    answer.protocol_type = group->protocol_type();
    return describe_members(*group, answer);
  }
  answer.group_state = std::string(group::state_name(group::State::kDead));
  if (version >= kSaysNotFound) {
    answer.error_code = ErrorCode::kGroupIdNotFound;
    answer.error_message = fmt::format("there is no group '{}'", answer.group_id);
  }
}

void describe_groups(Broker& broker, Request& request, const protocol::DescribeGroupsRequest& asked) {
  protocol::DescribeGroupsResponse response;
  AnswerRoom<protocol::DescribeGroupsResponse> room(request);
  for (const std::string& name : asked.groups) {
    auto told = part_of_coordinator<protocol::DescribeGroupsResponse>(broker, request, name, [&] {
      return protocol::DescribeGroupsRequest{.groups = {name},
                                             .include_authorized_operations = asked.include_authorized_operations};
    });
    protocol::DescribedGroup& answer = response.groups.emplace_back();
    if (told.has_value() && told->groups.size() == 1) {
      answer = std::move(told->groups.front());
    } else {
      answer.group_id = name;
      describe_group(broker, request.header.version, answer);
      answer.authorized_operations =
          asked.include_authorized_operations ? kGroupOperations : answer.authorized_operations;
    }
    if (!room.take(&protocol::DescribeGroupsResponse::groups, answer)) {
      return room.refuse(request);
    }
  }
  request.reply(response);
}

void delete_groups(Broker& broker, Request& request, const protocol::DeleteGroupsRequest& asked) {
  protocol::DeleteGroupsResponse response;
  absl::btree_set<std::string_view> answered;  // each once, however often it is named
  for (const std::string& name : asked.groups_names) {
    if (!answered.insert(name).second) {
      continue;
    }
    auto told = part_of_coordinator<protocol::DeleteGroupsResponse>(
        broker, request, name, [&] { return protocol::DeleteGroupsRequest{.groups_names = {name}}; });
    if (told.has_value() && told->results.size() == 1) {
      response.results.push_back(std::move(told->results.front()));
      continue;
    }
    protocol::DeleteGroupsResult& answer = response.results.emplace_back();
    answer.group_id = name;
    const Ref<group::GroupPartition> coordinator = find_coordinator(broker, name, GroupName::kAny, answer.error_code);
    if (answer.error_code == ErrorCode::kNone) {
      answer.error_code = coordinator->delete_group(name);
    }
  }
  request.reply(response);
}

}  // namespace

void handle_list_groups(Broker& broker, Request&& request) {
  decode_and_answer<protocol::ListGroupsRequest, &list_groups>("list-groups", broker, std::move(request));
}

void handle_describe_groups(Broker& broker, Request&& request) {
  decode_and_answer<protocol::DescribeGroupsRequest, &describe_groups>("describe-groups", broker, std::move(request));
}

void handle_delete_groups(Broker& broker, Request&& request) {
  decode_and_answer<protocol::DeleteGroupsRequest, &delete_groups>("delete-groups", broker, std::move(request));
}

}  // namespace chronik::broker
