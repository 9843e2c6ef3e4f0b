// Nodes that have links to each other and nothing else.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/raft/peer_links.h"
#include "tests/sim/sim_support.h"

namespace chronik::raft::testing {

inline constexpr std::uint16_t kLinksPort = 9093;

inline PeerAddress peer_at(std::int32_t node, const std::string& host) {
  return {.node = NodeId(node), .host = host, .port = kLinksPort};
}
inline PeerMessage saying(const std::string& text) { return ProposalForLeader{Slice::copy_of(text)}; }
inline Slice frame_saying(std::int32_t from, const std::string& text) {
  return encode_peer_frame({.from = NodeId(from), .received = 0, .message = saying(text)});
}
inline Slice introduction_in(std::int32_t from, const Uuid& incarnation) {
  const Introduction introduction{{.directory = {}, .start = from, .incarnation = incarnation}};
  return encode_peer_frame({.from = NodeId(from), .received = 0, .message = introduction});
}

// A node that has links and nothing else. Orders are carried out by a fiber of its own within a millisecond.
struct LinksNode final : PeerListener {
  PeerLinksOptions options;
  sim::Machine* machine = nullptr;
  std::deque<std::function<void(PeerLinks&)>> orders;
  std::string hello;               // what its connections begin with; empty: nothing
  std::vector<std::string> heard;  // "1: text"
  std::vector<Rival> rivals;       // before each frame
  std::vector<NodeId> strangers;
  std::vector<NodeId> gone;
  std::function<void(NodeId)> on_strange = [](NodeId) {};
  std::size_t heard_lately = 0;

  bool accepts(NodeId, const Life&, Rival rival) override {
    rivals.push_back(rival);
    return true;
  }
  void on_peer_message(NodeId from, const Life&, PeerMessage message) override {
    if (const auto* said = std::get_if<ProposalForLeader>(&message)) {
      heard.push_back(std::to_string(from.value()) + ": " + std::string(said->command.text()));
    }
  }
  void on_stranger(NodeId from, const PeerMessage&) override {
    strangers.push_back(from);
    on_strange(from);
  }
  std::optional<PeerMessage> greeting() const override {
    return hello.empty() ? std::nullopt : std::optional<PeerMessage>(saying(hello));
  }
  void on_peer_gone(NodeId node) override { gone.push_back(node); }
  void run(sim::ProcessContext& process) {
    PeerLinks links(process.ports.network, options, *this);
    CHECK_OK(links.start({.directory = {}, .start = options.self.value(), .incarnation = {}}));
    while (fiber::sleep(Duration::milliseconds(1)).ok()) {
      for (const std::function<void(PeerLinks&)>& order : std::exchange(orders, {})) {
        order(links);
      }
      heard_lately = links.heard_lately();
    }
    links.stop();
  }
  void put(const PeerAddress& peer) {
    orders.emplace_back([peer](PeerLinks& links) { links.put(peer); });
  }
  void drop(std::int32_t node) {
    orders.emplace_back([node](PeerLinks& links) { links.drop(NodeId(node)); });
  }
  void say(std::int32_t to, const std::string& text) {
    orders.emplace_back([to, text](PeerLinks& links) { links.send(NodeId(to), saying(text)); });
  }
};

// Machines "a", "b", … with nodes 1, 2, …, and others that a test programs itself.
class LinksWorld {
 public:
  // Of that number, on the next machine, with these peers; not started.
  LinksNode& node(std::int32_t number, const std::vector<PeerAddress>& peers) {
    LinksNode& made = nodes_.emplace_back();
    made.options.self = NodeId(number);
    made.options.bind = Address::ipv4(0, 0, 0, 0, kLinksPort);
    made.options.peers = peers;
    made.machine = &machine([&made](sim::ProcessContext& process) { made.run(process); });
    return made;
  }
  sim::Machine& machine(sim::Program program) {
    return small.machine(std::string(1, static_cast<char>('a' + small.world.machines().size())), std::move(program));
  }
  void run_for(Duration duration) { small.world.run_for(duration); }
  Address address_of(const LinksNode& node) const {
    Address address = node.machine->address();
    address.port = kLinksPort;
    return address;
  }

 private:
  std::deque<LinksNode> nodes_;  // outlives the world

 public:
  sim::SmallWorld small;
};

struct LinkedTwo : LinksWorld {
  LinkedTwo() {
    a.machine->start();
    b.machine->start();
  }
  LinksNode& a = node(1, {peer_at(2, "b")});
  LinksNode& b = node(2, {peer_at(1, "a")});
};

}  // namespace chronik::raft::testing
