#include "core/cluster/active_controller.h"

#include <algorithm>

#include "core/base/log_line.h"
#include "core/base/sim_point.h"
#include "core/cluster/leader_balance.h"

namespace chronik::cluster {

namespace {
constexpr Duration kPause = Duration::milliseconds(100);  // after a proposal that came to nothing
constexpr std::size_t kElectionsAtOnce = 1000;
}  // namespace

ActiveController::ActiveController(Metadata& metadata, NodeId self, Duration session,
                                   const RebalanceSettings& rebalance)
    : metadata_(metadata), self_(self), sessions_(self, session), rebalance_(rebalance) {
  metadata_.attach_controller(*this);
  metadata_.subscribe(*this);
}

ActiveController::~ActiveController() = default;

void ActiveController::on_sign_of_life(NodeId from, const SignOfLife& sign) {
  if (!leading_) {
    return;
  }
  sessions_.hear(from, sign, fiber::Scheduler::current().now());
  const Broker* broker = metadata_.image()->find_broker(from);
  if (broker != nullptr && (broker->fenced || broker->stuck != sign.stuck)) {
    changed_.notify_all();
  }
}

void ActiveController::on_leadership(const raft::Leadership& leadership, NodeId former, MonotonicTime former_heard) {
  if (leadership.here && !leading_) {
    sessions_.begin(*metadata_.image(), fiber::Scheduler::current().now(), former, former_heard);
  }
  leading_ = leadership.here;
  balance_at_ = MonotonicTime::never();
  plan_to_balance();
  nodes_at_ = fiber::Scheduler::current().now();
  moves_wanted_ = true;
  trouble_.clear();
  changed_.notify_all();
}

void ActiveController::on_node_gone(NodeId node) {
  if (leading_) {
    sessions_.end(node, fiber::Scheduler::current().now());
    changed_.notify_all();
  }
}

void ActiveController::on_metadata(const Delta& delta) {
  if (leading_ && !delta.brokers.empty()) {
    changed_.notify_all();
  }
  if (!delta.partitions.empty() || !delta.created.empty() || !delta.brokers.empty()) {
    plan_to_balance();
  }
  const Image& image = *metadata_.image();
  if (leading_ && (!image.joining.empty() || !image.departing.empty() || image.rebalancing)) {
    nodes_at_ = fiber::Scheduler::current().now();
    moves_wanted_ = true;
    changed_.notify_all();
  }
}

// Who leads may be out of balance from now on: to be looked at in one interval. Among one broker there is no balance,
// and a node by itself must not wake for it.
void ActiveController::plan_to_balance() {
  if (leading_ && rebalance_.enabled && balance_at_ == MonotonicTime::never() &&
      metadata_.image()->brokers.size() > 1) {
    balance_at_ = fiber::Scheduler::current().now() + rebalance_.check_interval;
    changed_.notify_all();
  }
}

std::optional<CommandBody> ActiveController::due_elections(MonotonicTime now) {
  if (now < balance_at_) {
    return std::nullopt;
  }
  ElectLeaders elections{
      .unclean = false,
      .partitions = imbalanced_partitions(*metadata_.image(), rebalance_.imbalance_percentage_max, kElectionsAtOnce)};
  const std::size_t count = elections.partitions.size();
  if (count == 0) {
    balance_at_ = MonotonicTime::never();
    return std::nullopt;
  }
  balance_at_ = count == kElectionsAtOnce ? now : now + rebalance_.check_interval;
  log_info("partitions given back to their preferred leaders", field("partitions", count));
  return elections;
}

std::optional<CommandBody> ActiveController::due_command() {
  if (!leading_) {
    return std::nullopt;
  }
  const MonotonicTime now = fiber::Scheduler::current().now();
  sessions_.hear(self_, metadata_.sign_of_life(), now);
  const std::vector<ChangeBrokers::Change> changes = sessions_.due(*metadata_.image(), now);
  if (changes.empty()) {
    for (const auto& due : {&ActiveController::due_node_change, &ActiveController::due_elections}) {
      if (std::optional<CommandBody> command = (this->*due)(now); command.has_value()) {
        return command;
      }
    }
    return due_moves();
  }
  for (const ChangeBrokers::Change& change : changes) {
    const char* what = !change.live   ? "broker fenced: nothing is heard of it"
                       : change.stuck ? "broker gives up its duties: its disk is stuck"
                                      : "broker is live again";
    log_info(what, field("node", change.node), field("epoch", change.epoch));
  }
  return ChangeBrokers{changes};
}

Status ActiveController::wait_for_work() {
  const MonotonicTime next =
      leading_ ? std::min({sessions_.next(*metadata_.image()), balance_at_, nodes_at_}) : MonotonicTime::never();
  const Status woken =
      changed_.wait({WaitKind::kWork, 0, 0, 0}, fiber::for_ever().no_later_than(next, Expiry::kNormal));
  return absl::IsDeadlineExceeded(woken) ? ok() : woken;
}

void ActiveController::run() {
  for (;;) {
    const std::optional<CommandBody> command = due_command();
    if (!command.has_value()) {
      if (!wait_for_work().ok()) {
        return;
      }
      continue;
    }
    sim_point("cluster.before_command");
    const Status proposed =
        metadata_.propose_as_leader(*command, fiber::within(metadata_.patience().proposal, Expiry::kPeer)).status();
    if (absl::IsCancelled(proposed) || absl::IsAborted(proposed) || (!proposed.ok() && !fiber::sleep(kPause).ok())) {
      return;
    }
  }
}

}  // namespace chronik::cluster
