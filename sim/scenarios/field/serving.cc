// One node and its clients: who never reads, who hangs up at once, what a request costs, and what rest costs.
#include <fmt/core.h>

#include <algorithm>
#include <memory>
#include <string>

#include "core/fiber/wait.h"
#include "core/protocol/headers.h"
#include "core/protocol/messages/create_topics.h"
#include "core/protocol/messages/metadata.h"
#include "core/protocol/messages/produce.h"
#include "core/protocol/record_batch_builder.h"
#include "sim/disk_faults.h"
#include "sim/scenarios/field/page.h"
#include "sim/scenarios/field/pages.h"
#include "sim/store.h"

namespace chronik::sim {

namespace {

using protocol::ErrorCode;

Deadline some_time() { return fiber::within(Duration::seconds(20), Expiry::kNormal); }

StatusOr<std::unique_ptr<Connection>> connect_raw(ProcessContext& process) {
  ASSIGN_OR_RETURN(const std::vector<Address> found, process.ports.network.resolve("node", kNodePort, some_time()));
  return process.ports.network.connect(found.front(), some_time());
}

Slice ask_for_everything(std::int32_t correlation) {
  protocol::MetadataRequest all;
  all.allow_auto_topic_creation = false;
  const protocol::RequestHeader header{.api = protocol::ApiKey::kMetadata,
                                       .version = 9,
                                       .correlation_id = CorrelationId(correlation),
                                       .client_id = "deaf"};
  return protocol::encode_request(header, all).flat();
}

// ---- f38 ----

const NodeScenario kF38{NodePage{
    .name = "f38-producers-on-a-busy-node",
    .story = "each turn of the node takes long; consumers hear of everything all the same",
    .promises = {"NO-STUCK", "NODE-LIVE"},
    .rules = {.consumer_is_prompt = true, .connections_last = true},
    .plan =
        [](PagePlan& page) {
          PlanMachine& node = page.plan.machines.front();
          node.numbers["turn.cost_ns"] = page.draws.magnitude(100'000, 2'000'000);
          node.numbers["turn.cost_most_ns"] = page.draws.magnitude(2'000'000, 50'000'000);
          node.numbers["turn.resume_cost_ns"] = page.draws.magnitude(1'000, 100'000);
        },
}};

// ---- f39 ----

// Records do not wait for the metadata's store.
const GroupScenario kF39{GroupPage{
    .name = "f39-records-beside-a-slow-store",
    .story = "twelve partitions, and the metadata's store takes up to a second; records do not",
    .promises = {"NO-STUCK"},
    .must_fire = {"slow store"},
    .nodes_most = 3,
    .partitions = 12,
    .lasts = Duration::seconds(25),
    .answered_within = Duration::milliseconds(700),
    .plan =
        [](PagePlan& page) {
          page.quick_network();
          page.produce_from(Duration::seconds(12));
          std::erase_if(page.plan.machines, [](const PlanMachine& machine) { return machine.role == "trimmer"; });
        },
    .watch =
        [](GroupBench& bench) {
          // Once the topic is there, and nobody needs the store any more.
          bench.at(VirtualTime::zero() + Duration::seconds(11), [&bench] {
            for (const auto& [name, config] : bench.state.configs) {
              StoreKnobs& knobs = dynamic_cast<SimulatedStore&>(*bench.world.machine(name).store()).knobs();
              knobs.sync = Duration::milliseconds(800);
              knobs.most = Duration::seconds(1);
              bench.world.fault_fired("slow store", mix_text(name));
            }
          });
        },
}};

constexpr std::int32_t kWide = 100;

std::uint64_t flushes(const NodeBench& bench) {
  for (const MetricsRegistry::Entry& entry : bench.state.node->metrics().entries()) {
    if (entry.name == "produce_flush_total") {
      return entry.counter->value();
    }
  }
  return 0;
}

bool make_one(client::Client& client, const std::string& name, std::int32_t partitions) {
  protocol::CreateTopicsRequest request;
  request.timeout_ms = 10'000;
  request.topics.push_back(
      {.name = name, .num_partitions = partitions, .replication_factor = 1, .assignments = {}, .configs = {}});
  const auto got = client.call<protocol::CreateTopicsResponse>(request, /*version=*/5, node_patience());
  return got.ok() && got->topics.size() == 1 && got->topics[0].error_code == ErrorCode::kNone;
}

bool produce_to_many(ProcessContext& process, client::Client& client, std::int32_t partitions) {
  protocol::ProduceRequest request;
  request.acks = -1;
  request.timeout_ms = 10'000;
  auto& topic = request.topic_data.emplace_back();
  topic.name = "wide";
  for (std::int32_t i = 0; i < partitions; ++i) {
    protocol::RecordBatchBuilder builder;
    const std::string value = fmt::format("value {}", i);
    builder.append({.timestamp = process.ports.clock.wall(), .key = {}, .value = as_bytes(value), .headers = {}});
    topic.partition_data.push_back({.index = PartitionId(i), .records = builder.build({})});
  }
  const auto got = client.call<protocol::ProduceResponse>(request, /*version=*/9, node_patience());
  return got.ok() && got->responses.size() == 1 &&
         std::all_of(got->responses[0].partition_responses.begin(), got->responses[0].partition_responses.end(),
                     [](const auto& answer) { return answer.error_code == ErrorCode::kNone; });
}

void produce_wide(ProcessContext& process, NodeBench& bench) {
  static_cast<void>(fiber::sleep(Duration::seconds(3)));
  const StatusOr<std::unique_ptr<client::Client>> client = connect_to_node(process);
  if (!client.ok() || !make_one(**client, "wide", kWide)) {
    return bench.world.fail("NODE-LIVE", "the topic is not made though nothing is wrong");
  }
  for (const std::int32_t partitions : {1, kWide, 1, kWide}) {
    sleep_between(process, 500, 1'500);
    const std::uint64_t before = flushes(bench);
    if (!produce_to_many(process, **client, partitions)) {
      return bench.world.fail("NODE-LIVE", "a record is not taken though nothing is wrong");
    }
    bench.expect_at_most(1, flushes(bench) - before, fmt::format("flushes for {} partitions", partitions));
    bench.world.fault_fired(partitions == 1 ? "one partition" : "a hundred partitions");
  }
}

const NodeScenario kF39Wide{NodePage{
    .name = "f39-one-flush-for-a-hundred-partitions",
    .story = "one request for one partition, or for a hundred: one flush of the write-ahead log",
    .promises = {"COST"},
    .must_fire = {"one partition", "a hundred partitions"},
    // Prompt: a request that is held up between two of its partitions may well meet two flushes.
    .rules = {.calm = Duration::seconds(20), .ledger = false, .consumer_is_prompt = true},
    .plan =
        [](PagePlan& page) {
          page.plan.knobs["wal.rotation_bytes"] = 1 << 20;
          page.plan.knobs["log.tail_bytes_max"] = 1 << 20;
          page.plan.knobs["log.tail_age_s"] = 3'600;
          page.add_client("writer");
        },
    .watch =
        [](NodeBench& bench) {
          bench.install("writer", [&bench](ProcessContext& process) { produce_wide(process, bench); });
        },
}};

// ---- f41 ----

void ask_and_never_read(ProcessContext& process, NodeBench& bench) {
  while (bench.world.now() < bench.healed) {
    const StatusOr<std::unique_ptr<Connection>> connection = connect_raw(process);
    std::int32_t sent = 0;
    while (connection.ok() && bench.world.now() < bench.healed) {
      const Slice request = ask_for_everything(++sent);
      if (!(*connection)->write({&request, 1}, some_time()).ok()) {
        break;
      }
    }
    if (sent > 20) {
      bench.world.fault_fired("asked and never read");
    }
    sleep_between(process, 1, 500);
  }
}

const NodeScenario kF41{NodePage{
    .name = "f41-clients-that-never-read",
    .story = "three clients ask as much as the node takes and read nothing; the others are served",
    .promises = {"BOUNDED", "NO-STUCK", "NODE-LIVE"},
    .must_fire = {"asked and never read"},
    .rules = {.lasts = Duration::seconds(10), .calm = Duration::seconds(100), .consumer_is_prompt = true},
    .configure =
        [](const Plan&, node::NodeConfig& config) {
          config.limits.requests_per_connection = 8;
          config.limits.response_bytes_per_node = 4 << 20;
        },
    .plan =
        [](PagePlan& page) {
          for (const char* client : {"deaf-1", "deaf-2", "deaf-3"}) {
            page.add_client(client);
          }
        },
    .watch =
        [](NodeBench& bench) {
          for (const char* client : {"deaf-1", "deaf-2", "deaf-3"}) {
            bench.install(client, [&bench](ProcessContext& process) { ask_and_never_read(process, bench); });
          }
        },
}};

// ---- f51 ----

constexpr Duration kIdleFor = Duration::seconds(30);

std::uint64_t node_turns(const NodeBench& bench) { return bench.state.machine->shards().front()->scheduler().turns(); }

// Turns of the node in a while in which nobody wants anything of it.
std::uint64_t turns_at_rest(const NodeBench& bench) {
  static_cast<void>(fiber::sleep(Duration::seconds(15)));  // what there was to do is done
  const std::uint64_t before = node_turns(bench);
  static_cast<void>(fiber::sleep(kIdleFor));
  return node_turns(bench) - before;
}

void make_and_rest(ProcessContext& process, NodeBench& bench) {
  static_cast<void>(fiber::sleep(Duration::seconds(2)));
  std::uint64_t few = 0;
  for (const std::int64_t partitions : {std::int64_t{1}, bench.plan.knob("partitions.many", 1)}) {
    {
      const StatusOr<std::unique_ptr<client::Client>> client = connect_to_node(process);
      if (!client.ok() ||
          !make_one(**client, fmt::format("of-{}", partitions), static_cast<std::int32_t>(partitions))) {
        return bench.world.fail("NODE-LIVE", "the topic is not made though nothing is wrong");
      }
    }
    const std::uint64_t turns = turns_at_rest(bench);
    if (partitions == 1) {
      few = turns;
    } else {
      bench.expect_at_most(few + few / 20 + 2, turns, fmt::format("turns in 30 s of rest, {} partitions", partitions));
      bench.world.fault_fired("a rest with many partitions");
    }
  }
}

const NodeScenario kF51{NodePage{
    .name = "f51-idle-partitions-cost-nothing",
    .story = "one partition at rest, then up to three thousand: the same number of turns",
    .promises = {"COST", "NO-SPIN"},
    .must_fire = {"a rest with many partitions"},
    .rules = {.lasts = Duration::seconds(110), .calm = Duration::seconds(40), .ledger = false},
    .plan =
        [](PagePlan& page) {
          page.plan.knobs["partitions.many"] = page.draws.below(25) == 0 ? 3'000 : page.draws.magnitude(10, 500);
          page.plan.knobs["wal.rotation_bytes"] = 1 << 20;
          page.plan.knobs["wal.files_max"] = kNodeFilesMax;
          page.add_client("maker");
        },
    .watch =
        [](NodeBench& bench) {
          bench.install("maker", [&bench](ProcessContext& process) { make_and_rest(process, bench); });
        },
}};

// ---- f52 ----

void connect_and_hang_up(ProcessContext& process, NodeBench& bench) {
  while (bench.world.now() < bench.healed) {
    for (int i = 0; i < 30; ++i) {
      const StatusOr<std::unique_ptr<Connection>> connection = connect_raw(process);
      const std::uint64_t way = process.ports.random.next() % 3;
      if (!connection.ok()) {
        continue;
      }
      if (way != 0) {
        const Slice whole = ask_for_everything(1);
        const Slice request = way == 1 ? whole : whole.sub(0, process.ports.random.next() % whole.size());
        static_cast<void>((*connection)->write({&request, 1}, some_time()));
      }
      bench.world.fault_fired("hung up at once");
    }
    sleep_between(process, 100, 3'000);
  }
}

const NodeScenario kF52{NodePage{
    .name = "f52-connections-closed-at-once",
    .story = "hundreds of connections that are closed at once; then nothing is left of them",
    .promises = {"NO-SPIN", "BOUNDED"},
    .must_fire = {"hung up at once"},
    .rules = {.consumer_is_prompt = true},
    .plan =
        [](PagePlan& page) {
          page.add_client("storm-1");
          page.add_client("storm-2");
        },
    .watch =
        [](NodeBench& bench) {
          for (const char* client : {"storm-1", "storm-2"}) {
            bench.install(client, [&bench](ProcessContext& process) { connect_and_hang_up(process, bench); });
          }
        },
}};

// ---- f54 ----

const GroupScenario kF54{GroupPage{
    .name = "f54-stopped-and-started-at-once",
    .story = "nodes are stopped in order, or die at any step of their disk, and start again at once",
    .promises = {"NODE-START", "NODE-FATAL", "ACK-DURABLE"},
    .must_fire = {"orderly stop", "process-kill-at-write", "process-kill-at-sync"},
    .nodes_least = 1,
    .lasts = Duration::seconds(30),
    .plan =
        [](PagePlan& page) {
          static constexpr DiskEffect kKills[] = {DiskEffect::kKillBefore, DiskEffect::kKillDuring,
                                                  DiskEffect::kKillAfter};
          draw_stops(page.plan, page.draws.child("stops", 0));
          for (PlanOperation& operation : page.plan.operations) {
            if (operation.verb == "stop") {
              operation.numbers["for_ns"] = page.draws.magnitude(1'000, 1'000'000);
            }
          }
          const std::int64_t strikes = page.draws.between(2, 6);
          draw_strikes(page.plan, page.draws, page.any_node(), strikes, all_disk_steps(), kKills);
        },
}};

}  // namespace

Pages pages_on_one_node() { return {&kF38, &kF39, &kF39Wide, &kF41, &kF51, &kF52, &kF54}; }

}  // namespace chronik::sim
