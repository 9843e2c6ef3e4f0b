// The Network port of one shard: fibers on top of the non-blocking sockets (rule S18).
//
// A call tries its socket first and waits for readiness only where nothing can be done; readiness comes in as the
// completion of an operation, in the batch of a later turn (rule S1).
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "core/base/intrusive_list.h"
#include "core/ports/network.h"
#include "sim/decision.h"
#include "sim/device.h"
#include "sim/socket.h"

namespace chronik::sim {

class FiberConnection;
class FiberListener;
class Shard;

class NetworkPort final : public Network {
 public:
  explicit NetworkPort(Shard& shard);
  ~NetworkPort() override;
  NetworkPort(const NetworkPort&) = delete;
  NetworkPort& operator=(const NetworkPort&) = delete;

  StatusOr<std::unique_ptr<Listener>> listen(const Address& at) override;
  StatusOr<std::unique_ptr<Connection>> connect(const Address& to, const Deadline& deadline) override;
  StatusOr<std::vector<Address>> resolve(std::string_view host, std::uint16_t port, const Deadline& deadline) override;

  // What the kernel does with the sockets of a process that ends so.
  void detach(Death how);
  bool detached() const { return detached_; }
  // Listeners and connections that still live.
  std::size_t handles() const { return handles_; }
  Shard& shard() { return shard_; }
  Draws& draws() { return draws_; }

 private:
  friend class FiberConnection;
  friend class FiberListener;

  Shard& shard_;
  Draws draws_;
  std::uint64_t connections_made_ = 0;
  std::size_t handles_ = 0;
  bool detached_ = false;
  IntrusiveList<FiberConnection, struct LiveConnectionTag> connections_;
  IntrusiveList<FiberListener, struct LiveListenerTag> listeners_;
};

}  // namespace chronik::sim
