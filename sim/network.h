// The network of a world: who has which address, who listens where, and what state the ways between machines are in.
//
// Faults act on links, each one direction between two machines: blocked (nothing arrives; what is under way waits and
// is sent again), clogged until a time, slower, thinner. A partition is a set of blocked links; it may be one way.
#pragma once

#include <absl/container/btree_map.h>

#include <algorithm>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/ports/network.h"
#include "sim/network_knobs.h"
#include "sim/socket.h"
#include "sim/virtual_time.h"

namespace chronik::sim {

class Machine;
class World;

// One direction between two machines.
class Link {
 public:
  bool blocked() const { return blocked_ > 0; }
  void set_extra_delay(Duration delay) { extra_delay_ = delay; }
  // On top, for connections to this port alone: one channel lags behind another.
  Duration extra_delay_of(std::uint16_t port) const { return port == slow_port_ ? port_delay_ : Duration::zero(); }
  void set_extra_delay_of(std::uint16_t port, Duration delay) {
    slow_port_ = port;
    port_delay_ = delay;
  }
  std::int64_t bytes_per_second() const { return bytes_per_second_; }
  // Of what is sent from now on, until NetworkFabric::widen().
  void set_bytes_per_second(std::int64_t rate) { bytes_per_second_ = rate; }
  void clog_until(VirtualTime until) { clogged_until_ = std::max(clogged_until_, until); }
  // When something sent now, of this size, arrives; the link is busy with it until then but for the delay.
  VirtualTime arrival(VirtualTime now, std::size_t bytes, Duration delay, std::int64_t usual_rate);

 private:
  friend class NetworkFabric;
  friend class Stream;
  std::uint32_t blocked_ = 0;  // partitions that cover it
  Duration extra_delay_ = Duration::zero();
  std::uint16_t slow_port_ = 0;
  Duration port_delay_ = Duration::zero();
  std::int64_t bytes_per_second_ = 0;  // 0: the network's
  VirtualTime clogged_until_;
  VirtualTime busy_until_;
  std::vector<std::pair<std::weak_ptr<Stream>, std::uint32_t>> waiting_;  // streams and the side that sends
};

// Connections that wait to be accepted at an address.
class ListenSocket {
 public:
  explicit ListenSocket(const Address& at) : at_(at) {}
  const Address& local() const { return at_; }
  std::shared_ptr<Stream> take();
  bool readable() const { return !waiting_.empty(); }
  void watch(SocketWatcher* watcher) { watcher_ = watcher; }

 private:
  friend class NetworkFabric;
  friend class Stream;
  Address at_;
  std::deque<std::shared_ptr<Stream>> waiting_;
  SocketWatcher* watcher_ = nullptr;
};

class NetworkFabric {
 public:
  explicit NetworkFabric(World& world) : world_(world) {}
  NetworkFabric(const NetworkFabric&) = delete;
  NetworkFabric& operator=(const NetworkFabric&) = delete;

  World& world() { return world_; }
  NetworkKnobs& knobs() { return knobs_; }

  // ---- sockets ----
  StatusOr<std::shared_ptr<ListenSocket>> listen(Machine& machine, const Address& at);
  void unlisten(Machine& machine, ListenSocket& socket, bool silently);
  // Begins to connect; the stream's client side becomes kOpen or kFailed, or stays kConnecting for ever.
  std::shared_ptr<Stream> connect(Machine& machine, const Address& to, std::uint64_t lineage);
  // The address that a host spells out, if it does.
  static std::optional<Address> numeric(std::string_view host, std::uint16_t port);
  // Addresses of a name: a machine's, or none.
  std::vector<Address> resolve(std::string_view host, std::uint16_t port) const;
  bool owns(const Machine& machine, const Address& address) const;

  // ---- faults ----
  Link& link(const Machine& from, const Machine& to);
  void block(const Machine& from, const Machine& to);
  void unblock(const Machine& from, const Machine& to);
  // As wide as the network's again: what is under way arrives as if it were sent now.
  void widen(Link& link);
  // One live connection, drawn: false where there is none.
  bool break_a_connection(Draws& draws, bool tell_peer);
  std::size_t live_streams() const;
  // The machine's connections whose other end is gone without its hearing of it: they last until it gives them up.
  std::size_t half_open(const Machine& machine) const;
  // Connections that were begun from one machine to another, ever.
  std::uint64_t connects(const Machine& from, const Machine& to) const;
  // Heals every link and forgets all probabilities of faults.
  void calm();

 private:
  friend class Stream;
  using PortKey = std::pair<std::size_t, std::uint16_t>;  // machine, port
  Machine* machine_at(const Address& address, Machine& from) const;
  ListenSocket* listener_at(const Machine& machine, const Address& address) const;
  std::uint16_t free_port(const Machine& machine);
  void forget_finished();
  void release(Link& link);

  World& world_;
  NetworkKnobs knobs_;
  absl::btree_map<PortKey, std::shared_ptr<ListenSocket>> listeners_;
  absl::btree_map<std::pair<std::size_t, std::size_t>, std::unique_ptr<Link>> links_;
  absl::btree_map<std::size_t, std::uint16_t> next_port_;
  absl::btree_map<std::pair<std::size_t, std::size_t>, std::uint64_t> connects_;
  std::vector<std::shared_ptr<Stream>> streams_;
  std::size_t streams_at_cleaning_ = 64;
};

}  // namespace chronik::sim
