// Network on TCP: IPv4 and IPv6, listening, connecting with a deadline, names through the system's resolver.
// Lifetime: outlives its listeners and connections.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "core/ports/network.h"
#include "runtime/event_loop.h"
#include "runtime/name_lookups.h"
#include "runtime/system_calls.h"

namespace chronik::runtime {

class TcpNetwork final : public Network {
 public:
  TcpNetwork(EventLoop& loop, SystemCalls& calls);

  StatusOr<std::unique_ptr<Listener>> listen(const Address& at) override;
  StatusOr<std::unique_ptr<Connection>> connect(const Address& to, const Deadline& deadline) override;
  StatusOr<std::vector<Address>> resolve(std::string_view host, std::uint16_t port, const Deadline& deadline) override;

 private:
  EventLoop& loop_;
  SystemCalls& calls_;
  NameLookups names_;
};

}  // namespace chronik::runtime
