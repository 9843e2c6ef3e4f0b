#include "core/broker/answer_sender.h"

#include "core/base/sim_point.h"
#include "core/broker/connection.h"

namespace chronik::broker {

namespace {
// Then others have their turn: a thousand large answers are a matter of many milliseconds.
constexpr std::size_t kSendsInARow = 64;
}  // namespace

void AnswerSender::add(ClientConnection& connection) {
  Unsent& unsent = connection;
  if (!unsent.linked()) {
    unsent_.push_back(unsent);
    added_.notify_all();
  }
}

void AnswerSender::run() {
  const WaitKey idle{WaitKind::kWork, 0, 0, 0};
  for (;;) {
    for (std::size_t sends = 1; !unsent_.empty(); ++sends) {
      static_cast<ClientConnection&>(unsent_.pop_front()).send_ready(parts_);
      parts_.clear();  // what was sent is let go
      if (sends % kSendsInARow == 0) {
        fiber::yield_to_ready();
      } else {
        fiber::maybe_suspend();
      }
    }
    if (!added_.wait(idle, fiber::for_ever()).ok()) {
      return;
    }
    // The next sync, if there is one to make, goes first: it needs the disk while this needs the processor.
    fiber::yield_until_quiet();
    sim_pause("broker.before_answers");
  }
}

}  // namespace chronik::broker
