// ElectLeaders, AlterPartitionReassignments, ListPartitionReassignments: who leads a partition, and who holds it.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "core/broker/answering.h"
#include "core/broker/proposing.h"
#include "core/cluster/reassignment.h"
#include "core/protocol/messages/alter_partition_reassignments.h"
#include "core/protocol/messages/elect_leaders.h"
#include "core/protocol/messages/list_partition_reassignments.h"

namespace chronik::broker {

using protocol::ErrorCode;

namespace {

// Numbers as in ElectLeaders.
constexpr std::int8_t kPreferredElection = 0;
constexpr std::int8_t kUncleanElection = 1;

// ---- ElectLeaders ----

void add_all_partitions(const cluster::Image& image, std::vector<cluster::NamedPartition>& partitions) {
  image.topics.for_each([&](const cluster::TopicRef& topic) {
    topic->partitions.for_each([&](const cluster::Partition& partition) {
      partitions.push_back({.topic = topic->name, .index = partition.index});
    });
  });
}

void add_named_partitions(const std::vector<protocol::ElectLeadersTopic>& topics,
                          std::vector<cluster::NamedPartition>& partitions) {
  for (const protocol::ElectLeadersTopic& topic : topics) {
    for (const PartitionId index : topic.partitions) {
      partitions.push_back({.topic = topic.topic, .index = index});
    }
  }
}

protocol::ElectLeadersTopicResult& results_of(const std::string& topic, protocol::ElectLeadersResponse& response) {
  auto& results = response.replica_election_results;
  if (results.empty() || results.back().topic != topic) {
    results.emplace_back().topic = topic;
  }
  return results.back();
}

void add_result(const cluster::NamedPartition& partition, const cluster::ItemResult& item,
                protocol::ElectLeadersResponse& response) {
  results_of(partition.topic, response)
      .partition_result.push_back(
          {.partition_id = partition.index, .error_code = item.error, .error_message = message_of(item)});
}

// Whoever asks about a partition whose leader may lack what was acknowledged is told so, also where it was asked for.
void declare_unclean(const cluster::Image& image, const std::vector<cluster::NamedPartition>& partitions,
                     std::vector<cluster::ItemResult>& items) {
  for (std::size_t i = 0; i < partitions.size(); ++i) {
    const bool has_leader = items[i].ok() || items[i].error == ErrorCode::kElectionNotNeeded;
    const cluster::Topic* topic = has_leader ? image.find_topic(partitions[i].topic) : nullptr;
    const cluster::Partition* partition = topic == nullptr ? nullptr : topic->partitions.find(partitions[i].index);
    if (partition != nullptr && partition->leader_epoch == partition->unclean_epoch) {
      items[i].message =
          fmt::format("broker {} was elected uncleanly: records that were acknowledged may be lost", partition->leader);
    }
  }
}

void elect_leaders(Broker& broker, Request& request, const protocol::ElectLeadersRequest& asked) {
  protocol::ElectLeadersResponse response;
  std::vector<cluster::NamedPartition> partitions;
  const bool all = !asked.topic_partitions.has_value();
  if (!all) {
    add_named_partitions(*asked.topic_partitions, partitions);
  }
  if (asked.election_type != kPreferredElection && asked.election_type != kUncleanElection) {
    response.error_code = ErrorCode::kInvalidRequest;
    const cluster::ItemResult refused{ErrorCode::kInvalidRequest,
                                      fmt::format("there is no election of type {}", asked.election_type)};
    for (const cluster::NamedPartition& partition : partitions) {
      add_result(partition, refused, response);
    }
    return request.reply(response);
  }
  const Deadline deadline = deadline_of(broker, asked.timeout_ms);
  auto plan = plan_change(broker, deadline, [&](const cluster::Image& now) {
    if (all) {
      add_all_partitions(now, partitions);
    }
    return cluster::plan_elect_leaders(now, asked.election_type == kUncleanElection, partitions);
  });
  carry_out(broker, plan, deadline);
  declare_unclean(*broker.metadata().image(), partitions, plan.items);
  for (std::size_t i = 0; i < partitions.size(); ++i) {
    // Of all that there are, those that need no election are not worth a word; their topics are named.
    if (all && plan.items[i].error == ErrorCode::kElectionNotNeeded) {
      results_of(partitions[i].topic, response);
    } else {
      add_result(partitions[i], plan.items[i], response);
    }
  }
  request.reply(response);
}

// ---- AlterPartitionReassignments ----

void alter_reassignments(Broker& broker, Request& request, const protocol::AlterPartitionReassignmentsRequest& asked) {
  std::vector<cluster::ReassignmentRequest> partitions;
  for (const protocol::ReassignableTopic& topic : asked.topics) {
    for (const protocol::ReassignablePartition& partition : topic.partitions) {
      partitions.push_back(
          {.partition = {.topic = topic.name, .index = partition.partition_index}, .replicas = partition.replicas});
    }
  }
  const Deadline deadline = deadline_of(broker, asked.timeout_ms);
  auto plan = plan_change(broker, deadline, [&](const cluster::Image& now) {
    return cluster::plan_alter_reassignments(now, asked.allow_replication_factor_change, partitions);
  });
  carry_out(broker, plan, deadline);
  protocol::AlterPartitionReassignmentsResponse response;
  response.allow_replication_factor_change = asked.allow_replication_factor_change;
  std::size_t at = 0;
  for (const protocol::ReassignableTopic& topic : asked.topics) {
    auto& answer = response.responses.emplace_back();
    answer.name = topic.name;
    for (const protocol::ReassignablePartition& partition : topic.partitions) {
      answer.partitions.push_back({.partition_index = partition.partition_index,
                                   .error_code = plan.items[at].error,
                                   .error_message = message_of(plan.items[at])});
      ++at;
    }
  }
  request.reply(response);
}

// ---- ListPartitionReassignments ----

std::vector<NodeId> replicas_of(const cluster::ReplicaList& nodes) { return {nodes.begin(), nodes.end()}; }

// Those of the topic's partitions that are being reassigned; `only`: of these, null: of all.
void list_reassigned(const cluster::Topic& topic, const std::vector<PartitionId>* only,
                     protocol::ListPartitionReassignmentsResponse& response) {
  protocol::OngoingTopicReassignment listed;
  listed.name = topic.name;
  topic.partitions.for_each([&](const cluster::Partition& partition) {
    const bool asked = only == nullptr || std::find(only->begin(), only->end(), partition.index) != only->end();
    if (asked && cluster::is_reassigned(partition)) {
      listed.partitions.push_back({.partition_index = partition.index,
                                   .replicas = replicas_of(partition.replicas),
                                   .adding_replicas = replicas_of(partition.adding),
                                   .removing_replicas = replicas_of(partition.removing)});
    }
  });
  if (!listed.partitions.empty()) {
    response.topics.push_back(std::move(listed));
  }
}

void list_reassignments(Broker& broker, Request& request, const protocol::ListPartitionReassignmentsRequest& asked) {
  protocol::ListPartitionReassignmentsResponse response;
  const Status caught_up =
      broker.metadata().catch_up(broker.metadata().proposal_deadline(deadline_of(broker, asked.timeout_ms)));
  if (!caught_up.ok()) {
    response.error_code = ErrorCode::kRequestTimedOut;
    response.error_message = "no controller answers";
    return request.reply(response);
  }
  const cluster::ImageRef image = broker.metadata().image();
  if (!asked.topics.has_value()) {
    image->topics.for_each([&response](const cluster::TopicRef& topic) { list_reassigned(*topic, nullptr, response); });
    return request.reply(response);
  }
  for (const protocol::ListPartitionReassignmentsTopic& named : *asked.topics) {
    if (const cluster::Topic* topic = image->find_topic(named.name); topic != nullptr) {
      list_reassigned(*topic, &named.partition_indexes, response);
    }
  }
  request.reply(response);
}

}  // namespace

void handle_elect_leaders(Broker& broker, Request&& request) {
  decode_and_answer<protocol::ElectLeadersRequest, &elect_leaders>("elect-leaders", broker, std::move(request));
}

void handle_alter_partition_reassignments(Broker& broker, Request&& request) {
  decode_and_answer<protocol::AlterPartitionReassignmentsRequest, &alter_reassignments>("alter-reassignments", broker,
                                                                                        std::move(request));
}

void handle_list_partition_reassignments(Broker& broker, Request&& request) {
  decode_and_answer<protocol::ListPartitionReassignmentsRequest, &list_reassignments>("list-reassignments", broker,
                                                                                      std::move(request));
}

}  // namespace chronik::broker
