#include "server/admin_orders.h"

#include <fmt/core.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "server/values.h"

namespace chronik::server {

namespace {

using OrderJson = nlohmann::ordered_json;

HttpPage json_page(int status, const OrderJson& json) {
  return {.status = status,
          .content_type = "application/json",
          .body = json.dump(-1, ' ', /*ensure_ascii=*/false, OrderJson::error_handler_t::replace) + "\n"};
}

HttpPage error_page(const Status& status) {
  const int code = absl::IsInvalidArgument(status)      ? 400
                   : absl::IsFailedPrecondition(status) ? 409
                   : absl::IsUnknown(status)            ? 504
                                                        : 503;
  return json_page(code, {{"error", message_of(status)}});
}

// The object that a body is, with these keys and no others.
StatusOr<OrderJson> parse_body(const std::string& body, std::initializer_list<const char*> known) {
  OrderJson json = OrderJson::parse(body.empty() ? "{}" : body, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) {
    return absl::InvalidArgumentError("the body must be an object in JSON");
  }
  for (const auto& [key, value] : json.items()) {
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      return absl::InvalidArgumentError(fmt::format("'{}': there is no such key", key));
    }
  }
  return json;
}

StatusOr<NodeId> node_in(const OrderJson& json) {
  const auto id = json.find("id");
  if (id == json.end() || !id->is_number_integer() || id->get<std::int64_t>() < 0 ||
      id->get<std::int64_t>() > std::numeric_limits<std::int32_t>::max()) {
    return absl::InvalidArgumentError("'id': must be the number of a node, from 0 on");
  }
  return NodeId(id->get<std::int32_t>());
}

StatusOr<HostPort> address_in(const OrderJson& json, const char* key) {
  const auto text = json.find(key);
  const StatusOr<HostPort> parsed = text != json.end() && text->is_string() ? parse_host_port(text->get<std::string>())
                                                                            : absl::InvalidArgumentError("");
  if (!parsed.ok() || parsed->port.value_or(0) == 0) {
    return absl::InvalidArgumentError(fmt::format("'{}': must be HOST:PORT", key));
  }
  return parsed;
}

StatusOr<node::NodeAddition> addition_in(const std::string& body) {
  ASSIGN_OR_RETURN(const OrderJson json, parse_body(body, {"id", "kafka", "wal", "raft"}));
  ASSIGN_OR_RETURN(const NodeId node, node_in(json));
  ASSIGN_OR_RETURN(const HostPort kafka, address_in(json, "kafka"));
  ASSIGN_OR_RETURN(const HostPort raft, address_in(json, "raft"));
  if (json.contains("wal")) {  // the predecessor had a connection of its own for it
    RETURN_IF_ERROR(address_in(json, "wal").status());
  }
  return node::NodeAddition{.node = node,
                            .kafka_host = kafka.host,
                            .kafka_port = *kafka.port,
                            .raft_host = raft.host,
                            .raft_port = *raft.port};
}

HttpPage message_page(const StatusOr<std::string>& message) {
  return message.ok() ? json_page(200, {{"message", *message}}) : error_page(message.status());
}

HttpPage add_node(node::Node& node, const std::string& body, const Deadline& deadline) {
  const StatusOr<node::NodeAddition> wanted = addition_in(body);
  return wanted.ok() ? message_page(node.add_node(*wanted, deadline)) : error_page(wanted.status());
}

HttpPage remove_node(node::Node& node, const std::string& body, const Deadline& deadline) {
  const StatusOr<OrderJson> json = parse_body(body, {"id", "force"});
  const StatusOr<NodeId> which = json.ok() ? node_in(*json) : StatusOr<NodeId>(json.status());
  if (!which.ok()) {
    return error_page(which.status());
  }
  const OrderJson force = json->value("force", OrderJson(false));
  if (!force.is_boolean()) {
    return error_page(absl::InvalidArgumentError("'force': must be true or false"));
  }
  return message_page(node.remove_node(*which, force.get<bool>(), deadline));
}

OrderJson nodes_json(const cluster::ReplicaList& nodes) {
  OrderJson list = OrderJson::array();
  for (const NodeId node : nodes) {
    list.push_back(node.value());
  }
  return list;
}

HttpPage rebalance(node::Node& node, const std::string& body, const Deadline& deadline) {
  if (const Status known = parse_body(body, {}).status(); !known.ok()) {
    return error_page(known);
  }
  const StatusOr<std::vector<node::PlannedMove>> moves = node.rebalance(deadline);
  if (!moves.ok()) {
    return error_page(moves.status());
  }
  OrderJson listed = OrderJson::array();
  for (const node::PlannedMove& move : *moves) {
    listed.push_back({{"topic", move.topic},
                      {"partition", move.partition.value()},
                      {"from", nodes_json(move.from)},
                      {"to", nodes_json(move.to)}});
  }
  const std::string message = moves->empty() ? std::string("replicas are spread evenly already")
                                             : fmt::format(
                                                   "{} partitions get other replicas, or these in another order, "
                                                   "some at a time",
                                                   moves->size());
  return json_page(200, {{"message", message}, {"moves", std::move(listed)}});
}

}  // namespace

const std::map<std::string, AdminOrder>& admin_orders() {
  static const std::map<std::string, AdminOrder> kOrders{
      {"/admin/add-node", add_node}, {"/admin/remove-node", remove_node}, {"/admin/rebalance", rebalance}};
  return kOrders;
}

}  // namespace chronik::server
