#include "server/admin_json.h"

#include <array>
#include <nlohmann/json.hpp>

#include "core/base/check.h"
#include "server/version.h"

namespace chronik::server {

namespace {

using Json = nlohmann::ordered_json;
using raft::Role;

constexpr std::array kRoles{Role::kFollower, Role::kPreCandidate, Role::kCandidate, Role::kLeader};

Json raft_json(const node::RaftStatus& raft) {
  Json voters = Json::array();
  for (const NodeId voter : raft.voters) {
    voters.push_back(voter.value());
  }
  Json learners = Json::array();
  for (const NodeId learner : raft.learners) {
    learners.push_back(learner.value());
  }
  return {{"role", role_name(raft.role)},
          {"term", raft.term.value()},
          {"leader", raft.leader == NodeId::none() ? Json() : Json(raft.leader.value())},
          {"commit_index", raft.commit.value()},
          {"last_applied", raft.applied.value()},
          {"log_end_index", raft.log_end.value()},
          {"election_count", raft.elections},
          {"voters", std::move(voters)},
          {"learners", std::move(learners)}};
}

Json brokers_json(const std::vector<node::BrokerStatus>& brokers) {
  Json all = Json::array();
  for (const node::BrokerStatus& broker : brokers) {
    all.push_back({{"id", broker.node.value()},
                   {"host", broker.host},
                   {"port", broker.port},
                   {"state", broker.live ? "live" : "fenced"},
                   {"leaving", broker.leaving},
                   {"replicas", broker.replicas},
                   {"epoch", broker.epoch.value()}});
  }
  return all;
}

Json partitions_json(const node::PartitionCounts& counts) {
  return {{"total", counts.all},
          {"offline", counts.offline},
          {"under_replicated", counts.under_replicated},
          {"under_min_isr", counts.under_min_isr},
          {"led_uncleanly", counts.led_uncleanly},
          {"moving", counts.moving},
          {"led_here", counts.led},
          {"led_here_under_replicated", counts.led_under_replicated},
          {"led_here_under_min_isr", counts.led_under_min_isr},
          {"followed_here", counts.followed}};
}

Json joining_json(const std::vector<NodeId>& joining) {
  Json all = Json::array();
  for (const NodeId node : joining) {
    all.push_back(node.value());
  }
  return all;
}

// at() and get() throw where a key is missing or its value is of another kind: parse_status_json() catches that.

node::RaftStatus raft_of(const Json& json) {
  node::RaftStatus raft{.term = Term(json.at("term").get<std::int64_t>()),
                        .commit = LogIndex(json.at("commit_index").get<std::int64_t>()),
                        .applied = LogIndex(json.at("last_applied").get<std::int64_t>()),
                        .log_end = LogIndex(json.at("log_end_index").get<std::int64_t>()),
                        .elections = json.at("election_count").get<std::uint64_t>()};
  for (const Role role : kRoles) {
    raft.role = json.at("role").get<std::string>() == role_name(role) ? role : raft.role;
  }
  if (!json.at("leader").is_null()) {
    raft.leader = NodeId(json.at("leader").get<std::int32_t>());
  }
  for (const Json& voter : json.at("voters")) {
    raft.voters.emplace_back(voter.get<std::int32_t>());
  }
  for (const Json& learner : json.at("learners")) {
    raft.learners.emplace_back(learner.get<std::int32_t>());
  }
  return raft;
}

node::BrokerStatus broker_of(const Json& json) {
  return {.node = NodeId(json.at("id").get<std::int32_t>()),
          .live = json.at("state").get<std::string>() == "live",
          .leaving = json.at("leaving").get<bool>(),
          .epoch = BrokerEpoch(json.at("epoch").get<std::int64_t>()),
          .host = json.at("host").get<std::string>(),
          .port = json.at("port").get<std::uint16_t>(),
          .replicas = json.at("replicas").get<std::size_t>()};
}

node::PartitionCounts partitions_of(const Json& json) {
  const auto count = [&json](const char* name) { return json.at(name).get<std::size_t>(); };
  return {.all = count("total"),
          .offline = count("offline"),
          .under_replicated = count("under_replicated"),
          .under_min_isr = count("under_min_isr"),
          .led_uncleanly = json.value("led_uncleanly", std::size_t{0}),  // an older node does not say it
          .moving = count("moving"),
          .led = count("led_here"),
          .led_under_replicated = count("led_here_under_replicated"),
          .led_under_min_isr = count("led_here_under_min_isr"),
          .followed = count("followed_here")};
}

}  // namespace

const char* role_name(Role role) {
  switch (role) {
    case Role::kFollower: return "follower";
    case Role::kPreCandidate: return "pre-candidate";
    case Role::kCandidate: return "candidate";
    case Role::kLeader: return "leader";
  }
  UNREACHABLE("a role in Raft");
}

std::string status_json(const node::NodeStatus& status) {
  const Json json{{"node", status.node.value()},
                  {"state", status.state},
                  {"version", version()},
                  {"cluster_id", status.cluster.has_value() ? Json(*status.cluster) : Json()},
                  {"raft", status.raft.has_value() ? raft_json(*status.raft) : Json()},
                  {"brokers", brokers_json(status.brokers)},
                  {"partitions", partitions_json(status.partitions)},
                  {"joining", joining_json(status.joining)},
                  {"rebalancing", status.rebalancing}};
  return json.dump(2, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace) + "\n";
}

StatusOr<node::NodeStatus> parse_status_json(const std::string& text) {
  try {
    const Json json = Json::parse(text);
    node::NodeStatus status{.node = NodeId(json.at("node").get<std::int32_t>()),
                            .state = json.at("state").get<std::string>(),
                            .partitions = partitions_of(json.at("partitions"))};
    if (!json.at("cluster_id").is_null()) {
      status.cluster = json.at("cluster_id").get<std::string>();
    }
    if (!json.at("raft").is_null()) {
      status.raft = raft_of(json.at("raft"));
    }
    for (const Json& broker : json.at("brokers")) {
      status.brokers.push_back(broker_of(broker));
    }
    for (const Json& joining : json.at("joining")) {
      status.joining.emplace_back(joining.get<std::int32_t>());
    }
    status.rebalancing = json.at("rebalancing").get<bool>();
    return status;
  } catch (const Json::exception& error) {
    return absl::InvalidArgumentError(error.what());
  }
}

}  // namespace chronik::server
