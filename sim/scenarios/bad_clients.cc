// Clients that send and never read, read a byte a second, stop in the middle of a request, or lose their power and say
// nothing. They cost bounded memory (BOUNDED), and the good ones are served all the same.
#include <fmt/core.h>

#include "core/fiber/wait.h"
#include "core/protocol/headers.h"
#include "core/protocol/messages/fetch.h"
#include "sim/disk_faults.h"
#include "sim/knobs.h"
#include "sim/network.h"
#include "sim/scenarios/one_node.h"
#include "sim/scenarios/scenarios.h"

namespace chronik::sim {

namespace {

enum class Habit : std::uint8_t { kNeverReads, kReadsAByteASecond, kStopsWithin };
constexpr const char* kHabitNames[] = {"client that never reads", "client that reads a byte a second",
                                       "client that stops within a request"};

Slice fetch_of_everything(std::int32_t correlation, std::int32_t partitions) {
  protocol::FetchRequest request;
  request.max_bytes = 65'536;
  auto& asked = request.topics.emplace_back();
  asked.topic = kLedgerTopic;
  for (std::int32_t i = 0; i < partitions; ++i) {
    auto& wanted = asked.partitions.emplace_back();
    wanted.partition = PartitionId(i);
    wanted.fetch_offset = Offset(0);
    wanted.current_leader_epoch = LeaderEpoch::none();
    wanted.last_fetched_epoch = LeaderEpoch::none();
    wanted.partition_max_bytes = 65'536;
  }
  const protocol::RequestHeader header{
      .api = protocol::ApiKey::kFetch, .version = 12, .correlation_id = CorrelationId(correlation), .client_id = "bad"};
  return protocol::encode_request(header, request).flat();
}

Deadline a_while() { return fiber::within(Duration::seconds(20), Expiry::kNormal); }

// One connection, until the broker has had enough or the habit's time is over.
void indulge(ProcessContext& process, OneNodeState& state, Habit habit) {
  StatusOr<std::vector<Address>> found = process.ports.network.resolve("node", kNodePort, a_while());
  if (!found.ok()) {
    return;
  }
  StatusOr<std::unique_ptr<Connection>> connection = process.ports.network.connect(found->front(), a_while());
  if (!connection.ok()) {
    return;
  }
  state.world.fault_fired(kHabitNames[static_cast<std::size_t>(habit)]);
  const auto partitions = static_cast<std::int32_t>(state.ledger.partitions());
  const Slice request = fetch_of_everything(1, partitions);
  if (habit == Habit::kStopsWithin) {
    const Slice part = request.sub(0, process.ports.random.next() % request.size());
    static_cast<void>((*connection)->write({&part, 1}, a_while()));
    static_cast<void>(fiber::sleep(Duration::seconds(15)));
    return;
  }
  const std::int32_t requests = habit == Habit::kNeverReads ? 200 : 10;
  for (std::int32_t i = 1; i <= requests; ++i) {
    const Slice next = fetch_of_everything(i, partitions);
    if (!(*connection)->write({&next, 1}, a_while()).ok()) {
      return;
    }
  }
  std::uint8_t byte[1];
  while (habit == Habit::kReadsAByteASecond && state.world.now() < state.healed) {
    const StatusOr<std::size_t> got = (*connection)->read({byte, 1}, a_while());
    if (!got.ok() || *got == 0 || !fiber::sleep(Duration::seconds(1)).ok()) {
      return;
    }
  }
}

void run_bad_client(ProcessContext& process, OneNodeState& state) {
  while (state.world.now() < state.healed) {
    indulge(process, state, static_cast<Habit>(process.ports.random.next() % std::size(kHabitNames)));
    sleep_between(process, 1, 1000);
  }
}

class BadClients final : public OneNode {
 public:
  const char* name() const override { return "bad-clients"; }
  const char* description() const override { return "one node, good clients, and slow, mute and half-open ones"; }
  std::vector<std::string> announced_faults() const override {
    std::vector<std::string> names(std::begin(kHabitNames), std::end(kHabitNames));
    names.insert(names.end(), {"power loss", "thin link"});
    return names;
  }

 protected:
  OneNodeRules rules() const override { return {.lasts = Duration::seconds(30), .consumer_is_prompt = true}; }

  void configure(const Plan& /*plan*/, node::NodeConfig& config) const override {
    config.limits.requests_per_connection = 8;
    config.limits.response_bytes_per_node = 16 << 20;
  }

  void draw_faults(Plan& plan, Draws& draws, const std::vector<std::string>& /*names*/) const override {
    const std::int64_t count = draws.between(1, 4);
    for (std::int64_t i = 1; i <= count; ++i) {
      const std::string name = fmt::format("bad-{}", i);
      plan.machines.push_back(draw_machine(name, "bad", draws));
      if (draws.below(2) == 0) {
        add_fault(plan, draws, "power", name);  // half-open for the broker
      }
      if (draws.below(2) == 0) {
        PlanFault& fault = add_fault(plan, draws, "thin", name);
        fault.other = "node";
        fault.numbers["bytes_per_second"] = draws.magnitude(500, 100'000);
      }
    }
  }

  void prepare(World& world, const Plan& /*plan*/, Nemesis& /*nemesis*/, OneNodeState& state) const override {
    for (const std::unique_ptr<Machine>& machine : world.machines()) {
      if (machine->name().starts_with("bad-")) {
        machine->install([&state](ProcessContext& process) { run_bad_client(process, state); });
      }
    }
  }
};

}  // namespace

const Scenario* bad_clients_scenario() {
  static const BadClients scenario;
  return &scenario;
}

}  // namespace chronik::sim
