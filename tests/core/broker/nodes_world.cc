#include "tests/core/broker/nodes_world.h"

#include "tests/support/broker_machine.h"

namespace chronik::broker::testing {

namespace {

constexpr std::uint16_t kNodesRaftPort = 9093;
constexpr Duration kNodesLimit = Duration::seconds(4000);  // of virtual time, for one run()

std::string node_name(int number) { return "node-" + std::to_string(number); }

}  // namespace

std::unique_ptr<client::Client> NodesVisit::connect(int number, const std::string& client_id) const {
  StatusOr<std::unique_ptr<client::Client>> client = client::Client::connect(
      ports.network, world.address_of(number), client::ClientOptions{.client_id = client_id}, patience());
  CHECK_OK(client.status());
  return *std::move(client);
}

std::unique_ptr<RawConnection> NodesVisit::connect_raw(int number) const {
  StatusOr<std::unique_ptr<Connection>> connection = ports.network.connect(world.address_of(number), patience());
  CHECK_OK(connection.status());
  return std::make_unique<RawConnection>(*std::move(connection));
}

NodesWorld::NodesWorld(bool forward, const std::function<void(node::NodeConfig&)>& change)
    : world_(sim::WorldOptions{.seed = 1}, stacks_) {
  for (int number = 1; number <= kNodes; ++number) {
    Member& member = members_.at(static_cast<std::size_t>(number - 1));
    member.config = small_node();
    member.config.node = NodeId(number);
    member.config.advertised_host = node_name(number);
    member.config.raft_bind = Address::ipv4(0, 0, 0, 0, kNodesRaftPort);
    member.config.forward = forward;
    for (int peer = 1; peer <= kNodes; ++peer) {
      if (peer != number) {
        member.config.peers.push_back({.node = NodeId(peer), .host = node_name(peer), .port = kNodesRaftPort});
      }
    }
    if (change) {
      change(member.config);
    }
    sim::MachineOptions options = chronik::testing::node_machine_options();
    options.name = node_name(number);
    options.address = Address::ipv4(10, 0, 0, static_cast<std::uint8_t>(number), 0);
    member.machine = &world_.add_machine(std::move(options));
    member.machine->install([this, &member](sim::ProcessContext& process) { run_node(process, member); });
  }
  sim::MachineOptions options = chronik::testing::client_machine_options();
  options.address = Address::ipv4(10, 0, 0, 100, 0);
  client_machine_ = &world_.add_machine(std::move(options));
}

NodesWorld::~NodesWorld() { world_.end_all(); }

void NodesWorld::run_node(sim::ProcessContext& process, Member& member) {
  node::Node node(process.ports, member.config);
  struct Running {
    Member& member;
    ~Running() { member.begun = member.node = nullptr; }
  } const running{member};
  member.begun = &node;
  const Status started = node.start();
  EXPECT_TRUE(started.ok()) << started;
  member.node = &node;
  fiber::Event killed;
  static_cast<void>(killed.wait({WaitKind::kEvent, 0, 0, 0}, fiber::for_ever()));
}

Address NodesWorld::address_of(int number) const {
  Address to = members_.at(static_cast<std::size_t>(number - 1)).machine->address();
  to.port = chronik::testing::kBrokerPort;
  return to;
}

void NodesWorld::kill(int number, sim::Death how) {
  sim::Machine* machine = members_.at(static_cast<std::size_t>(number - 1)).machine;
  orders_.emplace_back([machine, how] { machine->kill(how); });
}

void NodesWorld::suspend(int number) {
  sim::Machine* machine = members_.at(static_cast<std::size_t>(number - 1)).machine;
  orders_.emplace_back([machine] { machine->suspend(); });
}

void NodesWorld::resume(int number) {
  sim::Machine* machine = members_.at(static_cast<std::size_t>(number - 1)).machine;
  orders_.emplace_back([machine] { machine->resume(); });
}

void NodesWorld::cut(int one, int other) {
  const sim::Machine& a = *members_.at(static_cast<std::size_t>(one - 1)).machine;
  const sim::Machine& b = *members_.at(static_cast<std::size_t>(other - 1)).machine;
  orders_.emplace_back([this, &a, &b] {
    world_.network().block(a, b);
    world_.network().block(b, a);
  });
}

void NodesWorld::step_while(const std::function<bool()>& going_on) {
  const sim::VirtualTime latest = world_.now() + kNodesLimit;
  while (going_on() && world_.now() < latest && world_.findings().empty() && world_.step()) {
    for (const std::function<void()>& order : std::exchange(orders_, {})) {
      order();
    }
  }
  EXPECT_FALSE(going_on()) << world_.describe_waits();
  for (const sim::Finding& finding : world_.findings()) {
    ADD_FAILURE() << finding.checker << ": " << finding.message;
  }
}

bool NodesWorld::all_serve() const {
  for (const Member& member : members_) {
    if (member.node == nullptr) {
      return false;
    }
  }
  return true;
}

void NodesWorld::run(const std::function<void(NodesVisit&)>& client) {
  for (Member& member : members_) {
    if (!member.machine->running()) {
      member.machine->start();
    }
  }
  step_while([this] { return !all_serve(); });
  run_client(client);
}

void NodesWorld::start(int number) {
  orders_.emplace_back([this, number] { machine(number).start(); });
}

void NodesWorld::run_client(const std::function<void(NodesVisit&)>& client) {
  client_machine_->install([this, &client](sim::ProcessContext& process) {
    NodesVisit visit{.world = *this, .ports = process.ports};
    client(visit);
  });
  client_machine_->start();
  step_while([this] { return client_machine_->running(); });
}

void make_spread_topic(client::Client& client, const std::string& name) {
  protocol::CreateTopicsRequest request;
  request.timeout_ms = 30'000;
  auto& topic = request.topics.emplace_back();
  topic.name = name;
  topic.num_partitions = -1;
  topic.replication_factor = -1;
  for (int p = 0; p < NodesWorld::kNodes; ++p) {
    topic.assignments.push_back({.partition_index = PartitionId(p), .broker_ids = {NodeId(p + 1)}});
  }
  const auto response = ask<protocol::CreateTopicsResponse>(client, request, 7);
  ASSERT_EQ(response.topics.size(), 1u);
  ASSERT_EQ(response.topics[0].error_code, protocol::ErrorCode::kNone) << response.topics[0].error_message.value_or("");
  // Applied by the other nodes, too.
  ASSERT_TRUE(fiber::sleep(Duration::seconds(1)).ok());
}

void make_topic_of_two(client::Client& client, int first, int second, const Configs& configs) {
  protocol::CreateTopicsRequest request;
  request.timeout_ms = 30'000;
  auto& topic = request.topics.emplace_back();
  topic.name = "t";
  topic.num_partitions = topic.replication_factor = -1;
  topic.assignments.push_back({.partition_index = PartitionId(0), .broker_ids = {NodeId(first), NodeId(second)}});
  for (const auto& [name, value] : configs) {
    topic.configs.push_back({.name = name, .value = value});
  }
  const auto response = ask<protocol::CreateTopicsResponse>(client, request, 7);
  ASSERT_EQ(response.topics.at(0).error_code, protocol::ErrorCode::kNone);
  ASSERT_TRUE(fiber::sleep(Duration::seconds(1)).ok());
}

}  // namespace chronik::broker::testing
