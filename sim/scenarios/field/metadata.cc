// What every node must know alike: who is there, who leads, what was made.
#include <fmt/core.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sim/disk_faults.h"
#include "sim/fault_draws.h"
#include "sim/scenarios/field/clients.h"
#include "sim/scenarios/field/page.h"
#include "sim/scenarios/field/pages.h"

namespace chronik::sim {

namespace {

// Some node dies, within 200 ms, as soon as something was made or deleted.
std::function<void()> kill_one_after_it(GroupBench& bench) {
  return [&bench] {
    const std::string dies =
        group_node_name(static_cast<int>(bench.draws.between(1, static_cast<std::int64_t>(bench.state.nodes()))));
    const Death how = bench.draws.below(2) == 0 ? Death::kPowerLoss : Death::kProcessKill;
    const Duration away = Duration::milliseconds(bench.draws.magnitude(10, 1'500));
    bench.world.after(Duration::nanoseconds(bench.draws.magnitude(1'000, 200'000'000)),
                      [&bench, dies, how, away] { bench.kill(dies, how, away); });
  };
}

// In one term one node leads, whatever the others know of it, and however soon it is gone again.
void expect_one_leader(GroupBench& bench, Duration looks) {
  bench.every(looks, [&bench, leaders = std::map<Term, std::string>()]() mutable {
    for (const auto& [name, node] : bench.state.serving) {
      const raft::Leadership leadership = node->raft().leadership();
      const auto known = leadership.here ? leaders.try_emplace(leadership.term, name).first : leaders.end();
      if (known != leaders.end() && known->second != name) {
        bench.world.fail("ONE-LEADER", fmt::format("{} and {} lead in term {}", known->second, name, leadership.term));
      }
    }
  });
}

// Who asks is never kept waiting by what is being applied.
const GroupScenario kF03{GroupPage{
    .name = "f03-asked-while-it-applies",
    .story = "three clients ask for all metadata over and over while topics come and go",
    .promises = {"NO-STUCK", "CONFORM"},
    .lasts = Duration::seconds(15),
    .plan =
        [](PagePlan& page) {
          page.quick_network();
          for (const char* client : {"asker-1", "asker-2", "asker-3", "maker"}) {
            page.add_client(client);
          }
        },
    .watch =
        [](GroupBench& bench) {
          for (const char* client : {"asker-1", "asker-2", "asker-3"}) {
            install_asker(bench, client, {.answered_within = Duration::seconds(2), .but_for = {}});
          }
          install_topic_maker(
              bench, "maker",
              {.count = 60, .at_once = 3, .pause_most_ms = 30, .one_goes_in = 2, .made_within = Duration::seconds(5)});
        },
}};

// After each single change some node starts anew, and knows of it.
const GroupScenario kF20{GroupPage{
    .name = "f20-a-restart-after-each-change",
    .story = "a topic is made or deleted, and some node dies; none of it is lost",
    .promises = {"META-DURABLE", "META-AGREE", "META-WHOLE"},
    .must_fire = {"process kill", "power loss"},
    .nodes_least = 1,
    .nodes_most = 5,
    .lasts = Duration::seconds(30),
    .plan = [](PagePlan& page) { page.add_client("maker"); },
    .watch =
        [](GroupBench& bench) {
          install_topic_maker(bench, "maker", {.count = 30, .one_goes_in = 2, .on_made = kill_one_after_it(bench)});
        },
}};

// The way between nodes is cut now and then, and clients change and ask through each node in turn.
const GroupScenario kF22{GroupPage{
    .name = "f22-clients-on-both-sides-of-a-split",
    .story = "nodes are split, and topics are made through each of them in turn",
    .promises = {"META-AGREE", "META-DURABLE", "ONE-LEADER"},
    .must_fire = {"partition", "one-way partition"},
    .plan =
        [](PagePlan& page) {
          for (std::int64_t i = page.draws.between(2, 6); i > 0; --i) {
            PlanFault& cut = page.strike_any("partition", {Duration::seconds(2), Duration::seconds(35)},
                                             {Duration::seconds(1), Duration::seconds(6)});
            cut.other = group_node_name(cut.target == group_node_name(1) ? 2 : 1);
            cut.numbers["one_way"] = page.draws.between(0, 1);
          }
          page.add_client("maker-1");
          page.add_client("maker-2");
        },
    .watch =
        [](GroupBench& bench) {
          expect_one_leader(bench, Duration::milliseconds(10));
          for (const char* client : {"maker-1", "maker-2"}) {
            install_topic_maker(bench, client,
                                {.count = 40, .pause_most_ms = 1'000, .one_goes_in = 3, .through_each_in_turn = true});
          }
        },
}};

// Who is elected dies just then, and the others lose their power: what they voted stays, or they elect another one in
// the same term.
const GroupScenario kF31Power{GroupPage{
    .name = "f31-power-goes-when-somebody-is-elected",
    .story = "on slow stores: as soon as somebody leads it dies, and who voted for it loses its power",
    .promises = {"ONE-LEADER", "META-AGREE", "META-DURABLE"},
    .must_fire = {"slow store", "process kill", "power loss"},
    .plan =
        [](PagePlan& page) {
          page.quick_network();
          page.plan.knobs["store.sync_ms"] = page.draws.between(30, 150);
          page.add_client("maker");
        },
    .watch =
        [](GroupBench& bench) {
          slow_down_stores(bench, Duration::milliseconds(bench.plan.knob("store.sync_ms", 0)));
          expect_one_leader(bench, Duration::milliseconds(5));
          // Where all serve, who leads goes; whom the others elect then dies within 5 ms, and they with it.
          bench.every(Duration::milliseconds(5), [&bench, gone = Term(0)]() mutable {
            const std::string leader = bench.controller();
            const Term term = leader.empty() ? gone : bench.state.serving.at(leader)->raft().raft().term();
            if (leader.empty() || term == gone) {
              return;
            }
            const bool elected = gone != Term(0);
            if (!elected && !bench.all_serve()) {
              return;
            }
            gone = elected ? Term(0) : term;
            bench.kill(leader, Death::kProcessKill, bench.draws.between(Duration::seconds(2), Duration::seconds(4)));
            for (const auto& [name, config] : bench.state.configs) {
              if (elected && name != leader) {
                bench.kill(name, Death::kPowerLoss, Duration::milliseconds(bench.draws.magnitude(1, 200)));
              }
            }
          });
          install_topic_maker(bench, "maker", {.pause_most_ms = 300});
        },
}};

// Whoever was to lead the metadata dies while the brokers register. In the end every node lists all of them.
const GroupScenario kF23{GroupPage{
    .name = "f23-every-node-lists-all-brokers",
    .story = "whoever leads the metadata dies just when the others register with it",
    .promises = {"META-LIVE", "CONFORM"},
    .must_fire = {"process kill"},
    .nodes_least = 3,
    .nodes_most = 5,
    .lasts = Duration::seconds(20),
    .plan = [](PagePlan& page) { page.add_client("asker"); },
    .watch =
        [](GroupBench& bench) {
          bench.when([&bench] { return !bench.controller().empty(); },
                     [&bench] {
                       bench.world.after(Duration::nanoseconds(bench.draws.magnitude(1'000, 1'000'000'000)), [&bench] {
                         const std::string controller = bench.controller();
                         bench.kill(controller.empty() ? group_node_name(1) : controller, Death::kProcessKill,
                                    bench.draws.between(Duration::milliseconds(10), Duration::seconds(3)));
                       });
                     });
          install_asker(bench, "asker", {});
        },
}};

// Hundreds of topics in a burst, a follower that is slow to take them, and one that starts anew in the middle.
const GroupScenario kF24{GroupPage{
    .name = "f24-a-burst-of-topics-and-a-slow-follower",
    .story = "two hundred topics in a burst; one node is slow, one starts anew in the middle",
    .promises = {"META-AGREE", "META-DURABLE", "META-LIVE"},
    .must_fire = {"slow link", "power loss"},
    .lasts = Duration::seconds(15),
    .plan =
        [](PagePlan& page) {
          const std::string slow = page.any_node();
          PlanFault& far = page.strike("slow", slow, page.between(Duration::seconds(1), Duration::seconds(3)),
                                       Duration::seconds(12));
          far.other = "*";
          far.numbers["delay_ns"] = page.draws.magnitude(20'000'000, 800'000'000);
          page.strike_any("power", {Duration::seconds(3), Duration::seconds(8)},
                          {Duration::milliseconds(50), Duration::seconds(3)});
          page.plan.knobs["raft.snapshot_part_bytes"] = 1 << 16;
          page.add_client("maker");
        },
    .watch =
        [](GroupBench& bench) {
          install_topic_maker(bench, "maker", {.count = 200, .at_once = 20, .partitions = 1, .pause_most_ms = 5});
        },
}};

// However many nodes and partitions: who leads is one of those that are there, as every node says it.
const GroupScenario kF25{GroupPage{
    .name = "f25-leaders-of-many-partitions-are-there",
    .story = "one to five nodes, many partitions: every leader is a broker that is listed",
    .promises = {"CONFORM", "REPLICA-LIVE"},
    .nodes_least = 1,
    .nodes_most = 5,
    .lasts = Duration::seconds(15),
    .plan =
        [](PagePlan& page) {
          page.plan.knobs["partitions"] = page.draws.between(1, 12);
          page.add_client("asker");
          page.add_client("maker");
        },
    .watch =
        [](GroupBench& bench) {
          install_asker(bench, "asker", {});
          install_topic_maker(bench, "maker",
                              {.count = 10, .partitions = static_cast<std::int32_t>(bench.draws.between(1, 12))});
        },
}};

// Every node is asked, whatever its role is just then, and who leads dies over and over. A node that cannot do it says
// so by an error that there is for it, and nothing ends.
const GroupScenario kF37{GroupPage{
    .name = "f37-proposals-to-nodes-in-every-role",
    .story = "changes are asked of each node in turn while who leads the metadata goes",
    .promises = {"CONFORM", "NODE-FATAL", "META-DURABLE"},
    .must_fire = {"process kill"},
    .nodes_least = 2,
    .nodes_most = 5,
    .plan =
        [](PagePlan& page) {
          page.add_client("maker-1");
          page.add_client("maker-2");
        },
    .watch =
        [](GroupBench& bench) {
          bench.every(Duration::seconds(3), [&bench] {
            if (const std::string controller = bench.controller(); !controller.empty()) {
              bench.kill(controller, Death::kProcessKill, Duration::milliseconds(bench.draws.magnitude(5, 2'000)));
            }
          });
          for (const char* client : {"maker-1", "maker-2"}) {
            install_topic_maker(bench, client,
                                {.count = 40, .pause_most_ms = 600, .one_goes_in = 3, .through_each_in_turn = true});
          }
        },
}};

// A client that has heard who leads can connect to all of them, also while nodes come and go.
const GroupScenario kF67{GroupPage{
    .name = "f67-leaders-are-listed",
    .story = "nodes die and come back, and whoever is asked names no leader without its address",
    .promises = {"CONFORM", "META-LIVE"},
    .must_fire = {"process kill", "power loss"},
    .nodes_least = 2,
    .nodes_most = 5,
    .lasts = Duration::seconds(30),
    .plan =
        [](PagePlan& page) {
          std::vector<std::string> nodes;
          for (int number = 1; number <= page.plan.knob("nodes", 1); ++number) {
            nodes.push_back(group_node_name(number));
          }
          draw_deaths(page.plan, page.draws.child("deaths", 0), nodes);
          for (const char* how : {"kill", "power"}) {
            page.strike_any(how, {Duration::seconds(2), Duration::seconds(28)},
                            {Duration::milliseconds(100), Duration::seconds(5)});
          }
          page.add_client("asker-1");
          page.add_client("asker-2");
        },
    .watch =
        [](GroupBench& bench) {
          install_asker(bench, "asker-1", {});
          install_asker(bench, "asker-2", {});
        },
}};

}  // namespace

Pages pages_on_metadata() { return {&kF03, &kF20, &kF22, &kF23, &kF24, &kF25, &kF31Power, &kF37, &kF67}; }

}  // namespace chronik::sim
