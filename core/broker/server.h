// The listening side of a broker: accepts clients and serves each in a fiber of its own.
#pragma once

#include <memory>

#include "core/broker/connection.h"
#include "core/fiber/scope.h"
#include "core/ports/network.h"

namespace chronik::broker {

class Server {
 public:
  // Made within a fiber, whose scope it lives in. `limits` and `handler` outlive it.
  Server(Network& network, const Limits& limits, RequestHandler& handler);
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // kFailedPrecondition: the address cannot be bound.
  Status listen(const Address& at);
  // Accepts from now on.
  void start();
  // No more clients; those that are here are closed. Before destroying it.
  void stop();

  Address address() const { return listener_->local(); }
  std::size_t connections() const { return connections_; }
  std::uint64_t accepted() const { return accepted_; }
  const fiber::Budget& request_bytes() const { return request_bytes_; }
  const fiber::Budget& response_bytes() const { return response_bytes_; }

 private:
  void accept_all();

  Network& network_;
  const Limits& limits_;
  fiber::Budget request_bytes_;
  fiber::Budget response_bytes_;
  AnswerSender sender_;
  ConnectionContext context_;
  std::unique_ptr<Listener> listener_;
  std::size_t connections_ = 0;
  std::uint64_t accepted_ = 0;
  fiber::FiberScope scope_;
};

}  // namespace chronik::broker
