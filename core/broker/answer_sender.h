// Sends the answers of all clients, so far as they go without waiting.
//
// One fiber does it for all connections, and so the answers that one sync of the log makes ready cost one wake-up, not
// one each. A client that does not take its answers is left to a fiber of its own (ClientConnection::write_rest).
#pragma once

#include <vector>

#include "core/base/intrusive_list.h"
#include "core/base/slice.h"
#include "core/fiber/wait.h"

namespace chronik::broker {

class ClientConnection;

// In the sender's list while it has answers that may go out.
class Unsent : public ListHook<struct UnsentTag> {};

class AnswerSender {
 public:
  AnswerSender() = default;
  AnswerSender(const AnswerSender&) = delete;
  AnswerSender& operator=(const AnswerSender&) = delete;

  // The connection's send_ready() will be called soon. It may be destroyed before.
  void add(ClientConnection& connection);
  // The fiber: sends until it is called off.
  void run();

 private:
  IntrusiveList<Unsent, UnsentTag> unsent_;
  fiber::Event added_;
  std::vector<Slice> parts_;  // of one write; kept for its memory
};

}  // namespace chronik::broker
