// How members come and go (thesis 4.1, 4.2.1): a node is added as one that learns, and the leader lets it vote when it
// has caught up, so that no commit waits for whoever has nothing yet.
#include <fmt/core.h>

#include <algorithm>

#include "core/base/log_line.h"
#include "core/base/sim_point.h"
#include "core/raft/driver.h"

namespace chronik::raft {

namespace {

constexpr std::int64_t kLearnerLag = 16;  // entries behind what is committed: with less it may vote

void erase_node(std::vector<Member>& members, NodeId node) {
  std::erase_if(members, [node](const Member& member) { return member.node == node; });
}

}  // namespace

// Every member's address goes with the change, as far as it is known here: whoever joins may be configured with a few
// of them only.
StatusOr<Proposed> Driver::propose_membership(Membership wanted) {
  std::vector<MemberAddress> addresses;
  for (const std::vector<Member>* part : {&wanted.voters, &wanted.learners}) {
    for (const Member& member : *part) {
      const MemberAddress* configured = peers_ == nullptr ? nullptr : peers_->configured_address_of(member.node);
      const MemberAddress* at = configured != nullptr ? configured : wanted.address_of(member.node);
      if (at != nullptr) {
        addresses.push_back(*at);
      }
    }
  }
  std::sort(addresses.begin(), addresses.end());
  wanted.addresses = std::move(addresses);
  StatusOr<Proposed> proposed = raft_->propose_membership(std::move(wanted));
  if (proposed.ok()) {
    wake();
  }
  return proposed;
}

StatusOr<Proposed> Driver::add_member(const MemberAddress& at) {
  tick();
  if (!leadership().here) {
    return absl::FailedPreconditionError("raft: not the leader");
  }
  if (membership().find(at.node) != nullptr) {
    return absl::AlreadyExistsError(fmt::format("node {} is a member", at.node));
  }
  const std::optional<Member> member = peers_ == nullptr ? std::nullopt : peers_->find_stranger(at.node);
  if (!member.has_value()) {
    if (peers_ != nullptr) {
      peers_->seek(at);
    }
    return absl::NotFoundError(fmt::format("nothing is heard of node {} at {}:{}", at.node, at.host, at.port));
  }
  Membership wanted = membership();
  wanted.learners.push_back(*member);
  wanted.addresses.push_back(at);
  return propose_membership(std::move(wanted));
}

StatusOr<Proposed> Driver::remove_member(NodeId node) {
  tick();
  if (!leadership().here) {
    return absl::FailedPreconditionError("raft: not the leader");
  }
  if (membership().find(node) == nullptr) {
    return absl::NotFoundError(fmt::format("node {} is no member", node));
  }
  Membership wanted = membership();
  erase_node(wanted.voters, node);
  erase_node(wanted.learners, node);
  if (wanted.voters.empty()) {
    return absl::FailedPreconditionError(fmt::format("node {} is the last one that votes", node));
  }
  const MonotonicTime now = fiber::Scheduler::current().now();
  const auto heard = std::count_if(wanted.voters.begin(), wanted.voters.end(), [&](const Member& voter) {
    return voter == raft_->self() || now - raft_->progress().at(voter).heard < options_.raft.election_min;
  });
  if (static_cast<std::size_t>(heard) < wanted.quorum()) {
    return absl::UnavailableError(
        fmt::format("without node {}, {} of {} voters would be there", node, heard, wanted.voters.size()));
  }
  return propose_membership(std::move(wanted));
}

void Driver::promote_learners() {
  if (membership().learners.empty() || raft_->role() != Role::kLeader) {
    return;
  }
  const MonotonicTime now = fiber::Scheduler::current().now();
  for (const Member& learner : membership().learners) {
    const Progress& progress = raft_->progress().at(learner);
    const bool caught_up =
        progress.state == Progress::State::kReplicate && raft_->commit() - progress.match < kLearnerLag;
    if (!caught_up || now - progress.heard >= options_.raft.election_min) {
      continue;
    }
    Membership wanted = membership();
    const NodeId node = learner.node;
    wanted.voters.push_back(learner);
    erase_node(wanted.learners, node);
    if (propose_membership(std::move(wanted)).ok()) {
      sim_point("raft.learner_promoted");
      log_info("node has caught up, and votes from now on", field("node", node));
    }
    return;  // one at a time
  }
}

}  // namespace chronik::raft
