#include "core/broker/server.h"

#include "core/base/log_line.h"

namespace chronik::broker {

namespace {
// Numbers of the node's two budgets in the wait-for graph.
constexpr std::uint64_t kRequestBytes = 1;
constexpr std::uint64_t kResponseBytes = 2;
constexpr Duration kAcceptPause = Duration::milliseconds(100);
}  // namespace

Server::Server(Network& network, const Limits& limits, RequestHandler& handler)
    : network_(network),
      limits_(limits),
      request_bytes_(limits.request_bytes_per_node, kRequestBytes),
      response_bytes_(limits.response_bytes_per_node, kResponseBytes),
      context_{limits, handler, request_bytes_, response_bytes_, sender_} {}

Status Server::listen(const Address& at) {
  ASSIGN_OR_RETURN(listener_, network_.listen(at));
  return ok();
}

void Server::start() {
  CHECK(listener_ != nullptr);
  scope_.spawn({"answers", 0}, [this] { sender_.run(); });
  scope_.spawn({"acceptor", 0}, [this] { accept_all(); });
}

void Server::stop() {
  scope_.cancel_and_join();
  listener_.reset();
}

void Server::accept_all() {
  for (;;) {
    StatusOr<std::unique_ptr<Connection>> accepted = listener_->accept(fiber::for_ever());
    if (absl::IsResourceExhausted(accepted.status())) {
      log_warn("cannot accept: no descriptor left", field("connections", connections_));
      if (!fiber::sleep(kAcceptPause).ok()) {
        return;
      }
      continue;
    }
    if (!accepted.ok()) {
      return;
    }
    if (connections_ >= limits_.connections_max) {
      log_warn("connection refused: max.connections", field("peer", (*accepted)->peer().to_string()),
               field("max", limits_.connections_max));
      continue;
    }
    ++connections_;
    ++accepted_;
    scope_.spawn({"connection", accepted_}, [this, stream = *std::move(accepted), number = accepted_]() mutable {
      ClientConnection(context_, std::move(stream), number).run();
      --connections_;
    });
  }
}

}  // namespace chronik::broker
