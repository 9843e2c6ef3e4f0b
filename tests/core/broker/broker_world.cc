#include "tests/core/broker/broker_world.h"

#include "core/protocol/record_batch_walk.h"
#include "tests/support/broker_machine.h"

namespace chronik::broker::testing {

namespace {

constexpr Duration kLimit = Duration::seconds(4000);  // of virtual time, for one run()

}  // namespace

node::NodeConfig small_node() {
  node::NodeConfig config = chronik::testing::small_node();
  config.broker["num.partitions"] = "2";
  return config;
}

StatusOr<Slice> RawConnection::receive(const Deadline& deadline) {
  ASSIGN_OR_RETURN(const std::int32_t size, frames_.length(deadline));
  return frames_.body(static_cast<std::size_t>(size), patience());
}

std::unique_ptr<client::Client> Visit::connect() const {
  StatusOr<std::unique_ptr<Connection>> connection = world.dial(ports);
  CHECK(connection.ok());
  return std::make_unique<client::Client>(*std::move(connection), client::ClientOptions{.client_id = "test"});
}

std::unique_ptr<RawConnection> Visit::connect_raw() const {
  StatusOr<std::unique_ptr<Connection>> connection = world.dial(ports);
  CHECK(connection.ok());
  return std::make_unique<RawConnection>(*std::move(connection));
}

BrokerWorld::BrokerWorld(const node::NodeConfig& config, LogSink* log)
    : config_(config),
      world_(sim::WorldOptions{.seed = 1, .log = log}, stacks_),
      node_machine_(world_.add_machine(chronik::testing::node_machine_options())),
      client_machine_(world_.add_machine(chronik::testing::client_machine_options())) {
  node_machine_.install([this](sim::ProcessContext& process) { run_node(process); });
}

BrokerWorld::~BrokerWorld() { world_.end_all(); }

void BrokerWorld::run_node(sim::ProcessContext& process) {
  node::Node node(process.ports, config_);
  const Status started = node.start();
  EXPECT_TRUE(started.ok()) << started;
  node_ = &node;
  while (!stop_wanted_ && fiber::sleep(Duration::milliseconds(100)).ok()) {
  }
  node_ = nullptr;
  if (stop_wanted_) {
    const Status stopped = node.stop();
    EXPECT_TRUE(stopped.ok()) << stopped;
  }
}

StatusOr<std::unique_ptr<Connection>> BrokerWorld::dial(Ports& ports) const {
  Address to = node_machine_.address();
  to.port = chronik::testing::kBrokerPort;
  return ports.network.connect(to, patience());
}

void BrokerWorld::step_while(const std::function<bool()>& going_on) {
  const sim::VirtualTime latest = world_.now() + kLimit;
  while (going_on() && world_.now() < latest && world_.findings().empty() && world_.step()) {
  }
  EXPECT_FALSE(going_on()) << world_.describe_waits();
  for (const sim::Finding& finding : world_.findings()) {
    ADD_FAILURE() << finding.checker << ": " << finding.message;
  }
}

void BrokerWorld::run(const std::function<void(Visit&)>& client) {
  if (!node_machine_.running()) {
    node_ = nullptr;
    stop_wanted_ = false;
    node_machine_.start();
    step_while([this] { return node_ == nullptr && node_machine_.running(); });
  }
  ASSERT_NE(node_, nullptr);
  client_machine_.install([this, &client](sim::ProcessContext& process) {
    Visit visit{.world = *this, .ports = process.ports};
    client(visit);
  });
  client_machine_.start();
  step_while([this] { return client_machine_.running(); });
  EXPECT_TRUE(node_machine_.running()) << "the node has ended";
}

void BrokerWorld::stop() {
  stop_wanted_ = true;
  step_while([this] { return node_machine_.running(); });
}

void make_topic(client::Client& client, const std::string& name, std::int32_t partitions, const Configs& configs) {
  protocol::CreateTopicsRequest request;
  request.timeout_ms = 30'000;
  auto& topic = request.topics.emplace_back();
  topic.name = name;
  topic.num_partitions = partitions;
  topic.replication_factor = 1;
  for (const auto& [key, value] : configs) {
    topic.configs.push_back({.name = key, .value = value});
  }
  const auto response = ask<protocol::CreateTopicsResponse>(client, request, 7);
  ASSERT_EQ(response.topics.size(), 1u);
  ASSERT_EQ(response.topics[0].error_code, protocol::ErrorCode::kNone) << response.topics[0].error_message.value_or("");
}

Slice batch_of(const std::vector<std::string>& values, const protocol::BatchFields& fields, WallTime at) {
  protocol::RecordBatchBuilder builder;
  for (std::size_t i = 0; i < values.size(); ++i) {
    builder.append({.timestamp = WallTime::from_milliseconds(at.milliseconds() + static_cast<std::int64_t>(i)),
                    .key = {},
                    .value = as_bytes(values[i]),
                    .headers = {}});
  }
  return builder.build(fields);
}

protocol::ProducePartitionResponse produce(client::Client& client, const std::string& topic, std::int32_t partition,
                                           Slice batch, std::int16_t acks) {
  StatusOr<protocol::ProducePartitionResponse> answer =
      client.produce(topic, PartitionId(partition), std::move(batch), acks, patience());
  EXPECT_TRUE(answer.ok()) << answer.status();
  return answer.ok() ? *std::move(answer) : protocol::ProducePartitionResponse{};
}

std::vector<std::string> read_values(client::Client& client, const std::string& topic, std::int32_t partition,
                                     std::int64_t from) {
  std::vector<std::string> values;
  for (;;) {
    const StatusOr<protocol::FetchPartitionResponse> got =
        client.fetch(topic, PartitionId(partition), Offset(from), 1 << 20, patience());
    EXPECT_TRUE(got.ok()) << got.status();
    if (!got.ok() || got->error_code != protocol::ErrorCode::kNone || from >= got->high_watermark.value()) {
      return values;
    }
    const Slice records = got->records.value_or(Slice());
    protocol::BatchWalk walk(records.bytes(), protocol::BatchWalk::Checksums::kCheck);
    protocol::RecordBatchView batch;
    const std::int64_t before = from;
    while (walk.next(batch)) {
      protocol::RecordIterator iterator(batch);
      protocol::RecordView record;
      while (iterator.next(record)) {
        if (record.offset(batch).value() >= from) {
          values.emplace_back(as_text(record.value_bytes));
          ++from;
        }
      }
    }
    if (from == before) {
      ADD_FAILURE() << "nothing to be read at " << from;
      return values;
    }
  }
}

}  // namespace chronik::broker::testing
