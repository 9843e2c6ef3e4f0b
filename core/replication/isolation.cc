#include "core/replication/isolation.h"

#include "core/base/log_line.h"
#include "core/fiber/scheduler.h"

namespace chronik::replication {

void Isolation::on_leader(NodeId leader) {
  if (leader == NodeId::none()) {
    // Candidates change their terms, and know of nobody all the same.
    if (!armed() && !holds()) {
      fiber::Scheduler& scheduler = fiber::Scheduler::current();
      scheduler.arm(*this, scheduler.now() + patience_);
    }
    return;
  }
  disarm();
  if (holds()) {
    gauge_.set(0);
    log_info("not isolated any more: a leader of the metadata is known", field("leader", leader));
  }
}

void Isolation::on_timer() {
  gauge_.set(1);
  log_warn("isolated: no leader of the metadata is known, others may lead what is led here",
           field("without_leader_ms", patience_.milliseconds()));
  listener_.on_isolated();
}

}  // namespace chronik::replication
