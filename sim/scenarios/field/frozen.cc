// A node that stands still: its disk never returns, or its process gets no turns. The others go on, and whoever asks
// the node itself is not kept waiting for ever.
#include <memory>

#include "sim/device_host.h"
#include "sim/disk_faults.h"
#include "sim/scenarios/field/clients.h"
#include "sim/scenarios/field/page.h"
#include "sim/scenarios/field/pages.h"
#include "sim/store.h"

namespace chronik::sim {

namespace {

constexpr Duration kFrozenFor = Duration::seconds(600);
constexpr std::int64_t kKeptFree = 1 << 20;
constexpr Duration kElection = Duration::seconds(6);  // with a session, and a slow network

SimulatedStore& store_of(Machine& machine) {
  auto* store = dynamic_cast<SimulatedStore*>(machine.store());
  CHECK(store != nullptr);
  return *store;
}

// Nothing that is to become durable on this machine does, until all is healed: the log's syncs and, where the page says
// so, the store's commits.
void teach_freezing(GroupBench& bench) {
  bench.nemesis.teach(
      "freeze",
      [&bench](const PlanFault& fault) {
        Machine& machine = bench.world.machine(fault.target);
        bench.state.disks_may_fail.insert(fault.target);
        disk_of(machine).knobs().sync_hangs = percent(100);
        if (fault.number("store", 0) != 0) {
          store_of(machine).knobs().commit_hangs = percent(100);
        }
      },
      [&bench] {
        for (const std::string& name : bench.state.disks_may_fail) {
          Machine& machine = bench.world.machine(name);
          disk_of(machine).knobs().sync_hangs = store_of(machine).knobs().commit_hangs = {0};
          store_of(machine).release_hung();
        }
      });
}

// For ten minutes nothing becomes durable on one node. It ends itself after a while, and its successor cannot begin.
const GroupScenario kF02{GroupPage{
    .name = "f02-frozen-node",
    .story = "for ten minutes no sync of one node returns; the other two go on",
    .promises = {"NO-STUCK", "REPLICA-LIVE", "META-LIVE", "ACK-DURABLE"},
    .must_fire = {"disk-hang", "the node gave up"},
    .replicas = 3,
    .lasts = kFrozenFor + Duration::seconds(20),
    .calm = Duration::seconds(100),
    .answered_within = Duration::seconds(4) + kElection,
    .plan =
        [](PagePlan& page) {
          page.quick_network();
          page.plan.knobs["replica.lag_ms"] = 8'000;
          const VirtualTime at = page.between(Duration::seconds(3), Duration::seconds(10));
          PlanFault& fault = page.strike("freeze", page.any_node(), at, kFrozenFor);
          fault.numbers["store"] = page.draws.between(0, 1);
          page.produce_from(Duration::seconds(1));
          page.add_client("asker");
        },
    .watch =
        [](GroupBench& bench) {
          teach_freezing(bench);
          install_asker(bench, "asker",
                        {.answered_within = Duration::seconds(10),
                         .but_for = bench.plan.faults.front().target,
                         .pause_most_ms = 4'000});
        },
}};

// The same under forwarding: a client of another node is answered by its deadline, whoever leads.
const GroupScenario kF32{GroupPage{
    .name = "f32-forwarding-to-a-frozen-leader",
    .story = "a leader's disk is frozen, and clients reach it through the others",
    .promises = {"NO-STUCK", "REPLICA-LIVE", "CONFORM"},
    .must_fire = {"disk-hang"},
    .replicas = 3,
    .forwards = true,
    .lasts = Duration::seconds(60),
    .answered_within = Duration::seconds(25),  // a request has 20
    .plan =
        [](PagePlan& page) {
          page.quick_network();
          page.plan.knobs["replica.lag_ms"] = 8'000;
          const VirtualTime at = page.between(Duration::seconds(3), Duration::seconds(20));
          page.strike("freeze", page.any_node(), at, Duration::seconds(30));
        },
    .watch = [](GroupBench& bench) { teach_freezing(bench); },
}};

// What needs no disk is answered, whatever the disks of all nodes do.
const GroupScenario kF53{GroupPage{
    .name = "f53-control-requests-on-a-full-disk",
    .story = "no disk has room, producers wait, and who asks for the metadata does not",
    .promises = {"NO-STUCK", "CONFORM"},
    .must_fire = {"no room on the disk", "disk-stall"},
    .configure =
        [](const Plan&, node::NodeConfig& config) {
          // Small files: the next one, for which there must be room, is needed soon.
          wal::WalOptions& wal = config.logs.wal;
          wal.rotation_bytes = 64 << 10;
          wal.record_bytes_max = wal.batch_bytes_max = wal.rotation_bytes / 4;
          wal.queue_bytes_max = wal.rotation_bytes;
          wal.control_reserve_bytes = wal.rotation_bytes / 8;
          wal.free_disk_reserve_bytes = static_cast<std::uint64_t>(kKeptFree);
        },
    .lasts = Duration::seconds(30),
    .plan =
        [](PagePlan& page) {
          page.quick_network();
          const VirtualTime at = page.between(Duration::seconds(4), Duration::seconds(8));
          for (int number = 1; number <= kGroupNodes; ++number) {
            PlanFault& full = page.strike("disk-full", group_node_name(number), at, Duration::seconds(15));
            full.numbers["free"] = page.draws.between(kKeptFree / 2, kKeptFree + (1 << 17));
            page.slow_disk(group_node_name(number), at, Duration::seconds(15), Duration::seconds(2));
          }
          page.produce_from(Duration::seconds(3));
          page.add_client("asker");
        },
    .watch =
        [](GroupBench& bench) {
          bench.state.space_may_lack = true;
          install_asker(bench, "asker", {.answered_within = Duration::seconds(2), .but_for = {}});
        },
}};

// Who leads the metadata gets no turns for longer than it may lead without being heard. The others answer, and it does
// when it is awake.
const GroupScenario kF60{GroupPage{
    .name = "f60-the-lease-expires",
    .story = "who leads the metadata sleeps for longer than it may, again and again",
    .promises = {"NO-STUCK", "META-LIVE", "CONFORM"},
    .must_fire = {"suspend"},
    .plan =
        [](PagePlan& page) {
          page.quick_network();
          page.add_client("asker");
          page.add_client("maker");
        },
    .watch =
        [](GroupBench& bench) {
          bench.every(Duration::seconds(7), [&bench] {
            const std::string controller = bench.controller();
            if (bench.world.now() < bench.healed + Duration::seconds(-6) && !controller.empty()) {
              bench.world.fault_fired("suspend", mix_text(controller));
              bench.world.machine(controller).suspend();
              bench.world.after(bench.draws.between(Duration::milliseconds(1200), Duration::seconds(5)),
                                [&bench, controller] { bench.world.machine(controller).resume(); });
            }
          });
          install_asker(bench, "asker", {.answered_within = Duration::seconds(8), .but_for = {}});
          install_topic_maker(bench, "maker", {.pause_most_ms = 3'000, .made_within = Duration::seconds(20)});
        },
}};

}  // namespace

Pages pages_on_frozen_nodes() { return {&kF02, &kF32, &kF53, &kF60}; }

}  // namespace chronik::sim
