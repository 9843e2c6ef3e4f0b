#include "sim/network.h"

#include <arpa/inet.h>

#include <algorithm>

#include "sim/machine.h"
#include "sim/world.h"

namespace chronik::sim {

namespace {

constexpr std::uint16_t kFirstFreePort = 32768;
constexpr std::size_t kStreamsBeforeCleaning = 64;

bool is_any(const Address& address) {
  return std::all_of(address.ip.begin(), address.ip.end(), [](std::uint8_t byte) { return byte == 0; }) ||
         (address.is_ipv4() && address.ip[12] == 0 && address.ip[13] == 0 && address.ip[14] == 0 &&
          address.ip[15] == 0);
}

// "10.0.0.7", "::1".
bool parse_numeric(std::string_view text, Address& into) {
  const std::string host(text);
  std::uint8_t four[4] = {};
  if (inet_pton(AF_INET, host.c_str(), four) == 1) {
    into = Address::ipv4(four[0], four[1], four[2], four[3], into.port);
    return true;
  }
  return inet_pton(AF_INET6, host.c_str(), into.ip.data()) == 1;
}

}  // namespace

NetworkKnobs draw_network_knobs(Draws& draws) {
  NetworkKnobs knobs;
  knobs.delay = Duration::microseconds(draws.magnitude(20, 20'000));
  knobs.delay_most = knobs.delay * draws.magnitude(4, 50);
  knobs.bytes_per_second = draws.magnitude(1'000'000, 2'000'000'000);
  knobs.send_buffer = static_cast<std::size_t>(draws.magnitude(1024, 1 << 20));
  knobs.receive_buffer = static_cast<std::size_t>(draws.magnitude(1024, 1 << 20));
  const std::uint32_t weights[] = {2, 2, 4, 4};
  constexpr std::size_t kSegments[] = {1, 17, 1460, 1 << 16};
  knobs.segment_most = kSegments[draws.pick(weights)];
  knobs.transfer_most = draws.below(4) == 0 ? static_cast<std::size_t>(draws.magnitude(1, 4096)) : 0;
  knobs.backlog = static_cast<std::size_t>(draws.magnitude(1, 128));
  knobs.give_up = Duration::seconds(draws.magnitude(10, 900));
  return knobs;
}

VirtualTime Link::arrival(VirtualTime now, std::size_t bytes, Duration delay, std::int64_t usual_rate) {
  const std::int64_t rate = bytes_per_second_ > 0 ? bytes_per_second_ : usual_rate;
  const VirtualTime start = std::max({now, busy_until_, clogged_until_});
  const std::int64_t on_the_wire = static_cast<std::int64_t>(bytes) * 1'000'000 / rate;  // microseconds
  busy_until_ = start + Duration::microseconds(on_the_wire);
  return busy_until_ + delay + extra_delay_;
}

std::shared_ptr<Stream> ListenSocket::take() {
  if (waiting_.empty()) {
    return nullptr;
  }
  std::shared_ptr<Stream> stream = std::move(waiting_.front());
  waiting_.pop_front();
  return stream;
}

// ---- addresses ----

bool NetworkFabric::owns(const Machine& machine, const Address& address) const {
  return address.is_loopback() || is_any(address) || address.ip == machine.address().ip;
}

Machine* NetworkFabric::machine_at(const Address& address, Machine& from) const {
  if (address.is_loopback()) {
    return &from;
  }
  for (const std::unique_ptr<Machine>& machine : world_.machines()) {
    if (machine->address().ip == address.ip) {
      return machine.get();
    }
  }
  return nullptr;
}

ListenSocket* NetworkFabric::listener_at(const Machine& machine, const Address& address) const {
  const auto found = listeners_.find({machine.index(), address.port});
  if (found == listeners_.end()) {
    return nullptr;
  }
  const Address& bound = found->second->local();
  return is_any(bound) || bound.ip == address.ip ? found->second.get() : nullptr;
}

std::uint16_t NetworkFabric::free_port(const Machine& machine) {
  std::uint16_t& next = next_port_.try_emplace(machine.index(), kFirstFreePort).first->second;
  for (;;) {
    const std::uint16_t port = next;
    next = next == 65535 ? kFirstFreePort : static_cast<std::uint16_t>(next + 1);
    if (!listeners_.contains({machine.index(), port})) {
      return port;
    }
  }
}

std::optional<Address> NetworkFabric::numeric(std::string_view host, std::uint16_t port) {
  Address address;
  address.port = port;
  return parse_numeric(host, address) ? std::optional(address) : std::nullopt;
}

std::vector<Address> NetworkFabric::resolve(std::string_view host, std::uint16_t port) const {
  Address address;
  if (host == "localhost") {
    return {Address::ipv4(127, 0, 0, 1, port)};
  }
  for (const std::unique_ptr<Machine>& machine : world_.machines()) {
    if (machine->name() == host) {
      address = machine->address();
      address.port = port;
      return {address};
    }
  }
  return {};
}

// ---- sockets ----

StatusOr<std::shared_ptr<ListenSocket>> NetworkFabric::listen(Machine& machine, const Address& at) {
  if (!owns(machine, at)) {
    return absl::FailedPreconditionError("not an address of this machine");
  }
  Address bound = at;
  if (bound.port == 0) {
    bound.port = free_port(machine);
  }
  const auto [place, added] = listeners_.try_emplace({machine.index(), bound.port});
  if (!added) {
    return absl::FailedPreconditionError("the address is in use");
  }
  place->second = std::make_shared<ListenSocket>(bound);
  return place->second;
}

void NetworkFabric::unlisten(Machine& machine, ListenSocket& socket, bool silently) {
  socket.watch(nullptr);
  while (const std::shared_ptr<Stream> stream = socket.take()) {
    if (silently) {
      stream->side(1).vanish();
    } else {
      stream->side(1).reset();
    }
  }
  CHECK_EQ(listeners_.erase({machine.index(), socket.local().port}), std::size_t{1});
}

std::shared_ptr<Stream> NetworkFabric::connect(Machine& machine, const Address& to, std::uint64_t lineage) {
  forget_finished();
  Address local = to.is_loopback() ? to : machine.address();
  local.port = free_port(machine);
  const auto stream = std::make_shared<Stream>(*this, machine, local, to, lineage);
  streams_.push_back(stream);
  if (const Machine* other = machine_at(to, machine); other != nullptr) {
    ++connects_[{machine.index(), other->index()}];
  }
  stream->begin();
  return stream;
}

void NetworkFabric::forget_finished() {
  if (streams_.size() >= streams_at_cleaning_) {
    std::erase_if(streams_, [](const std::shared_ptr<Stream>& stream) { return stream->over(); });
    streams_at_cleaning_ = std::max(kStreamsBeforeCleaning, streams_.size() * 2);
  }
}

std::size_t NetworkFabric::live_streams() const {
  return static_cast<std::size_t>(std::count_if(streams_.begin(), streams_.end(),
                                                [](const std::shared_ptr<Stream>& stream) { return !stream->over(); }));
}

std::size_t NetworkFabric::half_open(const Machine& machine) const {
  std::size_t found = 0;
  for (const std::shared_ptr<Stream>& stream : streams_) {
    for (const std::uint32_t at : {0U, 1U}) {
      const Socket& here = stream->side(at);
      const Socket::State there = stream->side(1 - at).state();
      const bool gone = there == Socket::State::kFailed || there == Socket::State::kClosed;
      found += here.machine_ == &machine && here.state_ == Socket::State::kOpen && gone && !here.end_received_ ? 1 : 0;
    }
  }
  return found;
}

std::uint64_t NetworkFabric::connects(const Machine& from, const Machine& to) const {
  const auto found = connects_.find({from.index(), to.index()});
  return found == connects_.end() ? 0 : found->second;
}

// ---- faults ----

Link& NetworkFabric::link(const Machine& from, const Machine& to) {
  std::unique_ptr<Link>& link = links_[{from.index(), to.index()}];
  if (link == nullptr) {
    link = std::make_unique<Link>();
  }
  return *link;
}

void NetworkFabric::block(const Machine& from, const Machine& to) { ++link(from, to).blocked_; }

void NetworkFabric::unblock(const Machine& from, const Machine& to) {
  Link& freed = link(from, to);
  CHECK_GT(freed.blocked_, std::uint32_t{0});
  if (--freed.blocked_ == 0) {
    release(freed);
  }
}

void NetworkFabric::widen(Link& link) {
  link.bytes_per_second_ = 0;
  link.busy_until_ = std::min(link.busy_until_, world_.now());
  for (const std::shared_ptr<Stream>& stream : streams_) {
    stream->hurry(link);
  }
}

void NetworkFabric::release(Link& link) {
  for (const auto& [stream, from] : std::exchange(link.waiting_, {})) {
    if (const std::shared_ptr<Stream> live = stream.lock(); live != nullptr) {
      live->retry(from);
    }
  }
}

bool NetworkFabric::break_a_connection(Draws& draws, bool tell_peer) {
  std::vector<Stream*> open;
  for (const std::shared_ptr<Stream>& stream : streams_) {
    if (stream->side(0).state() == Socket::State::kOpen && stream->side(1).state() == Socket::State::kOpen) {
      open.push_back(stream.get());
    }
  }
  if (open.empty()) {
    return false;
  }
  const std::size_t chosen = draws.below(open.size());
  const std::uint32_t side = static_cast<std::uint32_t>(draws.below(2));
  open[chosen]->break_off(side, tell_peer);
  return true;
}

void NetworkFabric::calm() {
  std::vector<Link*> thin;
  for (const auto& [ends, link] : links_) {
    link->blocked_ = 0;
    link->extra_delay_ = link->port_delay_ = Duration::zero();
    link->clogged_until_ = VirtualTime::zero();
    if (link->bytes_per_second_ > 0) {
      thin.push_back(link.get());
    }
    link->busy_until_ = std::min(link->busy_until_, world_.now() + Duration::seconds(1));
    release(*link);
  }
  std::for_each(thin.begin(), thin.end(), [this](Link* link) { widen(*link); });
  knobs_.delay_most = std::min(knobs_.delay_most, std::max(knobs_.delay, Duration::milliseconds(50)));
  // Whoever is dialled for ever because it is gone would meet one that takes seconds long after all was healed.
  knobs_.resolve_most = std::min(knobs_.resolve_most, knobs_.delay * 4);
  knobs_.reset = knobs_.half_open = knobs_.refuse = knobs_.lost_syn = knobs_.no_descriptor = PerMillion{0};
}

}  // namespace chronik::sim
