#include "core/cluster/active_controller.h"

#include "core/base/log_line.h"

namespace chronik::cluster {

namespace {
constexpr Duration kProposalPatience = Duration::seconds(5);
constexpr Duration kPause = Duration::milliseconds(100);  // after a proposal that came to nothing
}  // namespace

ActiveController::ActiveController(Metadata& metadata, NodeId self, Duration session)
    : metadata_(metadata), self_(self), sessions_(self, session) {
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
  if (broker != nullptr && broker->fenced) {
    changed_.notify_all();
  }
}

void ActiveController::on_leadership(const raft::Leadership& leadership, NodeId former, MonotonicTime former_heard) {
  if (leadership.here && !leading_) {
    sessions_.begin(*metadata_.image(), fiber::Scheduler::current().now(), former, former_heard);
  }
  leading_ = leadership.here;
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
}

Status ActiveController::wait_for_work() {
  const MonotonicTime next = leading_ ? sessions_.next(*metadata_.image()) : MonotonicTime::never();
  const Status woken =
      changed_.wait({WaitKind::kEvent, 8, 0, 0}, fiber::for_ever().no_later_than(next, Expiry::kNormal));
  return absl::IsDeadlineExceeded(woken) ? ok() : woken;
}

void ActiveController::run() {
  for (;;) {
    std::vector<ChangeBrokers::Change> changes;
    if (leading_) {
      const MonotonicTime now = fiber::Scheduler::current().now();
      sessions_.hear(self_, metadata_.sign_of_life(), now);
      changes = sessions_.due(*metadata_.image(), now);
    }
    if (changes.empty()) {
      if (!wait_for_work().ok()) {
        return;
      }
      continue;
    }
    for (const ChangeBrokers::Change& change : changes) {
      log_info(change.live ? "broker is live again" : "broker fenced: nothing is heard of it",
               field("node", change.node), field("epoch", change.epoch));
    }
    const Status proposed =
        metadata_.propose_as_leader(ChangeBrokers{changes}, fiber::within(kProposalPatience, Expiry::kPeer)).status();
    if (absl::IsCancelled(proposed) || absl::IsAborted(proposed) || (!proposed.ok() && !fiber::sleep(kPause).ok())) {
      return;
    }
  }
}

}  // namespace chronik::cluster
