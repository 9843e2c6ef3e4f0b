#include "sim/scenarios/group.h"

#include <fmt/core.h>

#include <algorithm>

#include "core/client/client.h"
#include "core/fiber/wait.h"
#include "sim/disk_faults.h"
#include "sim/knobs.h"
#include "sim/scenarios/group_watch.h"
#include "sim/scenarios/one_node.h"

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
  config.logs.stray_delay = Duration::seconds(2);
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

}  // namespace

void run_group_node(ProcessContext& process, GroupState& state) {
  const std::string name = process.machine.name();
  if (state.gone.contains(name)) {
    return;  // whoever starts it
  }
  ImageWatch watch(state);
  node::Node node(process.ports, state.configs.at(name));
  node.watch_metadata(watch);
  const Status started = node.start();
  if (!started.ok()) {
    const bool stopped = absl::IsAborted(started) || absl::IsCancelled(started);
    if (absl::IsDataLoss(started) && state.older_copies.contains(name)) {
      state.world->fault_fired(kOlderCopyRefused, mix_text(name));
    } else if (!stopped && state.older_copies.contains(name)) {
      state.world->fail("OLDER-COPY", fmt::format("{} is on an older copy of its disk, and was heard until it "
                                                  "registered: {}",
                                                  name, started.ToString()));
    } else if ((state.space_may_lack && absl::IsResourceExhausted(started)) || state.disks_may_fail.contains(name)) {
      if (!stopped) {
        state.refused.insert_or_assign(name, started);
      }
      state.down[name] = Duration::milliseconds(500);  // whoever watches it starts it again, until there is room
    } else if (!stopped) {
      if (!state.may_be_removed.contains(name) || !absl::IsFailedPrecondition(started)) {
        state.world->fail("NODE-START", fmt::format("{}: {}", name, started.ToString()));
      }
    }
    if (!stopped) {
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
  watch_node(world, machine, state);
  machine.install([&state](ProcessContext& process) { run_group_node(process, state); });
  machine.on_exit([&world, &nemesis, &machine, &state](const Exit& exit) {
    const auto down = state.down.extract(machine.name());
    const auto away = state.away.extract(machine.name());
    const bool removed = exit.status == ExitStatus::kRemoved || (exit.how == Death::kExit && state.takes_orders);
    if (state.gone.contains(machine.name())) {
      return;
    }
    if (exit.how == Death::kFatal && state.older_copies.contains(machine.name()) &&
        exit.status == ExitStatus::kDataDirectory) {
      world.fault_fired(kOlderCopyRefused, mix_text(machine.name()));
      nemesis.restart(machine, Duration::seconds(1));  // and refuses to start
    } else if (removed && state.may_be_removed.contains(machine.name())) {
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

}  // namespace chronik::sim
