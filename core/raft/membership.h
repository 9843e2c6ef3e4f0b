// Who votes in a group, who only learns, and where they are.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "core/base/ids.h"
#include "core/base/uuid.h"

namespace chronik::raft {

// A node that lost its disk is another member: it has forgotten its votes (rule R15).
struct Member {
  NodeId node = NodeId::none();
  DirectoryId directory;
  friend constexpr auto operator<=>(const Member&, const Member&) = default;
  static void fields(auto& op, auto& m) {
    op(m.node);
    op(m.directory);
  }
};

// A start of a directory that is known from elsewhere.
struct KnownStart {
  std::int64_t start = 0;
  Uuid incarnation;
};

// Where a node listens for the others.
struct MemberAddress {
  NodeId node = NodeId::none();
  std::string host;
  std::uint16_t port = 0;
  friend auto operator<=>(const MemberAddress&, const MemberAddress&) = default;
  static void fields(auto& op, auto& m) {
    op(m.node);
    op(m.host);
    op(m.port);
  }
};

// Voters and learners are sorted, without a member twice and with a node in at most one of the two.
struct Membership {
  std::vector<Member> voters;
  std::vector<Member> learners;
  // Of members, by node: those that a configuration file names need none here.
  std::vector<MemberAddress> addresses = {};

  bool is_voter(const Member& member) const { return std::binary_search(voters.begin(), voters.end(), member); }
  bool is_learner(const Member& member) const { return std::binary_search(learners.begin(), learners.end(), member); }
  bool contains(const Member& member) const { return is_voter(member) || is_learner(member); }
  // With whichever directory; null: the node is no member.
  const Member* find(NodeId node) const {
    for (const std::vector<Member>* part : {&voters, &learners}) {
      const auto found = std::find_if(part->begin(), part->end(), [node](const Member& m) { return m.node == node; });
      if (found != part->end()) {
        return &*found;
      }
    }
    return nullptr;
  }
  const MemberAddress* address_of(NodeId node) const {
    const auto found =
        std::find_if(addresses.begin(), addresses.end(), [node](const MemberAddress& at) { return at.node == node; });
    return found == addresses.end() ? nullptr : &*found;
  }
  std::size_t quorum() const { return voters.size() / 2 + 1; }
  friend bool operator==(const Membership&, const Membership&) = default;
  static void fields(auto& op, auto& m) {
    op(m.voters);
    op(m.learners);
    op(m.addresses);
  }
};

}  // namespace chronik::raft
