#include "sim/scenarios/group.h"

#include <fmt/core.h>

#include <algorithm>

#include "core/base/crc32c.h"
#include "core/client/client.h"
#include "core/cluster/invariants.h"
#include "core/cluster/snapshot.h"
#include "core/fiber/wait.h"
#include "sim/disk_faults.h"
#include "sim/fault_draws.h"
#include "sim/in_sync_checker.h"
#include "sim/knobs.h"
#include "sim/scenarios/one_node.h"
#include "sim/watermark_checker.h"

namespace chronik::sim {

namespace {

constexpr std::uint16_t kRaftPort = 9093;

node::NodeConfig group_config_of(const Plan& plan, int number, int nodes) {
  node::NodeConfig config;
  config.node = NodeId(number);
  config.bind = Address::ipv4(0, 0, 0, 0, kNodePort);
  config.advertised_host = group_node_name(number);
  config.raft_bind = Address::ipv4(0, 0, 0, 0, kRaftPort);
  config.raft_host = group_node_name(number);
  config.raft_port = kRaftPort;
  for (int peer = 1; peer <= nodes; ++peer) {
    if (peer != number) {
      config.peers.push_back({.node = NodeId(peer), .host = group_node_name(peer), .port = kRaftPort});
    }
  }
  config.raft.entries_per_snapshot = static_cast<std::uint64_t>(plan.knob("raft.entries_per_snapshot", 1000));
  config.raft.entries_kept = static_cast<std::uint64_t>(plan.knob("raft.entries_kept", 500));
  config.raft.steps_per_check = 1;
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

// Holds what this node publishes against its invariants, and against the others' images of the same index. Not each
// as a whole: they are long, and what is wrong once goes on to be.
class ImageWatch final : public cluster::MetadataListener {
 public:
  explicit ImageWatch(GroupState& state) : state_(state) {}
  void on_metadata(const cluster::Delta& delta) override {
    note_partitions(delta);
    if (delta.before) {
      expect_whole(cluster::broken_invariants(*delta.before, *delta.after), *delta.after);
    }
    if (delta.after->applied.value() % 8 != 0) {
      return;
    }
    expect_whole(cluster::broken_invariants(*delta.after), *delta.after);
    const std::string bytes = cluster::encode_snapshot(*delta.after);
    const std::uint32_t checksum = crc32c(as_bytes(bytes));
    const auto [known, first] = state_.images.emplace(delta.after->applied, checksum);
    if (!first && known->second != checksum) {
      state_.world->fail("META-AGREE", fmt::format("two images of index {} differ", delta.after->applied));
    }
  }

 private:
  void expect_whole(const std::vector<std::string>& broken, const cluster::Image& image) {
    for (const std::string& sentence : broken) {
      state_.world->fail("META-WHOLE", fmt::format("the image of index {}: {}", image.applied, sentence));
    }
  }

  void note_partitions(const cluster::Delta& delta) {
    const auto note = [this](const cluster::Topic& topic, const cluster::Partition& partition) {
      if (partition.unclean_epoch != LeaderEpoch::none()) {
        LeaderEpoch& known = state_.unclean.try_emplace({topic.id, partition.index}, LeaderEpoch::none()).first->second;
        known = std::max(known, partition.unclean_epoch);
      }
      if (state_.on_partition) {
        state_.on_partition({topic.id, partition.index}, partition);
      }
    };
    for (const cluster::TopicRef& topic : delta.created) {
      topic->partitions.for_each([&](const cluster::Partition& partition) { note(*topic, partition); });
    }
    for (const cluster::PartitionChange& change : delta.partitions) {
      note(*change.topic, *change.after);
    }
  }

  GroupState& state_;
};

void take_orders(node::Node& node, const std::string& name, GroupState& state) {
  while (fiber::sleep(Duration::milliseconds(200)).ok()) {
    std::deque<GroupState::Order>& orders = state.orders[name];
    while (!orders.empty()) {
      const GroupState::Order order = std::move(orders.front());
      orders.pop_front();
      order(node);
    }
  }
}

VirtualTime time_of(const PlanOperation& stop) {
  return VirtualTime::zero() + Duration::nanoseconds(stop.number("at_ns"));
}

// Until the next orderly stop of the plan, or for ever.
void serve_group_node(node::Node& node, GroupState& state, const std::string& name) {
  std::vector<PlanOperation>& stops = state.stops[name];
  while (!stops.empty() && time_of(stops.front()) < state.world->now()) {
    stops.erase(stops.begin());  // it was down then
  }
  if (stops.empty()) {
    fiber::Event killed;
    static_cast<void>(killed.wait({WaitKind::kEvent, 4, 0, 0}, fiber::for_ever()));
    return;
  }
  if (fiber::sleep(time_of(stops.front()) - state.world->now()).ok()) {
    state.world->fault_fired("orderly stop", mix_text(name));
    state.down[name] = Duration::nanoseconds(stops.front().number("for_ns"));
    static_cast<void>(node.stop());
  }
}

std::vector<std::string> node_names(const Plan& plan) {
  std::vector<std::string> nodes;
  for (const PlanMachine& machine : plan.machines) {
    if (machine.role == "node") {
      nodes.push_back(machine.name);
    }
  }
  return nodes;
}

void add_stop(Plan& plan, const std::string& node, Duration at, Duration lasts) {
  PlanOperation& stop = plan.operations.emplace_back();
  stop.id = plan.operations.size();
  stop.machine = node;
  stop.verb = "stop";
  stop.numbers["at_ns"] = at.nanoseconds();
  stop.numbers["for_ns"] = lasts.nanoseconds();
}

// While a node's disk stalls, what it has promised and not written stands out; and all at once a majority is gone.
void draw_more_deaths(Plan& plan, Draws draws, const std::vector<std::string>& nodes) {
  const std::int64_t spells = draws.below(2) == 0 ? 0 : draws.between(1, 6);
  for (std::int64_t i = 0; i < spells; ++i) {
    PlanFault& fault = add_fault(plan, draws, "disk-slow", nodes[draws.below(nodes.size())]);
    fault.numbers["for_ns"] = draws.magnitude(10'000'000, 10'000'000'000);
    fault.numbers["stall_ppm"] = draws.magnitude(10'000, 1'000'000);
    fault.numbers["stall_ns"] = draws.magnitude(1'000'000, 1'000'000'000);
  }
  const std::int64_t deaths = draws.below(3) == 0 ? 0 : draws.magnitude(1, 40);
  for (std::int64_t i = 0; i < deaths; ++i) {
    const std::string& struck = nodes[draws.below(nodes.size())];
    const char* how = draws.below(3) == 0 ? "kill" : "power";
    add_fault(plan, draws, how, struck);
  }
}

}  // namespace

std::string group_node_name(int number) { return fmt::format("node-{}", number); }

// ---- a plan ----

Plan draw_group_plan(const Scenario& scenario, std::uint64_t seed, int nodes, Draws& draws) {
  Plan plan = draw_plan(scenario, seed, draws);
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
  plan.knobs["nodes"] = nodes;
  for (int number = 1; number <= nodes; ++number) {
    plan.machines.push_back(draw_machine(group_node_name(number), "node", draws));
    plan.machines.back().numbers["disk"] = 1;
    plan.machines.back().numbers["number"] = number;
  }
  return plan;
}

int draw_group_size(Draws& draws, int least, int most) {
  return draws.below(2) == 0 ? std::clamp(kGroupNodes, least, most) : static_cast<int>(draws.between(least, most));
}

void draw_slow_starts(Plan& plan, Draws draws) {
  for (PlanMachine& machine : plan.machines) {
    if (machine.role == "node") {
      machine.numbers["start_ns"] = draws.below(2) == 0 ? 0 : draws.magnitude(1'000'000, 10'000'000'000);
    }
  }
}

void draw_stops(Plan& plan, Draws draws) {
  const std::vector<std::string> nodes = node_names(plan);
  if (draws.below(3) == 0) {
    for (std::int64_t i = draws.between(1, 6); i > 0; --i) {
      const Duration at = draws.between(Duration::zero(), plan.lasts);
      const Duration lasts = Duration::nanoseconds(draws.magnitude(1'000'000, 3'000'000'000));
      add_stop(plan, nodes[draws.below(nodes.size())], at, lasts);
    }
  } else {
    const Duration down = Duration::nanoseconds(draws.magnitude(1'000'000, 3'000'000'000));
    const Duration between = down + Duration::nanoseconds(draws.magnitude(10'000'000, 5'000'000'000));
    std::size_t next = 0;
    for (Duration at = draws.between(Duration::seconds(1), Duration::seconds(10)); at < plan.lasts; at = at + between) {
      add_stop(plan, nodes[next++ % nodes.size()], at, down);
    }
  }
}

void draw_group_faults(Plan& plan, Draws& draws, const std::vector<std::string>& names) {
  const std::vector<std::string> nodes = node_names(plan);
  draw_network_faults(plan, draws.child("network", 0), names);
  draw_network_faults(plan, draws.child("between nodes", 0), nodes);
  draw_deaths(plan, draws.child("deaths", 0), nodes);
  draw_more_deaths(plan, draws.child("more deaths", 0), nodes);
  draw_suspensions(plan, draws.child("suspensions", 0), names);
  draw_clock_steps(plan, draws.child("clock steps", 0), names);
  draw_point_faults(plan, draws.child("points", 0), nodes);
}

std::vector<std::string> group_fault_names() {
  std::vector<std::string> names = network_fault_names();
  for (const std::string& name : death_fault_names()) {
    names.push_back(name);
  }
  names.insert(names.end(),
               {"suspend", "clock step", "disk-stall", "kill at point", "delay at point", "yield at point"});
  return names;
}

std::vector<std::string> with_group_promises(std::vector<std::string> also) {
  also.insert(also.end(),
              {"META-WHOLE", "META-AGREE", "META-LIVE", "NODE-START", "NODE-FATAL", "CONFORM", "NO-STUCK", "NO-SPIN"});
  return also;
}

// ---- a world ----

void run_group_node(ProcessContext& process, GroupState& state) {
  const std::string name = process.machine.name();
  ImageWatch watch(state);
  node::Node node(process.ports, state.configs.at(name));
  node.watch_metadata(watch);
  const Status started = node.start();
  if (!started.ok()) {
    if ((state.space_may_lack && absl::IsResourceExhausted(started)) || state.disks_may_fail.contains(name)) {
      state.down[name] = Duration::milliseconds(500);  // whoever watches it starts it again, until there is room
    } else if (!absl::IsAborted(started) && !absl::IsCancelled(started)) {
      if (!state.may_be_removed.contains(name) || !absl::IsFailedPrecondition(started)) {
        state.world->fail("NODE-START", fmt::format("{}: {}", name, started.ToString()));
      }
      static_cast<void>(node.stop());
    }
    return;
  }
  struct Serving {
    GroupState& state;
    const std::string& name;
    ~Serving() {
      state.serving.erase(name);
      state.orders.erase(name);
    }
  } const serving{state, name};
  state.serving[name] = &node;
  if (state.takes_orders) {
    return take_orders(node, name, state);
  }
  serve_group_node(node, state, name);
}

void begin_group(World& world, const Plan& plan, Nemesis& nemesis, GroupState& state) {
  state.world = &world;
  state.healed = VirtualTime::zero() + plan.lasts;
  teach_disk_faults(world, nemesis);
}

Machine& add_group_node(World& world, const PlanMachine& planned, const Plan& plan, Nemesis& nemesis,
                        GroupState& state) {
  Machine& machine = add_planned_machine(world, planned);
  const auto number = static_cast<int>(planned.numbers.at("number"));
  state.configs.emplace(planned.name, group_config_of(plan, number, static_cast<int>(plan.knob("nodes", 3))));
  for (const PlanOperation& operation : plan.operations) {
    if (operation.verb == "stop" && operation.machine == planned.name) {
      state.stops[planned.name].push_back(operation);
    }
  }
  std::sort(state.stops[planned.name].begin(), state.stops[planned.name].end(),
            [](const PlanOperation& a, const PlanOperation& b) { return time_of(a) < time_of(b); });
  machine.install([&state](ProcessContext& process) { run_group_node(process, state); });
  machine.on_exit([&world, &nemesis, &machine, &state](const Exit& exit) {
    const auto down = state.down.extract(machine.name());
    const auto away = state.away.extract(machine.name());
    const bool removed = exit.status == ExitStatus::kRemoved || (exit.how == Death::kExit && state.takes_orders);
    if (removed && state.may_be_removed.contains(machine.name())) {
      nemesis.restart(machine, Duration::seconds(3));
    } else if (exit.how == Death::kFatal && state.disks_may_fail.contains(machine.name()) &&
               (exit.status == ExitStatus::kDiskFailed || exit.status == ExitStatus::kStoreFailed)) {
      world.fault_fired("the node gave up", mix_text(machine.name()));
      nemesis.restart(machine, Duration::milliseconds(500));
    } else if (exit.how == Death::kFatal) {
      world.fail("NODE-FATAL", fmt::format("{}: {}", machine.name(), exit.reason));
    } else if (!away.empty()) {
      nemesis.restart(machine, away.mapped());
    } else if (exit.how != Death::kExit) {
      if (!nemesis.restarts(machine)) {
        Draws draws = machine.draws("restart").child("death", machine.incarnation());
        nemesis.restart(machine, Duration::milliseconds(draws.magnitude(20, 4'000)));
      }
    } else if (!down.empty()) {
      nemesis.restart(machine, down.mapped());
    }
  });
  return machine;
}

void start_all_machines(World& world, const Plan& plan) {
  for (const PlanMachine& planned : plan.machines) {
    Machine& machine = world.machine(planned.name);
    const auto late = planned.numbers.find("start_ns");
    if (late == planned.numbers.end() || late->second == 0) {
      machine.start();
    } else {
      world.after(Duration::nanoseconds(late->second), [&world, &machine] {
        world.fault_fired("late start", mix_text(machine.name()));
        machine.start();
      });
    }
  }
}

void watch_watermarks(World& world, const GroupState& state) {
  const auto replica = [&state](const Machine& machine, const PartitionRef& p) -> WatermarkChecker::Replica {
    const auto serving = state.serving.find(machine.name());
    const broker::HostedTopic* topic =
        serving == state.serving.end() ? nullptr : serving->second->table().find(p.topic);
    const auto at = static_cast<std::size_t>(p.partition.value());
    if (topic == nullptr || at >= topic->partitions.size() || !topic->partitions[at]) {
      return {};
    }
    return {.log = &topic->partitions[at]->log(), .high_watermark = topic->partitions[at]->high_watermark()};
  };
  const auto unclean_epoch = [&state](const PartitionRef& p) {
    const auto known = state.unclean.find(p);
    return known == state.unclean.end() ? LeaderEpoch::none() : known->second;
  };
  world.checkers().add(std::make_unique<WatermarkChecker>(world, WatermarkChecker::Views{replica, unclean_epoch}));
}

void watch_in_sync(World& world, GroupState& state, std::size_t min_in_sync) {
  const auto node = [&state](const Machine& machine) {
    const auto configured = state.configs.find(machine.name());
    return configured == state.configs.end() ? NodeId::none() : configured->second.node;
  };
  const auto partition = [&state](const Machine& machine, const PartitionRef& p) -> const cluster::Partition* {
    const auto serving = state.serving.find(machine.name());
    return serving == state.serving.end() ? nullptr
                                          : serving->second->metadata().image()->find_partition(p.topic, p.partition);
  };
  InSyncChecker& checker = world.checkers().add(std::make_unique<InSyncChecker>(
      world, InSyncChecker::Views{.node = node, .partition = partition, .min_in_sync = min_in_sync}));
  state.on_partition = [&checker](const PartitionRef& p, const cluster::Partition& as) { checker.on_partition(p, as); };
}

StatusOr<std::unique_ptr<client::Client>> connect_to_group_node(ProcessContext& process, NodeId node) {
  ASSIGN_OR_RETURN(const std::vector<Address> found,
                   process.ports.network.resolve(group_node_name(node.value()), kNodePort, node_patience()));
  return client::Client::connect(process.ports.network, found.front(), {},
                                 fiber::within(Duration::seconds(5), Expiry::kPeer));
}

StatusOr<std::unique_ptr<client::Client>> connect_to_any(ProcessContext& process, const GroupState& state) {
  auto chosen = state.configs.begin();
  do {
    chosen = std::next(state.configs.begin(), static_cast<std::ptrdiff_t>(process.ports.random.next() % state.nodes()));
  } while (state.shunned.contains(chosen->first));
  return connect_to_group_node(process, chosen->second.node);
}

bool judge_images(World& world, const GroupState& state, std::size_t nodes) {
  if (state.serving.size() != nodes) {
    world.fail("META-LIVE", fmt::format("{} of {} nodes serve after all was healed\n{}", state.serving.size(), nodes,
                                        world.describe_waits()));
    return false;
  }
  const cluster::Image& first = *state.serving.begin()->second->metadata().image();
  for (const auto& [name, node] : state.serving) {
    const cluster::Image& image = *node->metadata().image();
    if (image.applied != first.applied) {
      world.fail("META-LIVE", fmt::format("{} has applied {}, another {}", name, image.applied, first.applied));
      return false;
    }
    if (cluster::encode_snapshot(image) != cluster::encode_snapshot(first)) {
      world.fail("META-AGREE", fmt::format("{} has another image of index {} in the end", name, image.applied));
      return false;
    }
  }
  return true;
}

}  // namespace chronik::sim
