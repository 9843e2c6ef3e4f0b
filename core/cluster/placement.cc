#include "core/cluster/placement.h"

#include <absl/container/btree_map.h>
#include <absl/container/btree_set.h>

#include <algorithm>
#include <string_view>

#include "core/base/mix.h"

namespace chronik::cluster {

namespace {

struct Candidate {
  NodeId node;
  std::string_view rack;  // empty: none
};

// Brokers that may be given more, racks taking turns, so that neighbours in the circle are in different racks where
// that is possible.
std::vector<Candidate> circle_of(const Image& image) {
  absl::btree_map<std::string_view, std::vector<NodeId>> racks;
  std::size_t live = 0;
  image.brokers.for_each([&](const Broker& broker) {
    if (image.may_be_given_more(broker.node)) {
      racks[broker.rack].push_back(broker.node);
      ++live;
    }
  });
  std::vector<Candidate> circle;
  for (std::size_t round = 0; circle.size() < live; ++round) {
    for (const auto& [rack, nodes] : racks) {
      if (round < nodes.size()) {
        circle.push_back({nodes[round], rack});
      }
    }
  }
  return circle;
}

// The followers of the leader at `leader`: the others in turn, `skip` places on, each rack once before any is used
// again.
void add_followers(const std::vector<Candidate>& circle, std::size_t leader, std::size_t skip, std::size_t wanted,
                   ReplicaList& replicas) {
  const std::size_t others = circle.size() - 1;
  absl::btree_set<std::string_view> used_racks{circle[leader].rack};
  while (replicas.size() < wanted) {
    bool found = false;
    for (std::size_t i = 0; i < others && replicas.size() < wanted; ++i) {
      const Candidate& next = circle[(leader + 1 + (skip + i) % others) % circle.size()];
      const bool taken = std::find(replicas.begin(), replicas.end(), next.node) != replicas.end();
      if (taken || (!next.rack.empty() && used_racks.contains(next.rack))) {
        continue;
      }
      replicas.push_back(next.node);
      used_racks.insert(next.rack);
      found = true;
    }
    if (!found) {
      used_racks.clear();
    }
  }
}

}  // namespace

std::size_t live_brokers(const Image& image) { return circle_of(image).size(); }

std::vector<ReplicaList> place_replicas(const Image& image, std::size_t count, std::size_t replication_factor,
                                        Random& random) {
  const std::vector<Candidate> circle = circle_of(image);
  CHECK_GT(replication_factor, std::size_t{0});
  CHECK_LE(replication_factor, circle.size());
  const std::uint64_t start = below(random.next(), circle.size());
  const std::uint64_t first_skip = below(random.next(), circle.size());
  std::vector<ReplicaList> placed(count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t leader = (start + i) % circle.size();
    placed[i].push_back(circle[leader].node);
    // Another skip for each time round, so that a broker's followers are not always the same.
    add_followers(circle, leader, first_skip + i / circle.size(), replication_factor, placed[i]);
  }
  return placed;
}

}  // namespace chronik::cluster
