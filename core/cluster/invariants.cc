#include "core/cluster/invariants.h"

#include <absl/functional/function_ref.h>
#include <fmt/core.h>

#include <algorithm>

namespace chronik::cluster {

namespace {

using Broken = std::vector<std::string>;

using Expect = absl::FunctionRef<void(bool holds, const char* sentence)>;

void check_reassignment(const Partition& partition, Expect expect) {
  for (const ReplicaList* some : {&partition.adding, &partition.removing}) {
    auto place = partition.replicas.begin();
    for (const NodeId node : *some) {
      place = std::find(place, partition.replicas.end(), node);
      expect(place != partition.replicas.end(), "who is added or removed is a replica, in their order");
      if (place == partition.replicas.end()) {
        return;
      }
      ++place;
    }
  }
  bool complete = true;
  bool all_go = true;
  for (const NodeId node : partition.replicas) {
    const bool goes = contains(partition.removing, node);
    expect(!goes || !contains(partition.adding, node), "nobody is added and removed");
    complete = complete && (goes || contains(partition.isr, node));
    all_go = all_go && goes;
  }
  expect(!all_go, "a replica stays");
  expect(!complete || (partition.adding.empty() && partition.removing.empty()),
         "a reassignment ends when all that stay are in sync");
}

void check_partition(const Image& image, const Topic& topic, const Partition& partition, Broken& broken) {
  const auto expect = [&](bool holds, const char* sentence) {
    if (!holds) {
      broken.push_back(fmt::format("{}-{}: {}", topic.name, partition.index, sentence));
    }
  };
  expect(!partition.replicas.empty(), "a partition has a replica");
  for (std::size_t i = 0; i < partition.replicas.size(); ++i) {
    const auto rest = partition.replicas.begin() + static_cast<std::ptrdiff_t>(i);
    expect(std::find(rest + 1, partition.replicas.end(), *rest) == partition.replicas.end(),
           "no broker holds two replicas of a partition");
  }
  // Also says that the ISR is a subset of the replicas without repetitions.
  auto place = partition.replicas.begin();
  for (const NodeId node : partition.isr) {
    place = std::find(place, partition.replicas.end(), node);
    expect(place != partition.replicas.end(), "the ISR is a part of the replicas, in their order");
    if (place == partition.replicas.end()) {
      return;
    }
    ++place;
  }
  place = partition.replicas.begin();
  for (const NodeId node : partition.elr) {
    place = std::find(place, partition.replicas.end(), node);
    expect(place != partition.replicas.end(), "eligible leaders are a part of the replicas, in their order");
    if (place == partition.replicas.end()) {
      return;
    }
    ++place;
    expect(!contains(partition.isr, node), "nobody is in sync and merely eligible");
    expect(partition.leader != NodeId::none() || !partition.isr.empty() || !image.is_live(node),
           "a partition with a live eligible replica, and nobody in sync, has a leader");
  }
  const auto well = [&image](NodeId node) { return image.is_well(node); };
  const bool anybody_well = std::any_of(partition.isr.begin(), partition.isr.end(), well);
  for (const NodeId node : partition.isr) {
    expect(image.is_live(node), "who is in sync is live");
    expect(!anybody_well || image.is_well(node), "whose disk is stuck is in sync only where nobody else is");
  }
  check_reassignment(partition, expect);
  expect(partition.unclean_epoch <= partition.leader_epoch, "an unclean epoch has begun");
  expect(partition.created <= image.applied, "a partition was made by a command that is applied");
  const bool led = partition.leader != NodeId::none();
  expect(!led || contains(partition.isr, partition.leader), "the leader is in sync");
  expect(!led || image.is_live(partition.leader), "the leader is live");
  expect(
      led || std::none_of(partition.isr.begin(), partition.isr.end(), [&](NodeId node) { return image.is_live(node); }),
      "a partition with a live in-sync replica has a leader");
  expect(partition.leader_epoch >= LeaderEpoch(0), "a leader epoch is not negative");
  expect(partition.leader_epoch.value() <= partition.epoch.value(), "a new leader epoch is also a new partition epoch");
}

void check_topic(const Image& image, const Topic& topic, Broken& broken) {
  const auto expect = [&](bool holds, const char* sentence) {
    if (!holds) {
      broken.push_back(fmt::format("topic {}: {}", topic.name, sentence));
    }
  };
  expect(topic_name_problem(topic.name).empty(), "its name is legal");
  expect(!topic.id.is_zero(), "its id is not zero");
  expect(!topic.partitions.empty(), "it has a partition");
  const TopicRef* by_id = image.topics_by_id.find(topic.id);
  expect(by_id != nullptr && by_id->get() == &topic, "it is found by its id");
  std::int32_t next = 0;
  topic.partitions.for_each([&](const Partition& partition) {
    expect(partition.index == PartitionId(next), "its partitions are numbered without gaps");
    ++next;
    check_partition(image, topic, partition, broken);
  });
}

void check_brokers(const Image& image, Broken& broken) {
  const auto expect = [&](bool holds, NodeId node, const char* sentence) {
    if (!holds) {
      broken.push_back(fmt::format("broker {}: {}", node, sentence));
    }
  };
  image.brokers.for_each([&](const Broker& broker) {
    expect(broker.node >= NodeId(0), broker.node, "its id is not negative");
    expect(broker.epoch.value() <= image.applied.value(), broker.node, "its epoch is the index of an applied command");
  });
  expect(image.last_removal <= image.applied, NodeId::none(), "nobody was removed by a later command");
  image.joining.for_each([&](const JoiningNode& joining) {
    expect(!joining.host.empty() && joining.port != 0, joining.node, "who joins can be found");
  });
  image.departing.for_each([&](const DepartingNode& departing) {
    expect(!departing.lost || !image.is_live(departing.node), departing.node, "who is lost is not live");
    expect(!departing.gone || departing.lost, departing.node, "who is gone and not forgotten is lost");
  });
  image.broker_configs.for_each([&](const BrokerConfigs& configs) {
    expect(!configs.values.empty(), configs.node, "an empty configuration is not kept");
  });
  image.proposers.for_each([&](const Proposer& proposer) {
    const Broker* broker = image.find_broker(proposer.node);
    expect(broker != nullptr && broker->incarnation == proposer.incarnation, proposer.node,
           "results are kept for registered incarnations");
    expect(proposer.results.size() <= kResultsKept, proposer.node, "a bounded number of results is kept");
    expect(proposer.results.find(proposer.last_sequence) != nullptr, proposer.node, "the last result is kept");
    proposer.results.for_each([&](const AppliedProposal& applied) {
      expect(applied.sequence <= proposer.last_sequence, proposer.node, "no result lies above the last sequence");
    });
  });
}

void check_step(const Topic& before, const Topic& after, Broken& broken) {
  PartitionSet::differences(before.partitions, after.partitions, [&](const Partition* was, const Partition* is) {
    const auto expect = [&](bool holds, const char* sentence) {
      if (!holds) {
        broken.push_back(fmt::format("{}-{}: {}", after.name, (is != nullptr ? is : was)->index, sentence));
      }
    };
    expect(is != nullptr, "a partition goes only with its topic");
    if (was == nullptr || is == nullptr) {
      return;
    }
    expect(was->epoch < is->epoch, "every change has a new partition epoch");
    expect(was->leader_epoch <= is->leader_epoch, "the leader epoch never falls");
    expect(was->created == is->created, "a partition is made once");
    expect(was->unclean_epoch == is->unclean_epoch || was->leader_epoch < is->unclean_epoch,
           "an unclean epoch is a new one");
    expect(was->leader == is->leader || was->leader_epoch < is->leader_epoch, "another leader has another epoch");
  });
}

}  // namespace

Broken broken_invariants(const Image& image) {
  Broken broken;
  check_brokers(image, broken);
  image.topics.for_each([&](const TopicRef& topic) { check_topic(image, *topic, broken); });
  if (image.topics.size() != image.topics_by_id.size()) {
    broken.push_back("as many topics by id as by name");
  }
  if (image.next_producer_id < 0) {
    broken.push_back("producer ids are not negative");
  }
  if (!image.topics.well_formed() || !image.topics_by_id.well_formed() || !image.brokers.well_formed()) {
    broken.push_back("trees are balanced and ascending");
  }
  return broken;
}

Broken broken_invariants(const Image& before, const Image& after) {
  Broken broken;
  if (before.cluster != after.cluster) {
    broken.push_back("the cluster id never changes");
  }
  if (!(before.applied < after.applied)) {
    broken.push_back("the applied index rises");
  }
  if (after.next_producer_id < before.next_producer_id) {
    broken.push_back("producer ids are given once");
  }
  decltype(Image::topics_by_id)::differences(before.topics_by_id, after.topics_by_id,
                                             [&](const TopicRef* was, const TopicRef* is) {
                                               if (was != nullptr && is != nullptr) {
                                                 check_step(**was, **is, broken);
                                               }
                                             });
  decltype(Image::brokers)::differences(before.brokers, after.brokers, [&](const Broker* was, const Broker* is) {
    if (was == nullptr || is == nullptr) {
      return;
    }
    if (is->epoch < was->epoch || (is->incarnation != was->incarnation && is->epoch == was->epoch)) {
      broken.push_back(fmt::format("broker {}: another incarnation has a higher epoch", is->node));
    }
    if (is->incarnation == was->incarnation) {
      return;
    }
    // Rule R1: nothing that the former incarnation led goes on in the same epoch.
    before.topics_by_id.for_each([&](const TopicRef& topic) {
      topic->partitions.for_each([&](const Partition& led) {
        const Partition* now = after.find_partition(topic->id, led.index);
        if (led.leader == was->node && now != nullptr && now->leader_epoch == led.leader_epoch) {
          broken.push_back(fmt::format("{}-{}: an epoch ends with its leader's incarnation", topic->name, led.index));
        }
      });
    });
  });
  return broken;
}

}  // namespace chronik::cluster
