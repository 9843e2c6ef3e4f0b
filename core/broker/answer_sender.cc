#include "core/broker/answer_sender.h"

#include "core/broker/connection.h"

namespace chronik::broker {

void AnswerSender::add(ClientConnection& connection) {
  Unsent& unsent = connection;
  if (!unsent.linked()) {
    unsent_.push_back(unsent);
    added_.notify_all();
  }
}

void AnswerSender::run() {
  const WaitKey idle{WaitKind::kEvent, 0, 0, 0};
  for (;;) {
    while (!unsent_.empty()) {
      static_cast<ClientConnection&>(unsent_.pop_front()).send_ready(parts_);
      fiber::maybe_suspend();
    }
    if (!added_.wait(idle, fiber::for_ever()).ok()) {
      return;
    }
  }
}

}  // namespace chronik::broker
