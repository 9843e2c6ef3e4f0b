// A node, the very objects that the server runs, on a simulated machine, and clients that talk to it over the simulated
// network. Nothing fails here but what a test makes fail.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/client/client.h"
#include "core/node/node.h"
#include "core/protocol/messages/create_topics.h"
#include "core/protocol/record_batch_builder.h"
#include "sim/machine.h"
#include "sim/network.h"
#include "sim/stacks.h"
#include "sim/world.h"

namespace chronik::broker::testing {

inline Deadline patience() { return fiber::within(Duration::seconds(100), Expiry::kNormal); }

// Small files, so that tests see them rotate; two partitions for what is made by being asked for.
node::NodeConfig small_node();

// A connection whose frames a test writes and reads by itself.
class RawConnection {
 public:
  explicit RawConnection(std::unique_ptr<Connection> connection)
      : connection_(std::move(connection)), frames_(*connection_) {}

  Connection& connection() { return *connection_; }
  template <typename M>
  Status send(const M& message, std::int16_t version, std::int32_t correlation_id) {
    return send_frame(protocol::encode_request({.api = M::kTraits.api,
                                                .version = version,
                                                .correlation_id = CorrelationId(correlation_id),
                                                .client_id = "raw"},
                                               message));
  }
  Status send_frame(const protocol::Frame& frame) { return connection_->write(frame.parts, patience()); }
  Status send_bytes(std::string_view bytes) {
    const Slice part = Slice::copy_of(bytes);
    return connection_->write({&part, 1}, patience());
  }
  // The next answer's frame, without its length. kOutOfRange, kUnavailable: the broker has closed.
  StatusOr<Slice> receive(const Deadline& deadline = patience());
  template <typename M>
  StatusOr<M> receive_as(std::int16_t version) {
    ASSIGN_OR_RETURN(const Slice frame, receive());
    ASSIGN_OR_RETURN(const protocol::ReceivedResponse response,
                     protocol::decode_response_header(frame, M::kTraits.api, version));
    return protocol::decode<M>(response.body, version);
  }

 private:
  std::unique_ptr<Connection> connection_;
  protocol::FrameReader frames_;
};

class BrokerWorld;

// What a test's client has.
struct Visit {
  BrokerWorld& world;
  Ports& ports;

  std::unique_ptr<client::Client> connect() const;
  std::unique_ptr<RawConnection> connect_raw() const;
};

class BrokerWorld {
 public:
  explicit BrokerWorld(const node::NodeConfig& config = small_node(), LogSink* log = nullptr);
  ~BrokerWorld();

  // Starts the node where it does not run, then runs `client` to its end on a machine of its own.
  void run(const std::function<void(Visit&)>& client);
  // The node ends; the next run() starts it again.
  void kill(sim::Death how) { node_machine_.kill(how); }
  void stop();

  node::Node& node() { return *node_; }
  sim::World& world() { return world_; }
  sim::Machine& node_machine() { return node_machine_; }
  StatusOr<std::unique_ptr<Connection>> dial(Ports& ports) const;

 private:
  void run_node(sim::ProcessContext& process);
  void step_while(const std::function<bool()>& going_on);

  node::NodeConfig config_;
  sim::StackArena stacks_;
  sim::World world_;
  sim::Machine& node_machine_;
  sim::Machine& client_machine_;
  node::Node* node_ = nullptr;  // while it serves
  bool stop_wanted_ = false;
};

// ---- requests that many tests make ----

using Configs = std::vector<std::pair<std::string, std::string>>;
void make_topic(client::Client& client, const std::string& name, std::int32_t partitions, const Configs& configs = {});

// A batch with these values, by `fields`' producer where it has one. Timestamps are `at` and following.
Slice batch_of(const std::vector<std::string>& values, const protocol::BatchFields& fields = {},
               WallTime at = WallTime::from_milliseconds(1'700'000'000'000));
protocol::ProducePartitionResponse produce(client::Client& client, const std::string& topic, std::int32_t partition,
                                           Slice batch, std::int16_t acks = -1);
// All values of a partition from `from` on.
std::vector<std::string> read_values(client::Client& client, const std::string& topic, std::int32_t partition,
                                     std::int64_t from = 0);

template <typename Response, typename Request>
Response ask(client::Client& client, const Request& request, std::int16_t version) {
  StatusOr<Response> response = client.call<Response>(request, version, patience());
  EXPECT_TRUE(response.ok()) << response.status();
  return response.ok() ? *std::move(response) : Response{};
}

}  // namespace chronik::broker::testing
