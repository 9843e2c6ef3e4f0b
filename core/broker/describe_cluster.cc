// DescribeCluster: the brokers and the controller.
#include "core/protocol/messages/describe_cluster.h"
#include "core/broker/answering.h"
#include "core/broker/operations.h"

namespace chronik::broker {

using protocol::DescribeClusterRequest;
using protocol::DescribeClusterResponse;
using protocol::ErrorCode;

namespace {

constexpr std::int8_t kBrokerEndpoints = 1;
constexpr std::int8_t kControllerEndpoints = 2;

// only: lists no other; none: lists all.
void list_brokers(const cluster::Image& image, bool fenced_too, NodeId only, DescribeClusterResponse& response) {
  image.brokers.for_each([&](const cluster::Broker& broker) {
    const bool wanted = only == NodeId::none() ? fenced_too || !broker.fenced : broker.node == only;
    if (!wanted || broker.endpoints.empty()) {
      return;
    }
    auto& described = response.brokers.emplace_back();
    described.broker_id = broker.node;
    described.host = broker.endpoints.front().host;
    described.port = broker.endpoints.front().port;
    described.rack = broker.rack.empty() ? std::nullopt : std::optional<std::string>(broker.rack);
    described.is_fenced = broker.fenced;
  });
}

void describe_cluster(Broker& broker, Request& request, const DescribeClusterRequest& asked) {
  DescribeClusterResponse response;
  if (asked.endpoint_type == kBrokerEndpoints) {
    const cluster::ImageRef image = broker.metadata().image();
    response.cluster_id = image->cluster.to_string();
    response.controller_id = broker.self();
    // Where this node forwards, clients have to reach no other.
    list_brokers(*image, asked.include_fenced_brokers, broker.forwarding() == nullptr ? NodeId::none() : broker.self(),
                 response);
    if (asked.include_cluster_authorized_operations) {
      response.cluster_authorized_operations = kClusterOperations;
    }
  } else if (asked.endpoint_type == kControllerEndpoints) {
    response.error_code = ErrorCode::kMismatchedEndpointType;
    response.error_message = "this is an endpoint of brokers, not of controllers";
  } else {
    response.error_code = ErrorCode::kUnsupportedEndpointType;
    response.error_message = fmt::format("there are no endpoints of type {}", asked.endpoint_type);
  }
  request.reply(response);
}

}  // namespace

void handle_describe_cluster(Broker& broker, Request&& request) {
  decode_and_answer<DescribeClusterRequest, &describe_cluster>("describe-cluster", broker, std::move(request));
}

}  // namespace chronik::broker
