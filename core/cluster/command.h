// The commands that change the cluster's metadata. There is no other way to change it: propose, commit, apply, publish.
//
// A command is planned on one image and applied to a later one, so apply() checks again whatever may have changed
// between. Everything random or configured is in the command; apply() asks nobody. Encoding: docs/formats/metadata.md.
// A kind is its place in the variant: new kinds go to the end.
#pragma once

#include <absl/container/btree_map.h>
#include <absl/container/inlined_vector.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/base/ids.h"
#include "core/base/slice.h"
#include "core/base/status.h"
#include "core/base/uuid.h"

namespace chronik::cluster {

using IncarnationId = Uuid;  // of one run of one node's process
using ClusterId = Uuid;
using ReplicaList = absl::InlinedVector<NodeId, 4>;
using ConfigMap = absl::btree_map<std::string, std::string, std::less<>>;

inline bool contains(const ReplicaList& list, NodeId node) {
  return std::find(list.begin(), list.end(), node) != list.end();
}

// Who proposed, and which of its proposals this is: a retry carries the id of the first try (rule R17). Sequences of an
// incarnation begin at 0 and are applied in ascending order.
struct ProposalId {
  NodeId node;
  IncarnationId incarnation;
  std::int64_t sequence = 0;

  friend bool operator==(const ProposalId&, const ProposalId&) = default;
  static void fields(auto& op, auto& m) {
    op(m.node);
    op(m.incarnation);
    op(m.sequence);
  }
};

struct Endpoint {
  std::string listener;  // "PLAINTEXT"
  std::string host;
  std::uint16_t port = 0;

  friend bool operator==(const Endpoint&, const Endpoint&) = default;
  static void fields(auto& op, auto& m) {
    op(m.listener);
    op(m.host);
    op(m.port);
  }
};

// The proposing node's new incarnation. Ends the epochs of everything that the node led (rule R1) and gives it its
// broker epoch, the index of this command.
struct RegisterBroker {
  DirectoryId directory;
  std::int64_t start_counter = 0;  // rises durably with each start of the directory; going back means a restored backup
  std::vector<Endpoint> endpoints;
  std::string rack;  // empty: none
  // In its configuration file: of topics for which nothing else is set.
  std::int32_t min_insync_replicas = 1;
  bool unclean_leader_election = false;

  friend bool operator==(const RegisterBroker&, const RegisterBroker&) = default;
  static void fields(auto& op, auto& m) {
    op(m.directory);
    op(m.start_counter);
    op(m.endpoints);
    op(m.rack);
    op.since(2, m.min_insync_replicas);
    op.since(2, m.unclean_leader_election);
  }
};

// Several topics at once: one commit. Each succeeds or fails by itself.
struct CreateTopics {
  struct Topic {
    std::string name;
    TopicId id;                           // random, by the proposer
    std::vector<ReplicaList> partitions;  // replicas, the preferred leader first
    ConfigMap configs;

    friend bool operator==(const Topic&, const Topic&) = default;
    static void fields(auto& op, auto& m) {
      op(m.name);
      op(m.id);
      op(m.partitions);
      op(m.configs);
    }
  };
  std::vector<Topic> topics;

  friend bool operator==(const CreateTopics&, const CreateTopics&) = default;
  static void fields(auto& op, auto& m) { op(m.topics); }
};

struct DeleteTopics {
  std::vector<TopicId> topics;

  friend bool operator==(const DeleteTopics&, const DeleteTopics&) = default;
  static void fields(auto& op, auto& m) { op(m.topics); }
};

struct CreatePartitions {
  struct Topic {
    TopicId id;
    std::int32_t existing = 0;  // partitions when this was planned; if there are others by now, nothing is added
    std::vector<ReplicaList> added;

    friend bool operator==(const Topic&, const Topic&) = default;
    static void fields(auto& op, auto& m) {
      op(m.id);
      op(m.existing);
      op(m.added);
    }
  };
  std::vector<Topic> topics;

  friend bool operator==(const CreatePartitions&, const CreatePartitions&) = default;
  static void fields(auto& op, auto& m) { op(m.topics); }
};

// Dynamic configuration of a topic, of one broker, or (node none) of all brokers.
struct AlterConfigs {
  struct Change {
    std::string name;
    std::optional<std::string> value;  // none: the override goes

    friend bool operator==(const Change&, const Change&) = default;
    static void fields(auto& op, auto& m) {
      op(m.name);
      op(m.value);
    }
  };
  struct Resource {
    std::variant<TopicId, NodeId> of;
    std::vector<Change> changes;  // in order; all or none

    friend bool operator==(const Resource&, const Resource&) = default;
    static void fields(auto& op, auto& m) {
      op(m.of);
      op(m.changes);
    }
  };
  std::vector<Resource> resources;

  friend bool operator==(const AlterConfigs&, const AlterConfigs&) = default;
  static void fields(auto& op, auto& m) { op(m.resources); }
};

// A block of producer ids that nobody else ever gets.
struct AllocateProducerIds {
  std::int32_t count = 0;

  friend bool operator==(const AllocateProducerIds&, const AllocateProducerIds&) = default;
  static void fields(auto& op, auto& m) { op(m.count); }
};

// Brokers of which the controller has not heard for a session are fenced: they lead nothing and are in sync with
// nothing. They are live again when they are heard of. A broker that is about to stop has itself fenced. One that is
// live, but whose disk is stuck, leads nothing and is in sync with nothing that others are in sync with (rule R10).
struct ChangeBrokers {
  struct Change {
    NodeId node;
    BrokerEpoch epoch;  // of the incarnation that is meant
    bool live = false;
    bool stuck = false;  // only who is live

    friend bool operator==(const Change&, const Change&) = default;
    static void fields(auto& op, auto& m) {
      op(m.node);
      op(m.epoch);
      op(m.live);
      op.since(3, m.stuck);
    }
  };
  std::vector<Change> changes;

  friend bool operator==(const ChangeBrokers&, const ChangeBrokers&) = default;
  static void fields(auto& op, auto& m) { op(m.changes); }
};

// Partitions' leader, which proposes this, wants these replicas in sync and no others (KIP-497). Done only where the
// partition is as the leader knew it, and all of them are live in the incarnation that it has heard (KIP-903).
struct AlterPartitions {
  struct Member {
    NodeId node;
    BrokerEpoch epoch;

    friend bool operator==(const Member&, const Member&) = default;
    static void fields(auto& op, auto& m) {
      op(m.node);
      op(m.epoch);
    }
  };
  struct Partition {
    TopicId topic;
    PartitionId partition;
    LeaderEpoch leader_epoch;
    PartitionEpoch epoch;
    std::vector<Member> isr;

    friend bool operator==(const Partition&, const Partition&) = default;
    static void fields(auto& op, auto& m) {
      op(m.topic);
      op(m.partition);
      op(m.leader_epoch);
      op(m.epoch);
      op(m.isr);
    }
  };
  std::vector<Partition> partitions;

  friend bool operator==(const AlterPartitions&, const AlterPartitions&) = default;
  static void fields(auto& op, auto& m) { op(m.partitions); }
};

// Other leaders, by an administrator or by the controller itself (KIP-460): the preferred ones, or, unclean, any live
// replica where nobody is left that has everything, if the topic's unclean.leader.election.enable allows it.
struct ElectLeaders {
  struct Partition {
    TopicId topic;
    PartitionId partition;

    friend bool operator==(const Partition&, const Partition&) = default;
    static void fields(auto& op, auto& m) {
      op(m.topic);
      op(m.partition);
    }
  };
  bool unclean = false;
  std::vector<Partition> partitions;

  friend bool operator==(const ElectLeaders&, const ElectLeaders&) = default;
  static void fields(auto& op, auto& m) {
    op(m.unclean);
    op(m.partitions);
  }
};

// Partitions are to have other replicas (KIP-455). Those that are new to a partition catch up first; once all that are
// wanted are in sync, the others go.
struct AlterReassignments {
  struct Partition {
    TopicId topic;
    PartitionId partition;
    std::optional<ReplicaList> target;  // the preferred leader first; none: what is under way is called off

    friend bool operator==(const Partition&, const Partition&) = default;
    static void fields(auto& op, auto& m) {
      op(m.topic);
      op(m.partition);
      op(m.target);
    }
  };
  bool may_change_factor = true;  // else a partition keeps as many replicas as it has
  std::vector<Partition> partitions;

  friend bool operator==(const AlterReassignments&, const AlterReassignments&) = default;
  static void fields(auto& op, auto& m) {
    op(m.may_change_factor);
    op(m.partitions);
  }
};

// The proposer's own replicas of these partitions are damaged, or gone: it is in sync with them no more, nor eligible,
// and leads them no more (rules R12, R18). Where nobody else could lead, a damaged one stays what it is: refused with
// kEligibleLeadersNotAvailable. Done, it has ended the leader epoch: nobody counts in the next one what the replica has
// said of itself before.
struct ReportDamage {
  struct Replica {
    TopicId topic;
    PartitionId partition;
    bool lost = false;  // there is nothing of it any more: it goes also as the last one

    friend bool operator==(const Replica&, const Replica&) = default;
    static void fields(auto& op, auto& m) {
      op(m.topic);
      op(m.partition);
      op(m.lost);
    }
  };
  BrokerEpoch epoch;  // of the incarnation that found it out
  std::vector<Replica> replicas;

  friend bool operator==(const ReportDamage&, const ReportDamage&) = default;
  static void fields(auto& op, auto& m) {
    op(m.epoch);
    op(m.replicas);
  }
};

// A node is to be let into the group that agrees on the metadata: by the controller, whenever it finds it there. Over
// once the node has registered.
struct AddNode {
  NodeId node;
  std::string host;  // where it listens for the other nodes
  std::uint16_t port = 0;
  // The image that whoever asks has seen: what was asked before a node was removed must not let it in again.
  LogIndex as_of{-1};  // -1: of an earlier version, which does not say

  friend bool operator==(const AddNode&, const AddNode&) = default;
  static void fields(auto& op, auto& m) {
    op(m.node);
    op(m.host);
    op(m.port);
    op.since(4, m.as_of);
  }
};

// A node is to go: by the controller, when its replicas are elsewhere.
struct RemoveNode {
  NodeId node;
  BrokerEpoch epoch = BrokerEpoch::none();  // of the registration that is meant; none: it has none
  bool force = false;                       // it is dead, and will not come back

  friend bool operator==(const RemoveNode&, const RemoveNode&) = default;
  static void fields(auto& op, auto& m) {
    op(m.node);
    op(m.epoch);
    op(m.force);
  }
};

// A node that was to go is no member any more. Nothing of it is kept, but its place in partitions where it is lost and
// they have nowhere else to go.
struct ForgetNode {
  NodeId node;

  friend bool operator==(const ForgetNode&, const ForgetNode&) = default;
  static void fields(auto& op, auto& m) { op(m.node); }
};

// Replicas and preferred leaders are to be spread evenly over the brokers: by the controller, some at a time.
struct Rebalance {
  bool begin = false;  // else it is done

  friend bool operator==(const Rebalance&, const Rebalance&) = default;
  static void fields(auto& op, auto& m) { op(m.begin); }
};

using CommandBody = std::variant<RegisterBroker, CreateTopics, DeleteTopics, CreatePartitions, AlterConfigs,
                                 AllocateProducerIds, ChangeBrokers, AlterPartitions, ElectLeaders, AlterReassignments,
                                 ReportDamage, AddNode, RemoveNode, ForgetNode, Rebalance>;

struct Command {
  ProposalId proposal;
  CommandBody body;

  friend bool operator==(const Command&, const Command&) = default;
  static void fields(auto& op, auto& m) {
    op(m.proposal);
    op(m.body);
  }
};

// The name of the command's kind, for log lines.
const char* command_name(const CommandBody& body);

std::string encode_command(const Command& command);
// Total. kDataLoss: not what encode_command() writes. kFailedPrecondition: written by a newer version of the program.
StatusOr<Command> decode_command(ByteSpan bytes);

}  // namespace chronik::cluster
