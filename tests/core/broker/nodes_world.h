// Three nodes of one cluster on simulated machines, and a client that may talk to each. Nothing fails here but what a
// test makes fail.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/core/broker/broker_world.h"

namespace chronik::broker::testing {

class NodesWorld;

struct NodesVisit {
  NodesWorld& world;
  Ports& ports;

  // number: of the node, from 1.
  std::unique_ptr<client::Client> connect(int number, const std::string& client_id = "test") const;
  std::unique_ptr<RawConnection> connect_raw(int number) const;
};

class NodesWorld {
 public:
  static constexpr int kNodes = 3;

  explicit NodesWorld(bool forward, const std::function<void(node::NodeConfig&)>& change = {});
  ~NodesWorld();

  // Starts the nodes where they do not run, then runs `client` to its end on a machine of its own.
  void run(const std::function<void(NodesVisit&)>& client);
  // The same without waiting for nodes: start() is the client's.
  void run_client(const std::function<void(NodesVisit&)>& client);
  void start(int number);
  // From outside every fiber, or at the next turn of the client's.
  void kill(int number, sim::Death how);
  void suspend(int number);
  void resume(int number);
  // Nothing gets through between the two any more.
  void cut(int one, int other);

  node::Node& node(int number) { return *members_.at(static_cast<std::size_t>(number - 1)).node; }
  sim::Machine& machine(int number) { return *members_.at(static_cast<std::size_t>(number - 1)).machine; }
  // Also before it serves; null: it does not run.
  node::Node* begun(int number) { return members_.at(static_cast<std::size_t>(number - 1)).begun; }
  Address address_of(int number) const;

 private:
  struct Member {
    node::NodeConfig config;
    sim::Machine* machine = nullptr;
    node::Node* begun = nullptr;
    node::Node* node = nullptr;  // while it serves
  };
  void run_node(sim::ProcessContext& process, Member& member);
  void step_while(const std::function<bool()>& going_on);
  bool all_serve() const;

  sim::StackArena stacks_;
  sim::World world_;
  std::array<Member, kNodes> members_;
  sim::Machine* client_machine_ = nullptr;
  std::vector<std::function<void()>> orders_;  // for the world, between two steps
};

// A topic of three partitions, each with one replica: partition p on node p + 1.
void make_spread_topic(client::Client& client, const std::string& name);

// A topic "t" of one partition with these replicas, of which the first leads.
void make_topic_of_two(client::Client& client, int first, int second, const Configs& configs);

}  // namespace chronik::broker::testing
