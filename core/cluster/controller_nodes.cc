// Of ActiveController: the group's members follow the image, and replicas follow the members.
#include <algorithm>

#include "core/base/log_line.h"
#include "core/cluster/active_controller.h"
#include "core/cluster/replica_moves.h"

namespace chronik::cluster {

namespace {
constexpr Duration kLookAgain = Duration::milliseconds(500);  // at nodes with which nothing could be done
constexpr std::size_t kMovesAtOnce = 20;                      // partitions on their way to other brokers
}  // namespace

// Tells the group what the image wants of it. What cannot be done now is tried again.
std::optional<CommandBody> ActiveController::due_node_change(MonotonicTime now) {
  if (members_ == nullptr || now < nodes_at_) {
    return std::nullopt;
  }
  nodes_at_ = MonotonicTime::never();
  const Image& image = *metadata_.image();
  std::optional<CommandBody> forget;
  image.departing.for_each([&](const DepartingNode& departing) {
    const bool gone = let_go(departing);
    if (gone && (!has_replicas(image, departing.node) || (departing.lost && !departing.gone))) {
      forget = ForgetNode{departing.node};
    }
  });
  image.joining.for_each([&](const JoiningNode& joining) { let_in(joining); });
  return forget;
}

void ActiveController::let_in(const JoiningNode& joining) {
  const Status added =
      members_->add_member({.node = joining.node, .host = joining.host, .port = joining.port}).status();
  if (absl::IsAlreadyExists(added) && metadata_.image()->departing.find(joining.node) == nullptr) {
    return;  // it registers when it has caught up
  }
  nodes_at_ = fiber::Scheduler::current().now() + kLookAgain;
  if (added.ok()) {
    trouble_.erase(joining.node);
    log_info("node learns from now on", field("node", joining.node));
  } else {
    note_trouble(joining.node, added);
  }
}

// True: it is a member no more. One that leaves in good order has handed over its replicas before; one that is lost
// weighs on the quorum until it is out.
bool ActiveController::let_go(const DepartingNode& departing) {
  if (departing.gone) {
    return true;  // whoever has its id now was added since
  }
  // With another directory it is a new one, which takes its place.
  const raft::Member* member = members_->membership().find(departing.node);
  const bool meant = member != nullptr && (departing.directory.is_zero() || departing.directory == member->directory);
  if (!meant) {
    return members_->membership_is_committed();
  }
  if (!departing.lost && has_replicas(*metadata_.image(), departing.node)) {
    return false;
  }
  nodes_at_ = fiber::Scheduler::current().now() + kLookAgain;
  if (departing.node == self_) {
    members_->hand_over();  // who leads next lets it go
    return false;
  }
  const Status removed = members_->remove_member(departing.node).status();
  if (removed.ok()) {
    trouble_.erase(departing.node);
    log_info("node is removed from the cluster", field("node", departing.node));
  } else {
    note_trouble(departing.node, removed);
  }
  return false;
}

void ActiveController::note_trouble(NodeId node, const Status& status) {
  std::string& said = trouble_[node];
  if (said != status.message()) {
    said = std::string(status.message());
    log_info("nodes cannot be changed yet", field("node", node), field("why", said));
  }
}

std::optional<CommandBody> ActiveController::due_moves() {
  const Image& image = *metadata_.image();
  if (!std::exchange(moves_wanted_, false) || (image.departing.empty() && !image.rebalancing)) {
    return std::nullopt;
  }
  const std::size_t under_way = reassignments_under_way(image);
  // Half of them at least, so that not every one that ends is followed by a look at everything.
  if (under_way > kMovesAtOnce / 2) {
    return std::nullopt;
  }
  AlterReassignments moves{.may_change_factor = true,
                           .partitions = moves_off_departing(image, kMovesAtOnce - under_way)};
  if (moves.partitions.empty() && image.rebalancing) {
    moves.partitions = moves_to_balance(image, kMovesAtOnce - under_way);
    if (moves.partitions.empty() && under_way == 0) {
      log_info("replicas are spread evenly");
      return Rebalance{.begin = false};
    }
  }
  if (moves.partitions.empty()) {
    return std::nullopt;
  }
  log_info("partitions go to other brokers", field("partitions", moves.partitions.size()));
  return moves;
}

}  // namespace chronik::cluster
