// Who answers while the broker does not serve yet: the node recovers, or waits for the other nodes.
//
// The port is open from early on, and a client that connects is told what the broker speaks. Nothing else is said of
// what this node knows: its logs and its image may be behind the others'. What a client asks of any node that it
// happens to know is answered in a way by which every client tries again, here or at another node; whatever only a
// leader would be asked ends the connection, as if the node were not there, so that the client looks who leads now.
#pragma once

#include "core/broker/request.h"
#include "core/fiber/wait.h"

namespace chronik::broker {

class Reception final : public RequestHandler {
 public:
  // From now on `broker`, which outlives this, has all requests, and those that wait here.
  void admit(RequestHandler& broker);

  // Suspends where the request may wait for the broker, a second at most; no other of its connection is read
  // meanwhile.
  void handle(Request&& request) override;

 private:
  bool admitted_soon();

  RequestHandler* broker_ = nullptr;
  fiber::Event admitted_;
};

}  // namespace chronik::broker
