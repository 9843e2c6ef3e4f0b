// Requests about groups, for clients that can reach one node only: this node names itself as the coordinator of every
// group, and takes what they ask to the node that is (the leader of the group's partition, as the image says).
//
// A request goes there once. Where no answer comes, it is answered here, which says NOT_COORDINATOR: the client asks
// anew who coordinates, and again; each of these requests may be done twice. Those that wait for other members
// (JoinGroup, SyncGroup) go over a link of their own each, since answers leave a node in the order of the requests.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <string_view>

#include "core/broker/answering.h"
#include "core/broker/forwarding.h"
#include "core/group/groups.h"

namespace chronik::broker {

// The other node that coordinates the group; none: this one, or nobody does, or the request is to be answered here.
inline NodeId coordinator_elsewhere(Broker& broker, const Request& request, std::string_view group) {
  const cluster::ImageRef image = broker.metadata().image();
  const cluster::Topic* topic = image->find_topic(group::kGroupsTopic);
  if (!broker.forwards(request) || group.empty() || topic == nullptr) {
    return NodeId::none();
  }
  return broker.leader_elsewhere(topic,
                                 group::partition_of(group, static_cast<std::int32_t>(topic->partitions.size())));
}

// What `node` answers. alone: over a link that nothing else goes over meanwhile. None: no answer has come.
template <typename Response, typename M>
std::optional<Response> ask_node(Broker& broker, Request& request, NodeId node, const M& asked,
                                 const Deadline& deadline, bool alone = false) {
  std::unique_ptr<ForwardPin> own;
  if (alone) {
    if (ForwardLink* link = broker.forwarding()->unused(node); link != nullptr) {
      own = std::make_unique<ForwardPin>(*link, nullptr);
    }
  }
  ForwardPin* pin = alone ? own.get() : broker.forwarding()->pinned(request.connection, node);
  AwaitedCall call;
  if (pin == nullptr || !call.start(pin->link(), asked, request.header.version).ok()) {
    broker.metrics().forward_errors.add();
    return std::nullopt;
  }
  broker.metrics().other_forwards.add();
  const StatusOr<Slice> body = call.wait(deadline);
  StatusOr<Response> answer =
      body.ok() ? protocol::decode<Response>(*body, request.header.version) : StatusOr<Response>(body.status());
  if (!answer.ok()) {
    broker.metrics().forward_errors.add();
    return std::nullopt;
  }
  return *std::move(answer);
}

// For requests of one group. True: the coordinator has answered, and so has this node.
template <typename Response, typename M>
bool answered_by_coordinator(Broker& broker, Request& request, const M& asked) {
  const NodeId node = coordinator_elsewhere(broker, request, asked.group_id);
  if (node == NodeId::none()) {
    return false;
  }
  const std::optional<Response> answer = ask_node<Response>(broker, request, node, asked, deadline_of(broker));
  if (answer.has_value()) {
    request.reply(*answer);
  }
  return answer.has_value();
}

// The same for one that waits for other members, up to `wait`.
template <typename Response, typename M>
bool answered_when_others_come(Broker& broker, Request& request, const M& asked, Duration wait) {
  const NodeId node = coordinator_elsewhere(broker, request, asked.group_id);
  if (node == NodeId::none()) {
    return false;
  }
  const Deadline deadline = fiber::within(wait + broker.limits().request, Expiry::kPeer);
  request.frame_hold = fiber::Budget::Hold();  // room that requests need
  const std::optional<Response> answer = ask_node<Response>(broker, request, node, asked, deadline, /*alone=*/true);
  if (answer.has_value()) {
    request.reply(*answer);
  }
  return answer.has_value();
}

// Of a request of many groups: what concerns one of them, which is all that part() asks for. None: to be answered here.
template <typename Response, typename Part>
std::optional<Response> part_of_coordinator(Broker& broker, Request& request, std::string_view group, Part&& part) {
  const NodeId node = coordinator_elsewhere(broker, request, group);
  return node == NodeId::none() ? std::nullopt : ask_node<Response>(broker, request, node, part(), deadline_of(broker));
}

}  // namespace chronik::broker
