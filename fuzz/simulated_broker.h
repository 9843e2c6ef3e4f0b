// A broker for fuzz targets: the very node that the server runs, on a simulated machine where nothing fails, and a
// client machine beside it. It lives from input to input, since making one costs a hundred times what an input costs.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>

#include "core/base/check.h"
#include "core/base/status.h"
#include "core/node/node.h"
#include "core/ports/network.h"
#include "core/ports/process.h"
#include "sim/machine.h"
#include "sim/world.h"

namespace chronik::fuzz {

// The topic that is there from the start, with two partitions.
inline constexpr const char* kTopic = "t";

// What must be there, or the program ends.
template <typename T>
T checked(StatusOr<T> value) {
  if (!value.ok()) {
    check_failed(__FILE__, __LINE__, "what must be there", value.status().ToString());
  }
  return *std::move(value);
}

class SimulatedBroker {
 public:
  // stacks: kept from broker to broker, since mapping them is much of what one costs.
  explicit SimulatedBroker(StackSource& stacks);
  ~SimulatedBroker();
  SimulatedBroker(const SimulatedBroker&) = delete;
  SimulatedBroker& operator=(const SimulatedBroker&) = delete;

  // Runs `visit` to its end in a fiber of the client's machine. Aborts where the node ends meanwhile, the world finds
  // something wrong, or an hour of virtual time does not suffice.
  void run(const std::function<void(Network&)>& visit);

  // For a visit.
  StatusOr<std::unique_ptr<Connection>> connect(Network& network) const;
  const node::Node& node() const { return *node_; }

  // Whether anything that lasts was written since the broker was made: metadata or records. What an input does to such
  // a broker can depend on the inputs before it.
  bool changed() const { return lasting() != lasting_at_start_; }

 private:
  void run_node(sim::ProcessContext& process);
  void run_client(sim::ProcessContext& process);
  void make_topic(Network& network) const;
  // The index of the metadata, and how many records the write-ahead log has written.
  std::pair<LogIndex, std::uint64_t> lasting() const;

  node::NodeConfig config_;
  sim::World world_;
  sim::Machine& node_machine_;
  sim::Machine& client_machine_;
  node::Node* node_ = nullptr;  // once it serves
  const std::function<void(Network&)>* visit_ = nullptr;
  std::pair<LogIndex, std::uint64_t> lasting_at_start_;
};

}  // namespace chronik::fuzz
