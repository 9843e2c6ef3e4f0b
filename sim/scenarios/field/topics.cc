// What things cost: proposals, connections, snapshots, turns at rest; counted (COST). And what a node says of itself.
#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>

#include "core/fiber/wait.h"
#include "core/protocol/messages/create_topics.h"
#include "sim/network.h"
#include "sim/scenarios/field/clients.h"
#include "sim/scenarios/field/page.h"
#include "sim/scenarios/field/pages.h"

namespace chronik::sim {

namespace {

using protocol::ErrorCode;

// Entries that were committed, by whoever knows of most.
LogIndex committed(const GroupBench& bench) {
  LogIndex most{0};
  for (const auto& [name, node] : bench.state.serving) {
    most = std::max(most, node->raft().raft().commit());
  }
  return most;
}

std::uint64_t entries_since(const GroupBench& bench, LogIndex then) {
  return static_cast<std::uint64_t>(committed(bench).value() - then.value());
}

// ---- f47 ----

constexpr std::int64_t kTopicsAtOnce = 10;
constexpr Duration kMadeWithin = Duration::milliseconds(600);  // far above a commit, far below any timeout

bool create_named(client::Client& client, std::int64_t first, std::int64_t count) {
  protocol::CreateTopicsRequest request;
  request.timeout_ms = 10'000;
  for (std::int64_t i = first; i < first + count; ++i) {
    request.topics.push_back({.name = fmt::format("topic-{}", i),
                              .num_partitions = 3,
                              .replication_factor = -1,
                              .assignments = {},
                              .configs = {}});
  }
  const auto got = client.call<protocol::CreateTopicsResponse>(request, /*version=*/5, node_patience());
  return got.ok() && std::all_of(got->topics.begin(), got->topics.end(),
                                 [](const auto& topic) { return topic.error_code == ErrorCode::kNone; });
}

// Nothing else is proposed meanwhile: ten topics in one request are one entry, and one by one one each. Each is woken
// by its own commit, and not by what comes after it.
void make_topics_alone(ProcessContext& process, GroupBench& bench) {
  static_cast<void>(fiber::sleep(Duration::seconds(12)));  // until all serve, and all are in sync
  const StatusOr<std::unique_ptr<client::Client>> client = connect_to_any(process, bench.state);
  if (!client.ok()) {
    return bench.world.fail("META-LIVE", "nobody can be connected to");
  }
  std::int64_t made = 0;
  for (const std::int64_t count : {kTopicsAtOnce, std::int64_t{1}, std::int64_t{1}, std::int64_t{1}}) {
    const LogIndex before = committed(bench);
    {
      const Due due(bench.world, fmt::format("{} topics are made", count), kMadeWithin);
      if (!create_named(**client, made, count)) {
        return bench.world.fail("META-LIVE", "a topic is not made though nothing is wrong");
      }
    }
    bench.expect_at_most(1, entries_since(bench, before), fmt::format("entries for {} topics in one request", count));
    bench.world.fault_fired("topics made at rest");
    made += count;
    sleep_between(process, 2'000, 3'000);
  }
}

const GroupScenario kF47{GroupPage{
    .name = "f47-woken-by-its-own-commit",
    .story = "topics made while nothing else is: one entry a request, and no wait but for it",
    .promises = {"COST", "NO-STUCK"},
    .must_fire = {"topics made at rest"},
    .nodes_least = 1,
    .nodes_most = 5,
    .lasts = Duration::seconds(40),
    .plan =
        [](PagePlan& page) {
          page.quick_network();
          page.add_client("maker");
        },
    .watch =
        [](GroupBench& bench) {
          bench.install("maker", [&bench](ProcessContext& process) { make_topics_alone(process, bench); });
        },
}};

// ---- f49 ----

const GroupScenario kF49{GroupPage{
    .name = "f49-records-cost-no-proposals",
    .story = "records come and go all the time, and nothing is proposed to the metadata",
    .promises = {"COST"},
    .must_fire = {"records without proposals"},
    .nodes_least = 1,
    .nodes_most = 5,
    .plan =
        [](PagePlan& page) {
          page.quick_network();
          page.plan.knobs["replica.lag_ms"] = 30'000;  // with far less a slow sync is a stuck disk, which is proposed
        },
    .watch =
        [](GroupBench& bench) {
          bench.at(VirtualTime::zero() + Duration::seconds(15), [&bench] {
            bench.at(bench.healed, [&bench, then = committed(bench), acknowledged = bench.state.ledger.acknowledged()] {
              bench.expect_at_most(0, entries_since(bench, then), "entries in 25 s in which only records came");
              if (bench.state.ledger.acknowledged() > acknowledged) {
                bench.world.fault_fired("records without proposals");
              }
            });
          });
        },
}};

// ---- kF32, the other half ----

std::uint64_t connects_among_nodes(const GroupBench& bench) {
  std::uint64_t connects = 0;
  for (const auto& [from, config] : bench.state.configs) {
    for (const auto& [to, other] : bench.state.configs) {
      connects += from == to ? 0 : bench.world.network().connects(bench.world.machine(from), bench.world.machine(to));
    }
  }
  return connects;
}

std::uint64_t pairs_of(const GroupBench& bench) { return bench.state.nodes() * (bench.state.nodes() - 1); }

// What may be connected for the first time: each node has a link to each other for each client that it has at once.
std::uint64_t links_of(const GroupBench& bench) {
  return (bench.plan.machines.size() - bench.state.nodes()) * pairs_of(bench);
}

std::uint64_t count_of(const GroupBench& bench, const std::string& metric) {
  std::uint64_t count = 0;
  for (const auto& [name, node] : bench.state.serving) {
    for (const MetricsRegistry::Entry& entry : node->metrics().entries()) {
      count += entry.name == metric && entry.counter != nullptr ? entry.counter->value() : 0;
    }
  }
  return count;
}

const GroupScenario kF32Kept{GroupPage{
    .name = "f32-forwarding-keeps-its-connections",
    .story = "requests are forwarded all the time, and no node connects to another any more",
    .promises = {"COST"},
    .must_fire = {"forwarded over what is there"},
    .replicas = 3,
    .forwards = true,
    .plan =
        [](PagePlan& page) {
          page.quick_network();
          page.plan.knobs["network.give_up_ns"] = Duration::seconds(600).nanoseconds();
        },
    .watch =
        [](GroupBench& bench) {
          bench.at(VirtualTime::zero() + Duration::seconds(20), [&bench] {
            bench.at(bench.healed, [&bench, connects = connects_among_nodes(bench),
                                    forwarded = count_of(bench, "produce_forward_count")] {
              bench.expect_at_most(links_of(bench), connects_among_nodes(bench) - connects,
                                   "connections among nodes that were begun in 20 s in which nothing was wrong");
              if (count_of(bench, "produce_forward_count") > forwarded + 5 * pairs_of(bench)) {
                bench.world.fault_fired("forwarded over what is there");
              }
            });
          });
        },
}};

// ---- f59 ----

// A topic that is missing is made by whoever is asked for it.
void ask_for_missing_topics(ProcessContext& process, GroupBench& bench, TopicsMade& made) {
  for (std::int64_t i = 0; i < made.count; ++i) {
    const auto asked = std::next(bench.state.configs.begin(),
                                 static_cast<std::ptrdiff_t>(static_cast<std::size_t>(i) % bench.state.nodes()));
    const std::string name = fmt::format("auto-{}", i);
    for (bool there = false; !there;) {
      const auto client = connect_to_group_node(process, asked->second.node);
      const auto told =
          client.ok() ? (*client)->metadata(name, node_patience()) : StatusOr<protocol::MetadataTopic>(client.status());
      there = told.ok() && told->error_code == ErrorCode::kNone && !told->partitions.empty();
      sleep_between(process, 10, 200);
    }
    made.there.insert(name);
  }
  made.done = true;
}

const GroupScenario kF59{GroupPage{
    .name = "f59-topics-made-by-asking-any-node",
    .story = "a missing topic is asked for at each node in turn: all its replicas are in sync",
    .promises = {"REPLICA-LIVE", "META-DURABLE"},
    .nodes_least = 2,
    .nodes_most = 5,
    .lasts = Duration::seconds(20),
    .plan = [](PagePlan& page) { page.add_client("asker"); },
    .watch =
        [](GroupBench& bench) {
          const auto made = std::make_shared<TopicsMade>();
          bench.install("asker",
                        [&bench, made](ProcessContext& process) { ask_for_missing_topics(process, bench, *made); });
          bench.in_the_end([&bench, made] { expect_topics(bench, *made); });
        },
}};

// ---- f72 ----

// Counted anew, from what stands in its image. In a fiber of that node.
void expect_status(const GroupBench& bench, const std::string& name, const node::Node& node) {
  const node::NodeStatus status = node.status();
  std::size_t partitions = 0;
  std::size_t led = 0;
  std::size_t lagging = 0;
  const NodeId self = bench.state.configs.at(name).node;
  node.metadata().image()->topics.for_each([&](const cluster::TopicRef& topic) {
    topic->partitions.for_each([&](const cluster::Partition& partition) {
      ++partitions;
      led += partition.leader == self ? 1U : 0U;
      lagging += partition.isr.size() < partition.replicas.size() ? 1U : 0U;
    });
  });
  if (status.partitions.all != partitions || status.partitions.led != led ||
      status.partitions.under_replicated != lagging || status.state != "serving") {
    bench.world.fail("STATUS", fmt::format("{} says: {}, {} partitions, {} led, {} under-replicated; its image has {}, "
                                           "{} and {}",
                                           name, status.state, status.partitions.all, status.partitions.led,
                                           status.partitions.under_replicated, partitions, led, lagging));
  }
}

const GroupScenario kF72{GroupPage{
    .name = "f72-the-status-is-the-image",
    .story = "what nodes say of themselves is looked at all the time, while some die",
    .promises = {"STATUS", "META-AGREE"},
    .must_fire = {"power loss"},
    .nodes_least = 2,
    .nodes_most = 5,
    .lasts = Duration::seconds(20),
    .plan =
        [](PagePlan& page) {
          page.add_client("maker");
          for (std::int64_t i = page.draws.between(1, 3); i > 0; --i) {
            page.strike_any("power", {Duration::seconds(2), Duration::seconds(18)},
                            {Duration::milliseconds(100), Duration::seconds(4)});
          }
        },
    .watch =
        [](GroupBench& bench) {
          install_topic_maker(bench, "maker", {.count = 20, .one_goes_in = 3});
          bench.state.takes_orders = true;
          bench.every(Duration::milliseconds(100), [&bench] {
            for (const auto& [name, serving] : bench.state.serving) {
              bench.state.orders[name].push_back(
                  [&bench, of = name](node::Node& node) { expect_status(bench, of, node); });
            }
          });
        },
}};

// ---- f73 ----

struct Snapshots {
  std::uint64_t incarnation = 0;
  LogIndex first{0};  // when this incarnation was seen first: the next may be under way, and entries behind it applied
  LogIndex last{0};
  std::uint64_t count = 0;
};

const GroupScenario kF73{GroupPage{
    .name = "f73-snapshots-are-rare",
    .story = "a snapshot each so many applied entries, however long the metadata go on",
    .promises = {"COST"},
    .must_fire = {"snapshots"},
    .nodes_least = 1,
    .nodes_most = 3,
    .lasts = Duration::seconds(20),
    .plan =
        [](PagePlan& page) {
          page.quick_network();
          page.plan.knobs["raft.entries_per_snapshot"] = page.draws.between(5, 40);
          page.add_client("maker");
        },
    .watch =
        [](GroupBench& bench) {
          install_topic_maker(bench, "maker", {.count = 60, .pause_most_ms = 50, .one_goes_in = 2});
          const auto seen = std::make_shared<std::map<std::string, Snapshots>>();
          bench.every(Duration::milliseconds(5), [&bench, seen] {
            for (const auto& [name, node] : bench.state.serving) {
              Snapshots& of = (*seen)[name];
              const std::uint64_t incarnation = bench.world.machine(name).incarnation();
              if (of.incarnation != incarnation) {
                const LogIndex last = node->raft().snapshot_last();
                of = {.incarnation = incarnation, .first = last, .last = last, .count = 0};
              }
              of.count += node->raft().snapshot_last() != of.last ? 1U : 0U;
              of.last = node->raft().snapshot_last();
            }
          });
          bench.in_the_end([&bench, seen] {
            const std::int64_t each = bench.plan.knob("raft.entries_per_snapshot", 1);
            for (const auto& [name, node] : bench.state.serving) {
              const Snapshots& of = (*seen)[name];
              const std::int64_t applied = node->raft().applied().value() - of.first.value();
              bench.expect_at_most(static_cast<std::uint64_t>(applied / each + 1), of.count,
                                   fmt::format("snapshots of {} for {} entries", name, applied));
              if (of.count > 0) {
                bench.world.fault_fired("snapshots");
              }
            }
          });
        },
}};

// ---- f51 ----

std::uint64_t turns_of(const GroupBench& bench) {
  std::uint64_t turns = 0;
  for (const auto& [name, config] : bench.state.configs) {
    turns += bench.world.machine(name).shards().front()->scheduler().turns();
  }
  return turns;
}

std::size_t without_leader(const node::Node& node) {
  std::size_t count = 0;
  node.metadata().image()->topics.for_each([&](const cluster::TopicRef& topic) {
    topic->partitions.for_each(
        [&](const cluster::Partition& partition) { count += partition.leader == NodeId::none() ? 1U : 0U; });
  });
  return count;
}

constexpr Duration kRestOf = Duration::seconds(20);

// Three nodes rest with few partitions, then with many: no more turns. Then one of them dies, and soon the others lead
// all that it led.
const GroupScenario kF51Death{GroupPage{
    .name = "f51-many-partitions-and-a-death",
    .story = "hundreds of partitions cost no turns at rest, and get new leaders when a node dies",
    .promises = {"COST", "REPLICA-LIVE", "NO-STUCK"},
    .must_fire = {"process kill", "a rest with many partitions"},
    .replicas = 3,
    .partitions = 12,  // so that each node follows each other from the beginning
    .lasts = Duration::seconds(100),
    .plan =
        [](PagePlan& page) {
          page.quick_network();
          for (PlanOperation& operation : page.plan.operations) {
            operation.numbers["pause_ns"] = 0;
            operation.numbers["not_before_ns"] = 0;
          }
          page.plan.knobs["partitions.many"] = page.draws.magnitude(30, 300);
          page.plan.knobs["raft.snapshot_part_bytes"] = 1 << 16;
          std::erase_if(page.plan.machines, [](const PlanMachine& machine) {
            return machine.role == "trimmer" || machine.role == "consumer";
          });
          page.add_client("maker");
        },
    .watch =
        [](GroupBench& bench) {
          const auto many = static_cast<std::int32_t>(bench.plan.knob("partitions.many", 0) / 10);
          const auto made = std::make_shared<TopicsMade>(
              TopicsMade{.count = 10, .at_once = 10, .partitions = many, .pause_most_ms = 1});
          bench.install("maker", [&bench, made](ProcessContext& process) {
            static_cast<void>(fiber::sleep(Duration::seconds(41)));
            make_topics(process, bench, *made);
          });
          // The reader would not let them rest.
          bench.at(VirtualTime::zero() + Duration::seconds(16), [&bench] { bench.world.machine("reader").suspend(); });
          bench.at(VirtualTime::zero() + Duration::seconds(80), [&bench] { bench.world.machine("reader").resume(); });
          const auto few = std::make_shared<std::uint64_t>(0);
          bench.at(VirtualTime::zero() + Duration::seconds(20), [&bench, few] { *few = turns_of(bench); });
          bench.at(VirtualTime::zero() + Duration::seconds(20) + kRestOf,
                   [&bench, few] { *few = turns_of(bench) - *few; });
          bench.at(VirtualTime::zero() + Duration::seconds(55), [&bench, few, made] {
            bench.world.after(kRestOf, [&bench, few, made, then = turns_of(bench)] {
              if (made->done) {
                bench.world.fault_fired("a rest with many partitions");
                bench.expect_at_most(*few + *few / 10, turns_of(bench) - then,
                                     fmt::format("turns in 20 s of rest, {} of them with few partitions", *few));
              }
              bench.kill(group_node_name(static_cast<int>(bench.draws.between(1, kGroupNodes))), Death::kProcessKill,
                         Duration::seconds(20));
            });
          });
          bench.at(VirtualTime::zero() + Duration::seconds(90), [&bench] {
            for (const auto& [name, node] : bench.state.serving) {
              if (const std::size_t offline = without_leader(*node); offline != 0) {
                bench.world.fail(
                    "REPLICA-LIVE",
                    fmt::format("15 s after a death {} knows of no leader of {} partitions", name, offline));
              }
            }
          });
          bench.in_the_end([&bench, made] { expect_topics(bench, *made); });
        },
}};

}  // namespace

Pages pages_on_topics() { return {&kF32Kept, &kF47, &kF49, &kF51Death, &kF59, &kF72, &kF73}; }

}  // namespace chronik::sim
