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
  if (!broker.forwards(request) || topic == nullptr) {
    return NodeId::none();
  }
  return broker.leader_elsewhere(topic,
                                 group::partition_of(group, static_cast<std::int32_t>(topic->partitions.size())));
}

// A request on its way to another node.
class NodeCall {
 public:
  // Sends it behind all that this client's requests have sent there; alone: over a link that nothing else goes over
  // meanwhile. May suspend where a broken link is put away.
  template <typename M>
  void start(Broker& broker, Request& request, NodeId node, const M& asked, bool alone = false) {
    if (alone) {
      if (ForwardLink* link = broker.forwarding()->unused(node); link != nullptr) {
        own_ = std::make_unique<ForwardPin>(*link, nullptr);
      }
    }
    ForwardPin* pin = alone ? own_.get() : broker.forwarding()->pinned(request.connection, node);
    sent_ = pin != nullptr && call_.start(pin->link(), asked, request.header.version).ok();
    broker.metrics().other_forwards.add(sent_ ? 1 : 0);
  }
  // None: no answer has come.
  template <typename Response>
  std::optional<Response> wait(Broker& broker, std::int16_t version, const Deadline& deadline) {
    StatusOr<Response> answer = absl::UnavailableError("it was not sent");
    if (sent_) {
      const StatusOr<Slice> body = call_.wait(deadline);
      answer = body.ok() ? protocol::decode<Response>(*body, version) : StatusOr<Response>(body.status());
    }
    broker.metrics().forward_errors.add(answer.ok() ? 0 : 1);
    return answer.ok() ? std::optional<Response>(*std::move(answer)) : std::nullopt;
  }

 private:
  std::unique_ptr<ForwardPin> own_;  // goes after the call
  AwaitedCall call_;
  bool sent_ = false;
};

// What `node` answers; none: no answer has come.
template <typename Response, typename M>
std::optional<Response> ask_node(Broker& broker, Request& request, NodeId node, const M& asked) {
  NodeCall call;
  call.start(broker, request, node, asked);
  return call.wait<Response>(broker, request.header.version, fiber::within(broker.node_patience(), Expiry::kPeer));
}

// For requests of one group. True: the coordinator has answered, and so has this node.
template <typename Response, typename M>
bool answered_by_coordinator(Broker& broker, Request& request, const M& asked) {
  const NodeId node = coordinator_elsewhere(broker, request, asked.group_id);
  if (node == NodeId::none()) {
    return false;
  }
  const std::optional<Response> answer = ask_node<Response>(broker, request, node, asked);
  if (answer.has_value()) {
    request.reply(*answer);
  }
  return answer.has_value();
}

// The same for one that waits for other members, up to `wait`: of what was asked nothing is kept meanwhile, and where
// no answer comes, it is `unanswered`.
template <typename Response, typename M>
bool answered_when_others_come(Broker& broker, Request& request, M& asked, Duration wait, const Response& unanswered) {
  const NodeId node = coordinator_elsewhere(broker, request, asked.group_id);
  if (node == NodeId::none()) {
    return false;
  }
  NodeCall call;
  call.start(broker, request, node, asked, /*alone=*/true);
  asked = {};
  request.let_go_of_frame();
  const Deadline deadline = fiber::within(wait + broker.node_patience(), Expiry::kPeer);
  request.reply(call.wait<Response>(broker, request.header.version, deadline).value_or(unanswered));
  return true;
}

// Of a request of many groups: what concerns one of them, which is all that part() asks for. None: to be answered here.
template <typename Response, typename Part>
std::optional<Response> part_of_coordinator(Broker& broker, Request& request, std::string_view group, Part&& part) {
  const NodeId node = coordinator_elsewhere(broker, request, group);
  return node == NodeId::none() ? std::nullopt : ask_node<Response>(broker, request, node, part());
}

}  // namespace chronik::broker
