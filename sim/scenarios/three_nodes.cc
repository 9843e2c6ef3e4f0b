// Three nodes that agree on their metadata, and clients that make and delete topics through any of them, under all that
// the network, deaths, suspensions and clocks can do. Partitions live on one node each: replication comes later.
//
// Judged: nodes whose images are of the same index have the same image (META-AGREE); a topic whose creation was
// acknowledged is there in the end, one whose deletion was acknowledged is not (META-DURABLE); a node starts from
// whatever a death left (NODE-START) and does not end by itself (NODE-FATAL); once all is healed, every node serves,
// all have the same image, and every client gets something done (META-LIVE).
#include <fmt/core.h>

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "core/base/crc32c.h"
#include "core/client/client.h"
#include "core/cluster/snapshot.h"
#include "core/fiber/wait.h"
#include "core/node/node.h"
#include "core/protocol/messages/create_topics.h"
#include "core/protocol/messages/delete_topics.h"
#include "sim/disk_faults.h"
#include "sim/fault_draws.h"
#include "sim/knobs.h"
#include "sim/machine.h"
#include "sim/scenarios/one_node.h"
#include "sim/scenarios/scenarios.h"

namespace chronik::sim {

namespace {

using protocol::ErrorCode;

constexpr int kNodes = 3;
constexpr std::size_t kDoneHealed = 10;
constexpr std::size_t kNamesInUse = 4;  // of one maker, in use at a time
constexpr std::uint16_t kRaftPort = 9093;
constexpr std::int16_t kTopicsVersion = 5;
constexpr std::int32_t kMakerTimeoutMs = 10'000;

struct GroupState final : ScenarioState {
  struct Topic {
    std::optional<bool> there;  // null: not known
  };
  struct Maker {
    std::size_t done_healed = 0;  // since all was healed
    std::int64_t pause_ms = 500;
    std::map<std::string, Topic> topics;
    std::array<std::size_t, kNamesInUse> lives{};
  };
  World* world = nullptr;
  VirtualTime healed;
  std::map<std::string, node::NodeConfig> configs;
  std::map<std::string, const node::Node*> serving;
  std::map<LogIndex, std::uint32_t> images;  // checksums, of the first node that had one
  std::map<std::string, Maker> makers;
};

node::NodeConfig group_config_of(const Plan& plan, int number) {
  node::NodeConfig config;
  config.node = NodeId(number);
  config.bind = Address::ipv4(0, 0, 0, 0, kNodePort);
  config.advertised_host = fmt::format("node-{}", number);
  config.raft_bind = Address::ipv4(0, 0, 0, 0, kRaftPort);
  for (int peer = 1; peer <= kNodes; ++peer) {
    if (peer != number) {
      config.peers.push_back({.node = NodeId(peer), .host = fmt::format("node-{}", peer), .port = kRaftPort});
    }
  }
  config.raft.entries_per_snapshot = static_cast<std::uint64_t>(plan.knob("raft.entries_per_snapshot", 1000));
  config.raft.entries_kept = static_cast<std::uint64_t>(plan.knob("raft.entries_kept", 500));
  config.raft.raft.snapshot_part_bytes = static_cast<std::size_t>(plan.knob("raft.snapshot_part_bytes", 512 << 10));
  config.logs.wal.rotation_bytes = 256 << 10;
  config.logs.wal.files_max = 6;
  config.logs.wal.record_bytes_max = config.logs.wal.batch_bytes_max = 64 << 10;
  config.logs.wal.queue_bytes_max = 256 << 10;
  config.logs.wal.control_reserve_bytes = 32 << 10;
  config.logs.wal.free_disk_reserve_bytes = 0;
  config.logs.wal.fill_step_bytes = 32 << 10;
  config.logs.wal.fill_after_bytes = 4 << 10;
  return config;
}

// ---- the nodes ----

// Compares images that this node publishes with the others' of the same index. Not each: they are long, and what
// differs once goes on to.
class ImageWatch final : public cluster::MetadataListener {
 public:
  explicit ImageWatch(GroupState& state) : state_(state) {}
  void on_metadata(const cluster::Delta& delta) override {
    if (delta.after->applied.value() % 8 != 0) {
      return;
    }
    const std::string bytes = cluster::encode_snapshot(*delta.after);
    const std::uint32_t checksum = crc32c(as_bytes(bytes));
    const auto [known, first] = state_.images.emplace(delta.after->applied, checksum);
    if (!first && known->second != checksum) {
      state_.world->fail("META-AGREE", fmt::format("two images of index {} differ", delta.after->applied));
    }
  }

 private:
  GroupState& state_;
};

void run_group_node(ProcessContext& process, GroupState& state) {
  const std::string name = process.machine.name();
  ImageWatch watch(state);
  node::Node node(process.ports, state.configs.at(name));
  node.watch_metadata(watch);
  const Status started = node.start();
  if (!started.ok()) {
    if (!absl::IsAborted(started) && !absl::IsCancelled(started)) {
      state.world->fail("NODE-START", fmt::format("{}: {}", name, started.ToString()));
      static_cast<void>(node.stop());
    }
    return;
  }
  struct Serving {
    GroupState& state;
    const std::string& name;
    ~Serving() { state.serving.erase(name); }
  } const serving{state, name};
  state.serving[name] = &node;
  fiber::Event killed;
  static_cast<void>(killed.wait({WaitKind::kEvent, 4, 0, 0}, fiber::for_ever()));
}

// ---- the clients ----

class MakerRun {
 public:
  MakerRun(ProcessContext& process, GroupState& state)
      : process_(process), state_(state), maker_(state.makers[process.machine.name()]) {}

  void run() {
    while (has_work()) {
      StatusOr<std::unique_ptr<client::Client>> client = connect();
      while (client.ok() && !(*client)->broken() && has_work() && turn(**client)) {
        sleep_between(process_, 1, maker_.pause_ms);
      }
      sleep_between(process_, 20, 300);
    }
  }

 private:
  bool healed() const { return state_.world->now() >= state_.healed; }
  bool has_work() const { return !healed() || maker_.done_healed < kDoneHealed; }

  StatusOr<std::unique_ptr<client::Client>> connect() {
    const std::string host = fmt::format("node-{}", 1 + process_.ports.random.next() % kNodes);
    ASSIGN_OR_RETURN(const std::vector<Address> found,
                     process_.ports.network.resolve(host, kNodePort, node_patience()));
    return client::Client::connect(process_.ports.network, found.front(), {},
                                   fiber::within(Duration::seconds(5), Expiry::kPeer));
  }

  // False: this node is of no use now; another may be.
  bool turn(client::Client& client) {
    // What was asked for and not answered may still be done, at any time: that name is not used again.
    const std::size_t number = process_.ports.random.next() % kNamesInUse;
    const std::string name = fmt::format("{}-{}.{}", process_.machine.name(), number, maker_.lives[number]);
    const bool creates = process_.ports.random.next() % 3 != 0;
    GroupState::Topic& topic = maker_.topics[name];
    const std::optional<bool> before = std::exchange(topic.there, std::nullopt);
    const std::optional<ErrorCode> error = creates ? create(client, name) : remove(client, name);
    const ErrorCode refusal = creates ? ErrorCode::kTopicAlreadyExists : ErrorCode::kUnknownTopicOrPartition;
    if (error != ErrorCode::kNone && error != refusal) {
      ++maker_.lives[number];
      return false;
    }
    // A creation that was done, or refused because it is there, leaves it there; and so the other way round.
    if (before.has_value() && *before == (*error == ErrorCode::kNone ? creates : !creates)) {
      state_.world->fail("META-DURABLE", fmt::format("{} of {} is answered {}, and the topic was {} before",
                                                     creates ? "creation" : "deletion", name,
                                                     protocol::error_name(*error), *before ? "there" : "not there"));
    }
    topic.there = creates;
    if (healed()) {
      ++maker_.done_healed;
    }
    return true;
  }

  std::optional<ErrorCode> create(client::Client& client, const std::string& name) {
    protocol::CreateTopicsRequest request;
    request.timeout_ms = kMakerTimeoutMs;
    request.topics.push_back(
        {.name = name, .num_partitions = 2, .replication_factor = 1, .assignments = {}, .configs = {}});
    const auto got = client.call<protocol::CreateTopicsResponse>(request, kTopicsVersion, node_patience());
    return got.ok() && got->topics.size() == 1 ? std::optional(got->topics[0].error_code) : std::nullopt;
  }
  std::optional<ErrorCode> remove(client::Client& client, const std::string& name) {
    protocol::DeleteTopicsRequest request;
    request.timeout_ms = kMakerTimeoutMs;
    request.topic_names.push_back(name);
    const auto got = client.call<protocol::DeleteTopicsResponse>(request, kTopicsVersion, node_patience());
    return got.ok() && got->responses.size() == 1 ? std::optional(got->responses[0].error_code) : std::nullopt;
  }

  ProcessContext& process_;
  GroupState& state_;
  GroupState::Maker& maker_;
};

// ---- the scenario ----

class ThreeNodes final : public Scenario {
 public:
  const char* name() const override { return "three-nodes"; }
  const char* description() const override {
    return "three nodes that agree on topics, under network faults, deaths, suspensions and clocks";
  }
  std::vector<std::string> announced_faults() const override {
    std::vector<std::string> names = network_fault_names();
    for (const std::string& name : death_fault_names()) {
      names.push_back(name);
    }
    names.insert(names.end(), {"suspend", "clock step", "disk-stall"});
    return names;
  }

  Plan generate(std::uint64_t seed) const override {
    Draws draws(seed, "plan", mix_text(name()));
    Plan plan = draw_plan(*this, seed, draws);
    plan.lasts = Duration::seconds(40);
    plan.calm = Duration::seconds(100);
    for (const char* knob : {"network.segment_most", "network.transfer_most"}) {
      if (plan.knobs[knob] != 0) {
        plan.knobs[knob] = std::max<std::int64_t>(plan.knobs[knob], 512);
      }
    }
    plan.knobs["network.receive_buffer"] = std::max<std::int64_t>(plan.knobs["network.receive_buffer"], 65'536);
    plan.knobs["raft.entries_per_snapshot"] = draws.magnitude(2, 200);
    plan.knobs["raft.entries_kept"] = draws.magnitude(1, 200) - 1;
    plan.knobs["raft.snapshot_part_bytes"] = draws.magnitude(64, 1 << 16);
    std::vector<std::string> names;
    for (int number = 1; number <= kNodes; ++number) {
      names.push_back(fmt::format("node-{}", number));
      plan.machines.push_back(draw_machine(names.back(), "node", draws));
      plan.machines.back().numbers["disk"] = 1;
    }
    const std::vector<std::string> nodes = names;
    const std::int64_t makers = draws.between(1, 3);
    for (std::int64_t i = 1; i <= makers; ++i) {
      names.push_back(fmt::format("maker-{}", i));
      plan.machines.push_back(draw_machine(names.back(), "maker", draws));
      PlanOperation& operation = plan.operations.emplace_back();
      operation.id = plan.operations.size();
      operation.machine = names.back();
      operation.verb = "make";
      operation.numbers["pause_ms"] = draws.magnitude(10, 500);
    }
    draw_network_faults(plan, draws.child("network", 0), names);
    draw_network_faults(plan, draws.child("between nodes", 0), nodes);
    draw_deaths(plan, draws.child("deaths", 0), nodes);
    draw_more_deaths(plan, draws.child("more deaths", 0), nodes);
    draw_suspensions(plan, draws.child("suspensions", 0), names);
    draw_clock_steps(plan, draws.child("clock steps", 0), names);
    return plan;
  }

  std::unique_ptr<ScenarioState> build(World& world, const Plan& plan, Nemesis& nemesis) const override {
    auto owned = std::make_unique<GroupState>();
    GroupState* state = owned.get();
    state->world = &world;
    state->healed = VirtualTime::zero() + plan.lasts;
    teach_disk_faults(world, nemesis);
    for (const PlanOperation& operation : plan.operations) {
      state->makers[operation.machine].pause_ms = operation.number("pause_ms");
    }
    int number = 0;
    for (const PlanMachine& planned : plan.machines) {
      Machine& machine = add_planned_machine(world, planned);
      if (planned.role != "node") {
        machine.install([state](ProcessContext& process) { MakerRun(process, *state).run(); });
        continue;
      }
      state->configs.emplace(planned.name, group_config_of(plan, ++number));
      machine.install([state](ProcessContext& process) { run_group_node(process, *state); });
      machine.on_exit([&world, &nemesis, &machine](const Exit& exit) {
        if (exit.how == Death::kFatal) {
          world.fail("NODE-FATAL", fmt::format("{}: {}", machine.name(), exit.reason));
        } else if (exit.how != Death::kExit) {
          nemesis.restart(machine, Duration::milliseconds(500));
        }
      });
    }
    for (const std::unique_ptr<Machine>& machine : world.machines()) {
      machine->start();
    }
    return owned;
  }

  void at_end(World& world, ScenarioState& of) const override {
    const auto& state = static_cast<GroupState&>(of);
    if (state.serving.size() < kNodes) {
      return world.fail("META-LIVE", fmt::format("{} of {} nodes serve after all was healed\n{}", state.serving.size(),
                                                 kNodes, world.describe_waits()));
    }
    for (const auto& [name, maker] : state.makers) {
      if (maker.done_healed < kDoneHealed) {
        return world.fail("META-LIVE", fmt::format("{} got {} of {} done after all was healed\n{}", name,
                                                   maker.done_healed, kDoneHealed, world.describe_waits()));
      }
    }
    const cluster::Image& first = *state.serving.begin()->second->metadata().image();
    for (const auto& [name, node] : state.serving) {
      const cluster::Image& image = *node->metadata().image();
      if (image.applied != first.applied) {
        world.fail("META-LIVE", fmt::format("{} has applied {}, another {}", name, image.applied, first.applied));
      } else if (cluster::encode_snapshot(image) != cluster::encode_snapshot(first)) {
        world.fail("META-AGREE", fmt::format("{} has another image of index {} in the end", name, image.applied));
      }
      judge_topics(world, state, name, image);
    }
  }

 private:
  // While a node's disk stalls, what it has promised and not written stands out; and all at once a majority is gone.
  static void draw_more_deaths(Plan& plan, Draws draws, const std::vector<std::string>& nodes) {
    const std::int64_t spells = draws.below(2) == 0 ? 0 : draws.between(1, 6);
    for (std::int64_t i = 0; i < spells; ++i) {
      PlanFault& fault = add_fault(plan, draws, "disk-slow", nodes[draws.below(nodes.size())]);
      fault.numbers["for_ns"] = draws.magnitude(10'000'000, 10'000'000'000);
      fault.numbers["stall_ppm"] = draws.magnitude(10'000, 1'000'000);
      fault.numbers["stall_ns"] = draws.magnitude(1'000'000, 1'000'000'000);
    }
    const std::int64_t deaths = draws.below(3) == 0 ? 0 : draws.magnitude(1, 40);
    for (std::int64_t i = 0; i < deaths; ++i) {
      add_fault(plan, draws, draws.below(3) == 0 ? "kill" : "power", nodes[draws.below(nodes.size())]);
    }
  }

  static void judge_topics(World& world, const GroupState& state, const std::string& node,
                           const cluster::Image& image) {
    for (const auto& [maker, made] : state.makers) {
      for (const auto& [topic, known] : made.topics) {
        const bool there = image.find_topic(topic) != nullptr;
        if (known.there.has_value() && *known.there != there) {
          world.fail("META-DURABLE", fmt::format("on {} topic {} is {}there, and the last answer said otherwise", node,
                                                 topic, there ? "" : "not "));
        }
      }
    }
  }
};

}  // namespace

const Scenario* three_nodes_scenario() {
  static const ThreeNodes scenario;
  return &scenario;
}

}  // namespace chronik::sim
