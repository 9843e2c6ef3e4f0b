#include "sim/scenarios/administrator.h"

#include <fmt/core.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "core/client/client.h"
#include "core/fiber/wait.h"
#include "core/protocol/messages/alter_partition_reassignments.h"
#include "core/protocol/messages/elect_leaders.h"
#include "core/protocol/messages/list_partition_reassignments.h"
#include "sim/knobs.h"
#include "sim/scenarios/one_node.h"

namespace chronik::sim {

namespace {

using protocol::ErrorCode;

constexpr std::int32_t kAdministratorTimeoutMs = 10'000;
// Longer than any request may be under way: what was asked for before and not answered is done by then, or never.
constexpr Duration kOutcomesKnown = Duration::seconds(25);

class Administrator {
 public:
  Administrator(ProcessContext& process, const GroupState& group, AdministratorState& state)
      : process_(process), group_(group), state_(state) {}

  void run() {
    while (!state_.all_in_place) {
      StatusOr<std::unique_ptr<client::Client>> client = connect_to_any(process_, group_);
      bool going_on = client.ok();
      while (going_on && !(*client)->broken() && !state_.all_in_place) {
        going_on = healed() ? settle(**client) : meddle(**client);
        sleep_between(process_, 20, 2000);
      }
      sleep_between(process_, 20, 300);
    }
  }

 private:
  bool healed() const { return group_.world->now() >= group_.healed; }
  std::size_t below(std::size_t n) { return process_.ports.random.next() % n; }

  // False: this node is of no use now; another may be.
  bool meddle(client::Client& client) {
    switch (below(5)) {
      case 0: return elect(client);
      case 1: return reassign(client, some_partition(), std::nullopt);
      default: break;
    }
    const std::vector<NodeId> nodes = some_nodes();
    return reassign(client, some_partition(), nodes);
  }

  // Everything on all nodes. What changes that later was asked for before.
  bool settle(client::Client& client) {
    const StatusOr<protocol::MetadataTopic> topic = client.metadata(kLedgerTopic, node_patience());
    const auto listed = client.call<protocol::ListPartitionReassignmentsResponse>(
        protocol::ListPartitionReassignmentsRequest{.timeout_ms = kAdministratorTimeoutMs, .topics = {}}, 0,
        node_patience());
    if (!topic.ok() || !listed.ok() || listed->error_code != ErrorCode::kNone) {
      return false;
    }
    bool in_place = topic->error_code == ErrorCode::kNone && topic->partitions.size() == state_.partitions;
    state_.last_look = in_place ? "" : "the topic is not made yet";
    for (const protocol::MetadataPartition& partition : topic->partitions) {
      const bool under_way = is_listed(*listed, partition.partition_index);
      if (!under_way && partition.replica_nodes.size() != group_.nodes()) {
        static_cast<void>(reassign(client, partition.partition_index, all_nodes()));
      }
      if (under_way || partition.replica_nodes.size() != group_.nodes()) {
        in_place = false;
        state_.last_look =
            fmt::format("partition {} has {} replicas, {}", partition.partition_index, partition.replica_nodes.size(),
                        under_way ? "is reassigned" : "is not reassigned");
      }
    }
    in_place_since_ = in_place ? std::min(in_place_since_, group_.world->now()) : VirtualTime::never();
    state_.all_in_place = in_place && group_.world->now() - in_place_since_ >= kOutcomesKnown;
    return true;
  }

  static bool is_listed(const protocol::ListPartitionReassignmentsResponse& listed, PartitionId partition) {
    return std::any_of(listed.topics.begin(), listed.topics.end(), [&](const auto& topic) {
      return std::any_of(topic.partitions.begin(), topic.partitions.end(),
                         [&](const auto& one) { return one.partition_index == partition; });
    });
  }

  PartitionId some_partition() { return PartitionId(static_cast<std::int32_t>(below(state_.partitions))); }
  std::vector<NodeId> all_nodes() {
    std::vector<NodeId> nodes;
    for (std::size_t i = 0; i < group_.nodes(); ++i) {
      nodes.emplace_back(static_cast<std::int32_t>(i + 1));
    }
    for (std::size_t i = nodes.size(); i > 1; --i) {
      std::swap(nodes[i - 1], nodes[below(i)]);
    }
    return nodes;
  }
  // Mostly as many as must be in sync, or more.
  std::vector<NodeId> some_nodes() {
    std::vector<NodeId> nodes = all_nodes();
    nodes.resize(below(8) == 0 ? 1 : 2 + below(nodes.size() - 1));
    return nodes;
  }

  bool reassign(client::Client& client, PartitionId partition, const std::optional<std::vector<NodeId>>& replicas) {
    protocol::AlterPartitionReassignmentsRequest request;
    request.timeout_ms = kAdministratorTimeoutMs;
    request.topics.push_back(
        {.name = kLedgerTopic, .partitions = {{.partition_index = partition, .replicas = replicas}}});
    const auto answer = client.call<protocol::AlterPartitionReassignmentsResponse>(request, 1, node_patience());
    if (!answer.ok()) {
      return false;
    }
    const ErrorCode error = answer->responses.at(0).partitions.at(0).error_code;
    return judge_answer("reassignment", error,
                        {ErrorCode::kNoReassignmentInProgress, ErrorCode::kInvalidReplicaAssignment});
  }

  bool elect(client::Client& client) {
    protocol::ElectLeadersRequest request;
    request.timeout_ms = kAdministratorTimeoutMs;
    request.election_type = static_cast<std::int8_t>(below(2));
    const auto answer = client.call<protocol::ElectLeadersResponse>(request, 2, node_patience());
    if (!answer.ok()) {
      return false;
    }
    for (const protocol::ElectLeadersTopicResult& topic : answer->replica_election_results) {
      for (const protocol::ElectLeadersPartitionResult& partition : topic.partition_result) {
        judge_answer("election", partition.error_code,
                     {ErrorCode::kPreferredLeaderNotAvailable, ErrorCode::kEligibleLeadersNotAvailable});
      }
    }
    return true;
  }

  bool judge_answer(const char* what, ErrorCode error, std::initializer_list<ErrorCode> refusals) {
    switch (error) {
      case ErrorCode::kNone:
      case ErrorCode::kUnknownTopicOrPartition: return true;  // it is made by being asked for, sooner or later
      case ErrorCode::kNotController:
      case ErrorCode::kRequestTimedOut:
      case ErrorCode::kStaleBrokerEpoch: return false;
      default: break;
    }
    if (std::find(refusals.begin(), refusals.end(), error) == refusals.end()) {
      group_.world->fail("CONFORM", fmt::format("{}: {}", what, protocol::error_name(error)));
    }
    return true;
  }

  ProcessContext& process_;
  const GroupState& group_;
  AdministratorState& state_;
  VirtualTime in_place_since_ = VirtualTime::never();
};

}  // namespace

void run_administrator(ProcessContext& process, const GroupState& group, AdministratorState& state) {
  Administrator(process, group, state).run();
}

}  // namespace chronik::sim
