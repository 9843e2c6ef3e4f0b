#include "core/replication/isolation.h"

#include "core/base/log_line.h"
#include "core/fiber/scheduler.h"

namespace chronik::replication {

void Isolation::lose() {
  if (in_touch()) {
    fiber::Scheduler& scheduler = fiber::Scheduler::current();
    scheduler.arm(*this, scheduler.now() + patience_);
  }
}

void Isolation::regain() {
  disarm();
  if (holds()) {
    gauge_.set(0);
    log_info("not isolated any more: the leader of the metadata answers");
  }
}

void Isolation::on_timer() {
  gauge_.set(1);
  log_warn("isolated: no leader of the metadata answers, others may lead what is led here",
           field("for_ms", patience_.milliseconds()));
  listener_.on_isolated();
}

}  // namespace chronik::replication
