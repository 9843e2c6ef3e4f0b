#include "server/cluster_status.h"

#include <fmt/core.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <thread>

#include "server/admin_json.h"
#include "server/http_client.h"

namespace chronik::server {

namespace {

constexpr int kDegraded = 1;
constexpr Duration kAskPatience = Duration::seconds(3);

StatusOr<node::NodeStatus> ask_at(const AdminPeer& peer, const HostPort& at, const std::string& api_key) {
  if (at.port.value_or(0) == 0) {
    return absl::UnavailableError("its admin port is not known: [[peers]] may say it, admin = \"HOST:PORT\"");
  }
  const StatusOr<HttpPage> page = http_get(at, "/admin/status", api_key, kAskPatience);
  if (!page.ok()) {
    return absl::UnavailableError(fmt::format("{}: {}", at.to_string(), message_of(page.status())));
  }
  if (page->status == 401) {
    return absl::UnavailableError(fmt::format("{}: it wants another key: CHRONIK_ADMIN_API_KEY", at.to_string()));
  }
  StatusOr<node::NodeStatus> status =
      page->status == 200 ? parse_status_json(page->body) : absl::UnknownError(fmt::format("status {}", page->status));
  if (!status.ok()) {
    return absl::UnavailableError(
        fmt::format("{}: not the admin port of a node: {}", at.to_string(), message_of(status.status())));
  }
  if (status->node != peer.id) {
    return absl::UnavailableError(fmt::format("{}: node {} answers there", at.to_string(), status->node));
  }
  return status;
}

StatusOr<node::NodeStatus> ask_node(const AdminPeer& peer, const std::string& api_key) {
  StatusOr<node::NodeStatus> status = absl::UnavailableError("it has no admin port");
  for (const HostPort& at : peer.admin) {
    status = ask_at(peer, at, api_key);
    if (status.ok()) {
      break;
    }
  }
  return status;
}

const node::NodeStatus* newest_of(const std::vector<NodeReport>& nodes) {
  const auto rank = [](const node::NodeStatus& status) {
    const node::RaftStatus raft = status.raft.value_or(node::RaftStatus{});
    return std::array<std::int64_t, 3>{raft.leader == NodeId::none() ? 0 : raft.term.value(),
                                       raft.role == raft::Role::kLeader ? 1 : 0, raft.applied.value()};
  };
  const node::NodeStatus* best = nullptr;
  for (const NodeReport& node : nodes) {
    if (node.status.ok() && (best == nullptr || rank(*node.status) > rank(*best))) {
      best = &*node.status;
    }
  }
  return best;
}

bool is_among(const std::vector<NodeId>& nodes, NodeId node) {
  return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
}

// Of a view from before the cluster has begun, whoever is configured is.
bool is_of_cluster(const node::NodeStatus& view, NodeId node) {
  return !view.raft.has_value() || is_among(view.raft->voters, node) || is_among(view.raft->learners, node) ||
         is_among(view.joining, node);
}

const char* broker_state(const node::NodeStatus& view, NodeId node) {
  const auto found = std::find_if(view.brokers.begin(), view.brokers.end(),
                                  [node](const node::BrokerStatus& broker) { return broker.node == node; });
  if (found != view.brokers.end()) {
    return found->leaving ? "leaving" : found->live ? "live" : "fenced";
  }
  return is_of_cluster(view, node) ? "not registered" : "no member";
}

const char* role_of(const NodeReport& node, NodeId leader) {
  if (node.status.ok()) {
    return node.status->raft.has_value() ? role_name(node.status->raft->role) : "-";
  }
  return node.peer.id == leader ? "leader" : "unknown";
}

// At once: a machine that is down costs the whole of its patience.
std::vector<NodeReport> ask_all(const std::vector<AdminPeer>& peers, const std::string& api_key) {
  std::vector<NodeReport> nodes;
  for (const AdminPeer& peer : peers) {
    nodes.push_back({.peer = peer});
  }
  std::vector<std::thread> threads;
  threads.reserve(nodes.size());
  for (NodeReport& node : nodes) {
    threads.emplace_back([&node, &api_key] { node.status = ask_node(node.peer, api_key); });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  return nodes;
}

// Columns as wide as their widest cell, two blanks between them.
std::string table(const std::vector<std::array<std::string, 5>>& rows) {
  std::array<std::size_t, 5> widths{};
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], row[i].size());
    }
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += fmt::format("{:<{}}", row[i], widths[i] + 2);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

std::string changes_under_way(const node::NodeStatus& view) {
  std::string text;
  if (view.partitions.moving > 0 || view.rebalancing) {
    text += fmt::format("moving      {} partitions are on their way to other nodes{}\n", view.partitions.moving,
                        view.rebalancing ? "; replicas are being spread evenly" : "");
  }
  for (const node::BrokerStatus& broker : view.brokers) {
    if (broker.leaving) {
      text += fmt::format("leaving     node {}, with {} replicas\n", broker.node, broker.replicas);
    }
  }
  for (const NodeId node : view.joining) {
    text += fmt::format("joining     node {}\n", node);
  }
  return text;
}

std::vector<std::string> what_is_wrong(const node::NodeStatus& view, const std::vector<NodeReport>& nodes) {
  std::vector<std::string> wrong;
  if (!view.raft.has_value() || view.raft->leader == NodeId::none()) {
    wrong.emplace_back("no leader of the metadata is known");
  }
  for (const NodeReport& node : nodes) {
    const std::string state = broker_state(view, node.peer.id);
    if (state != "live" && state != "no member") {
      wrong.push_back(fmt::format("node {} is {}", node.peer.id, state));
    }
  }
  const node::PartitionCounts& counts = view.partitions;
  if (counts.offline > 0) {
    wrong.push_back(fmt::format("{} partitions are offline", counts.offline));
  }
  if (counts.under_replicated > 0) {
    wrong.push_back(fmt::format("{} partitions are under-replicated", counts.under_replicated));
  }
  if (counts.under_min_isr > 0) {
    wrong.push_back(fmt::format("{} partitions take no record with acks=all", counts.under_min_isr));
  }
  return wrong;
}

}  // namespace

ClusterReport report_on(const std::vector<NodeReport>& nodes) {
  const node::NodeStatus* view = newest_of(nodes);
  if (view == nullptr) {
    std::string text = "no node was reached:\n";
    for (const NodeReport& node : nodes) {
      text += fmt::format("  node {}: {}\n", node.peer.id, message_of(node.status.status()));
    }
    return {.text = std::move(text), .whole = false};
  }
  const std::vector<std::string> wrong = what_is_wrong(*view, nodes);
  const NodeId leader = view->raft.has_value() ? view->raft->leader : NodeId::none();
  std::string text =
      fmt::format("cluster {}: {}\n", view->cluster.value_or("not formed"), wrong.empty() ? "whole" : "degraded");
  for (const std::string& one : wrong) {
    text += fmt::format("  {}\n", one);
  }
  text += leader == NodeId::none() ? "leader      none\n"
                                   : fmt::format("leader      node {}, term {}\n", leader, view->raft->term);
  text += fmt::format("partitions  {}, of which {} under-replicated, {} offline\n", view->partitions.all,
                      view->partitions.under_replicated, view->partitions.offline);
  if (view->partitions.led_uncleanly > 0) {
    text += fmt::format("unclean     {} partitions have a leader that may lack records that were acknowledged\n",
                        view->partitions.led_uncleanly);
  }
  text += changes_under_way(*view) + "\n";
  std::vector<std::array<std::string, 5>> rows{{"NODE", "ADDRESS", "BROKER", "RAFT", "STATE"}};
  for (const NodeReport& node : nodes) {
    rows.push_back(
        {fmt::format("{}", node.peer.id), node.peer.kafka.to_string(), broker_state(*view, node.peer.id),
         role_of(node, leader),
         node.status.ok() ? node.status->state : fmt::format("not reached: {}", message_of(node.status.status()))});
  }
  return {.text = text + table(rows), .whole = wrong.empty()};
}

const node::NodeStatus* newest_view(const std::vector<NodeReport>& nodes) { return newest_of(nodes); }

std::vector<NodeReport> ask_nodes(const AdminAccess& access) {
  ::signal(SIGPIPE, SIG_IGN);  // of a node that closes its connection while it is asked
  std::vector<NodeReport> nodes = ask_all(access.peers, access.api_key);
  std::vector<AdminPeer> others;
  if (const node::NodeStatus* view = newest_of(nodes); view != nullptr) {
    for (const node::BrokerStatus& broker : view->brokers) {
      const bool asked = std::any_of(access.peers.begin(), access.peers.end(),
                                     [&](const AdminPeer& peer) { return peer.id == broker.node; });
      if (!asked) {
        others.push_back({.id = broker.node,
                          .kafka = {.host = broker.host, .port = broker.port},
                          .admin = {{.host = broker.host, .port = default_admin_port(broker.node)}}});
      }
    }
  }
  std::vector<NodeReport> more = ask_all(others, access.api_key);
  std::move(more.begin(), more.end(), std::back_inserter(nodes));
  return nodes;
}

int print_cluster_status(const AdminAccess& access) {
  const std::vector<NodeReport> nodes = ask_nodes(access);
  const ClusterReport report = report_on(nodes);
  const bool reached = std::any_of(nodes.begin(), nodes.end(), [](const NodeReport& node) { return node.status.ok(); });
  fmt::print(reached ? stdout : stderr, "{}{}", reached ? "" : "chronik-server: ", report.text);
  return report.whole ? 0 : kDegraded;
}

}  // namespace chronik::server
