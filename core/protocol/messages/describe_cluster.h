// DescribeCluster: the brokers and the controller.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/protocol/errors.h"
#include "core/protocol/messages/shared.h"

namespace chronik::protocol {

struct DescribeClusterRequest {
  bool include_cluster_authorized_operations = false;
  std::int8_t endpoint_type = 1;  // 1: brokers, 2: controllers
  bool include_fenced_brokers = false;
  bool operator==(const DescribeClusterRequest&) const = default;
  static constexpr MessageTraits kTraits{"DescribeClusterRequest", ApiKey::kDescribeCluster, MessageKind::kRequest,
                                         versions(0, 2), 0};
  static void fields(auto& op, auto& m) {
    op.field("IncludeClusterAuthorizedOperations", since(0), m.include_cluster_authorized_operations);
    op.field("EndpointType", since(1), m.endpoint_type);
    op.field("IncludeFencedBrokers", since(2), m.include_fenced_brokers);
  }
};

struct DescribeClusterBroker {
  NodeId broker_id;
  std::string host;
  std::int32_t port = 0;
  std::optional<std::string> rack;
  bool is_fenced = false;
  bool operator==(const DescribeClusterBroker&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("BrokerId", since(0), m.broker_id);
    op.field("Host", since(0), m.host);
    op.field("Port", since(0), m.port);
    op.field("Rack", since(0), m.rack, nullable_since(0));
    op.field("IsFenced", since(2), m.is_fenced);
  }
};

struct DescribeClusterResponse {
  std::int32_t throttle_time_ms = 0;
  ErrorCode error_code = ErrorCode::kNone;
  std::optional<std::string> error_message;
  std::int8_t endpoint_type = 1;
  std::string cluster_id;
  NodeId controller_id;
  std::vector<DescribeClusterBroker> brokers;
  std::int32_t cluster_authorized_operations = kOperationsNotAsked;
  bool operator==(const DescribeClusterResponse&) const = default;
  static constexpr MessageTraits kTraits{"DescribeClusterResponse", ApiKey::kDescribeCluster, MessageKind::kResponse,
                                         versions(0, 2), 0};
  static void fields(auto& op, auto& m) {
    op.field("ThrottleTimeMs", since(0), m.throttle_time_ms);
    op.field("ErrorCode", since(0), m.error_code);
    op.field("ErrorMessage", since(0), m.error_message, nullable_since(0));
    op.field("EndpointType", since(1), m.endpoint_type);
    op.field("ClusterId", since(0), m.cluster_id);
    op.field("ControllerId", since(0), m.controller_id);
    op.field("Brokers", since(0), m.brokers);
    op.field("ClusterAuthorizedOperations", since(0), m.cluster_authorized_operations);
  }
};

}  // namespace chronik::protocol
