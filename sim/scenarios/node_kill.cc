// One node, the very objects that the server runs, that is killed and loses power again and again while clients
// produce to it; a reader reads everything, over and over.
//
// Judged: what was acknowledged is there, at that offset, with those bytes, and what was read once stays (ACK-DURABLE);
// offsets are dense (OFFSET-CONTIG) and each holds one value for ever, sent once (OFFSET-UNIQUE); a connection's values
// are in the order of sending, and behind all that was acknowledged before (ORDER); the node starts from whatever a
// death left (NODE-START) and does not end by itself (NODE-FATAL); once all is healed everything gets done (NODE-LIVE).
#include <fmt/core.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "core/client/client.h"
#include "core/fiber/scope.h"
#include "core/fiber/wait.h"
#include "core/node/node.h"
#include "core/protocol/record_batch_builder.h"
#include "core/protocol/record_batch_walk.h"
#include "sim/disk.h"
#include "sim/fault_draws.h"
#include "sim/knobs.h"
#include "sim/machine.h"
#include "sim/scenarios/node_kill_history.h"
#include "sim/scenarios/scenarios.h"

namespace chronik::sim {

namespace {

constexpr std::uint16_t kBrokerPort = 9092;
constexpr const char* kTopic = "numbers";
constexpr Duration kNodePatience = Duration::seconds(15);
constexpr std::int64_t kValueBytesMost = 3000;
constexpr std::int64_t kRecordsMost = 5;  // of a batch

Deadline node_patience() { return fiber::within(kNodePatience, Expiry::kPeer); }

struct NodeKillState final : ScenarioState {
  struct Producer {
    std::vector<PlanOperation> operations;
    std::size_t next = 0;
    std::uint64_t sessions = 0;
    bool done = false;
  };
  NodeKillState(World& world, const Plan& plan)
      : history(world, static_cast<std::size_t>(plan.knob("partitions", 1))) {}

  node::NodeConfig config;
  NodeKillHistory history;
  std::map<std::string, Producer> producers;
  std::size_t window = 1;
  std::uint64_t node_starts = 0;
  bool all_read = false;
  Status last_read;  // how the reader's latest pass ended

  bool all_done() const {
    return std::all_of(producers.begin(), producers.end(), [](const auto& entry) { return entry.second.done; });
  }
};

// ---- the node ----

node::NodeConfig config_of(const Plan& plan) {
  node::NodeConfig config;
  config.bind = Address::ipv4(0, 0, 0, 0, kBrokerPort);
  config.advertised_host = "node";
  config.limits.request = Duration::seconds(20);
  config.limits.frame = Duration::seconds(10);
  config.limits.write = Duration::seconds(10);
  wal::WalOptions& wal = config.logs.wal;
  wal.rotation_bytes = static_cast<std::uint64_t>(plan.knob("wal.rotation_bytes", 65'536));
  wal.files_max = static_cast<std::size_t>(plan.knob("wal.files_max", 3));
  wal.record_bytes_max = wal.rotation_bytes / 4;
  wal.batch_bytes_max = wal.rotation_bytes / 4;
  wal.queue_bytes_max = wal.rotation_bytes;
  wal.control_reserve_bytes = wal.rotation_bytes / 8;
  wal.free_disk_reserve_bytes = 0;
  wal.fill_step_bytes = 32'768;
  wal.fill_after_bytes = 4'096;
  wal.read_chunk_bytes = 16'384;
  config.logs.tail_bytes_max = static_cast<std::uint64_t>(plan.knob("log.tail_bytes_max", 65'536));
  config.voter.entries_per_snapshot = static_cast<std::uint64_t>(plan.knob("voter.entries_per_snapshot", 1000));
  config.broker["connections.max.idle.ms"] = "60000";
  config.broker["num.partitions"] = fmt::format("{}", plan.knob("partitions", 1));
  config.broker["log.segment.bytes"] = fmt::format("{}", plan.knob("log.segment_bytes", 1 << 20));
  return config;
}

void run_node(ProcessContext& process, NodeKillState& state) {
  node::Node node(process.ports, state.config);
  const Status started = node.start();
  if (!started.ok()) {
    if (!absl::IsAborted(started) && !absl::IsCancelled(started)) {
      process.machine.world().fail("NODE-START", started.ToString());
    }
    return;
  }
  ++state.node_starts;
  fiber::Event killed;
  static_cast<void>(killed.wait({WaitKind::kEvent, 4, 0, 0}, fiber::for_ever()));
}

// ---- producers ----

StatusOr<std::unique_ptr<client::Client>> connect_to_node(ProcessContext& process) {
  ASSIGN_OR_RETURN(const std::vector<Address> found,
                   process.ports.network.resolve("node", kBrokerPort, node_patience()));
  return client::Client::connect(process.ports.network, found.front(), {.client_id = process.machine.name()},
                                 fiber::within(Duration::seconds(5), Expiry::kNormal));
}

// The topic is there with all its partitions.
Status expect_topic(client::Client& client, std::size_t partitions) {
  ASSIGN_OR_RETURN(const protocol::MetadataTopic topic, client.metadata(kTopic, node_patience()));
  return topic.error_code == protocol::ErrorCode::kNone && topic.partitions.size() == partitions
             ? ok()
             : absl::UnavailableError("not made yet");
}

std::uint64_t value_of(const PlanOperation& operation, std::int64_t record) {
  return operation.id * 16 + static_cast<std::uint64_t>(record);
}

// One connection's worth of produces, `window` of them at a time.
class ProducerSession {
 public:
  ProducerSession(ProcessContext& process, NodeKillState& state, NodeKillState::Producer& producer,
                  client::Client& client)
      : process_(process), state_(state), producer_(producer), client_(client) {
    session_ = {.client = mix_text(process.machine.name()), .number = ++producer.sessions};
  }

  void run() {
    fiber::FiberScope workers;
    for (std::size_t i = 0; i < state_.window; ++i) {
      workers.spawn({"worker", i}, [this] {
        while (!client_.broken() && producer_.next < producer_.operations.size() && produce_next()) {
        }
      });
    }
    static_cast<void>(workers.join(fiber::for_ever()));
  }

 private:
  bool produce_next() {
    const Duration pause = Duration::nanoseconds(producer_.operations[producer_.next].number("pause_ns"));
    if (!fiber::sleep(pause).ok() || client_.broken() || producer_.next >= producer_.operations.size()) {
      return false;
    }
    const PlanOperation& operation = producer_.operations[producer_.next++];
    const auto partition = static_cast<std::size_t>(operation.number("partition")) % state_.history.partitions();
    const auto bytes = static_cast<std::size_t>(operation.number("bytes"));
    const std::int64_t records = operation.number("records");
    protocol::RecordBatchBuilder builder;
    for (std::int64_t i = 0; i < records; ++i) {
      const std::string value = NodeKillHistory::bytes_of(value_of(operation, i), bytes);
      builder.append({.timestamp = process_.ports.clock.wall(), .key = {}, .value = as_bytes(value), .headers = {}});
      state_.history.send(value_of(operation, i), bytes, partition, session_);
    }
    const StatusOr<protocol::ProducePartitionResponse> answer =
        client_.produce(kTopic, PartitionId(static_cast<std::int32_t>(partition)), builder.build({}),
                        static_cast<std::int16_t>(operation.number("acks")), node_patience());
    const bool acknowledged = answer.ok() && answer->error_code == protocol::ErrorCode::kNone;
    process_.machine.world().trace().record(Record::kClient, operation.id, acknowledged ? 0 : 1);
    if (!acknowledged) {
      client_.close();
      return false;
    }
    for (std::int64_t i = 0; i < records; ++i) {
      state_.history.acknowledge(value_of(operation, i), answer->base_offset.value() + i);
    }
    return true;
  }

  ProcessContext& process_;
  NodeKillState& state_;
  NodeKillState::Producer& producer_;
  client::Client& client_;
  ProducerSessionId session_;
};

void pause_a_little(ProcessContext& process) {
  static_cast<void>(
      fiber::sleep(Duration::milliseconds(static_cast<std::int64_t>(20 + process.ports.random.next() % 200))));
}

void run_producer(ProcessContext& process, NodeKillState& state) {
  NodeKillState::Producer& producer = state.producers[process.machine.name()];
  while (producer.next < producer.operations.size()) {
    StatusOr<std::unique_ptr<client::Client>> client = connect_to_node(process);
    if (client.ok() && expect_topic(**client, state.history.partitions()).ok()) {
      ProducerSession(process, state, producer, **client).run();
    }
    pause_a_little(process);
  }
  producer.done = true;
}

// ---- the reader ----

// Everything of one partition from its first offset on. Not ok: the broker could not be read.
Status read_partition(World& world, client::Client& client, NodeKillHistory& history, std::size_t partition) {
  std::int64_t position = 0;
  for (;;) {
    ASSIGN_OR_RETURN(const protocol::FetchPartitionResponse got,
                     client.fetch(kTopic, PartitionId(static_cast<std::int32_t>(partition)), Offset(position), 65'536,
                                  node_patience()));
    if (got.error_code != protocol::ErrorCode::kNone) {
      return absl::UnavailableError(std::string(protocol::error_name(got.error_code)));
    }
    if (position >= got.high_watermark.value()) {
      history.end_at(partition, position);
      return ok();
    }
    const std::int64_t before = position;
    const Slice records = got.records.value_or(Slice());
    protocol::BatchWalk walk(records.bytes(), protocol::BatchWalk::Checksums::kCheck);
    protocol::RecordBatchView batch;
    while (walk.next(batch)) {
      if (batch.base_offset().value() != position) {
        world.fail("OFFSET-CONTIG", fmt::format("partition {}: a batch at offset {} where {} was to come", partition,
                                                batch.base_offset().value(), position));
        return absl::DataLossError("gap");
      }
      protocol::RecordIterator iterator(batch);
      protocol::RecordView record;
      while (iterator.next(record)) {
        if (record.offset(batch).value() != position || !history.see(partition, position, record.value_bytes)) {
          return absl::DataLossError("record");
        }
        ++position;
      }
      if (iterator.defect() != protocol::BatchDefect::kNone || position != batch.next_offset().value()) {
        world.fail("OFFSET-CONTIG", fmt::format("partition {}: a damaged batch at {}", partition, position));
        return absl::DataLossError("batch");
      }
    }
    if (position == before) {
      world.fail("OFFSET-CONTIG", fmt::format("partition {}: nothing to be read at {} below the high watermark {}",
                                              partition, position, got.high_watermark.value()));
      return absl::DataLossError("nothing");
    }
  }
}

Status read_all(World& world, client::Client& client, NodeKillHistory& history) {
  RETURN_IF_ERROR(expect_topic(client, history.partitions()));
  for (std::size_t partition = 0; partition < history.partitions(); ++partition) {
    RETURN_IF_ERROR(read_partition(world, client, history, partition));
  }
  return ok();
}

void run_reader(ProcessContext& process, NodeKillState& state, VirtualTime healed) {
  World& world = process.machine.world();
  while (!state.all_read) {
    const bool last = world.now() >= healed && state.all_done();
    StatusOr<std::unique_ptr<client::Client>> client = connect_to_node(process);
    state.last_read = client.ok() ? read_all(world, **client, state.history) : client.status();
    state.all_read = last && state.last_read.ok();
    static_cast<void>(
        fiber::sleep(Duration::milliseconds(static_cast<std::int64_t>(100 + process.ports.random.next() % 2000))));
  }
}

// ---- the scenario ----

constexpr DiskStep kDeadlySteps[] = {DiskStep::kWrite,  DiskStep::kSync,          DiskStep::kOpen,   DiskStep::kRename,
                                     DiskStep::kUnlink, DiskStep::kSyncDirectory, DiskStep::kSyncAll};
constexpr DiskEffect kDeadlyEffects[] = {DiskEffect::kKillBefore,      DiskEffect::kKillDuring,
                                         DiskEffect::kKillAfter,       DiskEffect::kPowerLossBefore,
                                         DiskEffect::kPowerLossDuring, DiskEffect::kPowerLossAfter};

PlanFault& add_fault(Plan& plan, Draws& draws, std::string kind) {
  PlanFault& fault = plan.faults.emplace_back();
  fault.id = plan.faults.size();
  fault.at = VirtualTime::zero() + draws.between(Duration::milliseconds(1), plan.lasts);
  fault.kind = std::move(kind);
  fault.target = "node";
  fault.other = "-";
  fault.numbers["for_ns"] = draws.magnitude(1'000'000, 1'000'000'000);
  return fault;
}

// Deaths at any time, and at a disk operation that is drawn.
void draw_node_deaths(Plan& plan, Draws draws) {
  const std::int64_t deaths = draws.between(0, 12);
  for (std::int64_t i = 0; i < deaths; ++i) {
    add_fault(plan, draws, draws.below(3) == 0 ? "kill" : "power");
  }
  const std::int64_t strikes = draws.between(0, 12);
  for (std::int64_t i = 0; i < strikes; ++i) {
    PlanFault& fault = add_fault(plan, draws, "disk-death");
    fault.numbers["step"] = static_cast<std::int64_t>(draws.below(std::size(kDeadlySteps)));
    fault.numbers["effect"] = static_cast<std::int64_t>(draws.below(std::size(kDeadlyEffects)));
    fault.numbers["nth"] = draws.magnitude(1, 40);
  }
}

class NodeKill final : public Scenario {
 public:
  const char* name() const override { return "node-kill"; }
  const char* description() const override { return "one node that dies again and again, producers and a reader"; }
  std::vector<std::string> announced_faults() const override { return death_fault_names(); }

  Plan generate(std::uint64_t seed) const override {
    Draws draws(seed, "plan", mix_text(name()));
    Plan plan = draw_plan(*this, seed, draws);
    plan.lasts = Duration::seconds(20);
    plan.calm = Duration::seconds(200);
    plan.knobs["window"] = draws.magnitude(1, 8);
    plan.knobs["partitions"] = draws.between(1, 3);
    plan.knobs["wal.rotation_bytes"] = draws.magnitude(65'536, 1 << 20);
    plan.knobs["wal.files_max"] = draws.between(3, 8);
    plan.knobs["log.tail_bytes_max"] = draws.magnitude(4'096, 1 << 20);
    plan.knobs["log.segment_bytes"] = draws.magnitude(16'384, 1 << 20);
    plan.knobs["voter.entries_per_snapshot"] = draws.magnitude(2, 100);
    plan.machines.push_back(draw_machine("node", "node", draws));
    plan.machines.back().numbers["disk"] = 1;
    plan.machines.push_back(draw_machine("reader", "reader", draws));
    std::vector<std::string> names{"node", "reader"};
    const std::int64_t clients = draws.between(1, 3);
    for (std::int64_t i = 1; i <= clients; ++i) {
      names.push_back(fmt::format("client-{}", i));
      plan.machines.push_back(draw_machine(names.back(), "client", draws));
      draw_operations(plan, names.back(), draws);
    }
    draw_node_deaths(plan, draws.child("deaths", 0));
    if (draws.below(3) == 0) {
      draw_network_faults(plan, draws.child("network", 0), names);
    }
    return plan;
  }

  std::unique_ptr<ScenarioState> build(World& world, const Plan& plan, Nemesis& nemesis) const override {
    auto owned = std::make_unique<NodeKillState>(world, plan);
    NodeKillState* state = owned.get();
    state->config = config_of(plan);
    state->window = static_cast<std::size_t>(plan.knob("window", 1));
    for (const PlanOperation& operation : plan.operations) {
      state->producers[operation.machine].operations.push_back(operation);
    }
    const VirtualTime healed = VirtualTime::zero() + plan.lasts;
    for (const PlanMachine& planned : plan.machines) {
      Machine& machine = add_planned_machine(world, planned);
      if (planned.role == "node") {
        machine.install([state](ProcessContext& process) { run_node(process, *state); });
        watch_node(world, machine, nemesis);
      } else if (planned.role == "reader") {
        machine.install([state, healed](ProcessContext& process) { run_reader(process, *state, healed); });
      } else {
        machine.install([state](ProcessContext& process) { run_producer(process, *state); });
      }
      machine.start();
    }
    return owned;
  }

  void at_end(World& world, ScenarioState& of) const override {
    NodeKillState& state = static_cast<NodeKillState&>(of);
    if (!state.all_read) {
      world.fail("NODE-LIVE", fmt::format("not everything was produced and read after all was healed: {} of {} "
                                          "acknowledged, {} starts of the node, the reader's latest pass: {}\n{}",
                                          state.history.acknowledged(), state.history.sent(), state.node_starts,
                                          state.last_read.ToString(), world.describe_waits()));
      return;
    }
    state.history.judge();
  }

 private:
  static void draw_operations(Plan& plan, const std::string& machine, Draws& draws) {
    const std::int64_t operations = draws.magnitude(5, 400);
    const std::int64_t bytes_most = draws.magnitude(16, kValueBytesMost);
    const std::int64_t pause_most = 40'000'000'000 / operations;
    for (std::int64_t k = 0; k < operations; ++k) {
      PlanOperation& operation = plan.operations.emplace_back();
      operation.id = plan.operations.size();
      operation.machine = machine;
      operation.verb = "produce";
      operation.numbers["partition"] = draws.between(0, 2);
      operation.numbers["bytes"] = draws.between(8, bytes_most);
      operation.numbers["records"] = draws.magnitude(1, kRecordsMost);
      operation.numbers["acks"] = draws.below(2) == 0 ? 1 : -1;
      operation.numbers["pause_ns"] = draws.between(0, pause_most);
    }
  }

  static void watch_node(World& world, Machine& machine, Nemesis& nemesis) {
    auto* disk = dynamic_cast<SimulatedDisk*>(machine.disk());
    CHECK(disk != nullptr);
    nemesis.teach(
        "disk-death",
        [disk](const PlanFault& fault) {
          disk->strike({.step = kDeadlySteps[fault.number("step", 0)],
                        .effect = kDeadlyEffects[fault.number("effect", 0)],
                        .nth = static_cast<std::uint64_t>(fault.number("nth", 1)),
                        .path = {}});
        },
        [disk] { disk->forget_strikes(); });
    machine.on_exit([&world, &machine, &nemesis](const Exit& exit) {
      if (exit.how == Death::kFatal) {
        world.fail("NODE-FATAL", exit.reason);
      } else if (exit.how != Death::kExit) {
        // Also where the disk was the killer, whom nobody else follows.
        nemesis.restart(machine, Duration::milliseconds(500));
      }
    });
  }
};

}  // namespace

const Scenario* node_kill_scenario() {
  static const NodeKill kNodeKillScenario;
  return &kNodeKillScenario;
}

}  // namespace chronik::sim
