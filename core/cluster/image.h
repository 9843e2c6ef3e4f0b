// The cluster's metadata at one index of its log: brokers, topics, partitions, configurations.
//
// Immutable once published. apply() makes the next image out of this one and a command, and both share what did not
// change, so that creating one topic among ten thousand costs microseconds. Readers hold an ImageRef and see one
// consistent state for as long as they like. Each shard applies its own (rule S5). Invariants: invariants.h.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/counted.h"
#include "core/base/ids.h"
#include "core/base/persistent_set.h"
#include "core/base/uuid.h"
#include "core/cluster/command.h"
#include "core/cluster/result.h"
#include "core/cluster/topic_names.h"

namespace chronik::cluster {

struct Broker {
  NodeId node;
  BrokerEpoch epoch;  // the index of the command that registered this incarnation
  IncarnationId incarnation;
  DirectoryId directory;
  std::int64_t start_counter = 0;
  std::string rack;  // empty: none
  std::vector<Endpoint> endpoints;
  bool fenced = false;  // not live: leads nothing and is given nothing
  bool stuck = false;   // live, but its disk is not: in sync only where nobody else is (rule R10)

  friend bool operator==(const Broker&, const Broker&) = default;
  static void fields(auto& op, auto& m) {
    op(m.node);
    op(m.epoch);
    op(m.incarnation);
    op(m.directory);
    op(m.start_counter);
    op(m.rack);
    op(m.endpoints);
    op(m.fenced);
    op.since(3, m.stuck);
  }
};

struct Partition {
  PartitionId index;
  NodeId leader = NodeId::none();
  LeaderEpoch leader_epoch;
  PartitionEpoch epoch;  // rises with every change; what a change of the ISR is compared against
  ReplicaList replicas;  // the preferred leader first; while it is reassigned, those that shall go are the last
  ReplicaList isr;       // in the order of `replicas`
  // Eligible leader replicas (KIP-966, rule R8): no longer in sync, but nothing was committed since. Nothing is
  // committed while there are any.
  ReplicaList elr;
  // Both empty where no reassignment is under way (KIP-455). In the order of `replicas`.
  ReplicaList adding;    // of `replicas`, those that were none when it began
  ReplicaList removing;  // of `replicas`, those that go when all others are in sync
  // The latest leader epoch that began with a replica that may have lacked committed records; none: there was none. Who
  // has nothing of it or of a later one may have to cut what was committed before (rule R8).
  LeaderEpoch unclean_epoch = LeaderEpoch::none();
  // The index of the command that made it: until a node has made its logs up to there, it never had one (rule R12).
  LogIndex created = LogIndex(0);

  friend bool operator==(const Partition&, const Partition&) = default;
  static void fields(auto& op, auto& m) {
    op(m.index);
    op(m.leader);
    op(m.leader_epoch);
    op(m.epoch);
    op(m.replicas);
    op(m.isr);
    op.since(2, m.elr);
    op.since(2, m.adding);
    op.since(2, m.removing);
    op.since(2, m.unclean_epoch);
    op.since(3, m.created);
  }
};
// What the settings of a topic say of the elections of its partitions.
struct ElectionRules {
  std::size_t min_insync_replicas = 1;
  bool unclean = false;  // whether a replica that may lack committed records leads where no other is left
};

struct PartitionKey {
  PartitionId operator()(const Partition& partition) const { return partition.index; }
};
using PartitionSet = PersistentSet<Partition, PartitionKey>;

struct Topic : Counted {
  std::string name;
  TopicId id;
  PartitionSet partitions;  // indexes 0 to size() - 1
  ConfigMap configs;        // overrides only

  friend bool operator==(const Topic& a, const Topic& b) {
    return a.name == b.name && a.id == b.id && a.partitions == b.partitions && a.configs == b.configs;
  }
  static void fields(auto& op, auto& m) {
    op(m.name);
    op(m.id);
    op(m.partitions);
    op(m.configs);
  }
};
using TopicRef = Ref<const Topic>;

// Dynamic configuration of one broker, or of all of them (node none).
struct BrokerConfigs {
  NodeId node;
  ConfigMap values;  // not empty

  friend bool operator==(const BrokerConfigs&, const BrokerConfigs&) = default;
  static void fields(auto& op, auto& m) {
    op(m.node);
    op(m.values);
  }
};

// A proposal that was applied, and what became of it.
struct KeptResult : Counted {
  CommandResult result;

  static void fields(auto& op, auto& m) { op(m.result); }
};
struct AppliedProposal {
  std::int64_t sequence = 0;
  Ref<const KeptResult> kept;

  friend bool operator==(const AppliedProposal& a, const AppliedProposal& b) {
    return a.sequence == b.sequence && a.kept->result == b.kept->result;
  }
  static void fields(auto& op, auto& m) {
    op(m.sequence);
    op(m.kept);
  }
};
struct AppliedProposalKey {
  std::int64_t operator()(const AppliedProposal& applied) const { return applied.sequence; }
};

// A proposer must not have more proposals under way than results are kept, or a retry might not find its own.
inline constexpr std::size_t kResultsKept = 1024;

struct Proposer {
  NodeId node;
  IncarnationId incarnation;
  std::int64_t last_sequence = -1;
  PersistentSet<AppliedProposal, AppliedProposalKey> results;  // the latest kResultsKept

  friend bool operator==(const Proposer&, const Proposer&) = default;
  static void fields(auto& op, auto& m) {
    op(m.node);
    op(m.incarnation);
    op(m.last_sequence);
    op(m.results);
  }
};

// A node that is to become a member, and has not registered yet.
struct JoiningNode {
  NodeId node;
  std::string host;  // where it listens for the other nodes
  std::uint16_t port = 0;

  friend bool operator==(const JoiningNode&, const JoiningNode&) = default;
  static void fields(auto& op, auto& m) {
    op(m.node);
    op(m.host);
    op(m.port);
  }
};

// A node that is to go: nothing is placed on it.
struct DepartingNode {
  NodeId node;
  DirectoryId directory;  // that it is registered with; zero: it was not registered
  bool lost = false;      // by force: it was dead
  // Only of one that is lost: it is no member any more, and has its place in partitions that have nowhere else to go. A
  // node that is added with its id takes it.
  bool gone = false;

  friend bool operator==(const DepartingNode&, const DepartingNode&) = default;
  static void fields(auto& op, auto& m) {
    op(m.node);
    op(m.directory);
    op(m.lost);
    op(m.gone);
  }
};

struct NodeKey {
  NodeId operator()(const auto& of_node) const { return of_node.node; }
};
struct ByTopicName {
  TopicNameKey operator()(const TopicRef& topic) const { return {topic->name}; }
};
struct ByTopicId {
  TopicId operator()(const TopicRef& topic) const { return topic->id; }
};

struct Image : Counted {
  ClusterId cluster;
  LogIndex applied = LogIndex(0);  // the index of the last command applied
  std::int64_t next_producer_id = 0;
  std::int32_t min_insync_replicas = 1;  // as the latest registration had it in its file; so is the next
  bool unclean_leader_election = false;
  PersistentSet<Broker, NodeKey> brokers;
  PersistentSet<TopicRef, ByTopicName> topics;  // in an order in which colliding names are equal
  PersistentSet<TopicRef, ByTopicId> topics_by_id;
  PersistentSet<BrokerConfigs, NodeKey> broker_configs;
  PersistentSet<Proposer, NodeKey> proposers;
  PersistentSet<JoiningNode, NodeKey> joining;
  PersistentSet<DepartingNode, NodeKey> departing;
  LogIndex last_removal = LogIndex(0);  // of the latest command by which a node is to go
  bool rebalancing = false;             // replicas are being spread evenly

  // Null where there is none. What is returned lives as long as the image.
  const Topic* find_topic(std::string_view name) const;
  const Topic* find_topic(const TopicId& id) const;
  const Partition* find_partition(const TopicId& id, PartitionId index) const;
  // The topic whose name is `name` or differs from it only in '.' against '_'.
  const Topic* colliding_topic(std::string_view name) const;
  const Broker* find_broker(NodeId node) const { return brokers.find(node); }
  // Registered and not fenced.
  bool is_live(NodeId node) const;
  // The same, and its disk is not stuck.
  bool is_well(NodeId node) const;
  // May be given new replicas: live, and not about to go.
  bool may_be_given_more(NodeId node) const { return is_live(node) && departing.find(node) == nullptr; }
  const ConfigMap* configs_of_broker(NodeId node) const;
  const ConfigMap* configs_of_all_brokers() const { return configs_of_broker(NodeId::none()); }
  // In force for the topic, as far as the image says; at least 1.
  std::size_t min_insync_replicas_of(const Topic& topic) const;
  bool unclean_leader_election_of(const Topic& topic) const;
  ElectionRules election_rules_of(const Topic& topic) const {
    return {.min_insync_replicas = min_insync_replicas_of(topic), .unclean = unclean_leader_election_of(topic)};
  }

  friend bool operator==(const Image& a, const Image& b);

  // For apply(): the same topic in both orders.
  void put_topic(const TopicRef& topic);
  void remove_topic(const Topic& topic);

 private:
  // Of a setting that topics and brokers call by one name: the topic's own value, or that of all brokers; null: none.
  const std::string* value_for(const Topic& topic, std::string_view name) const;
};
using ImageRef = Ref<const Image>;

// The image before the first command.
ImageRef empty_image(const ClusterId& cluster);

}  // namespace chronik::cluster
