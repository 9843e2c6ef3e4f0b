#include "core/raft/formation.h"

#include <algorithm>
#include <utility>

#include "core/raft/membership_codec.h"

namespace chronik::raft {

Formation::Formation(const Member& self, const Uuid& proposed, std::vector<NodeId> peers)
    : self_{.self = self, .cluster = proposed}, peers_(std::move(peers)) {}

bool Formation::hear(const Announcement& announcement) {
  const NodeId node = announcement.self.node;
  const bool known = std::find(peers_.begin(), peers_.end(), node) != peers_.end();
  const bool members = announcement.group == Membership{} ? !announcement.formed : is_sound(announcement.group);
  if (!known || !members || announcement.cluster.is_zero()) {
    return false;
  }
  const auto before = heard_.find(node);
  if (before != heard_.end() && before->second == announcement) {
    return false;
  }
  heard_[node] = announcement;
  return true;
}

std::vector<NodeId> Formation::missing() const {
  std::vector<NodeId> missing;
  for (const NodeId peer : peers_) {
    if (!heard_.contains(peer)) {
      missing.push_back(peer);
    }
  }
  return missing;
}

Announcement Formation::announcement() const {
  Announcement said = self_;
  if (missing().empty()) {
    const Announcement* least = &self_;
    said.group.voters.push_back(self_.self);
    for (const auto& [node, other] : heard_) {
      said.group.voters.push_back(other.self);
      least = node < least->self.node ? &other : least;
    }
    std::sort(said.group.voters.begin(), said.group.voters.end());
    said.cluster = least->cluster;
  }
  return said;
}

std::optional<Formation::Group> Formation::agreed() const {
  for (const auto& [node, other] : heard_) {
    if (other.formed) {
      return Group{other.cluster, other.group};
    }
  }
  const Announcement own = announcement();
  const bool unanimous = !own.group.voters.empty() && std::all_of(heard_.begin(), heard_.end(), [&](const auto& known) {
    return known.second.group == own.group && known.second.cluster == own.cluster;
  });
  return unanimous ? std::optional<Group>({own.cluster, own.group}) : std::nullopt;
}

}  // namespace chronik::raft
