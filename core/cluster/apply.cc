#include "core/cluster/apply.h"

#include <fmt/core.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <optional>

#include "core/cluster/node_changes.h"
#include "core/cluster/partition_changes.h"
#include "core/cluster/partition_state.h"
#include "core/cluster/reassignment.h"

namespace chronik::cluster {

namespace {

// A partition as it begins: led by its first live replica, with all live ones in sync (they are all empty).
StatusOr<Partition> first_state(const Image& image, PartitionId index, const ReplicaList& replicas) {
  Partition partition;
  partition.index = index;
  partition.created = image.applied;
  partition.replicas = replicas;
  partition.leader_epoch = LeaderEpoch(0);
  partition.epoch = PartitionEpoch(0);
  for (std::size_t i = 0; i < replicas.size(); ++i) {
    if (image.find_broker(replicas[i]) == nullptr) {
      return absl::InvalidArgumentError(fmt::format("replica on broker {}, which is not registered", replicas[i]));
    }
    if (std::find(replicas.begin() + static_cast<std::ptrdiff_t>(i) + 1, replicas.end(), replicas[i]) !=
        replicas.end()) {
      return absl::InvalidArgumentError(fmt::format("two replicas of a partition on broker {}", replicas[i]));
    }
    if (image.is_live(replicas[i])) {
      partition.isr.push_back(replicas[i]);
    }
  }
  const auto well = [&image](NodeId node) { return image.is_well(node); };
  if (std::any_of(partition.isr.begin(), partition.isr.end(), well)) {
    partition.isr.erase(std::remove_if(partition.isr.begin(), partition.isr.end(), std::not_fn(well)),
                        partition.isr.end());
  }
  if (partition.isr.empty()) {
    return absl::InvalidArgumentError(fmt::format("no replica of partition {} is on a live broker", index));
  }
  partition.leader = partition.isr.front();
  return partition;
}

// Adds partitions numbered from `first` on.
ItemResult add_partitions(const Image& image, std::int32_t first, const std::vector<ReplicaList>& added,
                          std::vector<Partition>& partitions) {
  for (std::size_t i = 0; i < added.size(); ++i) {
    auto partition = first_state(image, PartitionId(first + static_cast<std::int32_t>(i)), added[i]);
    if (!partition.ok()) {
      return refused(ErrorCode::kInvalidReplicaAssignment, std::string(partition.status().message()));
    }
    partitions.push_back(*std::move(partition));
  }
  return {};
}

ItemResult create_topic(Image& image, const CreateTopics::Topic& wanted) {
  if (std::string problem = topic_name_problem(wanted.name); !problem.empty()) {
    return refused(ErrorCode::kInvalidTopicException, std::move(problem));
  }
  if (const Topic* other = image.colliding_topic(wanted.name); other != nullptr) {
    return other->name == wanted.name
               ? refused(ErrorCode::kTopicAlreadyExists, fmt::format("topic '{}' exists", wanted.name))
               : refused(ErrorCode::kInvalidTopicException,
                         fmt::format("'{}' differs from topic '{}' only in '.' and '_'", wanted.name, other->name));
  }
  if (wanted.id.is_zero() || image.find_topic(wanted.id) != nullptr) {
    return refused(ErrorCode::kInvalidRequest, fmt::format("topic id {} is taken", wanted.id.to_string()));
  }
  if (wanted.partitions.empty()) {
    return refused(ErrorCode::kInvalidPartitions, "a topic has at least one partition");
  }
  std::vector<Partition> partitions;
  if (ItemResult result = add_partitions(image, 0, wanted.partitions, partitions); !result.ok()) {
    return result;
  }
  Topic topic;
  topic.name = wanted.name;
  topic.id = wanted.id;
  topic.partitions = PartitionSet::from_sorted(std::move(partitions));
  topic.configs = wanted.configs;
  image.put_topic(TopicRef::make(topic));
  return {};
}

ItemResult delete_topic(Image& image, const TopicId& id) {
  const Topic* topic = image.find_topic(id);
  if (topic == nullptr) {
    return refused(ErrorCode::kUnknownTopicId, "there is no topic with this id");
  }
  image.remove_topic(*topic);
  return {};
}

ItemResult grow_topic(Image& image, const CreatePartitions::Topic& wanted) {
  const Topic* topic = image.find_topic(wanted.id);
  if (topic == nullptr) {
    return refused(ErrorCode::kUnknownTopicOrPartition, "the topic was deleted");
  }
  const auto existing = static_cast<std::int32_t>(topic->partitions.size());
  if (existing != wanted.existing || wanted.added.empty()) {
    return refused(ErrorCode::kInvalidPartitions, fmt::format("topic '{}' has {} partitions", topic->name, existing));
  }
  std::vector<Partition> added;
  if (ItemResult result = add_partitions(image, existing, wanted.added, added); !result.ok()) {
    return result;
  }
  Topic grown = *topic;
  for (Partition& partition : added) {
    grown.partitions = grown.partitions.with(std::move(partition));
  }
  image.put_topic(TopicRef::make(grown));
  return {};
}

// A setting may have changed by which more may be committed, or a partition without a leader can have one.
bool settle_by_settings(const Image& image, Partition& partition, const ElectionRules& rules) {
  const bool settled = settle_elr(partition, rules.min_insync_replicas);
  return (partition.leader == NodeId::none() && elect(image, partition, false, rules)) || settled;
}

void change_configs(ConfigMap& configs, const std::vector<AlterConfigs::Change>& changes) {
  for (const AlterConfigs::Change& change : changes) {
    if (change.value.has_value()) {
      configs.insert_or_assign(change.name, *change.value);
    } else {
      configs.erase(change.name);
    }
  }
}

ItemResult alter_configs_of(Image& image, const TopicId& id, const std::vector<AlterConfigs::Change>& changes) {
  const Topic* topic = image.find_topic(id);
  if (topic == nullptr) {
    return refused(ErrorCode::kUnknownTopicOrPartition, "the topic was deleted");
  }
  Topic changed = *topic;
  change_configs(changed.configs, changes);
  image.put_topic(TopicRef::make(changed));
  const auto elected = with_changed_partitions(image, changed, [&](Partition& partition, const ElectionRules& rules) {
    return settle_by_settings(image, partition, rules);
  });
  if (elected.has_value()) {
    image.put_topic(*elected);
  }
  return {};
}

ItemResult alter_configs_of(Image& image, NodeId node, const std::vector<AlterConfigs::Change>& changes) {
  if (node != NodeId::none() && image.find_broker(node) == nullptr) {
    return refused(ErrorCode::kInvalidRequest, fmt::format("there is no broker {}", node));
  }
  BrokerConfigs changed{.node = node, .values = {}};
  const BrokerConfigs* before = image.broker_configs.find(node);
  if (before != nullptr) {
    changed = *before;
  }
  change_configs(changed.values, changes);
  if (!changed.values.empty()) {
    image.broker_configs = image.broker_configs.with(std::move(changed));
  } else if (before != nullptr) {
    image.broker_configs = image.broker_configs.without(node);
  }
  if (node == NodeId::none()) {
    change_partitions(image, [&](Partition& partition, const ElectionRules& rules) {
      return settle_by_settings(image, partition, rules);
    });
  }
  return {};
}

// `node` has come back as a new incarnation, which is live in `image` already; lost: with another disk.
void end_epochs_of(Image& image, NodeId node, bool lost) {
  change_partitions(image, [&](Partition& partition, const ElectionRules& rules) {
    const bool kept = contains(partition.isr, node) || contains(partition.elr, node);
    const bool led = partition.leader == node;
    if (lost) {
      lose_replica(partition, node);
    }
    // Rule R1: the epoch ends with the incarnation. Another live in-sync replica, if there is one, need not recover
    // first.
    const bool asked = kept || partition.leader == NodeId::none();
    const bool elected = asked && elect(image, partition, led, rules);
    return elected || (lost && kept);
  });
}

void change_live(Image& image, const Broker& known, bool live, bool stuck) {
  Broker broker = known;
  broker.fenced = !live;
  broker.stuck = stuck;
  const NodeId node = broker.node;
  image.brokers = image.brokers.with(std::move(broker));
  change_partitions(image, [&](Partition& partition, const ElectionRules& rules) {
    const bool was_in_sync = contains(partition.isr, node);
    if (!live) {
      fence_replica(partition, node, rules.min_insync_replicas);
    }
    const bool relieved = stuck && was_in_sync && relieve_stuck(image, partition, rules.min_insync_replicas);
    return elect(image, partition, false, rules) || relieved || (!live && was_in_sync);
  });
}

CommandResult run(Image& image, LogIndex index, const ProposalId& proposal, const RegisterBroker& command) {
  const Broker* known = image.find_broker(proposal.node);
  const bool same_incarnation = known != nullptr && known->incarnation == proposal.incarnation;
  const bool same_disk = known != nullptr && known->directory == command.directory;
  if (known != nullptr && !same_incarnation && same_disk && command.start_counter <= known->start_counter) {
    return {.whole = refused(
                ErrorCode::kInvalidRegistration,
                fmt::format("directory {} of broker {} was at start {} and is now at {}: a copy or a restored "
                            "backup, or a delayed message of an earlier start",
                            command.directory.to_string(), proposal.node, known->start_counter, command.start_counter)),
            .items = {}};
  }
  if (same_incarnation && !same_disk) {
    return {.whole = refused(ErrorCode::kInvalidRegistration, "an incarnation cannot change its directory"),
            .items = {}};
  }
  const bool lost = known != nullptr && !same_disk;
  if (ItemResult problem = welcome(image, proposal.node, same_disk); !problem.ok()) {
    return {.whole = std::move(problem), .items = {}};
  }
  Broker broker{.node = proposal.node,
                .epoch = same_incarnation ? known->epoch : BrokerEpoch(index.value()),
                .incarnation = proposal.incarnation,
                .directory = command.directory,
                .start_counter = command.start_counter,
                .rack = command.rack,
                .endpoints = command.endpoints,
                .fenced = false};
  const BrokerEpoch epoch = broker.epoch;
  image.brokers = image.brokers.with(std::move(broker));
  const bool another_min =
      std::exchange(image.min_insync_replicas, command.min_insync_replicas) != command.min_insync_replicas;
  const bool another_unclean =
      std::exchange(image.unclean_leader_election, command.unclean_leader_election) != command.unclean_leader_election;
  if (another_min || another_unclean) {
    change_partitions(image, [&](Partition& partition, const ElectionRules& rules) {
      return settle_by_settings(image, partition, rules);
    });
  }
  if (!same_incarnation) {
    end_epochs_of(image, proposal.node, lost);
  }
  return {.whole = {}, .items = {}, .value = epoch.value()};
}

CommandResult run(Image& image, LogIndex, const ProposalId&, const CreateTopics& command) {
  CommandResult result;
  for (const CreateTopics::Topic& topic : command.topics) {
    result.items.push_back(create_topic(image, topic));
  }
  return result;
}

CommandResult run(Image& image, LogIndex, const ProposalId&, const DeleteTopics& command) {
  CommandResult result;
  for (const TopicId& topic : command.topics) {
    result.items.push_back(delete_topic(image, topic));
  }
  return result;
}

CommandResult run(Image& image, LogIndex, const ProposalId&, const CreatePartitions& command) {
  CommandResult result;
  for (const CreatePartitions::Topic& topic : command.topics) {
    result.items.push_back(grow_topic(image, topic));
  }
  return result;
}

CommandResult run(Image& image, LogIndex, const ProposalId&, const AlterConfigs& command) {
  CommandResult result;
  for (const AlterConfigs::Resource& resource : command.resources) {
    result.items.push_back(
        std::visit([&](const auto& of) { return alter_configs_of(image, of, resource.changes); }, resource.of));
  }
  return result;
}

CommandResult run(Image& image, LogIndex, const ProposalId&, const AllocateProducerIds& command) {
  if (command.count <= 0 || image.next_producer_id > std::numeric_limits<std::int64_t>::max() - command.count) {
    return {.whole = refused(ErrorCode::kInvalidRequest, fmt::format("a block of {} producer ids", command.count)),
            .items = {}};
  }
  CommandResult result;
  result.value = image.next_producer_id;
  image.next_producer_id += command.count;
  return result;
}

CommandResult run(Image& image, LogIndex, const ProposalId&, const ChangeBrokers& command) {
  CommandResult result;
  for (const ChangeBrokers::Change& change : command.changes) {
    const Broker* known = image.find_broker(change.node);
    if (known == nullptr || known->epoch != change.epoch) {
      result.items.push_back(
          refused(ErrorCode::kStaleBrokerEpoch,
                  fmt::format("broker {} is not registered in epoch {}", change.node, change.epoch)));
      continue;
    }
    if (const DepartingNode* departing = image.departing.find(change.node);
        change.live && departing != nullptr && departing->lost) {
      result.items.push_back(refused(ErrorCode::kStaleBrokerEpoch, "the broker was removed by force"));
      continue;
    }
    const bool stuck = change.live && change.stuck;
    if (known->fenced == change.live || known->stuck != stuck) {
      change_live(image, *known, change.live, stuck);
    }
    result.items.emplace_back();
  }
  return result;
}

ItemResult alter_partition(Image& image, NodeId proposer, const AlterPartitions::Partition& wanted) {
  const Topic* topic = image.find_topic(wanted.topic);
  const Partition* known = topic == nullptr ? nullptr : topic->partitions.find(wanted.partition);
  if (known == nullptr) {
    return refused(ErrorCode::kUnknownTopicId, "the topic was deleted");
  }
  if (known->leader != proposer || known->leader_epoch != wanted.leader_epoch) {
    return refused(ErrorCode::kFencedLeaderEpoch,
                   fmt::format("broker {} leads in epoch {}, not broker {} in epoch {}", known->leader,
                               known->leader_epoch, proposer, wanted.leader_epoch));
  }
  if (known->epoch != wanted.epoch) {
    return refused(ErrorCode::kInvalidUpdateVersion,
                   fmt::format("the partition is at epoch {}, not at epoch {}", known->epoch, wanted.epoch));
  }
  ReplicaList isr;
  for (const AlterPartitions::Member& member : wanted.isr) {
    const Broker* broker = image.find_broker(member.node);
    if (!contains(known->replicas, member.node) || contains(isr, member.node)) {
      return refused(ErrorCode::kInvalidRequest, fmt::format("broker {} is no replica, or named twice", member.node));
    }
    if (broker == nullptr || broker->fenced || broker->epoch != member.epoch) {
      return refused(ErrorCode::kIneligibleReplica,
                     fmt::format("broker {} is not live in epoch {}", member.node, member.epoch));
    }
    if (broker->stuck && !contains(known->isr, member.node)) {
      return refused(ErrorCode::kIneligibleReplica, fmt::format("the disk of broker {} is stuck", member.node));
    }
    isr.push_back(member.node);
  }
  if (!contains(isr, proposer)) {
    return refused(ErrorCode::kInvalidRequest, "a leader is in sync with itself");
  }
  const ElectionRules rules = image.election_rules_of(*topic);
  Partition altered = *known;
  set_isr(altered, isr, rules.min_insync_replicas);
  if (relieve_stuck(image, altered, rules.min_insync_replicas)) {
    elect(image, altered, false, rules);
  }
  complete_reassignment(image, altered, rules);
  put_partition(image, *topic, *known, std::move(altered));
  return {};
}

CommandResult run(Image& image, LogIndex, const ProposalId& proposal, const AlterPartitions& command) {
  CommandResult result;
  for (const AlterPartitions::Partition& partition : command.partitions) {
    result.items.push_back(alter_partition(image, proposal.node, partition));
  }
  return result;
}

CommandResult run(Image& image, LogIndex, const ProposalId&, const ElectLeaders& command) {
  CommandResult result;
  for (const ElectLeaders::Partition& wanted : command.partitions) {
    result.items.push_back(
        change_partition(image, wanted.topic, wanted.partition, [&](Partition& partition, const ElectionRules& rules) {
          ItemResult elected =
              command.unclean ? elect_unclean(image, partition, rules) : elect_preferred(image, partition);
          complete_reassignment(image, partition, rules);
          return elected;
        }));
  }
  return result;
}

CommandResult run(Image& image, LogIndex, const ProposalId&, const AlterReassignments& command) {
  CommandResult result;
  for (const AlterReassignments::Partition& wanted : command.partitions) {
    result.items.push_back(
        change_partition(image, wanted.topic, wanted.partition, [&](Partition& partition, const ElectionRules& rules) {
          return reassign(image, partition, wanted.target, command.may_change_factor, rules);
        }));
  }
  return result;
}

CommandResult run(Image& image, LogIndex, const ProposalId& proposal, const ReportDamage& command) {
  const NodeId node = proposal.node;
  const Broker* broker = image.find_broker(node);
  if (broker == nullptr || broker->epoch != command.epoch) {
    return {.whole = refused(ErrorCode::kStaleBrokerEpoch,
                             fmt::format("broker {} is not registered in epoch {}", node, command.epoch)),
            .items = {}};
  }
  CommandResult result;
  for (const ReportDamage::Replica& replica : command.replicas) {
    result.items.push_back(change_partition(
        image, replica.topic, replica.partition, [&](Partition& partition, const ElectionRules& rules) {
          ItemResult given_up = give_up_replica(image, partition, node, replica.lost, rules);
          complete_reassignment(image, partition, rules);
          return given_up;
        }));
  }
  return result;
}

CommandResult run(Image& image, LogIndex, const ProposalId&, const AddNode& command) {
  return {.whole = add_node(image, command), .items = {}};
}

CommandResult run(Image& image, LogIndex, const ProposalId&, const RemoveNode& command) {
  return {.whole = remove_node(image, command), .items = {}};
}

CommandResult run(Image& image, LogIndex, const ProposalId&, const ForgetNode& command) {
  return {.whole = forget_node(image, command.node), .items = {}};
}

CommandResult run(Image& image, LogIndex, const ProposalId&, const Rebalance& command) {
  image.rebalancing = command.begin;
  return {};
}

// Whether this proposal may be applied now: its result of an earlier time, a refusal, or nothing: go on.
std::optional<CommandResult> earlier_result(const Image& image, const Command& command) {
  const ProposalId& id = command.proposal;
  const Proposer* proposer = image.proposers.find(id.node);
  if (proposer != nullptr && proposer->incarnation == id.incarnation && id.sequence <= proposer->last_sequence) {
    const AppliedProposal* applied = proposer->results.find(id.sequence);
    if (applied != nullptr) {
      return applied->kept->result;
    }
    return CommandResult{
        .whole = refused(ErrorCode::kOperationNotAttempted, "a later proposal of this node came first"), .items = {}};
  }
  const Broker* broker = image.find_broker(id.node);
  const bool current = broker != nullptr && broker->incarnation == id.incarnation;
  if (!current && !std::holds_alternative<RegisterBroker>(command.body)) {
    return CommandResult{
        .whole = refused(broker == nullptr ? ErrorCode::kBrokerIdNotRegistered : ErrorCode::kStaleBrokerEpoch,
                         "the proposing incarnation is not registered"),
        .items = {}};
  }
  return std::nullopt;
}

void remember(Image& image, const ProposalId& id, const CommandResult& result) {
  Proposer next{.node = id.node, .incarnation = id.incarnation, .last_sequence = -1, .results = {}};
  const Proposer* known = image.proposers.find(id.node);
  if (known != nullptr && known->incarnation == id.incarnation) {
    next = *known;
  }
  CHECK_LT(next.last_sequence, id.sequence);
  next.last_sequence = id.sequence;
  KeptResult kept;
  kept.result = result;
  next.results = next.results.with({.sequence = id.sequence, .kept = Ref<const KeptResult>::make(kept)});
  if (next.results.size() > kResultsKept) {
    next.results = next.results.without(next.results.first()->sequence);
  }
  image.proposers = image.proposers.with(std::move(next));
}

}  // namespace

Applied apply(const ImageRef& image, LogIndex index, const Command& command) {
  CHECK_LT(image->applied, index);
  Image next = *image;
  next.applied = index;
  std::optional<CommandResult> earlier = earlier_result(next, command);
  if (earlier.has_value()) {
    return {.image = ImageRef::make(next), .result = *std::move(earlier)};
  }
  CommandResult result =
      std::visit([&](const auto& body) { return run(next, index, command.proposal, body); }, command.body);
  // A refused registration must not push out the results of the incarnation that is registered.
  const Broker* broker = next.find_broker(command.proposal.node);
  if (broker != nullptr && broker->incarnation == command.proposal.incarnation) {
    remember(next, command.proposal, result);
  }
  return {.image = ImageRef::make(next), .result = std::move(result)};
}

}  // namespace chronik::cluster
