// Who leads, and for how long: nobody is elected without need, and somebody is as soon as there is.
#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <memory>

#include "sim/network.h"
#include "sim/scenarios/field/clients.h"
#include "sim/scenarios/field/page.h"
#include "sim/scenarios/field/pages.h"

namespace chronik::sim {

namespace {

// Which term the metadata are in, and the epochs of all partitions, as one node has it.
struct Reign {
  Term term{0};
  std::map<std::pair<TopicId, PartitionId>, LeaderEpoch> epochs;
  friend bool operator==(const Reign&, const Reign&) = default;
};

Reign reign_of(const node::Node& node) {
  Reign reign{.term = node.raft().raft().term(), .epochs = {}};
  node.metadata().image()->topics.for_each([&](const cluster::TopicRef& topic) {
    topic->partitions.for_each([&](const cluster::Partition& partition) {
      reign.epochs[{topic->id, partition.index}] = partition.leader_epoch;
    });
  });
  return reign;
}

Term highest_term(const GroupBench& bench) {
  Term term{0};
  for (const auto& [name, node] : bench.state.serving) {
    term = std::max(term, node->raft().raft().term());
  }
  return term;
}

// From `since` on, until all is healed, nobody new leads anything.
void expect_one_reign(GroupBench& bench, VirtualTime since) {
  const auto first = std::make_shared<std::map<std::string, Reign>>();
  bench.at(since, [&bench, first] {
    for (const auto& [name, node] : bench.state.serving) {
      (*first)[name] = reign_of(*node);
    }
    bench.world.fault_fired("a long reign");
  });
  bench.at(bench.healed + Duration::milliseconds(-1), [&bench, first] {
    for (const auto& [name, node] : bench.state.serving) {
      const Reign now = reign_of(*node);
      if (now != (*first)[name]) {
        return bench.world.fail("STABLE", fmt::format("nobody has gone, and {} was in term {} and is in term {}, or a "
                                                      "partition has another leader epoch",
                                                      name, (*first)[name].term, now.term));
      }
    }
  });
}

// From `since` on, until all is healed, there are at most `most` new terms.
void expect_few_terms(GroupBench& bench, VirtualTime since, std::int64_t most) {
  const auto first = std::make_shared<Term>(0);
  bench.at(since, [&bench, first] { *first = highest_term(bench); });
  bench.at(bench.healed, [&bench, first, most] {
    const Term now = highest_term(bench);
    if (now.value() > first->value() + most) {
      bench.world.fail("STABLE", fmt::format("from term {} to term {}, at most {} more are right", *first, now, most));
    }
  });
}

// One follower is cut off for longer than replicas may lag, and falls out of all its partitions at once.
const GroupScenario kF05{GroupPage{
    .name = "f05-many-followers-fall-out-at-once",
    .story = "twelve partitions lose the same replica at one moment, and get it back",
    .promises = {"REPLICA-LIVE", "NO-STUCK", "IN-SYNC"},
    .must_fire = {"partition"},
    .replicas = 3,
    .partitions = 12,
    .plan =
        [](PagePlan& page) {
          page.plan.knobs["replica.lag_ms"] = page.draws.between(500, 3'000);
          page.plan.knobs["replica.fetch_wait_ms"] = 500;
          const std::string away = page.any_node();
          const VirtualTime at = page.between(Duration::seconds(5), Duration::seconds(10));
          const Duration lasts = page.draws.between(Duration::seconds(4), Duration::seconds(15));
          page.strike("partition", away, at, lasts).other = "*";
        },
}};

// Who leads the metadata is cut off, or gets no turns, while it has much to apply. Every topic gets its leaders.
const GroupScenario kF06{GroupPage{
    .name = "f06-the-leader-goes-in-a-storm",
    .story = "topics are made as fast as can be, and who leads the metadata is cut off",
    .promises = {"META-LIVE", "REPLICA-LIVE", "NO-STUCK"},
    .must_fire = {"partition"},
    .lasts = Duration::seconds(20),
    .plan =
        [](PagePlan& page) {
          page.quick_network();
          page.add_client("maker");
          page.add_client("asker");
        },
    .watch =
        [](GroupBench& bench) {
          install_topic_maker(bench, "maker", {.count = 60, .at_once = 5, .pause_most_ms = 20});
          install_asker(bench, "asker", {});
          bench.when([&bench] { return !bench.controller().empty() && bench.all_serve(); },
                     [&bench] {
                       const Duration after = Duration::nanoseconds(bench.draws.magnitude(1'000'000, 2'000'000'000));
                       bench.world.after(after, [&bench] {
                         Machine& gone = bench.world.machine(bench.controller());
                         bench.world.fault_fired("partition", mix_text(gone.name()));
                         for (const std::unique_ptr<Machine>& other : bench.world.machines()) {
                           if (other.get() != &gone) {
                             bench.world.network().block(gone, *other);
                             bench.world.network().block(*other, gone);
                           }
                         }
                       });
                     });
        },
}};

// Nodes start in any order, up to 10 s apart, and one of them dies while it starts. Soon after the last has begun, all
// serve.
const GroupScenario kF07{GroupPage{
    .name = "f07-cold-start-in-any-order",
    .story = "nodes start in any order, and one dies while it does; soon all serve",
    .promises = {"META-LIVE", "NO-STUCK", "NODE-START"},
    .must_fire = {"late start", "process kill", "power loss"},
    .nodes_least = 2,
    .nodes_most = 5,
    .lasts = Duration::seconds(30),
    .plan =
        [](PagePlan& page) {
          page.quick_network();
          for (PlanMachine& machine : page.plan.machines) {
            if (machine.role == "node") {
              machine.numbers["start_ns"] = page.draws.magnitude(1'000'000, 10'000'000'000);
            }
          }
          const std::size_t dies = page.draws.below(static_cast<std::uint64_t>(page.plan.knob("nodes", 1)));
          const PlanMachine& machine = page.plan.machines[dies];
          const Duration lasts = Duration::nanoseconds(page.draws.magnitude(1'000'000, 3'000'000'000));
          const std::int64_t after = page.draws.magnitude(1'000, 3'000'000'000);
          page.strike(page.draws.below(2) == 0 ? "kill" : "power", machine.name,
                      VirtualTime::from_nanoseconds(machine.numbers.at("start_ns") + after), lasts);
        },
    .watch =
        [](GroupBench& bench) {
          bench.at(VirtualTime::zero() + Duration::seconds(26), [&bench] {  // 10 s after whatever came last
            if (!bench.all_serve()) {
              bench.world.fail("META-LIVE", fmt::format("{} of {} nodes serve\n{}", bench.state.serving.size(),
                                                        bench.state.nodes(), bench.world.describe_waits()));
            }
          });
        },
}};

// Nothing happens for a minute, and so nothing changes.
const GroupScenario kF28{GroupPage{
    .name = "f28-nobody-is-elected-at-rest",
    .story = "a minute without a fault: no election, and no partition changes its leader",
    .promises = {"STABLE"},
    .must_fire = {"a long reign"},
    .nodes_least = 2,
    .nodes_most = 5,
    .lasts = Duration::seconds(80),
    .plan = [](PagePlan& page) { page.quick_network(); },
    .watch = [](GroupBench& bench) { expect_one_reign(bench, VirtualTime::zero() + Duration::seconds(15)); },
}};

// A follower of the metadata is dead for long, and comes back. The others hear each other all the time, so the term
// stays, also when it is back.
const GroupScenario kF30{GroupPage{
    .name = "f30-one-peer-down",
    .story = "who does not lead the metadata dies for long and comes back: no new term",
    .promises = {"STABLE", "REPLICA-LIVE"},
    .must_fire = {"process kill", "power loss", "one of them is down"},
    .nodes_least = 3,
    .nodes_most = 5,
    .lasts = Duration::seconds(45),
    .plan = [](PagePlan& page) { page.quick_network(); },
    .watch =
        [](GroupBench& bench) {
          bench.at(VirtualTime::zero() + Duration::seconds(15), [&bench] {
            const std::string controller = bench.controller();
            if (controller.empty()) {
              return;  // then there is nothing to see in this run
            }
            for (const auto& [name, node] : bench.state.serving) {
              if (name != controller) {
                const Death how = bench.draws.below(2) == 0 ? Death::kPowerLoss : Death::kProcessKill;
                bench.kill(name, how, bench.draws.between(Duration::seconds(8), Duration::seconds(20)));
                bench.world.fault_fired("one of them is down");
                break;
              }
            }
            expect_few_terms(bench, bench.world.now(), 0);
          });
        },
}};

// Whatever is to be durable before a vote or an answer takes its time on all nodes, but less than an election has.
const GroupScenario kF31{GroupPage{
    .name = "f31-votes-on-slow-stores",
    .story = "each commit of the metadata's store takes up to 300 ms; terms do not climb",
    .promises = {"STABLE", "META-LIVE"},
    .must_fire = {"slow store"},
    .plan =
        [](PagePlan& page) {
          page.quick_network();
          page.plan.knobs["store.sync_ms"] = page.draws.between(30, 150);
          page.add_client("maker");
        },
    .watch =
        [](GroupBench& bench) {
          slow_down_stores(bench, Duration::milliseconds(bench.plan.knob("store.sync_ms", 0)));
          install_topic_maker(bench, "maker", {.pause_most_ms = 300});
          expect_few_terms(bench, VirtualTime::zero() + Duration::seconds(15), 2);
        },
}};

// Who leads the metadata dies while a topic is being made, again and again: a session and an election later the next
// one is made.
const GroupScenario kF50{GroupPage{
    .name = "f50-a-topic-made-while-the-leader-goes",
    .story = "who leads the metadata dies while topics are made; each takes an election at most",
    .promises = {"NO-STUCK", "META-DURABLE", "META-LIVE"},
    .must_fire = {"process kill"},
    .nodes_least = 3,
    .nodes_most = 5,
    .plan =
        [](PagePlan& page) {
          page.quick_network();
          page.add_client("maker");
        },
    .watch =
        [](GroupBench& bench) {
          bench.every(Duration::seconds(8), [&bench] {
            const std::string controller = bench.controller();
            if (bench.all_serve() && !controller.empty()) {
              bench.kill(controller, Death::kProcessKill, Duration::milliseconds(bench.draws.magnitude(500, 3'000)));
            }
          });
          install_topic_maker(bench, "maker",
                              {.count = 100, .pause_most_ms = 300, .made_within = Duration::seconds(8)});
        },
}};

}  // namespace

Pages pages_on_elections() { return {&kF05, &kF06, &kF07, &kF28, &kF30, &kF31, &kF50}; }

}  // namespace chronik::sim
