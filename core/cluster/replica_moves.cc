#include "core/cluster/replica_moves.h"

#include <absl/container/btree_map.h>
#include <absl/container/btree_set.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "core/cluster/reassignment.h"

namespace chronik::cluster {

namespace {

using Loads = absl::btree_map<NodeId, std::size_t>;  // of brokers that may be given more

// A partition, and where its replicas are planned to be.
struct Place {
  const Topic* topic;
  const Partition* partition;
  ReplicaList planned;
};

std::string_view rack_of(const Image& image, NodeId node) {
  const Broker* broker = image.find_broker(node);
  return broker == nullptr ? std::string_view() : std::string_view(broker->rack);
}

// In how many racks they are; brokers without one are each in their own.
std::size_t racks_of(const Image& image, const ReplicaList& replicas) {
  absl::btree_set<std::string_view> racks;
  std::size_t without = 0;
  for (const NodeId node : replicas) {
    const std::string_view rack = rack_of(image, node);
    without += rack.empty() ? 1U : 0U;
    if (!rack.empty()) {
      racks.insert(rack);
    }
  }
  return racks.size() + without;
}

ReplicaList with_instead(ReplicaList replicas, NodeId of, NodeId other) {
  std::replace(replicas.begin(), replicas.end(), of, other);
  return replicas;
}

std::vector<Place> places_of(const Image& image) {
  std::vector<Place> places;
  image.topics.for_each([&](const TopicRef& topic) {
    topic->partitions.for_each([&](const Partition& partition) {
      places.push_back({.topic = topic.get(), .partition = &partition, .planned = wanted_replicas(partition)});
    });
  });
  return places;
}

Loads loads_of(const Image& image, const std::vector<Place>& places) {
  Loads loads;
  image.brokers.for_each([&](const Broker& broker) {
    if (image.may_be_given_more(broker.node)) {
      loads[broker.node] = 0;
    }
  });
  for (const Place& place : places) {
    for (const NodeId node : place.planned) {
      if (const auto found = loads.find(node); found != loads.end()) {
        ++found->second;
      }
    }
  }
  return loads;
}

// Fewest first; of as many, the lower id.
std::vector<NodeId> by_load(const Loads& loads) {
  std::vector<NodeId> nodes;
  for (const auto& [node, load] : loads) {
    nodes.push_back(node);
  }
  std::stable_sort(nodes.begin(), nodes.end(), [&](NodeId a, NodeId b) { return loads.at(a) < loads.at(b); });
  return nodes;
}

// Whom `leaving` gives its place to; none: there is nobody.
NodeId successor(const Image& image, const Loads& loads, const ReplicaList& replicas, NodeId leaving) {
  NodeId best = NodeId::none();
  std::size_t best_racks = 0;
  for (const NodeId node : by_load(loads)) {
    const std::size_t racks = contains(replicas, node) ? 0 : racks_of(image, with_instead(replicas, leaving, node));
    if (racks > best_racks) {
      best = node;
      best_racks = racks;
    }
  }
  return best;
}

// What apply() would refuse is left out.
std::vector<AlterReassignments::Partition> moves_of(const Image& image, const std::vector<Place>& places,
                                                    std::size_t limit) {
  std::vector<AlterReassignments::Partition> moves;
  for (const Place& place : places) {
    if (moves.size() == limit) {
      break;
    }
    Partition tried = *place.partition;
    if (place.planned != wanted_replicas(*place.partition) &&
        reassign(image, tried, place.planned, true, image.election_rules_of(*place.topic)).ok()) {
      moves.push_back({.topic = place.topic->id, .partition = place.partition->index, .target = place.planned});
    }
  }
  return moves;
}

class Balance {
 public:
  explicit Balance(const Image& image) : image_(image), places_(places_of(image)), loads_(loads_of(image, places_)) {}

  std::vector<AlterReassignments::Partition> plan(std::size_t limit) {
    while (move_a_replica()) {
    }
    for (const auto& [node, load] : loads_) {
      leads_[node] = 0;
    }
    for (const Place& place : places_) {
      if (const auto found = leads_.find(place.planned.front()); found != leads_.end()) {
        ++found->second;
      }
    }
    while (move_a_lead()) {
    }
    return moves_of(image_, places_, limit);
  }

 private:
  // The pairs of one that has two more than the other, those that differ most first: the first for which `move` says
  // that it did something ends it.
  template <typename Move>
  static bool first_pair(const Loads& loads, Move move) {
    const std::vector<NodeId> nodes = by_load(loads);
    for (auto most = nodes.rbegin(); most != nodes.rend(); ++most) {
      for (const NodeId least : nodes) {
        if (loads.at(*most) < loads.at(least) + 2) {
          break;
        }
        if (move(*most, least)) {
          return true;
        }
      }
    }
    return false;
  }

  bool move_a_replica() {
    return first_pair(loads_, [this](NodeId most, NodeId least) {
      for (Place& place : places_) {
        if (is_reassigned(*place.partition) || !contains(place.planned, most) || contains(place.planned, least)) {
          continue;
        }
        ReplicaList moved = with_instead(place.planned, most, least);
        if (racks_of(image_, moved) >= racks_of(image_, place.planned)) {
          place.planned = std::move(moved);
          --loads_[most];
          ++loads_[least];
          return true;
        }
      }
      return false;
    });
  }

  bool move_a_lead() {
    return first_pair(leads_, [this](NodeId most, NodeId least) {
      for (Place& place : places_) {
        const auto next = std::find(place.planned.begin(), place.planned.end(), least);
        if (!is_reassigned(*place.partition) && place.planned.front() == most && next != place.planned.end()) {
          std::swap(place.planned.front(), *next);
          --leads_[most];
          ++leads_[least];
          return true;
        }
      }
      return false;
    });
  }

  const Image& image_;
  std::vector<Place> places_;
  Loads loads_;
  Loads leads_;  // of which they are the preferred leader
};

}  // namespace

ReplicaList wanted_replicas(const Partition& partition) {
  ReplicaList wanted;
  std::copy_if(partition.replicas.begin(), partition.replicas.end(), std::back_inserter(wanted),
               [&](NodeId node) { return !contains(partition.removing, node); });
  return wanted;
}

bool has_replicas(const Image& image, NodeId node) {
  bool found = false;
  image.topics.for_each([&](const TopicRef& topic) {
    topic->partitions.for_each(
        [&](const Partition& partition) { found = found || contains(partition.replicas, node); });
  });
  return found;
}

std::size_t reassignments_under_way(const Image& image) {
  std::size_t count = 0;
  image.topics.for_each([&](const TopicRef& topic) {
    topic->partitions.for_each([&](const Partition& partition) { count += is_reassigned(partition) ? 1U : 0U; });
  });
  return count;
}

std::vector<AlterReassignments::Partition> moves_off_departing(const Image& image, std::size_t limit) {
  std::vector<Place> places = places_of(image);
  Loads loads = loads_of(image, places);
  for (Place& place : places) {
    for (const NodeId node : ReplicaList(place.planned)) {
      // Whoever joins with the id of one that is lost takes its place.
      if (image.departing.find(node) == nullptr || image.joining.find(node) != nullptr) {
        continue;
      }
      if (const NodeId next = successor(image, loads, place.planned, node); next != NodeId::none()) {
        place.planned = with_instead(place.planned, node, next);
        ++loads[next];
      }
    }
  }
  return moves_of(image, places, limit);
}

std::vector<AlterReassignments::Partition> moves_to_balance(const Image& image, std::size_t limit) {
  return Balance(image).plan(limit);
}

}  // namespace chronik::cluster
