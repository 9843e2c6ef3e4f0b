// How a group begins (rule R15): once all of its configured first voters are there, have no group yet, and agree on the
// set of (node, directory). Only what all of them have announced is stored, and what is stored does not change; so
// there is one such set. A node whose disk is empty joins no group by itself that has begun without it.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "core/raft/peer_message.h"

namespace chronik::raft {

class Formation {
 public:
  // `proposed`: a fresh id for the cluster; that of the least node is taken. `peers`: the other first voters.
  Formation(const Member& self, const Uuid& proposed, std::vector<NodeId> peers);

  // Whether that changed anything. What no sound node announces is not heard.
  bool hear(const Announcement& announcement);
  Announcement announcement() const;

  struct Group {
    Uuid cluster;
    Membership members;  // without self: it has begun without this node, who waits to be added
  };
  std::optional<Group> agreed() const;

  // Of whom nothing has been heard.
  std::vector<NodeId> missing() const;

 private:
  Announcement self_;
  std::vector<NodeId> peers_;
  std::map<NodeId, Announcement> heard_;
};

}  // namespace chronik::raft
