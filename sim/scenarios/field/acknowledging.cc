// Acknowledged with acks=all, and nobody but the leader has it; or nobody is acknowledged anything for a long while.
#include <fmt/core.h>

#include <algorithm>
#include <memory>

#include "sim/scenarios/field/page.h"
#include "sim/scenarios/field/pages.h"

namespace chronik::sim {

namespace {

constexpr std::int64_t kMetadataPort = 9093;

// How many nodes have that offset on stable storage, and whether a leader says that it is committed.
struct Held {
  std::size_t durable = 0;
  bool committed = false;
};

Held who_has(const GroupBench& bench, std::size_t partition, Offset offset) {
  Held held;
  for (const auto& [name, node] : bench.state.serving) {
    const broker::HostedTopic* topic = node->table().find(kLedgerTopic);
    if (topic == nullptr || partition >= topic->partitions.size() || !topic->partitions[partition]) {
      continue;
    }
    const replication::Partition& replica = *topic->partitions[partition];
    held.durable += replica.log().durable_end() > offset ? 1U : 0U;
    held.committed |= replica.leading() && replica.high_watermark() > offset;
  }
  return held;
}

// The metadata come up to half a second later to a node than the records do, and whoever leads loses its power just
// after it has acknowledged something: somebody else has it.
const GroupScenario kF01{GroupPage{
    .name = "f01-acks-all-with-empty-followers",
    .story = "metadata reach one node late; who has just acknowledged loses its power",
    .promises = {"ACK-DURABLE", "IN-SYNC", "REPLICA-MATCH"},
    .must_fire = {"slow channel", "power loss"},
    .replicas = 3,
    .plan =
        [](PagePlan& page) {
          page.quick_network();
          PlanFault& late = page.strike("slow-channel", page.any_node(), VirtualTime::zero(), page.plan.lasts);
          late.other = "*";
          late.numbers["port"] = kMetadataPort;
          late.numbers["delay_ns"] = page.draws.between(100'000'000, 450'000'000);  // a connection has 1 s to be made
        },
    .watch =
        [](GroupBench& bench) {
          bench.state.on_acknowledged = [&bench, next = VirtualTime::zero()](std::size_t partition, Offset,
                                                                             std::int16_t acks) mutable {
            const std::string leader = bench.leader_of(partition);
            if (acks == -1 && !leader.empty() && bench.world.now() >= next) {
              bench.kill(leader, Death::kPowerLoss, bench.draws.between(Duration::seconds(1), Duration::seconds(4)));
              next = bench.world.now() + bench.draws.between(Duration::seconds(3), Duration::seconds(8));
            }
          };
        },
}};

// The first request that a cluster ever gets makes its topic, and the next one is a produce with acks=all.
const GroupScenario kF08{GroupPage{
    .name = "f08-acks-all-as-the-first-request",
    .story = "a topic is made by asking for it, and acks=all follows at once",
    .promises = {"NO-STUCK", "REPLICA-LIVE"},
    .nodes_least = 1,
    .nodes_most = 5,
    .lasts = Duration::seconds(15),
    .answered_within = Duration::seconds(3),
    .plan =
        [](PagePlan& page) {
          page.quick_network();
          page.produce_at_once();
          for (PlanOperation& operation : page.plan.operations) {
            operation.numbers["acks"] = -1;
          }
        },
}};

// One follower is slow, and stays in sync; consumers wait at the end of what is committed. What a leader says is
// committed is there to be read, and is what the slow one has, too.
const GroupScenario kF12{GroupPage{
    .name = "f12-consumers-at-the-tail-of-a-slow-follower",
    .story = "one follower is slow and in sync, and consumers wait at the high watermark",
    .promises = {"HW-MONO", "OFFSET-CONTIG", "ACK-DURABLE", "REPLICA-LIVE"},
    .must_fire = {"disk-stall", "slow link"},
    .replicas = 3,
    .lasts = Duration::seconds(30),
    .consumers = 2,
    .plan =
        [](PagePlan& page) {
          page.plan.knobs["replica.lag_ms"] = 30'000;
          const std::string slow = page.any_node();
          const Duration most = Duration::milliseconds(page.draws.magnitude(20, 800));
          page.slow_disk(slow, page.between(Duration::seconds(3), Duration::seconds(6)), Duration::seconds(20), most);
          PlanFault& far = page.strike("slow", slow, page.between(Duration::seconds(3), Duration::seconds(6)),
                                       Duration::seconds(20));
          far.other = "*";
          far.numbers["delay_ns"] = page.draws.magnitude(5'000'000, 150'000'000);
        },
}};

// Nodes start up to 10 s apart. As soon as all of them serve, it takes 2 s at most until something is acknowledged.
const GroupScenario kF29{GroupPage{
    .name = "f29-acknowledged-soon-after-the-last-start",
    .story = "nodes start up to 10 s apart; 2 s after all serve something is acknowledged",
    .promises = {"REPLICA-LIVE", "META-LIVE"},
    .must_fire = {"late start"},
    .replicas = 3,
    .lasts = Duration::seconds(25),
    .plan =
        [](PagePlan& page) {
          page.quick_network();
          page.produce_at_once();
          for (PlanMachine& machine : page.plan.machines) {
            if (machine.role == "node") {
              machine.numbers["start_ns"] = page.draws.between(0, 10'000'000'000);
            }
          }
        },
    .watch =
        [](GroupBench& bench) {
          bench.when([&bench] { return bench.all_serve(); },
                     [&bench] {
                       bench.world.after(Duration::seconds(2), [&bench] {
                         // Whoever is done has had errors as long as not all served, and sends nothing again.
                         if (bench.state.ledger.acknowledged() == 0 && !bench.state.all_done()) {
                           bench.world.fail("REPLICA-LIVE", "2 s after all nodes serve nothing is acknowledged\n" +
                                                                bench.world.describe_waits());
                         }
                       });
                     });
        },
}};

// When a producer hears that its records are there, each step has been made: they are on the stable storage of as many
// replicas as was promised, and committed; so whoever asks can read them.
const GroupScenario kF64{GroupPage{
    .name = "f64-every-step-before-the-answer",
    .story = "at each acknowledgement: durable on as many as promised, and committed",
    .promises = {"ACK-DURABLE"},
    .must_fire = {"disk-stall"},
    .nodes_least = 1,
    .lasts = Duration::seconds(25),
    .plan =
        [](PagePlan& page) {
          page.quick_network();
          const Duration most = Duration::milliseconds(page.draws.magnitude(5, 300));
          const VirtualTime at = page.between(Duration::seconds(1), Duration::seconds(5));
          page.slow_disk(page.any_node(), at, Duration::seconds(20), most);
        },
    .watch =
        [](GroupBench& bench) {
          const auto promised = static_cast<std::size_t>(bench.plan.knob("replicas.min", 1));
          bench.state.on_acknowledged = [&bench, promised](std::size_t partition, Offset offset, std::int16_t acks) {
            const Held held = who_has(bench, partition, offset);
            if (held.durable < (acks == -1 ? promised : 1) || (acks == -1 && !held.committed)) {
              bench.world.fail("ACK-DURABLE",
                               fmt::format("partition {}, offset {} is acknowledged with acks={}, durable on {} nodes "
                                           "and {}committed",
                                           partition, offset, acks, held.durable, held.committed ? "" : "not "));
            }
          };
        },
}};

}  // namespace

Pages pages_on_acknowledging() { return {&kF01, &kF08, &kF12, &kF29, &kF64}; }

}  // namespace chronik::sim
