#include "core/raft/group_member.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "core/base/log_line.h"
#include "core/raft/stored_values.h"

namespace chronik::raft {

namespace {

constexpr Duration kSayAgain = Duration::seconds(10);

std::string names_of(const std::vector<NodeId>& nodes) {
  std::string names;
  for (const NodeId node : nodes) {
    names += fmt::format("{}{}", names.empty() ? "" : ",", node.value());
  }
  return names;
}

}  // namespace

GroupMember::GroupMember(Network& network, KeyValueStore& store, Process& process, const GroupOptions& options)
    : store_(store), process_(process), options_(options) {
  options_.driver.raft.self = options_.self;
  options_.links.self = options_.self.node;
  if (!options_.links.peers.empty()) {
    links_ = std::make_unique<PeerLinks>(network, options_.links, static_cast<PeerListener&>(*this));
  }
}

GroupMember::~GroupMember() = default;

Status GroupMember::form(Identity& identity, const Deadline& deadline) {
  cluster_ = identity.cluster;
  first_ = {.voters = {options_.self}, .learners = {}};
  if (alone()) {
    return ok();
  }
  ASSIGN_OR_RETURN(const std::optional<std::string> hard, store_.get(kHardStateKey, deadline));
  HardState known;
  if (hard.has_value()) {
    ASSIGN_OR_RETURN(known, decode_hard_state(*hard));
  }
  life_ = life_of(identity, known.term);
  ASSIGN_OR_RETURN(const std::optional<std::string> snapshot, store_.get(kSnapshotKey, deadline));
  if (!snapshot.has_value()) {
    if (hard.has_value()) {
      return absl::FailedPreconditionError(
          "the directory has been a single node's; it cannot begin a cluster with others. Start the node alone once, "
          "or give it an empty directory");
    }
    std::vector<NodeId> peers;
    for (const PeerAddress& peer : options_.links.peers) {
      peers.push_back(peer.node);
    }
    formation_.emplace(options_.self, identity.cluster, std::move(peers));
  }
  RETURN_IF_ERROR(links_->start(life_));
  return formation_.has_value() ? agree(identity, deadline) : ok();
}

Status GroupMember::agree(Identity& identity, const Deadline& deadline) {
  const fiber::Scheduler& scheduler = fiber::Scheduler::current();
  MonotonicTime say = scheduler.now() + kSayAgain;
  MonotonicTime next = scheduler.now();
  Announcement said;
  while (!formation_->agreed().has_value()) {
    // News at once; else five times a second, whatever is heard.
    if (scheduler.now() >= next || formation_->announcement() != said) {
      said = formation_->announcement();
      announce();
      next = scheduler.now() + options_.announce;
    }
    if (scheduler.now() >= say) {
      log_info("waiting for nodes to form the cluster", field("missing", names_of(formation_->missing())));
      say = scheduler.now() + kSayAgain;
    }
    const Status waited = heard_.wait({WaitKind::kFormation, 0, 0, 0}, deadline.no_later_than(next, Expiry::kNormal));
    if (!absl::IsDeadlineExceeded(waited) || deadline.at() <= next) {
      RETURN_IF_ERROR(waited);
    }
  }
  announce();  // those who have not heard of this node's agreement yet
  const Formation::Group group = *formation_->agreed();
  identity.cluster = cluster_ = group.cluster;
  first_ = group.members;
  RETURN_IF_ERROR(store_identity(store_, identity, deadline));
  if (!first_.contains(options_.self)) {
    log_warn("the cluster has begun without this directory: it waits to be added", field("node", options_.self.node));
  }
  return ok();
}

void GroupMember::announce() {
  Announcement said = formation_->announcement();
  said.host = options_.address.host;
  said.port = options_.address.port;
  for (const PeerAddress& peer : options_.links.peers) {
    links_->send(peer.node, said);
  }
}

Status GroupMember::open(StateMachine& machine, const Deadline& deadline) {
  Peers* const peers = alone() ? nullptr : static_cast<Peers*>(this);
  driver_ = std::make_unique<Driver>(store_, process_, machine, peers, options_.driver);
  RETURN_IF_ERROR(driver_->open(first_, deadline));
  machine_ = &machine;
  formation_.reset();  // what was agreed on is durable
  follow_members();
  const Membership& members = driver_->raft().membership();
  if (alone() && members.voters.size() + members.learners.size() > 1) {
    return absl::FailedPreconditionError(
        fmt::format("the directory is that of a cluster of {} nodes, and no other node is configured",
                    members.voters.size() + members.learners.size()));
  }
  return ok();
}

void GroupMember::start() {
  driver_->start(driver_scope_);
  started_ = true;
  if (!alone()) {
    driver_scope_.spawn({"announcer", 0}, [this] { announce_while_lost(); });
  }
}

void GroupMember::stop() {
  started_ = false;
  if (links_ != nullptr) {
    links_->stop();
  }
  driver_scope_.cancel_and_join();
}

void GroupMember::on_peer_gone(NodeId node) {
  if (started_) {
    driver_->note_gone(node);
  }
}

void GroupMember::send(NodeId to, const PeerMessage& message) {
  if (!older_copy_) {
    links_->send(to, message);
  }
}

}  // namespace chronik::raft
