#include "fuzz/simulated_broker.h"

#include <string>

#include "core/client/client.h"
#include "core/protocol/messages/create_topics.h"
#include "sim/network.h"
#include "tests/support/broker_machine.h"

namespace chronik::fuzz {

namespace {

constexpr Duration kVisitMax = Duration::seconds(3600);
constexpr Duration kClientPause = Duration::milliseconds(1);

// Frames beyond a megabyte are refused like those beyond Kafka's hundred.
node::NodeConfig fuzzed_node() {
  node::NodeConfig config = chronik::testing::small_node();
  config.broker["socket.request.max.bytes"] = "1048576";
  return config;
}

}  // namespace

SimulatedBroker::SimulatedBroker(StackSource& stacks)
    : config_(fuzzed_node()),
      world_(sim::WorldOptions{.seed = 1}, stacks),
      node_machine_(world_.add_machine(chronik::testing::node_machine_options())),
      client_machine_(world_.add_machine(chronik::testing::client_machine_options())) {
  // Frames arrive in pieces.
  world_.network().knobs().segment_most = 61;
  node_machine_.install([this](sim::ProcessContext& process) { run_node(process); });
  node_machine_.start();
  while (node_ == nullptr) {
    CHECK(world_.step());
    CHECK(node_machine_.running());
  }
  client_machine_.install([this](sim::ProcessContext& process) { run_client(process); });
  client_machine_.start();
  run([this](Network& network) { make_topic(network); });
  lasting_at_start_ = lasting();
}

SimulatedBroker::~SimulatedBroker() { world_.end_all(); }

void SimulatedBroker::run_node(sim::ProcessContext& process) {
  node::Node node(process.ports, config_);
  CHECK_OK(node.start());
  node_ = &node;
  while (fiber::sleep(Duration::seconds(3600)).ok()) {
  }
}

void SimulatedBroker::run_client(sim::ProcessContext& process) {
  do {
    if (visit_ != nullptr) {
      (*visit_)(process.ports.network);
      visit_ = nullptr;
    }
  } while (fiber::sleep(kClientPause).ok());
}

void SimulatedBroker::run(const std::function<void(Network&)>& visit) {
  const sim::VirtualTime latest = world_.now() + kVisitMax;
  visit_ = &visit;
  while (visit_ != nullptr) {
    CHECK(world_.step());
    CHECK(node_machine_.running());
    if (!world_.findings().empty()) {
      check_failed(__FILE__, __LINE__, world_.findings()[0].checker.c_str(), world_.findings()[0].message);
    }
    if (world_.now() > latest) {
      check_failed(__FILE__, __LINE__, "the client does not come to its end", world_.describe_waits());
    }
  }
}

StatusOr<std::unique_ptr<Connection>> SimulatedBroker::connect(Network& network) const {
  Address to = node_machine_.address();
  to.port = chronik::testing::kBrokerPort;
  return network.connect(to, fiber::within(Duration::seconds(10), Expiry::kPeer));
}

void SimulatedBroker::make_topic(Network& network) const {
  client::Client client(checked(connect(network)), client::ClientOptions{.client_id = "fuzz"});
  protocol::CreateTopicsRequest request;
  request.timeout_ms = 10'000;
  auto& topic = request.topics.emplace_back();
  topic.name = kTopic;
  topic.num_partitions = 2;
  topic.replication_factor = 1;
  const auto response = checked(
      client.call<protocol::CreateTopicsResponse>(request, 7, fiber::within(Duration::seconds(10), Expiry::kPeer)));
  CHECK_EQ(response.topics.size(), 1U);
  CHECK_EQ(response.topics[0].error_code, protocol::ErrorCode::kNone);
}

std::pair<LogIndex, std::uint64_t> SimulatedBroker::lasting() const {
  std::uint64_t records = 0;
  for (const MetricsRegistry::Entry& entry : node_->metrics().entries()) {
    if (entry.name == "wal_writes_total") {
      records = entry.counter->value();
    }
  }
  return {node_->metadata().image()->applied, records};
}

}  // namespace chronik::fuzz
