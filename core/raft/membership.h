// Who votes in a group, and who only learns.
#pragma once

#include <algorithm>
#include <cstddef>
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

// Both sorted, without a member twice and with a node in at most one of the two.
struct Membership {
  std::vector<Member> voters;
  std::vector<Member> learners;

  bool is_voter(const Member& member) const { return std::binary_search(voters.begin(), voters.end(), member); }
  bool is_learner(const Member& member) const { return std::binary_search(learners.begin(), learners.end(), member); }
  bool contains(const Member& member) const { return is_voter(member) || is_learner(member); }
  std::size_t quorum() const { return voters.size() / 2 + 1; }
  friend bool operator==(const Membership&, const Membership&) = default;
  static void fields(auto& op, auto& m) {
    op(m.voters);
    op(m.learners);
  }
};

}  // namespace chronik::raft
