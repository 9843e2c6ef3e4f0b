#include "core/client/dial.h"

#include <fmt/core.h>

#include <utility>
#include <vector>

#include "core/base/sim_point.h"
#include "core/fiber/scheduler.h"

namespace chronik::client {

StatusOr<std::unique_ptr<Connection>> dial(Network& network, std::string_view host, std::uint16_t port,
                                           const Deadline& deadline) {
  if (sim_fails("client.before_connect")) {
    return absl::UnavailableError(fmt::format("{} cannot be reached now", host));
  }
  ASSIGN_OR_RETURN(const std::vector<Address> found, network.resolve(host, port, deadline));
  Status status = absl::NotFoundError(fmt::format("{} has no address", host));
  auto left = static_cast<std::int64_t>(found.size());
  for (const Address& address : found) {
    const MonotonicTime now = fiber::Scheduler::current().now();
    const MonotonicTime share = now + (deadline.at() - now) / left--;
    StatusOr<std::unique_ptr<Connection>> connection =
        network.connect(address, deadline.no_later_than(share, Expiry::kPeer));
    if (connection.ok() || absl::IsCancelled(connection.status()) || absl::IsAborted(connection.status())) {
      return connection;
    }
    status = connection.status();
  }
  return status;
}

}  // namespace chronik::client
