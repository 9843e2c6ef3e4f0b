#include "server/cluster_change.h"

#include <fmt/core.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <limits>
#include <nlohmann/json.hpp>
#include <thread>

#include "server/cluster_status.h"
#include "server/http_client.h"

namespace chronik::server {

namespace {

using ChangeKind = ClusterChangeCommand::Kind;
using ChangeJson = nlohmann::ordered_json;

constexpr int kNotDone = 1;
constexpr Duration kOrderPatience = Duration::seconds(15);  // longer than a node waits for the leader
constexpr int kStillMost = 120;                             // looks in which nothing has moved
constexpr std::chrono::milliseconds kLookAgain{500};
constexpr std::size_t kMovesShown = 20;

StatusOr<HostPort> checked_address(const char* flag, const std::string& text) {
  const StatusOr<HostPort> address = parse_host_port(text);
  if (!address.ok() || address->port.value_or(0) == 0) {
    return absl::InvalidArgumentError(fmt::format("{}: '{}': must be HOST:PORT", flag, text));
  }
  return address;
}

// ---- asking ----

std::string text_in(const HttpPage& page, const char* key) {
  const ChangeJson json = ChangeJson::parse(page.body, nullptr, /*allow_exceptions=*/false);
  const bool told = json.is_object() && json.contains(key) && json[key].is_string();
  return told ? json[key].get<std::string>() : fmt::format("status {}", page.status);
}

// The first answer that is one: of a node that serves.
StatusOr<HttpPage> ask_any(const AdminAccess& access, const ClusterChange& change) {
  std::string why;
  for (const AdminPeer& peer : access.peers) {
    for (const HostPort& at : peer.admin) {
      if (at.port.value_or(0) == 0) {
        continue;
      }
      const StatusOr<HttpPage> page = http_post(at, change.path, change.body, access.api_key, kOrderPatience);
      if (page.ok() && page->status != 503 && page->status != 401) {
        return page;
      }
      why += fmt::format("\n  node {}, {}: {}", peer.id, at.to_string(),
                         page.ok() ? text_in(*page, "error") : message_of(page.status()));
    }
  }
  return absl::UnavailableError("no node was reached that could do it:" + why);
}

void print_moves(const HttpPage& page) {
  const ChangeJson json = ChangeJson::parse(page.body, nullptr, /*allow_exceptions=*/false);
  const ChangeJson moves = json.is_object() ? json.value("moves", ChangeJson::array()) : ChangeJson::array();
  for (std::size_t i = 0; i < std::min(moves.size(), kMovesShown); ++i) {
    const ChangeJson& move = moves[i];
    fmt::print("  {}-{}: {} -> {}\n", move.value("topic", ""), move.value("partition", 0),
               move.value("from", ChangeJson()).dump(), move.value("to", ChangeJson()).dump());
  }
  if (moves.size() > kMovesShown) {
    fmt::print("  and {} more\n", moves.size() - kMovesShown);
  }
}

// ---- waiting ----

struct Progress {
  bool done = false;
  std::string text;  // printed when it is another than before
};

const node::BrokerStatus* broker_of(const node::NodeStatus& view, NodeId node) {
  const auto found = std::find_if(view.brokers.begin(), view.brokers.end(),
                                  [node](const node::BrokerStatus& broker) { return broker.node == node; });
  return found == view.brokers.end() ? nullptr : &*found;
}

bool is_in(const std::vector<NodeId>& nodes, NodeId node) {
  return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
}

Progress progress_of_addition(const node::NodeStatus& view, const ClusterChange& change) {
  const node::BrokerStatus* broker = broker_of(view, change.node);
  const bool votes = is_in(view.raft->voters, change.node);
  if (votes && broker != nullptr && broker->live) {
    const HostPort told{.host = broker->host, .port = broker->port};
    std::string text = fmt::format("node {} votes, and serves at {}", change.node, told.to_string());
    if (told != change.kafka) {
      text += fmt::format(", not at {}: its own configuration says so", change.kafka.to_string());
    }
    return {.done = true, .text = std::move(text)};
  }
  if (votes || is_in(view.raft->learners, change.node)) {
    return {.text = fmt::format("node {} {}", change.node, votes ? "votes, and registers" : "learns")};
  }
  return {.text = fmt::format("node {} is not heard of yet: is it started, with nodes of this cluster as its peers?",
                              change.node)};
}

Progress progress_of_removal(const node::NodeStatus& view, const ClusterChange& change) {
  const node::BrokerStatus* broker = broker_of(view, change.node);
  const bool member = is_in(view.raft->voters, change.node) || is_in(view.raft->learners, change.node);
  if (!member && broker == nullptr) {
    return {.done = true, .text = fmt::format("node {} is no member of the cluster any more", change.node)};
  }
  if (!member && !broker->live && view.partitions.moving == 0) {
    return {.done = true,
            .text = fmt::format("node {0} is no member of the cluster any more. {1} replicas that have no other place "
                                "wait for a new node {0}",
                                change.node, broker->replicas)};
  }
  return {.text = fmt::format("node {} has {} replicas, {} partitions are on their way", change.node,
                              broker == nullptr ? 0 : broker->replicas, view.partitions.moving)};
}

Progress progress_of(const node::NodeStatus& view, const ClusterChange& change) {
  if (!view.raft.has_value()) {
    return {.text = "the cluster has no leader"};
  }
  switch (change.kind) {
    case ChangeKind::kAddNode: return progress_of_addition(view, change);
    case ChangeKind::kRemoveNode: return progress_of_removal(view, change);
    case ChangeKind::kRebalance: break;
  }
  if (!view.rebalancing && view.partitions.moving == 0) {
    return {.done = true, .text = "done"};
  }
  return {.text = fmt::format("{} partitions are on their way", view.partitions.moving)};
}

int wait_for(const AdminAccess& access, const ClusterChange& change) {
  std::string told;
  for (int still = 0; still < kStillMost; ++still) {
    const std::vector<NodeReport> nodes = ask_nodes(access);
    const node::NodeStatus* view = newest_view(nodes);
    const Progress progress = view == nullptr ? Progress{.text = "no node is reached"} : progress_of(*view, change);
    if (progress.text != told) {
      told = progress.text;
      still = 0;
      fmt::print("{}\n", told);
      std::fflush(stdout);
    }
    if (progress.done) {
      return 0;
    }
    std::this_thread::sleep_for(kLookAgain);
  }
  fmt::print(stderr,
             "chronik-server: it is not done, and nothing has moved for a minute. It goes on by itself as soon as "
             "it can; cluster status says how far it is\n");
  return kNotDone;
}

}  // namespace

StatusOr<ClusterChange> check_change(const ClusterChangeCommand& command) {
  ClusterChange change{.kind = command.kind, .force = command.force};
  ChangeJson body = ChangeJson::object();
  if (command.kind != ChangeKind::kRebalance) {
    const StatusOr<std::int64_t> id = parse_whole_number(command.id, 0, std::numeric_limits<std::int32_t>::max());
    if (!id.ok()) {
      return absl::InvalidArgumentError(fmt::format("ID: '{}': {}", command.id, message_of(id.status())));
    }
    change.node = NodeId(static_cast<std::int32_t>(*id));
    body["id"] = *id;
  }
  switch (command.kind) {
    case ChangeKind::kAddNode: {
      ASSIGN_OR_RETURN(change.kafka, checked_address("--kafka", command.kafka));
      ASSIGN_OR_RETURN(const HostPort raft, checked_address("--raft", command.raft));
      if (!command.wal.empty()) {
        ASSIGN_OR_RETURN(const HostPort wal, checked_address("--wal", command.wal));
        body["wal"] = wal.to_string();
      }
      body["kafka"] = change.kafka.to_string();
      body["raft"] = raft.to_string();
      change.path = "/admin/add-node";
      break;
    }
    case ChangeKind::kRemoveNode:
      body["force"] = command.force;
      change.path = "/admin/remove-node";
      break;
    case ChangeKind::kRebalance: change.path = "/admin/rebalance"; break;
  }
  change.body = body.dump();
  return change;
}

int carry_out_change(const AdminAccess& access, const ClusterChange& change) {
  ::signal(SIGPIPE, SIG_IGN);  // of a node that closes its connection while it is asked
  const StatusOr<HttpPage> page = ask_any(access, change);
  if (!page.ok() || page->status != 200) {
    fmt::print(stderr, "chronik-server: {}\n", page.ok() ? text_in(*page, "error") : message_of(page.status()));
    return kNotDone;
  }
  fmt::print("{}\n", text_in(*page, "message"));
  print_moves(*page);
  std::fflush(stdout);
  return wait_for(access, change);
}

}  // namespace chronik::server
