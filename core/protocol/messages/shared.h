// Structs that several messages have in common. Their versions are those of the field that holds them.
#pragma once

#include <optional>
#include <string>

#include "core/protocol/message.h"

namespace chronik::protocol {

// Who leads a partition now, for a client that asked the wrong node (KIP-951).
struct CurrentLeader {
  NodeId leader_id;
  LeaderEpoch leader_epoch;
  bool operator==(const CurrentLeader&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("LeaderId", since(0), m.leader_id);
    op.field("LeaderEpoch", since(0), m.leader_epoch);
  }
};

// Where to find a node named as CurrentLeader.
struct NodeEndpoint {
  NodeId node_id;
  std::string host;
  std::int32_t port = 0;
  std::optional<std::string> rack;
  bool operator==(const NodeEndpoint&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("NodeId", since(0), m.node_id);
    op.field("Host", since(0), m.host);
    op.field("Port", since(0), m.port);
    op.field("Rack", since(0), m.rack, nullable_since(0));
  }
};

// Nobody computed which operations the client may do: Kafka's value for the fields ...AuthorizedOperations.
inline constexpr std::int32_t kOperationsNotAsked = std::numeric_limits<std::int32_t>::min();

}  // namespace chronik::protocol
